"""How documents hang together: what is declared twice, what points nowhere, what goes in circles, what falls with what.

Promises: the result does not depend on the order of documents or files. Knows no kind by name and decides nothing about
Azure.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from reconciler.desired.completion import agree
from reconciler.desired.schema import suggest
from reconciler.kinds.base import Expansion
from reconciler.kinds.catalog import kind_named
from reconciler.model.finding import Finding, Origin, Severity
from reconciler.model.ids import GROUP_TYPE, ArmId, Ref
from reconciler.model.resource import Desired
from reconciler.model.wish import QuotaWish, Wish


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Member:
    """One named document of a fleet with what it stands for, and what is wrong with it by itself.

    `ample` is what it stands for where what was refused in it is there after all, if anything was: see `completion`.
    """

    fleet: str
    ref: Ref
    origin: Origin
    name_origin: Origin
    expansion: Expansion = field(default_factory=Expansion)
    ample: Expansion | None = None
    moved: str = ""
    moved_origin: Origin | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A finding that spoils several documents, because nobody can tell which of them was meant."""

    finding: Finding
    members: tuple[Member, ...]


def find_conflicts(members: Iterable[Member]) -> tuple[Conflict, ...]:
    """What the documents of all fleets contradict each other about, whatever should stand where something was refused;
    the finding stands where it is said again."""
    everyone = tuple(members)
    found = tuple(_find_conflicts(everyone))
    if all(each.ample is None for each in everyone):
        return found
    ample = _find_conflicts([replace(each, expansion=each.ample or each.expansion) for each in everyone])
    agreed = agree((each.finding for each in found), (each.finding for each in ample))
    return tuple(each for each in found if each.finding in agreed)


def _find_conflicts(members: Iterable[Member]) -> Iterator[Conflict]:
    everyone = sorted(members, key=lambda each: (each.origin, each.ref))
    names = _group(everyone, lambda each: [(each.fleet, each.ref.kind, each.ref.name.lower())])
    twins = {id(each) for _, claims in names for each in claims}
    for _, claims in names:
        yield from _same_name(claims)
    singles = [each for each in everyone if id(each) not in twins]
    moves = tuple(_moves(everyone))
    yield from moves
    contested = {id(each) for conflict in moves for each in conflict.members}
    yield from _same_id([each for each in singles if id(each) not in contested])
    yield from _same_unique(singles)
    yield from _same_pool(singles)
    yield from _cycles(singles)


def _group(
    members: Sequence[Member], keys: Callable[[Member], Iterable[Hashable]]
) -> list[tuple[Hashable, list[Member]]]:
    """The members that share a key, for every key that more than one of them has, in the order of the members."""
    found: dict[Hashable, list[Member]] = {}
    for each in members:
        for key in dict.fromkeys(keys(each)):
            found.setdefault(key, []).append(each)
    return [(key, claims) for key, claims in found.items() if len(claims) > 1]


def _same_name(claims: list[Member]) -> Iterator[Conflict]:
    first = claims[0]
    for again in claims[1:]:
        finding = Finding(
            code="duplicate_name",
            message=f"{again.ref} is declared twice",
            hint=f"the other one is at {first.name_origin}; rename or remove one",
            origin=again.name_origin,
        )
        yield Conflict(finding=finding, members=(first, again))


def _same_id(members: Sequence[Member]) -> Iterator[Conflict]:
    seen: dict[ArmId, tuple[Desired, Member]] = {}
    doubled: set[ArmId] = set()
    for each in members:
        for wanted in each.expansion.desired:
            if wanted.id not in seen:
                seen[wanted.id] = (wanted, each)
                continue
            doubled.add(wanted.id)
            if wanted.id.parent in doubled:
                continue
            other, owner = seen[wanted.id]
            place = each.name_origin if wanted.ref == each.ref else wanted.origin
            where = owner.name_origin if other.ref == owner.ref else other.origin
            finding = Finding(
                code="duplicate_id",
                message=_say_twice(wanted, each, owner),
                hint=f"the other one is at {where}; rename or remove one",
                origin=place,
            )
            yield Conflict(finding=finding, members=(owner, each))


def _say_twice(wanted: Desired, each: Member, owner: Member) -> str:
    if each is owner:
        return f"{wanted.ref} is declared twice"
    if each.fleet == owner.fleet:
        return f"{each.ref} and {owner.ref} are the same resource, Azure ignores case"
    return f"{wanted.ref} is declared by two fleets, {owner.fleet} and {each.fleet}"


# Values that only one resource in the world can have.
_UNIQUE = ("customSubDomainName",)


def _same_unique(members: Sequence[Member]) -> Iterator[Conflict]:
    seen: dict[tuple[str, str], tuple[Desired, Member]] = {}
    for each in members:
        for wanted in each.expansion.desired:
            for path in _UNIQUE:
                value = wanted.fields.get(path)
                if not isinstance(value, str):
                    continue
                other, owner = seen.setdefault((path, value.lower()), (wanted, each))
                if other.id == wanted.id:
                    continue
                finding = Finding(
                    code="duplicate_value",
                    message=f"{path} {value} is taken by {other.ref}",
                    hint="it is unique in the world; choose another",
                    origin=wanted.origins.get(path, wanted.origin),
                )
                yield Conflict(finding=finding, members=(owner, each))


