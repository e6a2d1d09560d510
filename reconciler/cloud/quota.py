"""What quota Azure grants and who holds it: one or two lists per region, and one per account of other people.

Promises that a region is known whole or not at all: half of an answer would make a pool look emptier than it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from math import ceil, floor

from reconciler.cloud.faults import own_fault
from reconciler.cloud.gateway import Gateway, Page
from reconciler.cloud.live import text_at, to_live
from reconciler.cloud.models import ModelLists
from reconciler.cloud.patience import Patience
from reconciler.kinds import deployment
from reconciler.model.finding import Fault, FaultClass
from reconciler.model.ids import ArmId, fold_location
from reconciler.model.quota import Holding, Market, ModelKey, Offer, Quotas, QuotaScope, Usage
from reconciler.model.wire import JsonObject, read_path


class Appraiser:
    def __init__(self, gateway: Gateway, models: ModelLists, patience: Patience) -> None:
        self._gateway = gateway
        self._models = models
        self._patience = patience

    async def measure(self, scope: QuotaScope) -> Quotas:
        before = self._gateway.requests
        markets: dict[str, Market] = {}
        usages: dict[str, Mapping[str, Usage]] = {}
        unread: dict[str, Fault] = {}
        unseen: dict[ArmId, Fault] = {}
        async with asyncio.TaskGroup() as group:
            regions = {each: group.create_task(self._market(scope, each)) for each in sorted(scope.locations)}
            watched = {
                each: group.create_task(self.read_usages(scope.subscription, each))
                for each in sorted(scope.watched - scope.locations)
            }
            accounts = {id: group.create_task(self._holdings(id, scope.accounts[id])) for id in sorted(scope.accounts)}
            models = {each: group.create_task(self._hardware(scope, each)) for each in sorted(scope.models)}
        for location, region in regions.items():
            found = region.result()
            if isinstance(found, Fault):
                unread[location] = found
            else:
                markets[location] = found
        for location, lines in watched.items():
            listed = lines.result()
            if isinstance(listed, Fault):
                unread[location] = listed
            else:
                usages[location] = listed
        strangers: list[Holding] = []
        for id, account in accounts.items():
            held, fault = account.result()
            strangers += held
            if fault is not None:
                unseen[id] = fault
        hardware: dict[Offer, int] = {}
        unsure: dict[ModelKey, Fault] = {}
        for key, model in models.items():
            available, fault = model.result()
            hardware |= available
            unsure |= {key: fault} if fault else {}
        return Quotas(
            markets=markets,
            usages=usages,
            unread=unread,
            strangers=tuple(strangers),
            surveyed=scope.surveys,
            unseen=unseen,
            hardware=hardware,
            unsure=unsure,
            requests=self._gateway.requests - before,
        )

    async def read_usages(self, subscription: str, location: str) -> Mapping[str, Usage] | Fault:
        """The pools of a region by folded name."""
        page = await self._patience.through_faults(
            lambda: self._gateway.list_usages(subscription, location), _fault_of_page
        )
        if page.fault is not None:
            return page.fault
        try:
            usages = [_usage(wire) for wire in page.items]
        except ValueError as error:
            return own_fault("unreadable_answer", str(error))
        return {each.name.lower(): each for each in usages}

    async def _market(self, scope: QuotaScope, location: str) -> Market | Fault:
        usages = await self.read_usages(scope.subscription, location)
        if isinstance(usages, Fault):
            return usages
        models = await self._models.read(scope.subscription, location, scope.model_age)
        return models.fault or Market(usages=usages, terms=models.terms, editions=models.editions)

    async def _hardware(self, scope: QuotaScope, model: ModelKey) -> tuple[dict[Offer, int], Fault | None]:
        """How many units of each offer of a model could be deployed; what the list does not speak of is not known."""
        page = await self._patience.through_faults(
            lambda: self._gateway.list_capacities(scope.subscription, model), _fault_of_page
        )
        return dict(_available(model, wire) for wire in page.items if _tells(wire)), page.fault

    async def _holdings(self, account: ArmId, location: str) -> tuple[list[Holding], Fault | None]:
        page = await self._patience.through_faults(
            lambda: self._gateway.list_children(deployment.TYPE.binding, account), _fault_of_page
        )
        fault = page.fault
        if fault is not None and fault.cls is FaultClass.ABSENT:
            return [], None  # it went while we looked, and its deployments with it
        held: list[Holding] = []
        for wire in page.items:
            try:
                held.append(deployment.read_holding(to_live(deployment.TYPE, wire), location))
            except ValueError as error:
                fault = own_fault("unreadable_answer", str(error))
        return held, fault


def _usage(wire: JsonObject) -> Usage:
    """One line of the list, rounded to the careful side; ValueError for what is none."""
    name, used, limit = text_at(wire, "name", "value"), wire.get("currentValue"), wire.get("limit")
    if not name or not isinstance(used, (int, float)) or not isinstance(limit, (int, float)):
        raise ValueError(f"Not a usage with a name, a current value and a limit: {wire!r:.200}")
    return Usage(name=name, used=ceil(used), limit=floor(limit))


def _tells(wire: JsonObject) -> bool:
    amount = read_path(wire, ("properties", "availableCapacity"))
    return bool(text_at(wire, "location")) and isinstance(amount, (int, float))


def _available(model: ModelKey, wire: JsonObject) -> tuple[Offer, int]:
    """One line of the list of capacities, rounded to the careful side."""
    format_, name, version = (each.lower() for each in model)
    sku = text_at(wire, "properties", "skuName") or text_at(wire, "name")
    location = fold_location(text_at(wire, "location"))
    amount = read_path(wire, ("properties", "availableCapacity"))
    offer = Offer(location=location, format=format_, model=name, version=version, sku=sku.lower())
    return offer, floor(amount) if isinstance(amount, (int, float)) else 0


def _fault_of_page(page: Page) -> Fault | None:
    return page.fault
