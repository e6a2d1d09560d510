"""Quota for tests of plans: what one region sells and allows, and how full its pools are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.model.ids import ArmId
from reconciler.model.plan import Plan, Step
from reconciler.model.quota import Holding, Market, Offer, Pool, Quotas, Terms, Usage
from reconciler.model.resource import Fleet
from reconciler.plan import make_plan
from tests.support.builders import DEPLOYMENTS, PlainAzure

REGION = "swedencentral"
GPT_4O = "OpenAI.GlobalStandard.gpt-4o"
# Azure writes the pool of gpt-4.1 without the dash, so that no name can be built from the model's.
GPT_41 = "OpenAI.GlobalStandard.gpt4.1"
PTU = "OpenAI.GlobalProvisionedManaged"


def offer(model: str = "gpt-4o", version: str = "2024-11-20", sku: str = "globalstandard", at: str = REGION) -> Offer:
    return Offer(location=at, format="openai", model=model, version=version, sku=sku)


SOLD: Mapping[Offer, Terms] = {
    offer(): Terms(usage=GPT_4O, tokens=1000, requests=6.0),
    offer(version="2024-08-06"): Terms(usage=GPT_4O, tokens=1000, requests=10.0),
    offer("gpt-4.1", "2025-04-14"): Terms(usage=GPT_41, tokens=1000, requests=1.0),
    offer(sku="globalprovisionedmanaged"): Terms(usage=PTU, least=15, step=5),
}


def market(used: Mapping[str, int], limits: Mapping[str, int], sold: Mapping[Offer, Terms] = SOLD) -> Market:
    usages = {name.lower(): Usage(name=name, used=used.get(name, 0), limit=limit) for name, limit in limits.items()}
    return Market(usages=usages, terms=sold)


def quotas(used: Mapping[str, int], limits: Mapping[str, int], **more: Any) -> Quotas:
    return Quotas(markets={REGION: market(used, limits)}, **more)


def surveyed(used: int, limit: int, *strangers: Holding) -> Quotas:
    """One pool of gpt-4o, and everybody who holds it looked at."""
    return quotas({GPT_4O: used}, {GPT_4O: limit}, surveyed=frozenset({REGION}), strangers=strangers)


def plan_with(fleet: Fleet, azure: PlainAzure, quota: Quotas, **more: Any) -> Plan:
    return make_plan(fleet, azure.snapshot(quotas=quota, **more))


def pool_of(plan: Plan, usage: str = GPT_4O) -> Pool:
    assert plan.ledger is not None
    (found,) = [pool for pool in plan.ledger.pools if pool.usage == usage]
    return found


def held_in(azure: PlainAzure, usage: str = GPT_4O) -> int:
    """What the live deployments hold of a pool, counted by hand."""
    return sum(units for id, (name, units) in holdings(azure).items() if name == usage)


def holdings(azure: PlainAzure) -> dict[ArmId, tuple[str, int]]:
    found = {}
    for id, wire in azure.live.items():
        if id.type == DEPLOYMENTS:
            body: Any = wire
            model, sku = body["properties"]["model"], body["sku"]
            sold = offer(model["name"], model["version"], sku["name"].lower())
            found[id] = (SOLD[sold].usage, int(sku["capacity"]))
    return found


def after_of(plan: Plan, word: str) -> tuple[str, ...]:
    """What the one step whose name ends so waits for, by the ends of the names."""
    (step,) = [each for each in plan.steps if each.name.endswith(word)]
    return tuple(name.rpartition("/")[2] for name in step.after)


def ready(plan: Plan, done: set[str]) -> list[Step]:
    """The steps that nothing keeps from being next."""
    known = {step.name for step in plan.steps}
    return [
        step
        for step in plan.steps
        if step.name not in done and all(name in done for name in step.after if name in known)
    ]


def without_quota(quota: Quotas, usage: str) -> Quotas:
    """The same, but for a pool of which the list of usages says nothing."""
    here = quota.markets[REGION]
    usages = {name: each for name, each in here.usages.items() if each.name != usage}
    return replace(quota, markets={REGION: replace(here, usages=usages)})
