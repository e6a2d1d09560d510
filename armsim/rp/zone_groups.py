"""`privateEndpoints/privateDnsZoneGroups`: the names of an endpoint, kept in private DNS zones while it is there.

A zone gets the record whose name it is the zone of; a zone that fits no name gets none.
"""

from typing import Final

from armsim import errors, operations
from armsim.cloud import Call, Cloud, Reply
from armsim.gate import require_linked
from armsim.operations import Plan
from armsim.rp import network, zones
from armsim.rp.base import answer, hide, listed, place, require_group, seen, whole_list
from armsim.rp.network import ENDPOINTS
from armsim.store import ZONE, Operation, Resource
from armsim.wire import Body, look

TYPE: Final = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"
LIMIT: Final = 5
TTL: Final = 10
# The domains under which an account of a kind is asked.
DOMAINS: Final = {
    "openai": ("openai.azure.com",),
    "aiservices": ("cognitiveservices.azure.com", "openai.azure.com", "services.ai.azure.com"),
}


def names_of(account: Resource | None) -> list[str]:
    """The names that an endpoint to this account answers to; none for targets that are not simulated."""
    name = None if account is None else look(account.body, "properties.customSubDomainName")
    if account is None or not name:
        return []
    kind = str(account.body.get("kind", "")).lower()
    return [f"{name}.{domain}" for domain in DOMAINS.get(kind, ("cognitiveservices.azure.com",))]


def get(cloud: Cloud, call: Call) -> Reply:
    endpoint = network.require_document(cloud, call, ENDPOINTS, reading=True)
    found = seen(cloud, call, f"{endpoint.key}/privatednszonegroups/{call.names[3].lower()}")
    if found is None:
        raise network.child_missing(endpoint, f"privateDnsZoneGroups/{call.names[3]}")
    return answer(found)


def list_all(cloud: Cloud, call: Call) -> Reply:
    endpoint = network.require_document(cloud, call, ENDPOINTS, reading=True)
    return whole_list(listed(cloud, call, f"{endpoint.key}/privatednszonegroups"))


def put(cloud: Cloud, call: Call) -> Reply:
    endpoint = network.require_parent(cloud, call, ENDPOINTS, "privateDnsZoneGroups")
    id_ = f"{endpoint.id}/privateDnsZoneGroups/{call.names[3]}"
    network.require_free(cloud, call, endpoint.key, id_)
    network.require_settled(cloud, endpoint.key, endpoint.id, id_, endpoint.state)
    before = cloud.world.get(id_.lower())
    others = [each for each in cloud.world.members(f"{endpoint.key}/privatednszonegroups") if each.key != id_.lower()]
    if others:
        raise errors.network(
            "MoreThanOnePrivateDnsZoneGroupPerPrivateEndpointNotAllowed",
            f"A maximum of one private DNS zone group is allowed per private endpoint; {endpoint.id} has "
            f"{others[0].name}.",
        )
    body = build(id_, network.properties_of(call))
    _require_zones(cloud, call, body, before)
    etag = network.weak_etag(cloud)
    if before is not None and before.state == "Succeeded" and _same(body, before.body):
        # Nothing to do is done at once.
        body = network.restamp({**before.body}, etag)
        plan = _plan(call, endpoint, id_, 0.0)._replace(effect="nothing", lane=None)
    else:
        body = network.restamp(body, etag, "Updating")
        plan = _plan(call, endpoint, id_, cloud.settings.zone_group_write)
    operation = operations.start(cloud, call, plan)
    group = Resource(id_, body, call.now) if before is None else before.succeed(body)
    cloud.world.put(group, call.now)
    if before is None:
        hide(cloud, call, group.key)
    reply = answer(group, 201 if before is None else 200)
    link = network.operation_url(cloud, call, operation)
    return Reply(reply.status, reply.body, {"azure-asyncoperation": link, "retry-after": str(network.RETRY_AFTER)})


