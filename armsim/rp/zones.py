"""`privateDnsZones` with their links to networks and their records.

Zones and links are written by 202 with an empty object and polled until 200; records are synchronous. Refusals come
without the envelope that ARM puts around others.
"""

import ipaddress
from collections.abc import Callable
from typing import Final

from armsim import errors, operations
from armsim.cloud import Call, Cloud, Reply
from armsim.gate import require_linked
from armsim.operations import Plan
from armsim.rp import network
from armsim.rp.base import account_etag, answer, hide, listed, place, read_tags, require_group, seen, whole_list
from armsim.rp.network import Kind
from armsim.store import LINK, NETWORK, Operation, Resource
from armsim.wire import Body, encode, look, merge, to_bool, to_int

ZONES: Final = Kind("privateDnsZones", "PrivateDnsZone")
RECORDS: Final = {
    "A": "aRecords",
    "AAAA": "aaaaRecords",
    "CNAME": "cnameRecord",
    "MX": "mxRecords",
    "PTR": "ptrRecords",
    "SOA": "soaRecord",
    "SRV": "srvRecords",
    "TXT": "txtRecords",
}
SINGLE: Final = frozenset({"CNAME", "SOA"})
LONGEST_TTL: Final = 2**31 - 1


# -- zones


def put_zone(cloud: Cloud, call: Call) -> Reply:
    id_ = network.id_of(cloud, call, ZONES)
    before = cloud.world.get(id_.lower())
    _require_match(call, before, f"The zone {call.names[2]}")
    name = call.names[2]
    if "." not in name.strip("."):
        raise errors.dns(400, "BadRequest", f"The zone name '{name}' is not valid.")
    if str(call.mapping.get("location") or "").lower() != "global":
        raise errors.dns(400, "LocationNotAvailableForResourceType", "The location of a private DNS zone is 'global'.")
    body = build_zone(cloud, id_ if before is None else before.id, call.mapping, before)
    return _write(cloud, call, before, network.in_state(body, "Updating"), cloud.settings.dns_zone_write)


def patch_zone(cloud: Cloud, call: Call) -> Reply:
    zone = network.require_document(cloud, call, ZONES)
    require_group(cloud, place(call), writing=True)
    _require_match(call, zone, f"The zone {zone.name}")
    body = {**zone.body, "etag": cloud.chance.guid()}
    if call.mapping.get("tags") is not None:
        body["tags"] = read_tags(call.mapping["tags"])
    return _write(cloud, call, zone, network.in_state(body, "Updating"), cloud.settings.dns_zone_write)


def delete_zone(cloud: Cloud, call: Call) -> Reply:
    require_group(cloud, place(call))
    zone = cloud.world.get(network.key_of(call, ZONES))
    if zone is None:
        return Reply(204)
    _require_match(call, zone, f"The zone {zone.name}")
    links = [
        f"'Microsoft.Network/privateDnsZones/{zone.name}/virtualNetworkLinks/{each.name}'"
        for each in _links(cloud, zone.key)
    ]
    if links:
        raise errors.gateway(
            409,
            "CannotDeleteResource",
            "Cannot delete resource while nested resources exist. Some existing nested resource IDs include: "
            f"{', '.join(links)}. Please delete all nested resources before deleting this resource.",
        )
    return _begin_delete(cloud, call, zone, cloud.settings.dns_zone_write)


def build_zone(cloud: Cloud, id_: str, sent: Body, before: Resource | None) -> Body:
    etag = cloud.chance.guid()
    body: Body = {"id": id_, "name": id_.rsplit("/", 1)[1], "type": ZONES.type, "etag": etag, "location": "global"}
    if sent.get("tags") is not None:
        body["tags"] = read_tags(sent["tags"])
    counted: Body = {} if before is None else before.body["properties"]
    body["properties"] = {
        "maxNumberOfRecordSets": 25000,
        "maxNumberOfVirtualNetworkLinks": 1000,
        "maxNumberOfVirtualNetworkLinksWithRegistration": 100,
        "numberOfRecordSets": counted.get("numberOfRecordSets", 1),
        "numberOfVirtualNetworkLinks": counted.get("numberOfVirtualNetworkLinks", 0),
        "numberOfVirtualNetworkLinksWithRegistration": counted.get("numberOfVirtualNetworkLinksWithRegistration", 0),
        "provisioningState": "Succeeded",
    }
    return body


