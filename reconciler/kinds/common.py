"""What documents of every kind have in common: what they take from their fleet, and how they become resources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated

from pydantic import Field as Described

from reconciler.kinds.base import Document, Setting, fold_keys
from reconciler.kinds.diff import is_ignored
from reconciler.kinds.scalars import GroupName, Region, TagName, TagValue
from reconciler.kinds.spec import Free
from reconciler.model.finding import Finding, Origin, Severity
from reconciler.model.ids import ArmId, Ref, fold_location
from reconciler.model.lifecycle import Lifecycle
from reconciler.model.resource import OWNER_TAG, Desired
from reconciler.model.wire import Json

# What stands for the defaults of a Fleet that is itself broken: nothing is known to be the same or different.
UNKNOWN = "unknown"

# The fields that every spec has, or nearly.
HomeGroup = Annotated[
    GroupName | None,
    Described(description="Name of the resource group; the fleet's when left out.", examples=["rg-ai-prod"]),
]
HomeRegion = Annotated[
    Region | None,
    Described(description="Region; the fleet's when left out. Cannot be changed.", examples=["swedencentral"]),
]
OwnTags = Annotated[
    dict[TagName, TagValue | None] | None,
    Described(description="Tags; only the ones named here are managed, null removes one.", examples=["{team: ai}"]),
]
Unknowns = Annotated[
    dict[str, Free] | None,
    Described(description="Properties this tool does not know yet, passed through as they are."),
]


def resolve_location(document: Document, setting: Setting) -> tuple[str, tuple[Finding, ...]]:
    """The document's location or the fleet's; a finding where neither says one."""
    written = getattr(document.spec, "location", None)
    if written or setting.location:
        return str(written or setting.location), ()
    finding = Finding(
        code="location_missing",
        message=f"{document.ref} has no location and its Fleet has no default",
        hint="add spec.location, for example swedencentral, here or in the Fleet",
        origin=document.origin,
    )
    return "", (finding,)


def lie_apart(one: Json, other: Json) -> bool:
    """Whether two regions are known to be different ones."""
    places = {fold_location(str(each)) for each in (one, other)}
    return len(places) > 1 and not any(each.startswith(UNKNOWN) for each in places)


def owned_tags(document: Document, setting: Setting) -> dict[str, Json]:
    """The tags that are ours: the fleet's, the document's on top, and the ownership mark."""
    written = getattr(document.spec, "tags", None) or {}
    return fold_keys(setting.tags, written, {OWNER_TAG: setting.fleet})


def is_nowhere(findings: Iterable[Finding]) -> bool:
    """Whether a document with these findings has not even an id. With any other mistake it stands for what it says as
    far as it can be said, so that what is wrong between it and others is found as well."""
    return any(finding.code in ("name", "location_missing", "resource_group_missing") for finding in findings)


def want(
    document: Document,
    id: ArmId,
    fields: Mapping[str, Json],
    needs: tuple[ArmId, ...] = (),
    origins: Mapping[str, Origin] | None = None,
) -> Desired:
    """The resource that a document itself stands for. `origins` are places that a path alone does not tell."""
    return Desired(
        id=id,
        ref=document.ref,
        fields=fields,
        needs=needs,
        lifecycle=document.lifecycle,
        origin=document.origin,
        origins={**place_fields(document, fields), **(origins or {})},
        labels=document.labels,
    )


def want_below(
    document: Document, id: ArmId, place: tuple[str, int], fields: Mapping[str, Json], needs: tuple[ArmId, ...] = ()
) -> Desired:
    """A resource that a document declares inside itself, at `place`; it needs the one that it is below."""
    segment, _ = place
    assert id.parent is not None
    return Desired(
        id=id,
        ref=Ref(kind=document.ref.kind, name=f"{document.ref.name}/{segment}/{id.name}"),
        fields=fields,
        needs=(id.parent, *needs),
        lifecycle=child_lifecycle(document.lifecycle, f"{segment}[{id.name}]"),
        origin=document.place(place),
        origins=place_fields(document, fields, place),
        labels=document.labels,
    )


def place_fields(document: Document, fields: Iterable[str], below: tuple[str | int, ...] = ()) -> Mapping[str, Origin]:
    """Where each field was written; a field that came from the fleet stands at the document."""
    return {path: document.place((*below, *_keys(path))) for path in fields}


def _keys(path: str) -> tuple[str, ...]:
    if path.startswith("tags."):
        return ("tags", path[5:])
    return tuple(re.split(r"[.\[]", path)[:1]) if "[" in path else tuple(path.split("."))


def child_lifecycle(lifecycle: Lifecycle, child: str) -> Lifecycle:
    """The document's lifecycle as it applies to `deployments[name]`: its ignored paths lose that prefix."""
    ignored = tuple(path for pattern in lifecycle.ignore for path in _below(pattern, child))
    return Lifecycle(
        policy=lifecycle.policy,
        adopt=lifecycle.adopt,
        prevent_destroy=lifecycle.prevent_destroy,
        ignore=ignored,
        allow=lifecycle.allow,
    )


def _below(pattern: str, child: str) -> Iterator[str]:
    """What a pattern of the document ignores of its child: a path of it, all of it, or nothing."""
    if is_ignored(child, (pattern,)):
        yield "*"
    named = re.fullmatch(r"([^\[\]]+\[[^\]]*\])\.(.+)", pattern)
    if named and is_ignored(child, (named[1],)):
        yield named[2]


def home_of(document: Document, setting: Setting) -> ArmId:
    """The resource group that the document's resource lives in: its own word or the fleet's."""
    named = getattr(document.spec, "resource_group", None)
    home = Ref(kind="ResourceGroup", name=named or setting.group)
    return ArmId(subscription=setting.subscription, group=setting.name_of(home))


def check_name(document: Document, setting: Setting, pattern: str, word: str) -> Iterator[Finding]:
    """A name that Azure's network provider takes."""
    if not re.fullmatch(pattern, setting.name_of(document.ref)):
        yield Finding(
            code="name",
            message=f"a {word} cannot be called {setting.name_of(document.ref)!r}",
            hint="use up to 80 letters, digits, - _ . and begin with a letter or digit, end with one or _",
            origin=document.name_origin,
        )


def check_home(document: Document, setting: Setting) -> Iterator[Finding]:
    """A resource group to live in."""
    if not getattr(document.spec, "resource_group", None) and not setting.group:
        yield Finding(
            code="resource_group_missing",
            message=f"{document.ref} has no resource group and its Fleet has no default",
            hint="add spec.resourceGroup here or in the Fleet",
            origin=document.origin,
        )


def check_repeats(where: str, words: Sequence[str], place: Callable[[int], Origin]) -> Iterator[Finding]:
    """What a list that is a set says twice, in whatever letters."""
    seen: dict[str, int] = {}
    for at, word in enumerate(words):
        first = seen.setdefault(word.lower(), at)
        if first != at:
            yield Finding(
                severity=Severity.WARNING,
                code="duplicate_value",
                message=f"{where} names {word} twice",
                hint=f"the other one is at {place(first)}; remove one",
                origin=place(at),
            )


def near(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """`did you mean X?`, or nothing where nothing is near."""
    names = {each.lower(): each for each in known}
    close = get_close_matches(word.lower(), sorted(names), n=1, cutoff=cutoff)
    return f"did you mean {names[close[0]]}?" if close else ""
