"""Azure's JSON of one resource with what everybody asks of it read out. Pure; the JSON itself stays untouched."""

from __future__ import annotations

from reconciler.kinds.base import ResourceType, settle
from reconciler.model.ids import ArmId
from reconciler.model.resource import DeletedAccount, Live, read_owner
from reconciler.model.wire import JsonObject, read_path


def to_live(type_: ResourceType, wire: JsonObject, owner: str | None = None) -> Live:
    """Azure's JSON with what everybody asks of it read out; ValueError for what has no ARM id. `owner` is that of the
    account which a child belongs to."""
    state, word = settle(type_, wire)
    own = text_at(wire, "id")
    return Live(
        id=ArmId.parse(own),
        wire=wire,
        state=state,
        provisioning_state=word,
        owner=read_owner(wire) if type_.taggable else owner,
        etag=text_at(wire, "etag") or None,
        modified_by=text_at(wire, "systemData", "lastModifiedBy") or None,
        modified_at=text_at(wire, "systemData", "lastModifiedAt") or None,
    )


def to_deleted(type_: ResourceType, wire: JsonObject) -> DeletedAccount:
    """A soft-deleted resource under the id it had alive; ValueError for what has none."""
    place = ArmId.parse(text_at(wire, "id"))
    names = {kind.lower(): name for kind, name in place.segments}
    if "resourcegroups" not in names:
        raise ValueError(f"not the id of a deleted resource: {place}")
    group = ArmId(subscription=place.subscription, group=names["resourcegroups"])
    return DeletedAccount(
        id=group.resource(type_.arm_type, place.name),
        location=text_at(wire, "location") or names.get("locations", ""),
        deleted_at=text_at(wire, "properties", "deletionDate"),
        purge_after=text_at(wire, "properties", "scheduledPurgeDate"),
        wire=wire,
    )


def text_at(wire: JsonObject, *path: str) -> str:
    """The text at a path, "" for anything else."""
    value = read_path(wire, path)
    return value if isinstance(value, str) else ""