def add_authority(cloud: Cloud, zone: Resource, now: float) -> None:
    """Every zone begins with one record."""
    if cloud.world.get(f"{zone.key}/soa/@") is not None:
        return
    authority = {
        "email": "azureprivatedns-host.microsoft.com",
        "expireTime": 2419200,
        "host": "azureprivatedns.net",
        "minimumTtl": 10,
        "refreshTime": 3600,
        "retryTime": 300,
        "serialNumber": 1,
    }
    body = build_record(cloud, f"{zone.id}/SOA/@", {"ttl": 3600, "soaRecord": authority}, None)
    cloud.world.put(Resource(str(body["id"]), body, now), now)


# -- links


def get_link(cloud: Cloud, call: Call) -> Reply:
    zone = network.require_document(cloud, call, ZONES, reading=True)
    found = seen(cloud, call, f"{zone.key}/virtualnetworklinks/{call.names[3].lower()}")
    if found is None:
        path = f"{ZONES.type}/{zone.name}/virtualNetworkLinks/{call.names[3]}"
        raise errors.resource_not_found(path, call.names[1])
    return answer(found)


def list_links(cloud: Cloud, call: Call) -> Reply:
    zone = network.require_document(cloud, call, ZONES, reading=True)
    return whole_list(listed(cloud, call, f"{zone.key}/virtualnetworklinks"))


def put_link(cloud: Cloud, call: Call) -> Reply:
    zone = network.require_parent(cloud, call, ZONES, "virtualNetworkLinks")
    id_ = f"{zone.id}/virtualNetworkLinks/{call.names[3]}"
    before = cloud.world.get(id_.lower())
    _require_match(call, before, f"The virtual network link {call.names[3]}")
    sent = network.properties_of(call)
    target = str(look(sent, "virtualNetwork.id") or look(before.body if before else {}, "properties.virtualNetwork.id"))
    linked = cloud.world.get(target.lower())
    if linked is None or linked.type != NETWORK:
        raise errors.dns(400, "BadRequest", f"The virtual network '{target}' of link '{call.names[3]}' does not exist.")
    require_linked(cloud, call, "Microsoft.Network/virtualNetworks/join/action", linked.id)
    if before is not None and str(look(before.body, "properties.virtualNetwork.id")).lower() != target.lower():
        raise errors.dns(409, "Conflict", f"The virtual network of link '{before.name}' cannot be changed.")
    _require_sole(cloud, zone, id_, target)
    body = build_link(cloud, id_ if before is None else before.id, call.mapping, target, call.now)
    body = network.in_state(body, "Updating")
    return _write(cloud, call, before, body, cloud.settings.dns_link_write)


def patch_link(cloud: Cloud, call: Call) -> Reply:
    zone = network.require_document(cloud, call, ZONES)
    link = cloud.world.get(f"{zone.key}/virtualnetworklinks/{call.names[3].lower()}")
    if link is None:
        raise errors.resource_not_found(f"{ZONES.type}/{zone.name}/virtualNetworkLinks/{call.names[3]}", call.names[1])
    _require_match(call, link, f"The virtual network link {link.name}")
    sent: Body = merge(link.body, {name: call.mapping[name] for name in ("properties", "tags") if name in call.mapping})
    body = build_link(cloud, link.id, sent, str(look(link.body, "properties.virtualNetwork.id")), call.now)
    return _write(cloud, call, link, network.in_state(body, "Updating"), cloud.settings.dns_link_write)


def delete_link(cloud: Cloud, call: Call) -> Reply:
    require_group(cloud, place(call))
    link = cloud.world.get(f"{network.key_of(call, ZONES)}/virtualnetworklinks/{call.names[3].lower()}")
    if link is None:
        return Reply(204)
    _require_match(call, link, f"The virtual network link {link.name}")
    return _begin_delete(cloud, call, link, cloud.settings.dns_link_write)


