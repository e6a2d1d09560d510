"""What documents of every kind take from their fleet: location, tags with the ownership mark, places of fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from reconciler.kinds.base import Document, Setting, fold_keys
from reconciler.kinds.diff import is_ignored
from reconciler.model.finding import Finding, Origin
from reconciler.model.resource import OWNER_TAG, Lifecycle
from reconciler.model.wire import Json


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


def owned_tags(document: Document, setting: Setting) -> dict[str, Json]:
    """The tags that are ours: the fleet's, the document's on top, and the ownership mark."""
    written = getattr(document.spec, "tags", None) or {}
    return fold_keys(setting.tags, written, {OWNER_TAG: setting.fleet})


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
