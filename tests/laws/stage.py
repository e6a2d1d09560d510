"""Where a law is tried: a simulated Azure in this loop, the product's cycle against it, and what each of them says.

Real TLS, real SDK, real HTTP; only time is virtual. Everything a test asks Azure goes over its control path.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from armsim.clock import EPOCH, Clock
from armsim.server import Simulator
from armsim.settings import Settings
from reconciler.apply import Budget
from reconciler.cloud import Budgets, CloudSettings, open_cloud
from reconciler.cycle import CycleRequest, converge, run_cycle
from reconciler.desired.fleet import Endpoints, load_estate
from reconciler.model.finding import Severity
from reconciler.model.ids import ArmId
from reconciler.model.outcome import CycleReport, Outcome, Result
from reconciler.model.plan import DecisionState, Plan, Step
from reconciler.model.ports import Alone, Lease, World
from reconciler.model.resource import Estate, Fleet
from tests.support.virtual_time import LoopClock

ACCOUNT = "Microsoft.CognitiveServices/accounts"
WRITES = ("PUT", "PATCH", "DELETE")
ASKING = ("/checkdomainavailability", "/calculatemodelcapacity", "/checkskuavailability")
DAY = 86_400.0

Document = dict[str, Any]


@dataclass
class Watched:
    """A watcher that keeps what it was told."""

    plans: list[Plan] = field(default_factory=list)
    begun: list[Step] = field(default_factory=list)
    waits: list[tuple[str, str, float]] = field(default_factory=list)
    ended: list[Outcome] = field(default_factory=list)

    def planned(self, plan: Plan) -> None:
        self.plans.append(plan)

    def started(self, step: Step) -> None:
        self.begun.append(step)

    def waiting(self, step: Step, why: str, seconds: float) -> None:
        self.waits.append((step.name, why, seconds))

    def finished(self, outcome: Outcome) -> None:
        self.ended.append(outcome)


class Stage:
    """One simulated Azure and the ways to it. `seed` feeds the product's own chance."""

    def __init__(self, sim: Simulator, seed: int = 7) -> None:
        self.sim = sim
        self.clock = LoopClock(sim.clock.now())
        self.seed = seed
        self.budgets = Budgets()
        self.watched = Watched()
        self.secret = sim.client_secret

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AZURE_SUBSCRIPTION_ID": self.sim.subscription_id,
            "AZURE_TENANT_ID": self.sim.tenant_id,
            "AZURE_CLIENT_ID": self.sim.client_id,
            "AZURE_CLIENT_SECRET": self.secret,
        }

    # -- the product

    def load(self, source: Path | str | Iterable[Document]) -> Fleet:
        """The one fleet of a directory, of a text, or of documents."""
        fleets = self.load_estate(source).fleets
        assert len(fleets) == 1, [fleet.name for fleet in fleets]
        return fleets[0]

    def load_estate(self, source: Path | str | Iterable[Document]) -> Estate:
        if isinstance(source, Path):
            estate = self._read(source)
        else:
            text = source if isinstance(source, str) else yaml.safe_dump_all(source, sort_keys=False)
            with TemporaryDirectory(prefix="desired-") as folder:
                place = Path(folder) / "fleet.yaml"
                place.write_text(text, encoding="utf-8")
                estate = self._read(place)
        errors = [str(finding) for finding in estate.findings if finding.severity is Severity.ERROR]
        assert not errors, errors
        return estate

    def _read(self, source: Path) -> Estate:
        here = Endpoints(endpoint=self.sim.endpoint, authority=self.sim.authority, audience=self.sim.endpoint)
        return load_estate((source,), self.environment, here)

    @asynccontextmanager
    async def world(self, fleet: Fleet, *, read_only: bool = False, lease: Lease | None = None) -> AsyncIterator[World]:
        """The ports of one cycle. A clock of the product never stands still: `clock` is that of the loop."""
        covered = lease or Alone()
        settings = CloudSettings(
            environment=self.environment,
            ca_bundle=self.sim.ca_bundle,
            budgets=self.budgets,
            barred=lambda: "" if covered.remaining() > 0 else "the lease does not cover it any more",
        )
        # Examples sign in in their own ways; who they are does not matter to any law.
        target = replace(
            fleet.target,
            credential="clientSecret",
            tenant=self.sim.tenant_id,
            client_id=self.sim.client_id,
            secret_variable="AZURE_CLIENT_SECRET",
        )
        chance = random.Random(self.seed)
        async with open_cloud(target, self.clock, chance, read_only=read_only, settings=settings) as cloud:
            yield World(cloud=cloud, clock=self.clock, chance=chance, watcher=self.watched, lease=covered)

    async def converge(self, fleet: Fleet, seconds: float = DAY, parallel: int = 100) -> tuple[CycleReport, ...]:
        async with self.world(fleet) as world:
            return await converge(world, fleet, CycleRequest(budget=Budget(seconds=seconds, parallel=parallel)))

    async def cycle(self, fleet: Fleet, seconds: float = DAY) -> CycleReport:
        """One pass that writes."""
        async with self.world(fleet) as world:
            return await run_cycle(world, fleet, CycleRequest(budget=Budget(seconds=seconds)))

    async def dry_run(self, fleet: Fleet) -> Plan:
        """A plan, by a session that cannot write."""
        async with self.world(fleet, read_only=True) as world:
            return (await run_cycle(world, fleet, CycleRequest())).plan

    # -- Azure

    async def seed_world(self, **world: object) -> None:
        await self.sim.control("POST", "/_sim/seed", world)

    async def set(self, **settings: object) -> None:
        await self.sim.control("PUT", "/_sim/settings", settings)

    async def mutate(self, method: str, id: object, body: object = None, actor: str = "mallory@example.com") -> None:
        change = {"method": method, "id": str(id), "body": body, "actor": actor}
        await self.sim.control("POST", "/_sim/mutate", change)

    async def fault(self, **fault: object) -> str:
        answer = await self.sim.control("POST", "/_sim/faults", [fault])
        return str(answer["ids"][0])

    async def mend(self) -> None:
        await self.sim.control("DELETE", "/_sim/faults")

    async def requests(self) -> list[dict[str, Any]]:
        """What has been answered by Resource Manager since it was last forgotten, oldest first."""
        answer = await self.sim.control("GET", "/_sim/requests")
        return [each for each in answer["requests"] if not each["path"].startswith("/_sim")]

    async def writes(self) -> list[dict[str, Any]]:
        """The requests that could have changed something."""
        return [
            each
            for each in await self.requests()
            if each["method"] in WRITES or (each["method"] == "POST" and not each["path"].lower().endswith(ASKING))
        ]

    async def forget(self) -> None:
        await self.sim.control("DELETE", "/_sim/requests")

    async def self_inflicted(self) -> dict[str, int]:
        """409 and 429 that no injected fault asked for."""
        summary = await self.sim.control("GET", "/_sim/requests/summary")
        return dict(summary["self_inflicted"])

    def resources(self) -> dict[str, dict[str, Any]]:
        """Everything that lives, by folded id."""
        held = self.sim.world.resources.values()
        return {each.id.lower(): each.body for each in held if "/deletedaccounts/" not in each.id.lower()}

    def resource(self, id: object) -> dict[str, Any]:
        return self.resources()[str(id).lower()]

    async def fingerprint(self) -> str:
        """A digest of all that Azure holds; two are equal when nothing at all was changed."""
        state = await self.sim.control("GET", "/_sim/state")
        kept = {name: value for name, value in state.items() if name not in {"now", "pace", "operations"}}
        return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()