def build_link(cloud: Cloud, id_: str, sent: Body, target: str, now: float) -> Body:
    properties: Body = sent.get("properties") or {}
    body: Body = {
        "id": id_,
        "name": id_.rsplit("/", 1)[1],
        "type": f"{ZONES.type}/virtualNetworkLinks",
        "etag": account_etag(cloud, "global", now),
        "location": "global",
    }
    if sent.get("tags") is not None:
        body["tags"] = read_tags(sent["tags"])
    body["properties"] = {
        "provisioningState": "Succeeded",
        "registrationEnabled": to_bool(properties.get("registrationEnabled") or False),
        **({"resolutionPolicy": properties["resolutionPolicy"]} if properties.get("resolutionPolicy") else {}),
        "virtualNetwork": {"id": target},
        "virtualNetworkLinkState": "InProgress",
    }
    return body


def _require_sole(cloud: Cloud, zone: Resource, id_: str, target: str) -> None:
    """A network is linked once to a zone of a name, wherever that zone is."""
    for subscription in cloud.world.subscriptions:
        for link in cloud.world.of_type(subscription, LINK):
            other = link.parent.rpartition("/")[2]
            same = (
                other == zone.name.lower()
                and str(look(link.body, "properties.virtualNetwork.id")).lower() == target.lower()
            )
            if same and link.key != id_.lower():
                raise errors.dns(
                    409,
                    "Conflict",
                    f"A virtual network cannot be linked to multiple zones with overlapping namespaces. You tried to "
                    f"link virtual network '{target}' with '{zone.name}', but it is already linked by '{link.id}'.",
                )


def _links(cloud: Cloud, zone_key: str) -> list[Resource]:
    return list(cloud.world.members(f"{zone_key}/virtualnetworklinks"))


# -- records


def get_record(kind: str) -> Callable[[Cloud, Call], Reply]:
    def respond(cloud: Cloud, call: Call) -> Reply:
        zone = network.require_document(cloud, call, ZONES, reading=True)
        found = seen(cloud, call, f"{zone.key}/{kind}/{call.names[3]}".lower())
        if found is None:
            raise _no_record(call)
        return answer(found)

    return respond


def list_records(kind: str | None) -> Callable[[Cloud, Call], Reply]:
    def respond(cloud: Cloud, call: Call) -> Reply:
        zone = network.require_document(cloud, call, ZONES, reading=True)
        kinds = list(RECORDS) if kind is None else [kind]
        return whole_list([each for name in kinds for each in listed(cloud, call, f"{zone.key}/{name}".lower())])

    return respond


def put_record(kind: str) -> Callable[[Cloud, Call], Reply]:
    def respond(cloud: Cloud, call: Call) -> Reply:
        zone = network.require_parent(cloud, call, ZONES, kind)
        id_ = f"{zone.id}/{kind}/{call.names[3]}"
        before = cloud.world.get(id_.lower())
        _require_match(call, before, f"The Record set {call.names[3]}")
        sent = network.properties_of(call)
        if call.method == "PATCH":
            if before is None:
                raise _no_record(call)
            sent = {**before.body["properties"], **sent}
        body = build_record(cloud, id_ if before is None else before.id, sent, before)
        record = Resource(id_, body, call.now) if before is None else before.succeed(body)
        cloud.world.put(record, call.now)
        if before is None:
            hide(cloud, call, record.key)
        count(cloud, zone.key, call.now)
        return answer(record, 201 if before is None else 200)

    return respond


def delete_record(kind: str) -> Callable[[Cloud, Call], Reply]:
    def respond(cloud: Cloud, call: Call) -> Reply:
        zone = network.require_document(cloud, call, ZONES)
        key = f"{zone.key}/{kind}/{call.names[3]}".lower()
        before = cloud.world.get(key)
        if before is None:
            return Reply(204)
        _require_match(call, before, f"The Record set {before.name}")
        if kind == "SOA":
            raise errors.dns(400, "BadRequest", "The SOA record set cannot be deleted.")
        remove_record(cloud, key, call.now)
        return Reply(200)

    return respond


