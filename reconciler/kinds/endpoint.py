"""A private endpoint as Azure keeps it: one connection in either of two lists, told as plain fields.

Where it leads, where it stands and who approves it cannot be changed. There is no PATCH: every change, also of a tag,
is one PUT made from a fresh read.
"""

from __future__ import annotations

from collections.abc import Callable

from reconciler.kinds.base import Binding, Field, Hold, Patience, ResourceType, Shape, fixed, once
from reconciler.kinds.scalars import PRIVATE_ENDPOINT_TYPE
from reconciler.kinds.values import Folded, folded, location, reference, reference_to_wire
from reconciler.model.plan import DecisionState, Effect, FieldChange
from reconciler.model.wire import Json, JsonObject, read_path

AUTOMATIC, MANUAL = "automatic", "manual"
_LISTS = {AUTOMATIC: "privateLinkServiceConnections", MANUAL: "manualPrivateLinkServiceConnections"}
LINK_SERVICE = "microsoft.network/privatelinkservices"
# Spellings of what is connected to; Azure tells them apart without regard to case.
_GROUP_IDS = {
    each.lower(): each
    for each in (
        "account",
        "amlworkspace",
        "blob",
        "configurationStores",
        "default",
        "dfs",
        "file",
        "managedInstance",
        "namespace",
        "queue",
        "registry",
        "searchService",
        "secondary",
        "sites",
        "Sql",
        "sqlServer",
        "table",
        "third",
        "vault",
        "web",
    )
}


def fold_group(name: Json) -> Json:
    return (_GROUP_IDS.get(name.lower()) or Folded(name)) if isinstance(name, str) else name


def _connection(properties: Json) -> tuple[str, JsonObject]:
    """The one connection of an endpoint and how it is approved; nothing where there is none yet."""
    for approval, name in _LISTS.items():
        rows = properties.get(name) if isinstance(properties, dict) else None
        if isinstance(rows, list) and rows and isinstance(rows[0], dict):
            return approval, rows[0]
    return "", {}


def _of_connection(path: str) -> Callable[[Json], Json]:
    """What a connection says at `path`; a written value as it stands."""

    def read(value: Json) -> Json:
        if not isinstance(value, dict):
            return value
        found = read_path(_connection(value)[1], ("properties", path))
        return None if found == "" or not isinstance(found, (str, list)) else found

    return read


def _approval(value: Json) -> Json:
    return (_connection(value)[0] or None) if isinstance(value, dict) else value


def _target(value: Json) -> Json:
    return folded(_of_connection("privateLinkServiceId")(value))


def _group_ids(value: Json) -> Json:
    found = _of_connection("groupIds")(value)
    listed = [each for each in found if isinstance(each, str)] if isinstance(found, list) else []
    return [*sorted({_GROUP_IDS.get(each.lower()) or Folded(each) for each in listed})]


def _write_connection(properties: Json, approval: str, said: JsonObject) -> Json:
    """The properties with the one connection in the list that `approval` names, saying also `said`."""
    kept = dict(properties) if isinstance(properties, dict) else {}
    standing, row = _connection(kept)
    inner = row.get("properties")
    inside: JsonObject = {**(inner if isinstance(inner, dict) else {}), **said}
    target = str(inside.get("privateLinkServiceId") or "")
    name = row.get("name") or target.rpartition("/")[2]
    kept |= {name: [] for name in _LISTS.values() if name in kept}
    kept[_LISTS[approval or standing or AUTOMATIC]] = [{**row, "name": name, "properties": inside}]
    return kept


def _write_approval(properties: Json, value: Json) -> Json:
    return _write_connection(properties, str(value), {})


def _write_at(path: str) -> Callable[[Json, Json], Json]:
    return lambda properties, value: _write_connection(properties, "", {path: value})


def _name(value: Json) -> Json:
    return folded(value) or None


def _addresses(value: Json) -> Json:
    """Static addresses as a set, told by what they are for; the names that Azure wants for them tell nothing."""
    if not isinstance(value, list):
        return value
    rows: dict[str, Json] = {}
    for each in value:
        inner = each.get("properties") if isinstance(each, dict) else None
        item = inner if isinstance(inner, dict) else each
        if isinstance(item, dict):
            row: JsonObject = {
                "groupId": fold_group(item.get("groupId") or ""),
                "memberName": fold_group(item.get("memberName") or ""),
                "privateIPAddress": str(item.get("privateIPAddress") or ""),
            }
            rows[str(row["privateIPAddress"])] = row
    return [rows[address] for address in sorted(rows)]


