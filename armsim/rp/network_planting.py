"""Networks and names that appear, change or go without a request, by seeds and by mutations."""

from typing import Final

from armsim import errors
from armsim.cloud import Call, Cloud
from armsim.rp import connections, network, networks, private_endpoints, security_groups, zone_groups, zones
from armsim.store import (
    ACCOUNT,
    CONNECTION,
    ENDPOINT,
    INTERFACE,
    LINK,
    NETWORK,
    SECURITY_GROUP,
    SECURITY_RULE,
    SUBNET,
    ZONE,
    ZONE_GROUP,
    ArmId,
    Resource,
)
from armsim.wire import Body, look, merge

RECORDS: Final = frozenset(f"{ZONE}/{kind}".lower() for kind in zones.RECORDS)
CHILDREN: Final = {SECURITY_RULE: "securityRules", SUBNET: "subnets"}
TYPES: Final = frozenset({SECURITY_GROUP, NETWORK, INTERFACE, ENDPOINT, ZONE_GROUP, ZONE, LINK, *CHILDREN, *RECORDS})
# What others refer to comes before those that refer to it.
ORDER: Final = (SECURITY_GROUP, NETWORK, ACCOUNT, SUBNET, ZONE, CONNECTION, INTERFACE, ENDPOINT)
# The version whose answers hold least that nobody asked for.
PLAIN: Final = "2023-09-01"


def rank(id_: str) -> tuple[int, int]:
    """Where in a seed a resource has its turn."""
    kind = ArmId.parse(id_).type
    if kind in {ZONE_GROUP, LINK, *RECORDS}:
        return len(ORDER), id_.count("/")
    return (ORDER.index(kind) if kind in {*ORDER} - {ACCOUNT, CONNECTION} else -1), id_.count("/")


def plant(cloud: Cloud, call: Call) -> Resource:
    """The resource of a call as the service would have made it, done at once; ValueError with its words."""
    try:
        planted = _plant(cloud, call)
    except errors.ArmError as error:
        raise ValueError(f"{error.code}: {error.message}") from error
    state = look(call.mapping, "properties.provisioningState")
    if state and planted.key == call.path.lower() and planted.state != state:
        planted = _keep(cloud, planted.succeed(network.in_state(planted.body, str(state))), call.now)
    return planted


def _keep(cloud: Cloud, planted: Resource, now: float) -> Resource:
    """A child lies in its document, not beside it."""
    field = CHILDREN.get(ArmId.parse(planted.id).type)
    if field is None:
        return cloud.world.put(planted, now)
    document = cloud.world.get(planted.key.rsplit("/", 2)[0])
    assert document is not None, planted.id
    cloud.world.put(document.succeed(network.with_child(document.body, field, planted.body)), now)
    return planted


def change(cloud: Cloud, call: Call) -> Resource | None:
    """PUT replaces, PATCH merges, DELETE removes."""
    kind = ArmId.parse(call.path).type
    if call.method == "DELETE":
        _remove(cloud, kind, call)
        return None
    if call.method == "PATCH" and (stored := body_of(cloud, call.path)) is not None:
        call.body = merge(stored, call.mapping)
    return plant(cloud, call)


def body_of(cloud: Cloud, id_: str) -> Body | None:
    """What is stored under an id, be it a document or a child inside one."""
    found = cloud.world.get(id_.lower())
    if found is not None:
        return found.body
    field = CHILDREN.get(ArmId.parse(id_).type)
    document = cloud.world.get(id_.lower().rsplit("/", 2)[0])
    if field is None or document is None:
        return None
    return network.child_of(document.body, field, id_.rsplit("/", 1)[1])


def _plant(cloud: Cloud, call: Call) -> Resource:
    kind = ArmId.parse(call.path).type
    if kind in CHILDREN:
        return _child(cloud, call, kind)
    if kind in {SECURITY_GROUP, NETWORK}:
        return _document(cloud, call, kind)
    makers = {ENDPOINT: _endpoint, INTERFACE: _interface, ZONE_GROUP: _zone_group}
    return makers.get(kind, _name)(cloud, call)


