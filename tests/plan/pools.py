"""Pools of a model for tests of plans: accounts in several regions, what each sells and how full it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.kinds import model_pool
from reconciler.model.ids import ArmId
from reconciler.model.lifecycle import Lifecycle
from reconciler.model.plan import Plan
from reconciler.model.quota import Market, Offer, Pool, Quotas, Terms, Usage
from reconciler.model.resource import Fleet
from reconciler.model.spread import Share, Spread
from reconciler.model.wish import PoolWish
from reconciler.plan import make_plan
from tests.support.builders import (
    DEPLOYMENTS,
    EVERY_WORD,
    MANAGED,
    SETTING,
    PlainAzure,
    Spec,
    account_spec,
    declare_account,
    deployment_id,
    document,
    fleet_of,
    group_id,
)

VERSION = "2024-11-20"
SKUS = ("GlobalStandard", "DataZoneStandard", "Standard")
NAMES = ("swe", "fra", "pol")
REGIONS = {"swe": "swedencentral", "fra": "francecentral", "pol": "polandcentral"}


def usage_of(sku: str) -> str:
    return f"OpenAI.{sku}.gpt-4o"


def offer(region: str, sku: str = "Standard", version: str = VERSION) -> Offer:
    return Offer(location=region, format="openai", model="gpt-4o", version=version, sku=sku.lower())


def market(region: str, limits: Mapping[str, int], used: Mapping[str, int], terms: Mapping[str, Any]) -> Market:
    usages = {
        usage_of(sku).lower(): Usage(name=usage_of(sku), used=used.get(sku, 0), limit=limit)
        for sku, limit in limits.items()
    }
    sold = {offer(region, sku): Terms(**{"usage": usage_of(sku), "tokens": 1000, **terms}) for sku in limits}
    return Market(usages=usages, terms=sold)


def quotas_of(
    azure: PlainAzure,
    limits: Mapping[str, int | Mapping[str, int]],
    *,
    others: Mapping[str, int] | None = None,
    **more: Any,
) -> Quotas:
    """What each account's region allows of `Standard`, or of each type, with what is there counted as used."""
    terms = more.pop("terms", {})
    markets = {}
    for name, limit in limits.items():
        region = REGIONS[name]
        by_sku = limit if isinstance(limit, Mapping) else {"Standard": limit}
        used = {sku: held_in(azure, region, sku) + (others or {}).get(name, 0) for sku in by_sku}
        markets[region] = market(region, by_sku, used, terms)
    return Quotas(markets=markets, **more)


def held_in(azure: PlainAzure, region: str, sku: str) -> int:
    total = 0
    for id, wire in azure.live.items():
        body: Any = wire
        here = id.type == DEPLOYMENTS and azure.live[id.top].get("location") == region
        if here and body["sku"]["name"] == sku:
            total += int(body["sku"]["capacity"])
    return total


def pool_spec(tpm: str = "100k", *types: str, **more: Any) -> Spec:
    return {
        "model": {"name": "gpt-4o", "version": VERSION},
        "tpm": tpm,
        "deploymentTypes": list(types or ("Standard",)),
        "accounts": {"matchLabels": {"serves": "gpt-4o"}},
        **more,
    }


def pool(tpm: str = "100k", *types: str, name: str = "chat", lifecycle: Lifecycle = MANAGED, **more: Any) -> PoolWish:
    written = document(model_pool.KIND, name, pool_spec(tpm, *types, **more), lifecycle)
    expansion = model_pool.KIND.expand(written, SETTING)
    assert not expansion.findings, expansion.findings
    (wish,) = expansion.wishes
    assert isinstance(wish, PoolWish)
    return wish


def fleet_with(*wishes: PoolWish, accounts: Mapping[str, Spec] | None = None, **policy: Any) -> Fleet:
    """The fleet of these pools over an account in each region, `accounts` says more of them."""
    policy.setdefault("allow", EVERY_WORD)
    declared = [
        declare_account(name, account_spec(location=REGIONS[name], **(accounts or {}).get(name, {})), serves="gpt-4o")
        for name in NAMES
    ]
    return replace(fleet_of(*declared, **policy), wishes=tuple(sorted(wishes, key=lambda wish: wish.ref)))


def empty_azure(fleet: Fleet) -> PlainAzure:
    """The accounts of a fleet without a deployment of any pool."""
    azure = PlainAzure()
    azure.add(group_id(), {"location": "swedencentral"})
    azure.apply(make_plan(replace(fleet, wishes=()), azure.snapshot()))
    return azure


def cell_id(account: str, sku: str = "Standard", name: str = "chat") -> ArmId:
    return deployment_id(f"{name}-{sku.lower()}", of=account)


def units_of(azure: PlainAzure, name: str = "chat") -> dict[tuple[str, str], int]:
    """Capacity by account and type of what runs under the names of a pool."""
    found: dict[tuple[str, str], int] = {}
    for id, wire in azure.live.items():
        body: Any = wire
        if id.type == DEPLOYMENTS and id.name.startswith(f"{name}-"):
            found[id.top.name, body["sku"]["name"]] = body["sku"]["capacity"]
    return found


def pool_of_usage(plan: Plan, region: str, sku: str = "Standard") -> Pool:
    assert plan.ledger is not None
    (found,) = [each for each in plan.ledger.pools if (each.location, each.usage) == (region, usage_of(sku))]
    return found


def spread_of(plan: Plan, name: str = "chat") -> Spread:
    (found,) = [each for each in plan.spreads if each.ref.name == name]
    return found


def share_of(plan: Plan, account: str, name: str = "chat") -> Share:
    (found,) = [each for each in spread_of(plan, name).shares if each.location == REGIONS[account]]
    return found