def build_record(cloud: Cloud, id_: str, sent: Body, before: Resource | None) -> Body:
    kind, name = id_.rsplit("/", 2)[1:]
    kind = next(each for each in RECORDS if each.lower() == kind.lower())
    zone = id_.split("/")[8]
    try:
        ttl = to_int(sent.get("ttl"))
    except (TypeError, ValueError):
        ttl = 0
    if not 1 <= ttl <= LONGEST_TTL:
        raise errors.dns(400, "BadRequest", f"The TTL of record set '{name}' must be between 1 and {LONGEST_TTL}.")
    field = RECORDS[kind]
    value = sent.get(field, None if kind in SINGLE else [])
    for each in (value or []) if kind == "A" else []:
        _require_address(name, each)
    body: Body = {"id": id_, "name": name, "type": f"{ZONES.type}/{kind}", "etag": cloud.chance.guid()}
    body["properties"] = {
        **({"metadata": sent["metadata"]} if sent.get("metadata") else {}),
        "fqdn": f"{zone}." if name == "@" else f"{name}.{zone}.",
        "ttl": ttl,
        field: value,
        "isAutoRegistered": bool(before is not None and look(before.body, "properties.isAutoRegistered")),
    }
    return body


def write_record(cloud: Cloud, zone_key: str, name: str, sent: Body, at: float) -> None:
    """An A record that the network provider keeps on behalf of an endpoint; whoever wrote last is right."""
    zone = cloud.world.get(zone_key)
    if zone is None:
        return
    before = cloud.world.get(f"{zone_key}/a/{name}".lower())
    if before is not None and all(before.body["properties"].get(field) == value for field, value in sent.items()):
        return
    body = build_record(cloud, f"{zone.id}/A/{name}", sent, before)
    cloud.world.put(Resource(str(body["id"]), body, at) if before is None else before.succeed(body), at)
    count(cloud, zone_key, at)


def remove_record(cloud: Cloud, key: str, at: float) -> None:
    cloud.world.remove(key, at)
    count(cloud, key.rsplit("/", 2)[0], at)


def records_made_by(cloud: Cloud, mark: str) -> list[Resource]:
    return [
        each
        for subscription in cloud.world.subscriptions
        for each in list(cloud.world.of_type(subscription, f"{ZONES.type}/A".lower()))
        if look(each.body, "properties.metadata.creator") == mark
    ]


def count(cloud: Cloud, zone_key: str, at: float) -> None:
    """Bring the counters of a zone in line with what it holds. They do not change its etag."""
    zone = cloud.world.get(zone_key)
    if zone is None:
        return
    links = _links(cloud, zone_key)
    records = sum(len(cloud.world.collections.get(f"{zone_key}/{kind}".lower(), {})) for kind in RECORDS)
    counted = {
        "numberOfRecordSets": records,
        "numberOfVirtualNetworkLinks": len(links),
        "numberOfVirtualNetworkLinksWithRegistration": sum(
            1 for each in links if each.body["properties"]["registrationEnabled"]
        ),
    }
    cloud.world.put(zone.succeed({**zone.body, "properties": {**zone.body["properties"], **counted}}), at)


def _require_address(name: str, row: Body) -> None:
    text = str(look(row, "ipv4Address"))
    try:
        ipaddress.IPv4Address(text)
    except ValueError as problem:
        raise errors.dns(
            400, "BadRequest", f"The IPv4 address '{text}' of record set '{name}' is not valid."
        ) from problem


def _no_record(call: Call) -> errors.ArmError:
    subscription, group = call.names[0], call.names[1]
    return errors.dns(
        404,
        "NotFound",
        f"The resource record '{call.names[3]}' does not exist in resource group '{group}' of subscription "
        f"'{subscription}'.",
    )


# -- conditions


def _require_match(call: Call, before: Resource | None, what: str) -> None:
    """If-Match and If-None-Match, and an etag in the body, which says the same as If-Match."""
    stored = "" if before is None else str(before.body["etag"]).strip('"')
    wanted = call.headers.get("if-match") or str(call.mapping.get("etag") or "")
    if wanted and wanted != "*" and wanted.strip('"') != stored:
        raise errors.dns(412, "PreconditionFailed", f"{what} has been modified (etag mismatch).")
    if wanted == "*" and before is None:
        raise errors.dns(412, "PreconditionFailed", f"{what} does not exist.")
    if call.headers.get("if-none-match") == "*" and before is not None:
        raise errors.dns(412, "PreconditionFailed", f"{what} exists already and hence cannot be created again.")


