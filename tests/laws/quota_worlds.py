"""Fleets that fill pools of quota, out of a hat: what there is, what is wanted, and what strangers have deleted.

A world is said once and written twice: as documents, and as what the simulation holds from the start.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from tests.laws.stage import Document, Stage, account_document, account_id, deployment, fleet_document, group_document

REGIONS = ("swedencentral", "eastus2")
# Model, version, deployment type, pool. The first two change into each other in place, nothing else does.
OFFERS = (
    ("gpt-4o", "2024-11-20", "GlobalStandard", "openai.globalstandard.gpt-4o"),
    ("gpt-4o", "2024-08-06", "GlobalStandard", "openai.globalstandard.gpt-4o"),
    ("gpt-4.1", "2025-04-14", "GlobalStandard", "openai.globalstandard.gpt4.1"),
    ("gpt-4o", "2024-11-20", "DataZoneStandard", "openai.datazonestandard.gpt-4o"),
)
Pool = tuple[str, str]
POOLS: tuple[Pool, ...] = tuple((region, pool) for region in REGIONS for pool in sorted({offer[3] for offer in OFFERS}))


@dataclass(frozen=True)
class Member:
    """A deployment: which offer, how much of it."""

    offer: int
    units: int

    @property
    def fixed(self) -> tuple[str, str]:
        """What it has to go and come back for."""
        model, _, sku, _ = OFFERS[self.offer]
        return model, sku


@dataclass(frozen=True)
class Account:
    """Where it is and what it is called decide whether it has to be replaced."""

    region: str
    domain: str
    members: Mapping[str, Member]

    @property
    def fixed(self) -> tuple[str, str]:
        return self.region, self.domain

    def pool_of(self, name: str) -> Pool:
        return self.region, OFFERS[self.members[name].offer][3]


World = Mapping[str, Account]

OFFER = st.integers(0, len(OFFERS) - 1)
UNITS = st.integers(1, 50)
MEMBERS = st.dictionaries(st.sampled_from(["d0", "d1", "d2"]), st.builds(Member, OFFER, UNITS), max_size=3)
ACCOUNTS = st.builds(Account, st.sampled_from(REGIONS), st.sampled_from("xy"), MEMBERS)
WORLDS = st.dictionaries(st.sampled_from(["a0", "a1", "a2", "a3"]), ACCOUNTS, min_size=1, max_size=4)
# Of each pool beyond what is held: none most often, or less than that.
SPARE = st.tuples(*(st.one_of(st.just(0), st.integers(-30, 60)) for _ in POOLS))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, World, World]:
    """What there is, what is wanted, and what strangers have deleted. Most of it stays, and stays where it is."""
    before = draw(WORLDS)
    fresh = draw(st.dictionaries(st.sampled_from(["a4", "a5"]), ACCOUNTS))
    after = {name: _change(draw, account) for name, account in before.items() if draw(st.integers(0, 5))}
    return before, {**after, **fresh}, draw(st.fixed_dictionaries({}, optional={"gone": ACCOUNTS}))


def _change(draw: st.DrawFn, account: Account) -> Account:
    members: dict[str, Member] = {}
    for name, member in account.members.items():
        how = draw(st.sampled_from(["stays", "moves", "moves", "changes", "goes"]))
        if how == "stays":
            members[name] = member
        elif how == "moves":
            members[name] = replace(member, units=draw(UNITS))
        elif how == "changes":
            members[name] = draw(st.builds(Member, OFFER, UNITS))
    if draw(st.booleans()):
        members |= {name: each for name, each in draw(MEMBERS).items() if name not in account.members}
    return replace(draw(ACCOUNTS) if draw(st.integers(0, 3)) == 0 else account, members=members)


def documents(world: World) -> list[Document]:
    prune = {"deployments": True, "accounts": True}
    members = [
        account_document(
            name,
            location=account.region,
            customSubDomainName=f"{name}-{account.domain}",
            deployments=[_declare(each, member) for each, member in account.members.items()],
        )
        for name, account in world.items()
    ]
    return [fleet_document(prune=prune, allowEmpty=True), group_document(), *members]


def _declare(name: str, member: Member) -> Document:
    model, version, sku, _ = OFFERS[member.offer]
    return deployment(name, member.units, sku, model={"name": model, "version": version})


def planted(azure: Stage, name: str, account: Account, owner: str = "law") -> dict[str, Any]:
    """The account as it lives before."""
    return {
        "id": str(account_id(azure, name)),
        "location": account.region,
        "kind": "OpenAI",
        "sku": {"name": "S0"},
        "tags": {"reconciler-fleet": owner} if owner else {},
        "properties": {"publicNetworkAccess": "Disabled", "customSubDomainName": f"{name}-{account.domain}"},
        "deployments": [_body(each, member) for each, member in account.members.items()],
    }


def _body(name: str, member: Member) -> dict[str, Any]:
    model, version, sku, _ = OFFERS[member.offer]
    return {
        "name": name,
        "sku": {"name": sku, "capacity": member.units},
        "properties": {"model": {"format": "OpenAI", "name": model, "version": version}},
    }


def held(world: World) -> Counter[Pool]:
    found: Counter[Pool] = Counter()
    for account in world.values():
        for name, member in account.members.items():
            found[account.pool_of(name)] += member.units
    return found


async def seed(azure: Stage, before: World, theirs: World, spare: tuple[int, ...]) -> dict[Pool, int]:
    """The world as it is before; what strangers deleted softly holds quota too. The limit of each pool."""
    full = held(before) + held(theirs)
    limits = {pool: max(1, full[pool] + more) for pool, more in zip(POOLS, spare, strict=True)}
    by_region: dict[str, dict[str, int]] = defaultdict(dict)
    for (region, pool), limit in limits.items():
        by_region[region][pool] = limit
    group = {"id": str(account_id(azure, "x").parent), "location": REGIONS[0], "tags": {"reconciler-fleet": "law"}}
    await azure.seed_world(
        resources=[group, *(planted(azure, name, account) for name, account in before.items())],
        deletedAccounts=[planted(azure, name, account, "") for name, account in theirs.items()],
        limits={azure.sim.subscription_id: by_region},
    )
    return limits
