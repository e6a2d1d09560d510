"""A fleet that fills many pools of quota in many regions, what Azure would say of it, and what could be wanted of it.

Promises that every pool is exactly full, and that what is wanted fills it again. Made without a simulation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.fleet import Account, Fleet, Member, write_yaml
from reconciler.desired import load_estate
from reconciler.kinds.base import compose
from reconciler.kinds.catalog import type_of
from reconciler.model import resource as values
from reconciler.model.ids import ArmId
from reconciler.model.quota import Market, Offer, Quotas, Terms, Usage
from reconciler.model.wire import Json
from tests.support.builders import ACCOUNTS, DEPLOYMENTS, decorate, live_of

REGIONS = tuple(
    f"{place}{more}" for place in ("sweden", "east", "west", "north", "south") for more in ("", *"23456")
)  # thirty; where they are does not matter
MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "o1", "o3", "o3-mini", "o4-mini", "gpt-5")
SKUS = ("GlobalStandard", "DataZoneStandard", "Standard", "GlobalBatch")
OFFERS = tuple((model, sku) for sku in SKUS for model in MODELS)  # each has a pool of its own
VERSION = "1"
POOLS = 20  # of models, half of them in one account of each region, half of them in another one
ENVIRONMENT = {"AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001", "AZURE_TENANT_ID": "t"}

Pool = tuple[str, str]


def make_fleet(accounts: int, deployments: int) -> Fleet:
    """Every region has accounts, every pool of a region deployments of several of them."""
    return Fleet(
        groups=tuple((f"rg-bench-{region}", region) for region in REGIONS),
        accounts=tuple(_account(number, deployments) for number in range(accounts)),
    )


def _account(number: int, deployments: int) -> Account:
    region = REGIONS[number % len(REGIONS)]
    first = number // len(REGIONS) * 7
    members = tuple(_member(number, first + 3 * each, each) for each in range(deployments))
    return Account(
        name=f"aoai-bench-{number:04}",
        group=f"rg-bench-{region}",
        location=region,
        deployments=members,
        serves=_SERVES.get(number // len(REGIONS), "itself"),
    )


def _member(number: int, offer: int, each: int) -> Member:
    model, sku = OFFERS[offer % len(OFFERS)]
    return Member(name=f"d{each:02}", model=model, version=VERSION, sku=sku, capacity=10 + (number + each) % 20)


def load(fleet: Fleet, folder: Path) -> values.Fleet:
    """The fleet as its documents say, allowed to do everything at once."""
    write_yaml(fleet, folder)
    (folder / "pools.yaml").write_text("---\n".join(map(_write_pool, range(POOLS))), encoding="utf-8")
    [loaded] = load_estate((folder,), ENVIRONMENT, None).fleets
    all_of_it = values.Cap(count=len(loaded.desired), percent=100)
    policy = replace(
        loaded.policy,
        deletes=all_of_it,
        changes=all_of_it,
        allow=frozenset({"capacityCut", "delete", "replace", "purge"}),
        prune=frozenset({ACCOUNTS.lower()}),
        allow_empty=True,
    )
    return replace(loaded, policy=policy)


def _write_pool(number: int) -> str:
    return _POOL.format(
        name=f"pool-{number:02}",
        model=MODELS[number % len(MODELS)],
        version=VERSION,
        types=", ".join(SKUS[:2]),
        serves=_SERVES[number * len(_SERVES) // POOLS],
    )


_SERVES = {0: "pools", 1: "more-pools"}
_POOL = """\
apiVersion: reconciler/v1
kind: ModelPool
metadata: {{name: {name}}}
spec:
  model: {{name: {model}, version: "{version}"}}
  tpm: 600k
  deploymentTypes: [{types}]
  accounts: {{matchLabels: {{serves: {serves}}}}}
"""


def look_at(fleet: values.Fleet) -> values.Snapshot:
    """What Azure has where everything is as the fleet wants it."""
    live: dict[ArmId, values.Live] = {}
    for id in sorted(fleet.desired):
        type_ = type_of(id.type)
        assert type_ is not None
        above = live.get(id.parent) if id.parent else None
        wire = decorate(id, compose(type_, fleet.desired[id].fields, None))
        live[id] = live_of(id, wire, above.owner if above else None)
    return values.Snapshot(taken_at=0.0, live=live)


def measure(fleet: values.Fleet, used: float = 1.0, limit: float = 1.0) -> Quotas:
    """Quota of every region, full of what the fleet wants; `used` and `limit` are shares of that."""
    full = {pool: sum(units for _, units in each) for pool, each in _pools(fleet).items()}
    return Quotas(markets={region: _market(region, full, used, limit) for region in REGIONS})


def _market(region: str, full: Mapping[Pool, int], used: float, limit: float) -> Market:
    usages: dict[str, Usage] = {}
    terms: dict[Offer, Terms] = {}
    for model, sku in OFFERS:
        name = f"OpenAI.{sku}.{model}"
        units = full.get((region, name), 0)
        usages[name.lower()] = Usage(name=name, used=int(units * used), limit=int(units * limit))
        offer = Offer(location=region, format="openai", model=model, version=VERSION, sku=sku.lower())
        terms[offer] = Terms(usage=name, tokens=1000, requests=6.0)
    return Market(usages=usages, terms=terms)


def _pools(fleet: values.Fleet) -> Mapping[Pool, list[tuple[ArmId, int]]]:
    """The deployments that draw on each pool, and how much."""
    found: dict[Pool, list[tuple[ArmId, int]]] = defaultdict(list)
    for id in sorted(fleet.desired):
        if id.type == DEPLOYMENTS:
            fields, region = fleet.desired[id].fields, str(fleet.desired[id.top].fields["location"])
            units = fields["sku.capacity"]
            assert isinstance(units, int)
            found[region, f"OpenAI.{fields['sku.name']}.{fields['model.name']}"].append((id, units))
    return found


def change_one(fleet: values.Fleet) -> values.Fleet:
    """One deployment wants a unit less."""
    id, units = next(iter(_pools(fleet).values()))[0]
    return _want(fleet, {id: units - 1})


def reshuffle(fleet: values.Fleet) -> values.Fleet:
    """In every pool each deployment wants what the one before it has."""
    wanted: dict[ArmId, int] = {}
    for each in _pools(fleet).values():
        ids, units = [id for id, _ in each], [units for _, units in each]
        wanted |= zip(ids, (units[-1], *units), strict=False)
    return _want(fleet, wanted)


def rename(fleet: values.Fleet) -> values.Fleet:
    """Every account wants another subdomain, and has to be replaced for it."""
    desired = {
        id: replace(each, fields={**each.fields, "customSubDomainName": f"{id.name}-new"})
        if id.type == ACCOUNTS
        else each
        for id, each in fleet.desired.items()
    }
    return replace(fleet, desired=desired)


def forsake(fleet: values.Fleet) -> values.Fleet:
    """Nothing is wanted any more but the groups."""
    return replace(fleet, desired={id: each for id, each in fleet.desired.items() if not id.segments})


def _want(fleet: values.Fleet, capacities: Mapping[ArmId, int]) -> values.Fleet:
    desired = dict(fleet.desired)
    for id, units in capacities.items():
        fields: dict[str, Json] = {**desired[id].fields, "sku.capacity": units}
        desired[id] = replace(desired[id], fields=fields)
    return replace(fleet, desired=desired)