def _same_pool(members: Sequence[Member]) -> Iterator[Conflict]:
    """A pool of which one fleet wants two things. What two fleets want of one can both be granted."""
    seen: dict[tuple[str, ArmId], tuple[QuotaWish, Member]] = {}
    for each in members:
        for wish in each.expansion.wishes:
            if not isinstance(wish, QuotaWish):
                continue
            other, owner = seen.setdefault((each.fleet, wish.id), (wish, each))
            if other is wish:
                continue
            twice = f"{wish.ref} is declared twice"
            finding = Finding(
                code="duplicate_pool",
                message=twice if wish.ref == other.ref else f"{wish.ref} is the same pool as {other.ref}",
                hint=f"the other one is at {other.origin}; say in one place what is wanted of it",
                origin=wish.origin,
            )
            yield Conflict(finding=finding, members=(owner, each))


def _moves(members: Sequence[Member]) -> Iterator[Conflict]:
    present = {(each.fleet, each.ref.kind, each.ref.name.lower()): each for each in members}
    claimed: dict[tuple[str, str, str], Member] = {}
    for each in members:
        if not each.moved:
            continue
        key = (each.fleet, each.ref.kind, each.moved.lower())
        other = present.get(key)
        first = claimed.setdefault(key, each)
        if other is each:
            message, hint = f"{each.ref} says that it moved from its own name", "remove lifecycle.moved"
        elif other is not None:
            message = f"{each.ref} says that it was {each.moved}, which is still declared"
            hint = f"remove {other.ref} at {other.name_origin}, or lifecycle.moved here"
        elif first is not each:
            message = f"{each.ref} and {first.ref} both say that they were {each.moved}"
            hint = "only one can be; remove the other lifecycle.moved"
        else:
            continue
        finding = Finding(code="moved", message=message, hint=hint, origin=each.moved_origin)
        yield Conflict(finding=finding, members=(each,))


def _cycles(members: Sequence[Member]) -> Iterator[Conflict]:
    owners = {wanted.id: each for each in members for wanted in each.expansion.desired}
    needs = {wanted.id: wanted.needs for each in members for wanted in each.expansion.desired}
    while True:
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            # graphlib walks against the edges: each id in the list needs the one before it.
            circle: list[ArmId] = error.args[1][::-1]
            start = circle.index(min(circle[:-1]))
            turned = circle[start:-1] + circle[: start + 1]
            names = " → ".join(str(owners[id].ref) for id in turned)
            first = owners[turned[0]]
            finding = Finding(
                code="cycle",
                message=f"documents need each other in a circle: {names}",
                hint="remove one of the references",
                origin=first.name_origin,
            )
            yield Conflict(finding=finding, members=tuple(dict.fromkeys(owners[id] for id in turned)))
            for before, after in pairwise(turned):
                needs[before] = tuple(need for need in needs[before] if need != after)
            continue
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """What one fleet wants. `fallen` are documents that are right themselves but need one that is not."""

    desired: Mapping[ArmId, Desired]
    wishes: tuple[Wish, ...]
    fallen: Mapping[Ref, tuple[Finding, ...]]
    findings: tuple[Finding, ...] = ()


def connect(members: Iterable[Member], broken: Iterable[Member]) -> Connected:
    """What the members of one fleet want, in the order of ids, less the broken ones and whatever needs them."""
    everyone = sorted(members, key=lambda each: (each.origin, each.ref))
    lost = {id(each): each.ref for each in broken}
    fallen: dict[Ref, tuple[Finding, ...]] = {}
    while True:
        standing = [each for each in everyone if id(each) not in lost]
        causes = [(each, cause) for each in standing if (cause := _cause(each, list(lost.values())))]
        if not causes:
            break
        for each, cause in causes:
            lost[id(each)] = each.ref
            fallen[each.ref] = (_say_fallen(each, cause),)
    wanted = {each.id: each for member in standing for each in member.expansion.desired}
    return Connected(
        desired={id: wanted[id] for id in sorted(wanted)},
        wishes=tuple(sorted((each for one in standing for each in one.expansion.wishes), key=lambda each: each.ref)),
        fallen=fallen,
        findings=tuple(_near_misses(everyone)),
    )


def _cause(member: Member, lost: Sequence[Ref]) -> Ref | None:
    """The broken document that this one needs. Its ids are not known, so its kind's type and its name have to do."""
    for wanted in member.expansion.desired:
        for need in wanted.needs:
            for ref in lost:
                kind = kind_named(ref.kind)
                top = kind.types[0].arm_type.lower() if kind and kind.types else ""
                if need.top.name.lower() == ref.name.lower() and need.top.type.lower() == top:
                    return ref
    return None


def _say_fallen(member: Member, cause: Ref) -> Finding:
    return Finding(
        code="needs_broken",
        message=f"{member.ref} needs {cause}, which is broken",
        hint=f"put {cause} right",
        origin=member.origin,
    )


def _near_misses(members: Sequence[Member]) -> Iterator[Finding]:
    """A group that nobody declares may well exist; one that is spelt almost like a declared one is worth a word."""
    groups = {each.ref.name for each in members for wanted in each.expansion.desired if wanted.type == GROUP_TYPE}
    known = {name.lower() for name in groups} | {
        each.ref.name.lower() for each in members if each.ref.kind == "ResourceGroup"
    }
    for each in members:
        missing = {
            need.name
            for wanted in each.expansion.desired
            for need in wanted.needs
            if need.type == GROUP_TYPE and need.name.lower() not in known
        }
        for name in sorted(missing):
            hint = suggest(name, groups)
            if hint:
                yield Finding(
                    severity=Severity.WARNING,
                    code="undeclared_group",
                    message=f"{each.ref} is in resource group {name}, which no document declares",
                    hint=hint,
                    origin=each.expansion.desired[0].origins.get("resourceGroup", each.origin),
                )
