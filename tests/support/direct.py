"""The `Cloud` port on a simulated Azure without HTTP: the product's own cloud, with the SDK and the sockets left out.

Every request still goes through the simulation's front door, so what Azure refuses is refused here too. Time jumps
without waiting for sockets, because there are none. Also: a cloud that is slow, that fails, or whose process dies.
"""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Set
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar, TypeVarTuple

from armsim.clock import EPOCH
from armsim.clock import Clock as Simulated
from armsim.cloud import Principal
from armsim.door import Door, _Request
from armsim.server import Simulator
from armsim.settings import CLIENT, OBJECT, SUBSCRIPTION, TENANT, Settings
from reconciler.apply import Budget
from reconciler.cloud.arm import ArmCloud
from reconciler.cloud.budget import Urgency
from reconciler.cloud.faults import read_fault
from reconciler.cloud.gateway import Page, Reply
from reconciler.cycle import CycleRequest, converge
from reconciler.desired.fleet import Endpoints, load_estate
from reconciler.kinds.base import Binding
from reconciler.kinds.catalog import TYPES
from reconciler.model.finding import Fault, FaultClass, Severity
from reconciler.model.ids import GROUP_TYPE, ArmId
from reconciler.model.outcome import CycleReport, Outcome
from reconciler.model.plan import Plan, Step, Verb
from reconciler.model.ports import Answer, Clock, Cloud, Operation, Poll, World, Write
from reconciler.model.quota import Catalogue, Quotas, QuotaScope, Usage
from reconciler.model.resource import Activity, DeletedAccount, Fleet, Live, Scope, Snapshot
from reconciler.model.rights import Rights, RightsScope
from tests.support.virtual_time import START, LoopClock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Document = dict[str, Any]

BASE = "https://direct"
VERSION = "api-version=2025-09-01"
# Of virtual time; a run that has not ended by then goes round in circles.
LONGEST = 7200.0
ENVIRONMENT = {"AZURE_SUBSCRIPTION_ID": SUBSCRIPTION, "AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT}
METHODS = {Verb.PUT: "PUT", Verb.RESTORE: "PUT", Verb.PATCH: "PATCH", Verb.DELETE: "DELETE", Verb.PURGE: "DELETE"}


class _Idle(selectors.DefaultSelector):
    """There is nothing to wait for but timers, and those are jumped to."""

    loop: DirectLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits and nothing will happen")
        if timeout > 0:
            self.loop.jump()
        return []


class DirectLoop(asyncio.SelectorEventLoop):
    """Virtual time for code without sockets. What would be done in a thread is done at once."""

    def __init__(self) -> None:
        self._now = START
        selector = _Idle()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self._now

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is whoever waits who hears of it
            future.set_exception(error)
        return future

    def jump(self) -> None:
        self._now = self._scheduled[0].when()  # type: ignore[attr-defined]  # the heap of timers, in BaseEventLoop


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=DirectLoop) as runner:
        return runner.run(main)


