"""Regions that sell models for a while, for tests of plans: what their lists say, and how full their pools are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reconciler.model.plan import Plan
from reconciler.model.quota import Catalogue, Edition, Listing, Market, Offer, Quotas, Successor, Terms, Usage
from reconciler.model.resource import Fleet
from reconciler.plan import make_plan
from tests.plan.markets import REGION
from tests.support.builders import EVERY_WORD, PlainAzure, Spec, account_spec, converged, declare_account, fleet_of

TODAY = "2026-01-01"


def moment(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


@dataclass(frozen=True)
class Model:
    """A version of a model as a list has it; `skus` maps types to what differs from a plain one."""

    name: str
    version: str
    retires: str | None = "2028-01-01"
    status: str = "generallyavailable"
    default: bool = False
    tentative: bool = False
    successor: tuple[str, str, str] | None = None
    lead: int = 0
    kinds: frozenset[str] = frozenset({"openai", "aiservices"})
    format: str = "OpenAI"
    skus: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"GlobalStandard": {}})

    @property
    def edition(self) -> Edition:
        named = self.successor
        return Edition(
            model=self.name,
            version=self.version,
            status=self.status,
            retires=moment(self.retires) if self.retires else None,
            tentative=self.tentative,
            default=self.default,
            successor=Successor(model=named[0], version=named[1], starts=moment(named[2]), lead=self.lead)
            if named
            else None,
            kinds=self.kinds,
        )


def listing(models: Iterable[Model], at: str = REGION) -> Listing:
    terms: dict[Offer, Terms] = {}
    editions = {}
    for each in models:
        key = (each.format.lower(), each.name.lower(), each.version.lower())
        editions[key] = each.edition
        for sku, more in each.skus.items():
            known = {"usage": f"{each.format}.{sku}.{each.name}", "tokens": 1000, "most": 1_000_000, **more}
            if isinstance(known.get("retires"), str):
                known["retires"] = moment(known["retires"])
            for version in (each.version, "") if each.default else (each.version,):
                terms[Offer(location=at, format=key[0], model=key[1], version=version.lower(), sku=sku.lower())] = (
                    Terms(**known)
                )
    return Listing(terms=terms, editions=editions)


ROOMY: Mapping[str, tuple[int, int]] = {}


def market(models: Iterable[Model], at: str = REGION, pools: Mapping[str, tuple[int, int]] = ROOMY) -> Market:
    """Every pool has room, but for those that are named with what is used of them and their limit."""
    sold = listing(models, at)
    usages = {each.usage.lower(): Usage(name=each.usage, used=0, limit=10_000) for each in sold.terms.values()}
    for name, (used, limit) in pools.items():
        usages[name.lower()] = Usage(name=name, used=used, limit=limit)
    return Market(usages=usages, terms=sold.terms, editions=sold.editions)


def quotas_of(*models: Model, **markets: Market) -> Quotas:
    here = {REGION: market(models)} if models else {}
    return Quotas(markets={**here, **markets})


def catalogue_of(*models: Model, at: str = REGION) -> Catalogue:
    return Catalogue(listings={at: listing(models, at)})


def plan_on(day: str, fleet: Fleet, azure: PlainAzure, **seen: Any) -> Plan:
    return make_plan(fleet, azure.snapshot(taken_at=float(moment(day)), **seen))


def fleet_with(*deployments: Spec, **policy: Any) -> Fleet:
    policy.setdefault("allow", EVERY_WORD)
    return fleet_of(declare_account("one", account_spec(deployments=list(deployments))), **policy)


def azure_with(*deployments: Spec) -> PlainAzure:
    _, azure = converged(declare_account("one", account_spec(deployments=list(deployments))), allow=EVERY_WORD)
    return azure
