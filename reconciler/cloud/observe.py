"""What Azure holds for a fleet, by lists: a handful per subscription and one or two per account.

Promises that what could not be read is said to be unknown, and that one bad read spoils only itself. Decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from reconciler.cloud.budget import Urgency
from reconciler.cloud.faults import own_fault
from reconciler.cloud.gateway import Gateway, Page, Reply
from reconciler.cloud.live import to_deleted, to_live
from reconciler.cloud.models import ModelLists
from reconciler.cloud.patience import Patience
from reconciler.kinds.base import ResourceType
from reconciler.kinds.catalog import TYPES, type_of
from reconciler.model.finding import Fault, FaultClass
from reconciler.model.ids import GROUP_TYPE, ArmId
from reconciler.model.ports import Clock
from reconciler.model.quota import Offer
from reconciler.model.resource import Blind, DeletedAccount, Live, Scope, Snapshot
from reconciler.model.wire import read_path


@dataclass(slots=True)
class _Sight:
    """What has been seen so far, and what not."""

    live: dict[ArmId, Live] = field(default_factory=dict)
    deleted: dict[ArmId, DeletedAccount] = field(default_factory=dict)
    blind: list[Blind] = field(default_factory=list)
    absent: set[ArmId] = field(default_factory=set)
    taken: set[ArmId] = field(default_factory=set)
    rates: dict[Offer, int] = field(default_factory=dict)

    def miss(self, scope: ArmId, arm_type: str, fault: Fault) -> None:
        self.blind.append(Blind(scope=scope, type=arm_type, fault=fault))

    def blind_to(self, arm_type: str) -> bool:
        return any(blind.type == arm_type for blind in self.blind)


class Observer:
    def __init__(self, gateway: Gateway, clock: Clock, patience: Patience, models: ModelLists) -> None:
        self._gateway = gateway
        self._clock = clock
        self._patience = patience
        self._models = models

    async def observe(self, scope: Scope) -> Snapshot:
        """The snapshot that answers `scope`."""
        before, mark = self._gateway.requests, self._clock.monotonic()
        sight = _Sight()
        principal = await self._patience.through_faults(self._gateway.principal, _fault)
        if isinstance(principal, Fault):
            for type_ in TYPES:
                sight.miss(ArmId(subscription=scope.subscription), type_.arm_type, principal)
            principal = None
        else:
            await self._look_around(scope, sight)
        return Snapshot(
            # Azure's own time, for it is what Azure's dates are compared with, when this began: what changes while it
            # is under way may not be in it.
            taken_at=(self._gateway.now or self._clock.now()) - (self._clock.monotonic() - mark),
            live={id: sight.live[id] for id in sorted(sight.live)},
            deleted={id: sight.deleted[id] for id in sorted(sight.deleted)},
            taken=frozenset(sight.taken),
            rates=sight.rates,
            blind=tuple(sorted(sight.blind, key=lambda blind: (blind.type, blind.scope.key))),
            principal=principal,
            requests=self._gateway.requests - before,
        )

    async def _look_around(self, scope: Scope, sight: _Sight) -> None:
        types = {id.type.lower() for id in scope.ids}
        async with asyncio.TaskGroup() as group:
            for type_ in TYPES:
                if type_.binding.list_all and _is_asked_for(type_, types, scope):
                    group.create_task(self._list_all(type_, scope.subscription, sight))
                if type_.soft_deletes:
                    group.create_task(self._list_deleted(type_, scope.subscription, sight))
            for location in sorted({offer.location for offer in scope.offers}):
                group.create_task(self._list_rates(location, scope, sight))
        await self._confirm_absent(scope, sight)
        await self._check_subdomains(scope, sight)
        _look_inside(sight)
        named = _name_types(scope)
        async with asyncio.TaskGroup() as group:
            for parent in list(sight.live.values()):
                for type_ in _children(parent, scope, named.get(parent.id, frozenset())):
                    group.create_task(self._list_children(type_, parent, sight))

    async def _list_all(self, type_: ResourceType, subscription: str, sight: _Sight) -> None:
        place = ArmId(subscription=subscription)
        page = await self._patience.through_faults(
            lambda: self._gateway.list_all(type_.binding, subscription), _fault_of_page
        )
        _take(type_, place, page, sight, None)

    async def _list_children(self, type_: ResourceType, parent: Live, sight: _Sight) -> None:
        page = await self._patience.through_faults(
            lambda: self._gateway.list_children(type_.binding, parent.id), _fault_of_page
        )
        if page.fault is not None and page.fault.cls is FaultClass.ABSENT and await self._vanished(parent):
            sight.live.pop(parent.id, None)
            return
        _take(type_, parent.id, page, sight, parent.owner)

    async def _vanished(self, parent: Live) -> bool:
        """Whether a parent that was listed is gone by now: then it has no children, and is no blind spot either."""
        type_ = type_of(parent.type)
        assert type_ is not None
        reply = await self._get(type_, parent.id)
        return isinstance(reply, Fault) and reply.cls is FaultClass.ABSENT

    async def _list_deleted(self, type_: ResourceType, subscription: str, sight: _Sight) -> None:
        place, word = ArmId(subscription=subscription), _deleted_type(type_)
        page = await self._patience.through_faults(
            lambda: self._gateway.list_deleted(type_.binding, subscription), _fault_of_page
        )
        fault = page.fault
        for wire in page.items:
            try:
                deleted = to_deleted(type_, wire)
            except ValueError as error:
                fault = own_fault("unreadable_answer", str(error))
                continue
            sight.deleted[deleted.id] = deleted
        if fault is not None:
            sight.miss(place, word, fault)

    async def _list_rates(self, location: str, scope: Scope, sight: _Sight) -> None:
        """What a unit is worth in a region. A list that fails leaves the rate unknown, which blocks who needs it."""
        models = await self._models.read(scope.subscription, location)
        for offer, terms in models.terms.items():
            if offer in scope.offers and terms.tokens is not None:
                sight.rates[offer] = terms.tokens

    async def _confirm_absent(self, scope: Scope, sight: _Sight) -> None:
        """A list over a subscription may lag for one region, so a wanted resource that it lacks is asked for by name;
        groups first, for what would be in a group that is not there need not be asked for. What no list holds is asked
        for here alone."""
        for type_ in sorted(_named_types(), key=lambda type_: type_.arm_type != GROUP_TYPE):
            if sight.blind_to(type_.arm_type):
                continue
            missing = [id for id in _wanted(scope, type_) if id not in sight.live and id.parent not in sight.absent]
            async with asyncio.TaskGroup() as group:
                for id in missing:
                    group.create_task(self._confirm(type_, id, sight))

    async def _confirm(self, type_: ResourceType, id: ArmId, sight: _Sight) -> None:
        reply = await self._get(type_, id)
        if isinstance(reply, Reply):
            page = Page(items=[reply.body] if isinstance(reply.body, dict) else [{}])
            _take(type_, id, page, sight, None)
        elif reply.cls is FaultClass.ABSENT:
            sight.absent.add(id)
        else:
            sight.miss(id, type_.arm_type, reply)

    async def _check_subdomains(self, scope: Scope, sight: _Sight) -> None:
        """Ask whether the subdomains of accounts to be are free; where nobody answers, the create will tell."""
        fresh = [id for id in sorted(scope.subdomains) if id not in sight.live and id not in sight.deleted]
        async with asyncio.TaskGroup() as group:
            for id in fresh:
                group.create_task(self._check_subdomain(id, *scope.subdomains[id], sight))

    async def _check_subdomain(self, id: ArmId, name: str, kind: str, sight: _Sight) -> None:
        reply = await self._patience.through_faults(
            lambda: self._gateway.check_subdomain(id.subscription, id.type, name, kind), _fault
        )
        if (
            isinstance(reply, Reply)
            and isinstance(reply.body, dict)
            and reply.body.get("isSubdomainAvailable") is False
        ):
            sight.taken.add(id)

    async def _get(self, type_: ResourceType, id: ArmId) -> Reply | Fault:
        return await self._patience.through_faults(lambda: self._gateway.get(type_.binding, id, Urgency.LIST), _fault)


def _take(type_: ResourceType, place: ArmId, page: Page, sight: _Sight, owner: str | None) -> None:
    """What a page holds is known, whatever went wrong after it."""
    fault = page.fault
    for wire in page.items:
        try:
            live = to_live(type_, wire, owner)
        except ValueError as error:
            fault = own_fault("unreadable_answer", str(error))
            continue
        sight.live[live.id] = live
    if fault is not None:
        sight.miss(place, type_.arm_type, fault)


def _look_inside(sight: _Sight) -> None:
    """The children that their parents' own answers hold."""
    for type_ in TYPES:
        if not type_.embedded:
            continue
        above = type_.arm_type.lower().rpartition("/")[0]
        for parent in [each for each in sight.live.values() if each.type.lower() == above]:
            inside = read_path(parent.wire, type_.embedded)
            items = inside if isinstance(inside, list) else []
            page = Page(items=[each if isinstance(each, dict) else {} for each in items])
            _take(type_, parent.id, page, sight, parent.owner)


