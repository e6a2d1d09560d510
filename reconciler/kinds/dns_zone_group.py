"""The DNS zone group of a private endpoint: one ARM child type, declared inside the PrivateEndpoint document.

Azure keeps the endpoint's names in the zones that the group lists. An endpoint has at most one group, whatever it is
called, and often Azure Policy makes it.
"""

from __future__ import annotations

from reconciler.kinds.base import Binding, Field, Patience, ResourceType
from reconciler.kinds.scalars import PRIVATE_ENDPOINT_TYPE
from reconciler.kinds.values import Folded
from reconciler.model.wire import Json, JsonObject, read_path

_ZONE_ID = ("properties", "privateDnsZoneId")

# The zones under which an account of a kind is asked for, without the domain of the cloud. The private link resource of
# every account names the first of all kinds, also where nobody asks for it.
ZONES = {
    "OpenAI": ("privatelink.openai.",),
    "AIServices": ("privatelink.cognitiveservices.", "privatelink.openai.", "privatelink.services.ai."),
}


def missing_zones(kind: str, zones: tuple[str, ...]) -> tuple[str, ...]:
    """The zones that an account of `kind` is resolved by and that are not among `zones`."""
    named = [zone.lower() for zone in zones]
    lacking = [prefix for prefix in ZONES.get(kind, ()) if not any(zone.startswith(prefix) for zone in named)]
    return tuple(f"{prefix}{_domain(named)}" for prefix in lacking)


def foreign_zones(zones: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `zones` that no account of any kind is resolved by."""
    known = tuple(prefix for prefixes in ZONES.values() for prefix in prefixes)
    return tuple(zone for zone in zones if not zone.lower().startswith(known))


def _domain(zones: list[str]) -> str:
    """`azure.com`, or the domain of the sovereign cloud that the other zones are in."""
    return next(
        (f"azure.{end}" for end in ("us", "cn") if any(zone.endswith(f".azure.{end}") for zone in zones)), "azure.com"
    )


def _zones(value: Json) -> Json:
    """The ids of the zones as a set: a list of ids, or Azure's configurations."""
    if not isinstance(value, list):
        return value
    return [*sorted({_zone(each) for each in value} - {""})]


def _zone(item: Json) -> str:
    found = read_path(item, _ZONE_ID) if isinstance(item, dict) else item
    return Folded(found) if isinstance(found, str) else ""


def _write_zones(current: Json, value: Json) -> Json:
    """The configurations of the wanted zones: those that are there keep their names. A new one takes a name that no
    other zone has had, for Azure lets no configuration change its zone."""
    there = [each for each in current if isinstance(each, dict)] if isinstance(current, list) else []
    wanted = {Folded(str(each)): str(each) for each in value} if isinstance(value, list) else {}
    taken = {str(each.get("name", "")).lower() for each in there}
    kept = {_zone(each): each for each in there if _zone(each) in wanted}
    made: list[Json] = []
    for key, id in wanted.items():
        if key not in kept:
            name = _free_name(key.rpartition("/")[2].replace(".", "-"), taken)
            taken.add(name)
            config: JsonObject = {"name": name, "properties": {"privateDnsZoneId": id}}
            made.append(config)
    return [*kept.values(), *made]


def _free_name(name: str, taken: set[str]) -> str:
    return next(each for each in (name, *(f"{name}-{number}" for number in range(2, 99))) if each not in taken)


TYPE = ResourceType(
    arm_type=f"{PRIVATE_ENDPOINT_TYPE}/privateDnsZoneGroups",
    word="DNS zone group",
    binding=Binding(
        client="network",
        group="private_dns_zone_groups",
        names=("resource_group_name", "private_endpoint_name", "private_dns_zone_group_name"),
        get="get",
        put="begin_create_or_update",
        body="parameters",
        delete="begin_delete",
        list_children="list",
    ),
    fields=(
        Field(
            path="privateDnsZones",
            wire=("properties", "privateDnsZoneConfigs"),
            normal=_zones,
            overlay=_write_zones,
            default=[],
        ),
    ),
    readonly=tuple(
        ("properties", "privateDnsZoneConfigs", "*", *path)
        for path in (("etag",), ("id",), ("type",), ("properties", "provisioningState"), ("properties", "recordSets"))
    ),
    links=(("properties", "privateDnsZoneConfigs", "*", *_ZONE_ID),),
    joins=((("properties", "privateDnsZoneConfigs", "*", *_ZONE_ID), "join/action"),),
    sole=True,
    patience=Patience(create=900.0, update=900.0, delete=900.0, usual_create=5, usual_update=5),
)