# -- operations


def _write(cloud: Cloud, call: Call, before: Resource | None, body: Body, seconds: float) -> Reply:
    """202 with an empty object."""
    resource = Resource(str(body["id"]), body, call.now) if before is None else before.succeed(body)
    cloud.world.put(resource, call.now)
    if resource.type != LINK:
        add_authority(cloud, resource, call.now)
    zone_key = resource.parent if resource.type == LINK else resource.key
    count(cloud, zone_key, call.now)
    if before is None:
        hide(cloud, call, resource.key)
    operation = _start(cloud, call, resource, "dns-ready", seconds)
    return Reply(202, b"{}", _urls(cloud, call, operation))


def _begin_delete(cloud: Cloud, call: Call, resource: Resource, seconds: float) -> Reply:
    cloud.world.put(resource.succeed(network.in_state(resource.body, "Deleting")), call.now)
    return Reply(202, headers=_urls(cloud, call, _start(cloud, call, resource, "dns-deleted", seconds)))


def _start(cloud: Cloud, call: Call, resource: Resource, effect: str, seconds: float) -> Operation:
    scope = "/" + "/".join([*call.segments[:4], "providers", "Microsoft.Network"])
    return operations.start(cloud, call, Plan(effect, resource.id, effect, seconds, "global", scope=scope))


def _urls(cloud: Cloud, call: Call, operation: Operation) -> dict[str, str]:
    query = operations.signed_query(cloud, operation, "")
    base = f"{call.base}{operation.scope}"
    return {
        "azure-asyncoperation": f"{base}/privateDnsOperationStatuses/{operation.guid}?{query}",
        "location": f"{base}/privateDnsOperationResults/{operation.guid}?{query}",
    }


def poll_status(cloud: Cloud, call: Call) -> Reply:
    """202 while it runs, 200 at the end."""
    operation = network.require_operation(cloud, call)
    body = encode(network.outcome(operation))
    return Reply(200, body) if operation.status else Reply(202, body, _urls(cloud, call, operation))


def poll_result(cloud: Cloud, call: Call) -> Reply:
    operation = network.require_operation(cloud, call)
    if not operation.status:
        return Reply(202, b"{}", _urls(cloud, call, operation))
    if operation.status == "Failed" and operation.error is not None:
        raise errors.dns(400, str(operation.error["code"]), str(operation.error["message"]))
    found = cloud.world.get(operation.target.lower())
    return Reply(200) if found is None else answer(found)


def settle(cloud: Cloud, operation: Operation, at: float) -> None:
    resource = cloud.world.get(operation.target.lower())
    if resource is None:
        return
    state = "Succeeded" if operation.error is None else "Failed"
    cloud.world.put(resource.succeed(network.in_state(resource.body, state)), at)
    if resource.type == LINK and operation.error is None:
        cloud.world.schedule(at + cloud.settings.dns_link_completes, "link-completed", resource.key)


def complete_link(cloud: Cloud, at: float, key: str) -> None:
    """Some time after its operation has ended a link is linked."""
    link = cloud.world.get(key)
    if link is not None and link.state == "Succeeded":
        properties = {**link.body["properties"], "virtualNetworkLinkState": "Completed"}
        etag = account_etag(cloud, "global", at)
        cloud.world.put(link.succeed({**link.body, "etag": etag, "properties": properties}), at)


def settle_delete(cloud: Cloud, operation: Operation, at: float) -> None:
    resource = cloud.world.get(operation.target.lower())
    if resource is None:
        return
    if operation.error is not None:
        settle(cloud, operation, at)
        return
    for each in cloud.world.children(resource.key):
        cloud.world.remove(each.key, at)
    cloud.world.remove(resource.key, at)
    if resource.type == LINK:
        count(cloud, resource.parent, at)