class DirectGateway:
    """What `ArmCloud` asks of the SDK's clients, asked of the front door."""

    endpoint = BASE

    def __init__(self, door: Door) -> None:
        self._door = door
        self.requests = 0
        self.now: float | None = None

    async def principal(self) -> str:
        return CLIENT

    async def get(self, _binding: Binding, id: ArmId, _urgency: Urgency = Urgency.STEP) -> Reply | Fault:
        return await self._ask("GET", str(id))

    async def list_all(self, binding: Binding, subscription: str) -> Page:
        arm_type = _type_of(binding)
        at = "resourcegroups" if arm_type == GROUP_TYPE else f"providers/{arm_type}"
        return await self._list(f"/subscriptions/{subscription}/{at}")

    async def list_children(self, binding: Binding, parent: ArmId) -> Page:
        return await self._list(f"{parent}/{_type_of(binding).rpartition('/')[2]}")

    async def list_deleted(self, binding: Binding, subscription: str) -> Page:
        provider = _type_of(binding).partition("/")[0]
        return await self._list(f"/subscriptions/{subscription}/providers/{provider}/deletedAccounts")

    async def get_deleted(self, _binding: Binding, id: ArmId, location: str) -> Reply | Fault:
        return await self._ask("GET", _buried(id, location))

    async def send(self, _binding: Binding, write: Write) -> Reply | Fault:
        path = _buried(write.id, write.location) if write.verb is Verb.PURGE else str(write.id)
        body = json.dumps(write.body).encode() if write.body is not None else b""
        return await self._ask(METHODS[write.verb], path, body)

    async def follow(self, url: str, _urgency: Urgency = Urgency.WAITED_FOR) -> Reply | Fault:
        path, _, query = url.removeprefix(BASE).partition("?")
        return await self._ask("GET", path, query=query)

    async def check_subdomain(self, subscription: str, arm_type: str, name: str, kind: str) -> Reply | Fault:
        body = json.dumps({"subdomainName": name, "type": arm_type, "kind": kind}).encode()
        at = f"/subscriptions/{subscription}/providers/Microsoft.CognitiveServices"
        return await self._ask("POST", f"{at}/checkDomainAvailability", body)

    async def list_models(self, subscription: str, location: str) -> Page:
        return await self._list(_regional(subscription, location, "models"))

    async def list_usages(self, subscription: str, location: str) -> Page:
        return await self._list(_regional(subscription, location, "usages"))

    async def list_permissions(self, place: ArmId) -> Page:
        return await self._list(f"{place}/providers/Microsoft.Authorization/permissions")

    async def get_provider(self, subscription: str, namespace: str) -> Reply | Fault:
        return await self._ask("GET", f"/subscriptions/{subscription}/providers/{namespace}")

    async def _list(self, path: str) -> Page:
        reply = await self._ask("GET", path)
        if isinstance(reply, Fault):
            return Page(fault=reply)
        assert isinstance(reply.body, dict)
        assert "nextLink" not in reply.body
        items: list[Any] = [*reply.body["value"]]  # type: ignore[misc]  # a list answer holds a list
        return Page(items=items)

    async def _ask(self, method: str, path: str, body: bytes = b"", query: str = VERSION) -> Reply | Fault:
        self.requests += 1
        asked = _Request(method, path, query, path, BASE, {"host": "direct"}, body)
        outcome = await self._door._arm(asked)
        text = (outcome.body or b"").decode()
        answer = json.loads(text) if text else None
        headers = {name.lower(): value for name, value in outcome.headers.items()}
        if outcome.status >= 300:
            return read_fault(outcome.status, headers, text, answer)
        return Reply(status=outcome.status, headers=headers, body=answer)


def _buried(id: ArmId, location: str) -> str:
    at = f"/subscriptions/{id.subscription}/providers/Microsoft.CognitiveServices/locations"
    return f"{at}/{location}/resourceGroups/{id.group}/deletedAccounts/{id.name}"


def _regional(subscription: str, location: str, name: str) -> str:
    return f"/subscriptions/{subscription}/providers/Microsoft.CognitiveServices/locations/{location}/{name}"


def _type_of(binding: Binding) -> str:
    return next(type_.arm_type for type_ in TYPES if type_.binding is binding)


class DirectCloud(ArmCloud):
    """The product's cloud, but for the activity log: who changed something decides nothing about what is written."""

    async def who(self, ids: Collection[ArmId], _seconds: float) -> Activity:
        return Activity(asked=frozenset(ids), last={}, unread={}, requests=0)


@dataclass(slots=True)
class Trouble:
    """What goes wrong on the way, drawn from `chance`: writes that set out late (so that lanes overtake each other),
    writes that are refused, and a process that dies at its `dies_at`-th write, before or after it has left."""

    chance: Random
    late: float = 0.0
    refused: float = 0.0
    dies_at: int = 0


