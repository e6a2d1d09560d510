"""Where the deployments of a pool may be: accounts that its labels choose, each with every deployment type. Pure.

Says what runs there, what keeps anything from being added, and what is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reconciler.kinds import deployment
from reconciler.kinds.base import project
from reconciler.kinds.catalog import kind_named
from reconciler.kinds.pool_relations import find_accounts, region_of
from reconciler.model.ids import ArmId, fold_location
from reconciler.model.lifecycle import ManagePolicy
from reconciler.model.plan import Action, DecisionState
from reconciler.model.quota import Offer
from reconciler.model.resource import Desired, Fleet, Live, LiveState, Snapshot
from reconciler.model.wire import read_path
from reconciler.model.wish import PoolWish
from reconciler.plan.decide import decide_alone
from reconciler.plan.draft import Draft
from reconciler.plan.shelf import spell_sku

CAPACITY = "sku.capacity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A place for a deployment of a pool, and what of it is there.

    `allowed`: the pool names account and type; else only something is left there from before. `barred` says why nothing
    may be added. What is `fixed` is not ours to change either.
    """

    account: Desired
    region: str
    sku: str
    rank: int
    id: ArmId
    live: Live | None = None
    allowed: bool = True
    barred: str = ""
    fixed: bool = False

    @property
    def held(self) -> int:
        return held_units(self.live)

    @property
    def rate(self) -> int | None:
        """Tokens per minute of a unit by what the deployment says itself; None where it says nothing. Its limits are
        those of the capacity that it runs with, which is not always the one that it shall have."""
        running = read_path(self.live.wire, ("properties", "currentCapacity")) if self.live else None
        units = running if isinstance(running, int) and running > 0 else self.held
        limits = read_path(self.live.wire, ("properties", "rateLimits")) if self.live else None
        told = [each for each in limits if isinstance(each, dict)] if isinstance(limits, list) else []
        tokens = next((each for each in told if str(each.get("key")).lower() == "token"), {})
        count, period = tokens.get("count"), tokens.get("renewalPeriod")
        if not isinstance(count, (int, float)) or not isinstance(period, (int, float)) or period <= 0 or not units:
            return None
        return round(count * 60 / period / units)

    def offer(self, wish: PoolWish) -> Offer:
        return Offer(
            location=self.region, format=wish.format, model=wish.model, version=wish.version, sku=self.sku.lower()
        )


def held_units(live: Live | None) -> int:
    held = project(deployment.TYPE, live.wire, (CAPACITY,))[CAPACITY] if live else 0
    return held if isinstance(held, int) else 0


def find_wishes(fleet: Fleet) -> tuple[PoolWish, ...]:
    """The pools of models that a fleet wants, in the order of their names."""
    return tuple(sorted((each for each in fleet.wishes if isinstance(each, PoolWish)), key=lambda each: each.ref))


class Places:
    """The accounts of one fleet as one snapshot shows them; what is found out about one is found out once."""

    def __init__(self, fleet: Fleet, snapshot: Snapshot) -> None:
        self.fleet = fleet
        self.snapshot = snapshot
        self._drafts: dict[ArmId, Draft] = {}

    def find(self, wish: PoolWish) -> tuple[Cell, ...]:
        """Every place that a pool may use or has something in, in the order of accounts and of liking."""
        rivals = [each for each in find_wishes(self.fleet) if each.ref != wish.ref]
        found: list[Cell] = []
        for account in find_accounts(wish, self.fleet.desired):
            draft = self._draft(account)
            region = _settled_region(draft)
            others = (each for each in rivals if each.matches(account.labels) and each.covers(region))
            taken = {name.lower() for each in others for name in each.names.values()}
            cells = (each for each in _cells_of(wish, account, region) if each.id not in self.fleet.desired)
            for cell in cells:
                there = replace(_bar(cell, draft), live=self.snapshot.live.get(cell.id))
                known = _inspect(wish, there, self.fleet)
                if known.allowed or (known.live and known.id.name.lower() not in taken):
                    found.append(known)
        return tuple(found)

    def find_unclear(self, wish: PoolWish) -> str:
        """Why it is not known what a pool may use or what it has, "" where it is."""
        broken = [ref for ref in sorted(self.fleet.broken) if ref.kind == "Account" or kind_named(ref.kind) is None]
        if broken:
            names = ", ".join(str(ref) for ref in broken)
            return f"which accounts carry its labels is not known while documents are broken: {names}"
        for account in find_accounts(wish, self.fleet.desired):
            ids = (account.id, *(account.id.child("deployments", name) for name in wish.names.values()))
            fault = next((fault for id in ids if (fault := self.snapshot.hidden(id))), None)
            if fault:
                return f"what runs in {account.ref} could not be read: {fault.code}"
            if self._draft(account).action is Action.RESTORE:
                return f"{account.ref} is restored first, and what it had comes back with it"
        return ""

    def _draft(self, account: Desired) -> Draft:
        if account.id not in self._drafts:
            self._drafts[account.id] = decide_alone(self.fleet, self.snapshot, account)
        return self._drafts[account.id]


def _cells_of(wish: PoolWish, account: Desired, region: str) -> Iterator[Cell]:
    usable = wish.covers(region)
    named = [(sku, wish.names[sku], usable) for sku in wish.skus]
    left = [(sku, wish.left[sku], False) for sku in deployment.SKUS if sku in wish.left]
    for rank, (sku, name, allowed) in enumerate((*named, *left)):
        id = account.id.child("deployments", name)
        yield Cell(account=account, region=region, sku=sku, rank=rank, id=id, allowed=allowed)


def _settled_region(draft: Draft) -> str:
    """Where the account is, and, where it is not yet, where it shall be."""
    assert draft.desired is not None
    there = draft.live.wire.get("location") if draft.live else None
    return fold_location(str(there)) if there else region_of(draft.desired)


def _bar(cell: Cell, draft: Draft) -> Cell:
    """What keeps the account from having anything added to it."""
    policy, decision = cell.account.lifecycle.policy, draft.decision
    if policy is not ManagePolicy.MANAGE:
        return replace(cell, barred=f"{cell.account.ref} is not managed (lifecycle.policy: {policy})", fixed=True)
    if decision.state is DecisionState.BLOCKED and (draft.live is None or decision.code == "not_owned"):
        return replace(cell, barred=f"{cell.account.ref}: {decision.reason}", fixed=True)
    if draft.action is Action.REPLACE:
        return replace(cell, barred=f"{cell.account.ref} has to be replaced first")
    return cell


def _inspect(wish: PoolWish, cell: Cell, fleet: Fleet) -> Cell:
    """The cell with what is there, if that is a deployment of the pool."""
    live = cell.live
    if live is None:
        return cell
    held = deployment.read_holding(live, cell.region).offer
    if (held.format, held.model, held.sku) != (wish.format, wish.model, cell.sku.lower()):
        told = f"{cell.account.ref} has a deployment {cell.id.name} of {held.model} as {spell_sku(held.sku)}"
        return replace(cell, live=None, barred=told)
    if live.owner != fleet.name:
        return replace(cell, live=None, barred=cell.barred or f"{cell.account.ref} is not this fleet's", fixed=True)
    if live.state in (LiveState.IN_PROGRESS, LiveState.DELETING):
        return replace(cell, barred=f"Azure is still working on {cell.id.name} ({live.provisioning_state})")
    return cell