def delete(cloud: Cloud, call: Call) -> Reply:
    require_group(cloud, place(call))
    endpoint = cloud.world.get(network.key_of(call, ENDPOINTS))
    group = (
        None if endpoint is None else cloud.world.get(f"{endpoint.key}/privatednszonegroups/{call.names[3].lower()}")
    )
    if endpoint is None or group is None:
        return Reply(204)
    network.require_free(cloud, call, endpoint.key, group.id)
    cloud.world.put(group.succeed(network.restamp(group.body, network.weak_etag(cloud), "Deleting")), call.now)
    plan = _plan(call, endpoint, group.id, cloud.settings.zone_group_write)
    return network.begin_delete(
        cloud, call, plan._replace(verb="DeletePrivateDnsZoneGroupOperation", effect="zone-group-deleted")
    )


def _plan(call: Call, endpoint: Resource, id_: str, seconds: float) -> Plan:
    verb = "PutPrivateDnsZoneGroupOperation"
    place_ = network.scope(call, endpoint)
    return Plan(verb, id_, "zone-group-ready", seconds, endpoint.location, endpoint.key, place_)


def build(id_: str, sent: Body) -> Body:
    rows = network.rows_of(sent.get("privateDnsZoneConfigs"), "privateDnsZoneConfigs")
    names = network.named(rows, "privateDnsZoneConfigs")
    if len(rows) > LIMIT:
        raise errors.network("InvalidRequestFormat", f"A private DNS zone group can hold at most {LIMIT} zones.")
    configs = [_config(id_, name, each) for name, each in zip(names, rows, strict=True)]
    return {
        "name": id_.rsplit("/", 1)[1],
        "id": id_,
        "etag": "",
        "type": TYPE,
        "properties": {"provisioningState": "Succeeded", "privateDnsZoneConfigs": configs},
    }


def _config(id_: str, name: str, sent: Body) -> Body:
    return {
        "name": name,
        "id": f"{id_}/privateDnsZoneConfigs/{name}",
        "etag": "",
        "type": f"{TYPE}/privateDnsZoneConfigs",
        "properties": {
            "provisioningState": "Succeeded",
            "privateDnsZoneId": str(look(sent, "properties.privateDnsZoneId") or ""),
            "recordSets": [],
        },
    }


def _same(body: Body, before: Body) -> bool:
    return _zones(body) == _zones(before)


def _zones(body: Body) -> dict[str, str]:
    rows = body["properties"]["privateDnsZoneConfigs"]
    return {each["name"].lower(): each["properties"]["privateDnsZoneId"].lower() for each in rows}


def _require_zones(cloud: Cloud, call: Call, body: Body, before: Resource | None) -> None:
    """The zones are there and may be joined; a configuration keeps its zone."""
    old = {} if before is None else _zones(before.body)
    for name, key in _zones(body).items():
        zone = cloud.world.get(key)
        if zone is None or zone.type != ZONE:
            raise errors.reference_not_found(key, str(body["id"]))
        if old.get(name, key) != key:
            raise errors.network(
                "PrivateDnsZoneConfigCannotBeChanged",
                f"The zone of configuration {name} of {body['id']} cannot be changed; delete the group and create it "
                "again.",
            )
        require_linked(cloud, call, "Microsoft.Network/privateDnsZones/join/action", zone.id)


# -- effects


def settle(cloud: Cloud, operation: Operation, at: float) -> None:
    group = cloud.world.get(operation.target.lower())
    if group is None:
        return
    state = "Succeeded" if operation.error is None else "Failed"
    cloud.world.put(group.succeed(network.restamp(group.body, network.weak_etag(cloud), state)), at)
    if operation.error is None:
        refresh(cloud, group.parent, at)


def settle_delete(cloud: Cloud, operation: Operation, at: float) -> None:
    group = cloud.world.get(operation.target.lower())
    if group is None:
        return
    if operation.error is not None:
        settle(cloud, operation, at)
        return
    dissolve(cloud, group, at)


def dissolve(cloud: Cloud, group: Resource, at: float) -> None:
    """The group goes, and its records; the endpoint tells its names itself again."""
    cloud.world.remove(group.key, at)
    refresh(cloud, group.parent, at)