def _named_types() -> list[ResourceType]:
    """The types of which single resources are asked for: those that no answer about another one holds."""
    return [type_ for type_ in TYPES if not type_.binding.list_children and not type_.embedded]


def _wanted(scope: Scope, type_: ResourceType) -> list[ArmId]:
    """The ids of a type that the documents name, those of the parents of what they name included."""
    named = {each for id in scope.ids for each in (id, id.top)}
    return sorted(id for id in named if id.type.lower() == type_.arm_type.lower())


def _name_types(scope: Scope) -> dict[ArmId, Set[str]]:
    """The folded types that the documents name of each top-level resource and of what is in it."""
    named: dict[ArmId, set[str]] = {}
    for id in scope.ids:
        named.setdefault(id.top, set()).add(id.type.lower())
    return {**named}


def _children(parent: Live, scope: Scope, named: Set[str]) -> list[ResourceType]:
    """The types below `parent` that this observation has to list."""
    if not (named or parent.owner == scope.fleet or scope.everything):
        return []
    return [type_ for type_ in TYPES if _is_below(type_, parent) and _is_asked_for(type_, named, scope)]


def _is_below(type_: ResourceType, parent: Live) -> bool:
    return bool(type_.binding.list_children) and type_.arm_type.lower().rpartition("/")[0] == parent.type.lower()


def _is_asked_for(type_: ResourceType, named: Iterable[str], scope: Scope) -> bool:
    """Whether somebody wants to know: of an on-demand type only where it, or what is in it, is named or pruned."""
    if not type_.on_demand or scope.everything:
        return True
    folded = f"{type_.arm_type}/".lower()
    return any(f"{each}/".startswith(folded) for each in (*named, *scope.prune))


def _deleted_type(type_: ResourceType) -> str:
    """`Microsoft.CognitiveServices/deletedAccounts`, for a blind spot that hides soft-deleted accounts."""
    provider, _, kind = type_.arm_type.partition("/")
    return f"{provider}/deleted{kind[0].upper()}{kind[1:]}"


def _fault(answer: object) -> Fault | None:
    return answer if isinstance(answer, Fault) else None


def _fault_of_page(page: Page) -> Fault | None:
    return page.fault
