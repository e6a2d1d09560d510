"""What is wrong between a ModelPool and the accounts of its fleet, their deployments and the pools beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.kinds.common import UNKNOWN
from reconciler.kinds.scalars import ACCOUNT_TYPE
from reconciler.model.finding import Finding, Origin, Severity
from reconciler.model.ids import ArmId, fold_location
from reconciler.model.resource import Desired
from reconciler.model.wish import PoolWish, Wish


def relate(own: tuple[Wish, ...], fleet: Mapping[ArmId, Desired], wishes: tuple[Wish, ...]) -> tuple[Finding, ...]:
    """What is wrong between a pool and everything that its fleet wants."""
    (pool,) = (each for each in own if isinstance(each, PoolWish))
    accounts = find_accounts(pool, fleet)
    if not accounts:
        return (_say_nobody(pool, fleet),)
    usable = tuple(each for each in accounts if _may_use(pool, each))
    return (
        *_relate_regions(pool, accounts),
        *_relate_filters(pool, usable, fleet),
        *_relate_names(pool, usable, fleet),
        *_relate_pools(pool, usable, wishes),
    )


def find_accounts(pool: PoolWish, fleet: Mapping[ArmId, Desired]) -> tuple[Desired, ...]:
    """The declared accounts that carry all labels that the pool asks for, whatever their region, in order of ids."""
    found = (each for each in fleet.values() if each.type.lower() == ACCOUNT_TYPE.lower())
    return tuple(sorted((each for each in found if pool.matches(each.labels)), key=lambda each: each.id))


def region_of(account: Desired) -> str:
    return fold_location(str(account.fields.get("location") or ""))


def _may_use(pool: PoolWish, account: Desired) -> bool:
    """Whether a pool may place something in an account, as far as is known where that is."""
    region = region_of(account)
    known = region and not region.startswith(UNKNOWN)
    return pool.matches(account.labels) and (not known or pool.covers(region))


def _say_nobody(pool: PoolWish, fleet: Mapping[ArmId, Desired]) -> Finding:
    accounts = [each for each in fleet.values() if each.type.lower() == ACCOUNT_TYPE.lower()]
    pairs = sorted({f"{key}: {value}" for each in accounts for key, value in each.labels.items()})
    wanted = ", ".join(f"{key}: {value}" for key, value in sorted(pool.match.items()))
    hint = (
        f"labels of accounts are {', '.join(pairs)}" if pairs else "no account has labels; write metadata.labels there"
    )
    return Finding(
        code="dangling",
        message=f"no Account document of this fleet carries the labels {{{wanted}}}",
        hint=hint if accounts else "declare an account, and give it these labels",
        origin=pool.origins["accounts"],
    )


def _relate_regions(pool: PoolWish, accounts: tuple[Desired, ...]) -> Iterator[Finding]:
    there = {region_of(each) for each in accounts}
    if any(each.startswith(UNKNOWN) or not each for each in there):
        return
    usable = sorted(each for each in there if pool.covers(each))
    for at, each in enumerate(pool.named):
        if each not in there:
            yield Finding(
                severity=Severity.WARNING,
                code="no_effect",
                message=f"regions names {each}, where no account with these labels is",
                hint=f"remove it, or give an account there these labels; they are in {', '.join(sorted(there))}",
                origin=pool.origins[f"regions.{at}"],
            )
    if not usable:
        allowed = "regions" if pool.named else "dataZone"
        yield Finding(
            code="dangling",
            message=f"no account with these labels is where {allowed} wants it: they are in {', '.join(sorted(there))}",
            hint=f"change {allowed}, or declare an account there",
            origin=pool.origins["accounts"],
        )
        return
    if pool.least_regions > len(usable):
        yield Finding(
            code="contradiction",
            message=f"minRegions is {pool.least_regions}, and its accounts are in {_count(usable)}",
            hint="declare accounts in more regions, or write a lower number",
            origin=pool.origins["minRegions"],
        )
    if pool.most_share * len(usable) < 100:
        least = -(-100 // len(usable))
        yield Finding(
            code="contradiction",
            message=f"maxSharePerRegion is {pool.most_share}, and its accounts are in {_count(usable)}: that is "
            f"{pool.most_share * len(usable)} % of what is wanted at most",
            hint=f"write {least} or more, or declare accounts in more regions",
            origin=pool.origins["maxSharePerRegion"],
        )


def _count(regions: list[str]) -> str:
    number = f"{len(regions)} region" + ("s" if len(regions) != 1 else "")
    return f"{number} ({', '.join(regions)})"


def _relate_filters(pool: PoolWish, accounts: tuple[Desired, ...], fleet: Mapping[ArmId, Desired]) -> Iterator[Finding]:
    """A content filter is the account's own: each must declare it."""
    wanted = str(pool.fields.get("raiPolicyName") or "")
    if not wanted or wanted.startswith("microsoft."):
        return
    lacking = [str(each.ref) for each in accounts if each.id.child("raiPolicies", wanted) not in fleet]
    if lacking:
        yield Finding(
            code="dangling",
            message=f"raiPolicyName names {wanted}, which {', '.join(lacking)} {_do(lacking)} not declare",
            hint="declare it under raiPolicies there, or name one of Azure's: Microsoft.DefaultV2",
            origin=pool.origins["raiPolicyName"],
        )


def _do(names: list[str]) -> str:
    return "does" if len(names) == 1 else "do"


def _relate_names(pool: PoolWish, accounts: tuple[Desired, ...], fleet: Mapping[ArmId, Desired]) -> Iterator[Finding]:
    """What a document declares itself is not placed by a pool as well."""
    for account in accounts:
        for name in dict.fromkeys(pool.names.values()):
            other = fleet.get(account.id.child("deployments", name))
            if other is not None:
                yield _say_twice(pool, f"{account.ref} declares a deployment {name} itself", other.origin)


def _relate_pools(pool: PoolWish, accounts: tuple[Desired, ...], wishes: tuple[Wish, ...]) -> Iterator[Finding]:
    """Of two pools of which either might place the same deployment, the later one is wrong."""
    names = {name.lower(): name for name in pool.names.values()}
    for other in sorted((each for each in wishes if isinstance(each, PoolWish)), key=lambda each: each.ref):
        if other.ref >= pool.ref:
            continue
        shared = [names[each.lower()] for each in other.names.values() if each.lower() in names]
        both = [each for each in accounts if _may_use(other, each)]
        if shared and both:
            message = f"{other.ref} calls its deployments {shared[0]} too, and may use {both[0].ref} as well"
            yield _say_twice(pool, message, other.origin)


def _say_twice(pool: PoolWish, message: str, place: Origin) -> Finding:
    return Finding(
        code="duplicate_name",
        message=message,
        hint=f"it is at {place}; write another deploymentName here, or rename one of the two",
        origin=pool.origins["deploymentName"],
    )
