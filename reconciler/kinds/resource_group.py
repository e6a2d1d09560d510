"""ResourceGroup: where accounts live. Never deleted by us: deleting a group deletes everything in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field as Described

from reconciler.kinds.base import (
    Binding,
    Document,
    Expansion,
    Field,
    Kind,
    ResourceType,
    Setting,
    Shape,
    declare,
    describe,
    once,
)
from reconciler.kinds.checks import check_group_name
from reconciler.kinds.common import owned_tags, resolve_location, want
from reconciler.kinds.scalars import Region, TagName, TagValue
from reconciler.kinds.spec import Spec
from reconciler.kinds.values import location
from reconciler.model.ids import GROUP_TYPE, ArmId
from reconciler.model.resource import Live
from reconciler.model.wire import JsonObject

TYPE = ResourceType(
    arm_type=GROUP_TYPE,
    word="resource group",
    binding=Binding(
        client="resources",
        group="resource_groups",
        names=("resource_group_name",),
        get="get",
        put="create_or_update",
        body="parameters",
        patch="update",
        patch_body="parameters",
        list_all="list",
    ),
    fields=(
        Field(path="location", wire=("location",), normal=location, effect=once),
        Field(path="tags", wire=("tags",), shape=Shape.MAP, whole=("tags",)),
    ),
    readonly=(("managedBy",),),
    passthrough=(),
    patches=True,
    taggable=True,
)


class ResourceGroupSpec(Spec):
    """A resource group. It is created and tagged, never deleted: deleting a group deletes everything in it."""

    location: Annotated[
        Region | None,
        Described(
            description="Region that keeps the group's metadata; the fleet's when left out.",
            examples=["swedencentral"],
        ),
    ] = None
    tags: Annotated[
        dict[TagName, TagValue | None] | None,
        Described(description="Tags of the group; only the ones named here are managed, null removes one."),
    ] = None


def expand(document: Document, setting: Setting) -> Expansion:
    id = ArmId(subscription=setting.subscription, group=setting.name_of(document.ref))
    region, findings = resolve_location(document, setting)
    fields = declare(TYPE, {**document.spec.written(), "location": region, "tags": owned_tags(document, setting)})
    return Expansion(desired=(want(document, id, fields),), findings=(*findings, *check_group_name(document, setting)))


def describe_group(live: Live, _below: tuple[Live, ...]) -> JsonObject:
    return describe(TYPE, live.wire, keep=frozenset({"location"}))


KIND = Kind(
    name="ResourceGroup",
    spec=ResourceGroupSpec,
    types=(TYPE,),
    expand=expand,
    describe=describe_group,
    summary="A resource group that accounts live in.",
)