def _document(cloud: Cloud, call: Call, kind: str) -> Resource:
    before = cloud.world.get(call.path.lower())
    sent = {"location": _location(cloud, call, before), **call.mapping}
    id_ = call.path if before is None else before.id
    if kind == SECURITY_GROUP:
        body = security_groups.build(cloud, id_, sent, before)
    else:
        sent["properties"] = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, **(sent.get("properties") or {})}
        body = networks.build(cloud, id_, sent, before, PLAIN)
        given = {each["name"].lower(): each.get("properties") or {} for each in sent["properties"].get("subnets") or []}
        for each in body["properties"]["subnets"]:
            _give(each["properties"], given.get(each["name"].lower(), {}))
    return _store(cloud, before, body, call.now)


def _give(properties: Body, sent: Body) -> None:
    """What others put into a subnet, and what they take out of it."""
    for name in networks.GIVEN:
        if sent.get(name):
            properties[name] = sent[name]
        elif name in sent:
            properties.pop(name, None)


def _child(cloud: Cloud, call: Call, kind: str) -> Resource:
    document_id, _, name = call.path.rsplit("/", 2)
    sent: Body = call.mapping.get("properties") or {}
    document = cloud.world.get(document_id.lower())
    if document is None:
        space = sent.get("addressPrefixes") or ([sent["addressPrefix"]] if "addressPrefix" in sent else ["10.0.0.0/16"])
        around: Body = {} if kind == SECURITY_RULE else {"properties": {"addressSpace": {"addressPrefixes": space}}}
        document = _document(cloud, _call(call, document_id, around), ArmId.parse(document_id).type)
    stored = network.child_of(document.body, CHILDREN[kind], name)
    id_ = f"{document.id}/{CHILDREN[kind]}/{name}" if stored is None else str(stored["id"])
    if kind == SECURITY_RULE:
        child = security_groups.rule(id_, sent)
    else:
        if not sent.get("addressPrefixes"):
            sent = {"addressPrefix": "10.0.0.0/24", **sent}
        child = networks.subnet(id_, sent, stored, PLAIN)
        _give(child["properties"], sent)
    _store(cloud, document, network.with_child(document.body, CHILDREN[kind], child), call.now)
    return Resource(id_, body_of(cloud, id_) or child, call.now)


def _endpoint(cloud: Cloud, call: Call) -> Resource:
    before = cloud.world.get(call.path.lower())
    if before is not None:
        sent = {**before.body, **{name: value for name, value in call.mapping.items() if name != "id"}}
        if "tags" not in call.mapping:
            sent.pop("tags", None)
        stored = _store(cloud, before, sent, call.now)
        zone_groups.refresh(cloud, stored.key, call.now)
        return cloud.world.get(stored.key) or stored
    sent = {"location": _location(cloud, call, None), **call.mapping}
    body = private_endpoints.build(cloud, _call(call, call.path, sent), call.path, sent.get("properties") or {}, None)
    _keep_sent(body, sent.get("properties") or {})
    private_endpoints.place_interface(cloud, body, call.now)
    endpoint = _store(cloud, None, body, call.now)
    private_endpoints.join(cloud, endpoint, call.now)
    return cloud.world.get(endpoint.key) or endpoint


def _keep_sent(body: Body, sent: Body) -> None:
    """A seed may say what the service would have made up."""
    properties = body["properties"]
    for name in ("resourceGuid", "networkInterfaces"):
        if sent.get(name):
            properties[name] = sent[name]
    for kind in private_endpoints.KINDS:
        for row, given in zip(properties[kind], sent.get(kind) or [], strict=False):
            if state := look(given, "properties.privateLinkServiceConnectionState"):
                row["properties"]["privateLinkServiceConnectionState"] = state