@asynccontextmanager
async def stage(settings: Settings | None = None, ca_dir: Path | None = None, seed: int = 7) -> AsyncIterator[Stage]:
    """A fresh Azure in the running loop."""
    async with Simulator(Clock(EPOCH), settings=settings or Settings(), ca_dir=ca_dir) as sim:
        yield Stage(sim, seed)


def told(plan: Plan) -> list[str]:
    """A plan's decisions that are not silence, for the message of an assertion."""
    lines = [plan.stopped] if plan.stopped else []
    lines += [f"blind: {scope}: {fault}" for scope, fault in plan.blind]
    for each in plan.decisions:
        if each.state not in (DecisionState.IN_SYNC, DecisionState.IGNORED):
            changes = ", ".join(f"{change.path}: {change.before!r} -> {change.after!r}" for change in each.changes)
            lines.append(f"{each.ref} {each.state}: {each.reason} {changes}")
    return lines


def failures(reports: Iterable[CycleReport]) -> list[str]:
    """Steps that did not end well, for the message of an assertion."""
    return [
        f"{outcome.step.name} {outcome.result}: {outcome.because}"
        for report in reports
        for outcome in report.outcomes
        if outcome.result is not Result.DONE
    ]


def changed(plan: Plan) -> dict[str, set[str]]:
    """The paths that a plan would change, by reference."""
    return {str(each.ref): {change.path for change in each.changes} for each in plan.decisions if each.changes}


def fleet_document(name: str = "law", **spec: object) -> Document:
    """A Fleet that may do everything, for tests that are not about permissions."""
    written: Document = {
        "subscription": "${AZURE_SUBSCRIPTION_ID}",
        "resourceGroup": "rg-law",
        "location": "swedencentral",
        "allow": ["replace", "delete", "purge", "capacityCut", "provisioned"],
        "limits": {"deletes": {"count": 1000, "percent": 100}, "changes": {"count": 1000, "percent": 100}},
        **spec,
    }
    return {"apiVersion": "reconciler/v1", "kind": "Fleet", "metadata": {"name": name}, "spec": written}


def group_document(name: str = "rg-law", **spec: object) -> Document:
    return {"apiVersion": "reconciler/v1", "kind": "ResourceGroup", "metadata": {"name": name}, "spec": spec}


def account_document(name: str, lifecycle: Mapping[str, object] | None = None, **spec: object) -> Document:
    written = {"publicNetworkAccess": "Disabled", **spec}
    document: Document = {
        "apiVersion": "reconciler/v1",
        "kind": "Account",
        "metadata": {"name": name},
        "spec": written,
    }
    return {**document, "lifecycle": dict(lifecycle)} if lifecycle else document


def network_document(kind: str, name: str, **spec: object) -> Document:
    return {"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def rule(name: str, priority: int = 100, access: str = "Allow", **more: object) -> Document:
    """An inbound rule for HTTPS from one subnet."""
    return {
        "name": name,
        "direction": "Inbound",
        "access": access,
        "priority": priority,
        "protocol": "Tcp",
        "sourceAddressPrefix": "10.1.1.0/24",
        "destinationAddressPrefix": "10.1.2.0/24",
        "destinationPortRange": "443",
        **more,
    }


def deployment(name: str, capacity: int = 10, sku: str = "GlobalStandard", **more: object) -> Document:
    model = {"name": "gpt-4o", "version": "2024-11-20"}
    return {"name": name, "model": model, "sku": {"name": sku, "capacity": capacity}, **more}


def network_id(stage: Stage, kind: str, name: str, group: str = "rg-law") -> ArmId:
    return ArmId(subscription=stage.sim.subscription_id, group=group).resource(f"Microsoft.Network/{kind}", name)


def account_id(stage: Stage, name: str, group: str = "rg-law") -> ArmId:
    return ArmId(subscription=stage.sim.subscription_id, group=group).resource(ACCOUNT, name)