class TroubledCloud:
    """A cloud with trouble. `kill` ends the process that it belongs to."""

    def __init__(self, cloud: Cloud, clock: Clock, trouble: Trouble, kill: Callable[[], None]) -> None:
        self._cloud = cloud
        self._clock = clock
        self._trouble = trouble
        self._kill = kill
        self._writes = 0

    async def observe(self, scope: Scope) -> Snapshot:
        return await self._cloud.observe(scope)

    async def read(self, id: ArmId) -> Live | Fault:
        return await self._cloud.read(id)

    async def who(self, ids: Collection[ArmId], seconds: float) -> Activity:
        return await self._cloud.who(ids, seconds)

    async def measure(self, scope: QuotaScope) -> Quotas:
        return await self._cloud.measure(scope)

    async def rights(self, scope: RightsScope) -> Rights:
        return await self._cloud.rights(scope)

    async def browse(self, subscription: str, locations: Set[str]) -> Catalogue:
        return await self._cloud.browse(subscription, locations)

    async def read_deleted(self, id: ArmId, location: str) -> DeletedAccount | Fault:
        return await self._cloud.read_deleted(id, location)

    async def read_usages(self, subscription: str, location: str) -> Mapping[str, Usage] | Fault:
        return await self._cloud.read_usages(subscription, location)

    async def poll(self, operation: Operation) -> Poll:
        return await self._cloud.poll(operation)

    async def write(self, write: Write) -> Answer:
        trouble = self._trouble
        if trouble.late:
            await self._clock.sleep(trouble.chance.uniform(0.0, trouble.late))
        self._writes += 1
        dies = self._writes == trouble.dies_at
        if dies and trouble.chance.random() < 0.5:
            self._kill()
            await self._clock.sleep(0.0)
        if trouble.chance.random() < trouble.refused:
            return Answer(fault=Fault(cls=FaultClass.INVALID, code="Injected", message="refused by trouble"))
        answer = await self._cloud.write(write)
        if dies:
            self._kill()
        return answer


class Unwatched:
    """A watcher that looks away."""

    def planned(self, plan: Plan) -> None: ...

    def started(self, step: Step) -> None: ...

    def waiting(self, step: Step, why: str, seconds: float) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...


class DirectStage:
    """A simulated Azure that nobody can reach but this process. `folder` is where documents are written to be read."""

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        self.sim = Simulator(Simulated(EPOCH), settings=settings or Settings(throttle=False, latency=0.05))
        self.sim.identity.accept = _accept  # type: ignore[method-assign, assignment]  # who asks is no question
        self.clock = LoopClock(self.sim.clock.now())
        self._folder = folder

    def load(self, documents: Iterable[Document]) -> Fleet:
        place = self._folder / "fleet.yaml"
        place.write_text("".join(f"---\n{json.dumps(each)}\n" for each in documents), encoding="utf-8")
        here = Endpoints(endpoint=BASE, authority=BASE, audience=BASE)
        estate = load_estate((place,), ENVIRONMENT, here)
        errors = [str(each) for each in estate.findings if each.severity is Severity.ERROR]
        assert not errors, errors
        (fleet,) = estate.fleets
        return fleet

    async def converge(
        self, fleet: Fleet, trouble: Trouble | None = None, seconds: float = LONGEST
    ) -> tuple[CycleReport, ...]:
        """Cycles to the end; nothing if the process died on the way."""
        chance = Random(7)
        task: asyncio.Task[tuple[CycleReport, ...]]
        cloud: Cloud = DirectCloud(DirectGateway(self.sim.door), self.clock, chance)  # type: ignore[arg-type]  # its shape
        if trouble is not None:
            cloud = TroubledCloud(cloud, self.clock, trouble, lambda: _end(task))
        world = World(cloud=cloud, clock=self.clock, chance=chance, watcher=Unwatched())
        request = CycleRequest(budget=Budget(seconds=seconds))
        task = asyncio.ensure_future(converge(world, fleet, request))
        try:
            return await task
        except asyncio.CancelledError:
            return ()


def _end(task: asyncio.Task[tuple[CycleReport, ...]]) -> None:
    task.cancel()


def _accept(_header: str | None, _base: str) -> Principal:
    return Principal(CLIENT, OBJECT, TENANT)