def _interface(cloud: Cloud, call: Call) -> Resource:
    before = cloud.world.get(call.path.lower())
    properties = {"provisioningState": "Succeeded", "ipConfigurations": [], **(call.mapping.get("properties") or {})}
    rows = [
        {"id": f"{call.path}/ipConfigurations/{each['name']}", "etag": "", **each}
        for each in properties["ipConfigurations"]
    ]
    body = {
        "name": call.path.rsplit("/", 1)[1],
        "id": call.path,
        "etag": "",
        "type": network.INTERFACES.type,
        "location": _location(cloud, call, before),
        **{name: call.mapping[name] for name in ("tags",) if name in call.mapping},
        "properties": {**properties, "ipConfigurations": rows},
    }
    return _store(cloud, before, body, call.now)


def _zone_group(cloud: Cloud, call: Call) -> Resource:
    before = cloud.world.get(call.path.lower())
    body = zone_groups.build(call.path if before is None else before.id, call.mapping.get("properties") or {})
    group = _store(cloud, before, body, call.now)
    zone_groups.refresh(cloud, group.parent, call.now)
    return cloud.world.get(group.key) or group


def _name(cloud: Cloud, call: Call) -> Resource:
    """Zones, links, records. A zone that is missing around the others comes with them."""
    before = cloud.world.get(call.path.lower())
    parts = call.path.split("/")
    zone_id = "/".join(parts[:9])
    id_ = call.path if before is None else before.id
    kind = ArmId.parse(call.path).type
    if kind == ZONE:
        zone = _put(cloud, before, zones.build_zone(cloud, id_, call.mapping, before), call.now)
        zones.add_authority(cloud, zone, call.now)
        zones.count(cloud, zone.key, call.now)
        return cloud.world.get(zone.key) or zone
    if cloud.world.get(zone_id.lower()) is None:
        _name(cloud, _call(call, zone_id, {}))
    if kind == LINK:
        target = str(look(call.mapping, "properties.virtualNetwork.id"))
        body = zones.build_link(cloud, id_, call.mapping, target, call.now)
        body["properties"]["virtualNetworkLinkState"] = "Completed"
    else:
        sent = {"ttl": 3600, **(call.mapping.get("properties") or {})}
        body = zones.build_record(cloud, id_, sent, before)
    planted = _put(cloud, before, body, call.now)
    zones.count(cloud, zone_id.lower(), call.now)
    return planted


def _remove(cloud: Cloud, kind: str, call: Call) -> None:
    key, now = call.path.lower(), call.now
    document = cloud.world.get(key.rsplit("/", 2)[0])
    found = cloud.world.get(key)
    if kind in CHILDREN and document is not None:
        body = network.without_child(document.body, CHILDREN[kind], call.path.rsplit("/", 1)[1])
        _store(cloud, document, body, now)
    elif found is not None and kind == ENDPOINT:
        private_endpoints.vanish(cloud, found, now)
    elif found is not None and kind == ZONE_GROUP:
        zone_groups.dissolve(cloud, found, now)
    else:
        for each in cloud.world.children(key):
            cloud.world.remove(each.key, now)
        network.forget(cloud, key, now)
        zones.count(cloud, key.rsplit("/", 2)[0], now)


def told(cloud: Cloud, connection: Resource, now: float, *, gone: bool = False) -> None:
    """A connection was changed or taken away behind the back of its endpoint."""
    connections.show(cloud, connections.parent_of(connection), now)
    connections.mirror(cloud, connections.disconnected(connection.body) if gone else connection.body, now)


def _store(cloud: Cloud, before: Resource | None, body: Body, now: float) -> Resource:
    fresh = network.restamp(body, network.weak_etag(cloud))
    resource = Resource(str(body["id"]), fresh, now) if before is None else before.succeed(fresh)
    return network.store(cloud, resource, now)


def _put(cloud: Cloud, before: Resource | None, body: Body, now: float) -> Resource:
    return cloud.world.put(Resource(str(body["id"]), body, now) if before is None else before.succeed(body), now)


def _call(call: Call, path: str, body: Body) -> Call:
    return Call("PUT", path, path.strip("/").split("/"), {}, "", body, call.principal, "", call.now)


def _location(cloud: Cloud, call: Call, before: Resource | None) -> str:
    if call.mapping.get("location"):
        return str(call.mapping["location"])
    group = cloud.world.get(call.path.lower().partition("/providers/")[0])
    return before.location if before is not None else "westeurope" if group is None else group.location