def _addresses_to_wire(value: Json) -> Json:
    rows = [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
    return [{"name": str(each.get("memberName") or f"ip-{at}"), "properties": {**each}} for at, each in enumerate(rows)]


def _connects(before: Json, after: Json) -> bool:
    return after is not None and before is not None and before != after


def _lets_in(before: Json, after: Json) -> bool:
    """Whoever may approve at the other end connects at once; others ask first."""
    return after == AUTOMATIC and before != AUTOMATIC


def read_status(wire: JsonObject) -> str:
    """What the other end made of the connection; "" where Azure has not said yet."""
    _, row = _connection(wire.get("properties"))
    found = read_path(row, ("properties", "privateLinkServiceConnectionState", "status"))
    return found if isinstance(found, str) else ""


def _refuse_many(changes: tuple[FieldChange, ...], wire: JsonObject) -> Hold | None:
    """Why what a document says differently of a connection is not done to an endpoint that has several of them."""
    told = [change.path for change in changes if change.path in _SAID or change.effect is Effect.REPLACE]
    return _refuse_loss(wire, f"{', '.join(told)} cannot be changed") if told else None


def _refuse_loss(wire: JsonObject, why: str) -> Hold | None:
    """A document says one connection. What has more is not made again for it, since the others would be lost."""
    rows = [row for name in _LISTS.values() for row in _rows(wire, name)]
    if len(rows) < 2:
        return None
    targets = sorted(str(read_path(row, ("properties", "privateLinkServiceId"))).rpartition("/")[2] for row in rows)
    return Hold(
        state=DecisionState.BLOCKED,
        code="many_connections",
        reason=f"{why}, and to make it again would take away all but one of its {len(rows)} connections: to "
        f"{' and '.join(targets)}",
        permit="give each target an endpoint of its own, or leave this one to others by lifecycle.policy: detach",
    )


def _rows(wire: JsonObject, name: str) -> list[JsonObject]:
    found = read_path(wire, ("properties", name))
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


_SAID = ("approval", "groupIds", "privateLinkServiceId", "requestMessage")  # of the connection itself


def _hold(wire: JsonObject) -> Hold | None:
    """What the other end makes of the connection, where it does not let it through."""
    _, row = _connection(wire.get("properties"))
    state = read_path(row, ("properties", "privateLinkServiceConnectionState"))
    said = state if isinstance(state, dict) else {}
    status = str(said.get("status") or "Approved")
    target = str(read_path(row, ("properties", "privateLinkServiceId")))
    other = target.rpartition("/")[2]
    words = f": {said['description']}" if said.get("description") else ""
    if status == "Pending":
        return Hold(
            state=DecisionState.BLOCKED,
            code="approval_pending",
            reason=f"waits for the owner of {other} to approve the connection{words}",
            permit=f"have it approved at {target}; an Account document does so by spec.privateEndpointConnections",
        )
    if status == "Rejected":
        return Hold(
            state=DecisionState.BLOCKED,
            code="rejected",
            reason=f"the owner of {other} rejected the connection{words}",
            permit=f"have it approved at {target}; an Account document does so by spec.privateEndpointConnections",
        )
    if status == "Disconnected":
        reason = f"{other} cut the connection off, and an endpoint does not connect a second time"
        return _refuse_loss(wire, reason) or Hold(state=DecisionState.ACT, code="disconnected", reason=reason)
    return None


TYPE = ResourceType(
    arm_type=PRIVATE_ENDPOINT_TYPE,
    word="private endpoint",
    binding=Binding(
        client="network",
        group="private_endpoints",
        names=("resource_group_name", "private_endpoint_name"),
        get="get",
        put="begin_create_or_update",
        body="parameters",
        delete="begin_delete",
        list_all="list_by_subscription",
    ),
    fields=(
        Field(path="location", wire=("location",), normal=location, effect=once),
        Field(path="subnet", wire=("properties", "subnet"), normal=reference, to_wire=reference_to_wire, effect=once),
        Field(
            path="privateLinkServiceId",
            wire=("properties",),
            normal=_target,
            overlay=_write_at("privateLinkServiceId"),
            effect=once,
            opens=_connects,
        ),
        Field(
            path="groupIds",
            wire=("properties",),
            normal=_group_ids,
            overlay=_write_at("groupIds"),
            default=[],
            effect=fixed,
        ),
        Field(
            path="approval",
            wire=("properties",),
            normal=_approval,
            overlay=_write_approval,
            effect=once,
            opens=_lets_in,
        ),
        Field(
            path="requestMessage",
            wire=("properties",),
            normal=_of_connection("requestMessage"),
            overlay=_write_at("requestMessage"),
            effect=fixed,
        ),
        Field(
            path="ipConfigurations",
            wire=("properties", "ipConfigurations"),
            normal=_addresses,
            to_wire=_addresses_to_wire,
            default=[],
            effect=fixed,
        ),
        Field(
            path="customNetworkInterfaceName",
            wire=("properties", "customNetworkInterfaceName"),
            normal=_name,
            effect=fixed,
        ),
        Field(path="tags", wire=("tags",), shape=Shape.MAP, whole=("tags",)),
    ),
    readonly=(
        ("properties", "customDnsConfigs"),
        ("properties", "ipConfigurations", "*", "etag"),
        ("properties", "ipConfigurations", "*", "id"),
        ("properties", "ipConfigurations", "*", "type"),
        ("properties", "ipConfigurations", "*", "properties", "provisioningState"),
        ("properties", "networkInterfaces"),
        ("properties", "resourceGuid"),
        *(
            ("properties", rows, "*", *path)
            for rows in _LISTS.values()
            for path in (
                ("etag",),
                ("id",),
                ("type",),
                ("properties", "provisioningState"),
                ("properties", "privateLinkServiceConnectionState"),
            )
        ),
    ),
    taggable=True,
    on_demand=True,
    # The subnet takes no second write meanwhile, nor does its network.
    lane="subnet",
    # An account at the other end is not settled while a connection comes or goes, and refuses writes until it is.
    locks=("privateLinkServiceId",),
    links=(
        ("properties", "subnet", "id"),
        *(("properties", rows, "*", "properties", "privateLinkServiceId") for rows in _LISTS.values()),
    ),
    joins=(
        (("properties", "subnet", "id"), "join/action"),
        # Whoever asks to be approved at once must be allowed to approve; whoever asks to be judged need not.
        # https://github.com/MicrosoftDocs/azure-docs/issues/96892
        (
            ("properties", _LISTS[AUTOMATIC], "*", "properties", "privateLinkServiceId"),
            "privateEndpointConnectionsApproval/action",
        ),
    ),
    brings=(("properties", "networkInterfaces", "*", "id"),),
    held=_hold,
    refuses=_refuse_many,
    after_all=True,
    patience=Patience(create=1800.0, update=1800.0, delete=900.0, usual_create=32, usual_update=10),
)