def refresh(cloud: Cloud, endpoint_key: str, at: float) -> None:
    """Bring records and the endpoint's own list of names in line with connection, interface and zone group."""
    endpoint = cloud.world.get(endpoint_key)
    if endpoint is None:
        return
    addresses = _addresses(cloud, endpoint)
    group = next(iter(cloud.world.members(f"{endpoint.key}/privatednszonegroups")), None)
    if group is not None and group.state == "Updating":
        return
    wanted: dict[str, tuple[str, list[str]]] = {}
    if group is not None:
        group = _show_records(cloud, group, addresses, wanted, at)
    _take_records(cloud, endpoint, wanted, at)
    for zone, (name, ips) in wanted.items():
        zones.write_record(cloud, zone, name, _record(endpoint, ips), at)
    configs = [] if group is not None else [{"fqdn": name, "ipAddresses": ips} for name, ips in addresses.items()]
    if endpoint.state == "Succeeded" and endpoint.body["properties"]["customDnsConfigs"] != configs:
        body = {**endpoint.body, "properties": {**endpoint.body["properties"], "customDnsConfigs": configs}}
        cloud.world.put(endpoint.succeed(body), at)


def withdraw(cloud: Cloud, endpoint: Resource, at: float) -> None:
    """The endpoint goes: its group and its records go first."""
    _take_records(cloud, endpoint, {}, at)
    for each in list(cloud.world.members(f"{endpoint.key}/privatednszonegroups")):
        cloud.world.remove(each.key, at)


def _show_records(
    cloud: Cloud,
    group: Resource,
    addresses: dict[str, list[str]],
    wanted: dict[str, tuple[str, list[str]]],
    at: float,
) -> Resource:
    configs = []
    for config in group.body["properties"]["privateDnsZoneConfigs"]:
        zone = cloud.world.get(config["properties"]["privateDnsZoneId"].lower())
        sets = []
        for fqdn, ips in addresses.items():
            name, _, domain = fqdn.partition(".")
            if zone is None or zone.name.lower() != f"privatelink.{domain}":
                continue
            wanted[zone.key] = (name, ips)
            sets.append(_shown(name, zone.name, ips))
        configs.append({**config, "properties": {**config["properties"], "recordSets": sets}})
    properties = {**group.body["properties"], "privateDnsZoneConfigs": configs}
    return cloud.world.put(group.succeed({**group.body, "properties": properties}), at)


def _shown(name: str, zone: str, ips: list[str]) -> Body:
    return {
        "recordType": "A",
        "recordSetName": name,
        "fqdn": f"{name}.{zone}",
        "ttl": TTL,
        "ipAddresses": ips,
        "provisioningState": "Succeeded",
    }


def _record(endpoint: Resource, ips: list[str]) -> Body:
    return {
        "metadata": {"creator": _creator(endpoint)},
        "ttl": TTL,
        "aRecords": [{"ipv4Address": each} for each in ips],
    }


def _creator(endpoint: Resource) -> str:
    guid = endpoint.body["properties"]["resourceGuid"]
    return f"created by private endpoint {endpoint.name} with resource guid {guid}"


def _take_records(cloud: Cloud, endpoint: Resource, wanted: dict[str, tuple[str, list[str]]], at: float) -> None:
    """Remove the records that this endpoint made and should not have any more."""
    mark = _creator(endpoint)
    for record in zones.records_made_by(cloud, mark):
        zone = record.parent
        if zone not in wanted or wanted[zone][0].lower() != record.name.lower():
            zones.remove_record(cloud, record.key, at)


def _addresses(cloud: Cloud, endpoint: Resource) -> dict[str, list[str]]:
    """Names and addresses of an endpoint that is connected and done."""
    properties = endpoint.body["properties"]
    rows = properties["privateLinkServiceConnections"] or properties["manualPrivateLinkServiceConnections"]
    if look(rows[0], "properties.privateLinkServiceConnectionState.status") != "Approved":
        return {}
    if endpoint.state != "Succeeded":
        return {}
    found: dict[str, list[str]] = {}
    for each in properties["networkInterfaces"]:
        nic = cloud.world.get(str(each["id"]).lower())
        for row in [] if nic is None else nic.body["properties"]["ipConfigurations"]:
            for fqdn in look(row, "properties.privateLinkConnectionProperties.fqdns") or []:
                found.setdefault(str(fqdn), []).append(str(look(row, "properties.privateIPAddress")))
    return found
