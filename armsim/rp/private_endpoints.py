"""`privateEndpoints` and their DNS zone groups: addresses in a subnet, a connection at the other end, names in zones.

The connection belongs to the target and is judged there (`connections.py`); what it says is mirrored here. Targets
other than accounts of Cognitive Services are taken at their word: there is nobody at the other end.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from armsim import errors, operations
from armsim.cloud import Call, Cloud, Reply
from armsim.gate import require_linked
from armsim.operations import Plan
from armsim.rp import connections, network, zone_groups
from armsim.rp.base import account_etag, find_subnet, place, read_tags, require_group, require_stay
from armsim.rp.network import ENDPOINTS, INTERFACES, Write
from armsim.rp.networks import prefixes_of
from armsim.store import ACCOUNT, Operation, Resource
from armsim.wire import Body, look

NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?")
KINDS: Final = ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections")
APPROVAL: Final = "Microsoft.CognitiveServices/accounts/privateEndpointConnectionsApproval/action"
MEMBERS: Final = ("default", "secondary", "third")
# Effects that leave an account in a terminal state again.
SETTLING: Final = frozenset({"account-ready", "connection-made", "connection-gone"})
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


# -- writes


def put(cloud: Cloud, call: Call) -> Reply:
    id_ = network.id_of(cloud, call, ENDPOINTS)
    before = cloud.world.get(id_.lower())
    location = network.require_location(call, ENDPOINTS)
    if NAME.fullmatch(call.names[2]) is None:
        raise errors.network("InvalidResourceName", f"Resource name {call.names[2]} is invalid.")
    if before is not None:
        require_stay(before, location)
        id_ = before.id
        network.require_free(cloud, call, before.key, id_)
        _require_still(before)
    sent = network.properties_of(call)
    subnet_id = str(look(sent, "subnet.id") or "")
    holder = _require_subnet(cloud, call, subnet_id, id_, location)
    kind, connection = _connection(sent)
    if kind == KINDS[0]:
        # Whoever does not ask to be judged must be allowed to approve at the other end.
        require_linked(cloud, call, APPROVAL, str(connection["properties"]["privateLinkServiceId"]))
    if before is not None:
        _require_same(before, subnet_id, kind, connection)
    account = _require_target(cloud, call, connection)
    if before is not None and before.state != "Failed":
        return _update(cloud, call, before, sent)
    refused = _unsettled(cloud, call, account)
    if refused is not None and not cloud.settings.account_view_fails_operation:
        raise refused
    body = build(cloud, call, id_, sent, before)
    return _create(cloud, call, body, before, holder, account, refused)


def _create(  # noqa: PLR0913, PLR0917 — each is a part of what comes into being
    cloud: Cloud,
    call: Call,
    body: Body,
    before: Resource | None,
    holder: Resource,
    account: Resource | None,
    refused: errors.ArmError | None,
) -> Reply:
    """The endpoint on its way, its interface with addresses, and the account that is told of it."""
    place_interface(cloud, body, call.now)
    seconds = cloud.settings.endpoint_write
    reply = network.put(cloud, call, before, Write(ENDPOINTS, body, seconds))
    guid = cloud.world.lanes[str(body["id"]).lower()]
    operation = cloud.world.operations[guid]
    operation.effect = "endpoint-made"
    # The network takes no other write meanwhile; the endpoint itself is guarded by its state.
    cloud.world.lanes[holder.key] = cloud.world.lanes.pop(str(body["id"]).lower())
    operation.lane = holder.key
    if refused is not None:
        operation.error = {"code": refused.code, "message": refused.message}
    elif account is not None and operation.error is None:
        _busy(cloud, call, account, str(body["id"]), "connection-made")
    return reply


def _busy(cloud: Cloud, call: Call, account: Resource, endpoint: str, effect: str) -> None:
    """The account is Accepted while a connection comes or goes."""
    if account.key in cloud.world.lanes:
        return
    cloud.world.put(account.succeed(network.in_state(account.body, "Accepted")), call.now)
    seconds = min(cloud.settings.account_connects, cloud.settings.endpoint_write)
    plan = Plan("Updating", endpoint.lower(), effect, seconds, str(account.body["location"]), account.key)
    operations.start(cloud, replace(call, fault=None), plan)


def _update(cloud: Cloud, call: Call, before: Resource, sent: Body) -> Reply:
    """What may change in place: tags and what is only echoed."""
    body: Body = {name: value for name, value in before.body.items() if name != "tags"}
    if call.mapping.get("tags") is not None:
        body["tags"] = read_tags(call.mapping["tags"])
    body["properties"] = {**before.body["properties"], **_echoed(sent)}
    return network.put(cloud, call, before, Write(ENDPOINTS, body, cloud.settings.network_write))


def delete(cloud: Cloud, call: Call) -> Reply:
    require_group(cloud, place(call))
    endpoint = cloud.world.get(network.key_of(call, ENDPOINTS))
    if endpoint is None:
        return Reply(204)
    network.require_free(cloud, call, endpoint.key, endpoint.id)
    _require_still(endpoint)
    holder, _ = find_subnet(cloud.world, str(look(endpoint.body, "properties.subnet.id")))
    if holder is not None:
        network.require_free(cloud, call, holder.key, endpoint.id)
    account = _account(cloud, _first(endpoint.body))
    if account is not None and connections.between(cloud, account.key, endpoint) is not None:
        _busy(cloud, call, account, endpoint.id, "connection-gone")
    reply = network.delete(cloud, call, endpoint, ENDPOINTS, cloud.settings.network_delete)
    guid = cloud.world.lanes.pop(endpoint.key)
    operation = cloud.world.operations[guid]
    operation.effect = "endpoint-deleted"
    operation.lane = endpoint.key if holder is None else holder.key
    cloud.world.lanes[operation.lane] = guid
    return reply


# -- the stored form


def build(cloud: Cloud, call: Call, id_: str, sent: Body, before: Resource | None) -> Body:
    """The whole endpoint, on its way; addresses are in its interface."""
    kind, connection = _connection(sent)
    kept: Body = {} if before is None else before.body["properties"]
    guid = kept.get("resourceGuid") or cloud.chance.guid()
    name = id_.rsplit("/", 1)[1]
    custom = str(sent.get("customNetworkInterfaceName") or "")
    nic = custom or f"{name}.nic.{cloud.chance.guid()}"
    group = id_.partition("/providers/")[0]
    row = _row(id_, kind, connection, _first_state(kind, connection))
    body = network.begin(id_, ENDPOINTS, call.mapping)
    body["properties"] = {
        "provisioningState": "Succeeded",
        "resourceGuid": guid,
        KINDS[0]: [row] if kind == KINDS[0] else [],
        KINDS[1]: [row] if kind == KINDS[1] else [],
        "customNetworkInterfaceName": custom,
        "subnet": {"id": str(look(sent, "subnet.id"))},
        "ipConfigurations": [
            _configuration(id_, each) for each in network.rows_of(sent.get("ipConfigurations"), "ipConfigurations")
        ],
        "networkInterfaces": kept.get("networkInterfaces") or [{"id": f"{group}/providers/{INTERFACES.type}/{nic}"}],
        "customDnsConfigs": [],
        **_echoed(sent),
    }
    return body


def _echoed(sent: Body) -> Body:
    return {name: sent[name] for name in ("applicationSecurityGroups", "ipVersionType") if sent.get(name)}


def _row(id_: str, kind: str, connection: Body, state: Body) -> Body:
    properties = connection.get("properties") or {}
    row: Body = {
        "name": connection["name"],
        "id": f"{id_}/{kind}/{connection['name']}",
        "etag": "",
        "properties": {
            "provisioningState": "Succeeded",
            "privateLinkServiceId": str(properties["privateLinkServiceId"]),
            "groupIds": network.words_of(properties.get("groupIds"), "groupIds"),
            **({"requestMessage": properties["requestMessage"]} if properties.get("requestMessage") else {}),
            "privateLinkServiceConnectionState": state,
        },
        "type": f"{ENDPOINTS.type}/{kind}",
    }
    return row


def _first_state(kind: str, connection: Body) -> Body:
    """Approved unless the caller asked to be judged."""
    properties = connection["properties"]
    if kind == KINDS[0]:
        return {"status": "Approved", "description": "Auto Approved", "actionsRequired": "None"}
    words = str(properties.get("requestMessage") or "")
    return {"status": "Pending", "description": words, "actionsRequired": "None"}


def _configuration(id_: str, sent: Body) -> Body:
    properties = sent.get("properties") or {}
    return {
        "name": str(sent.get("name") or ""),
        "id": f"{id_}/ipConfigurations/{sent.get('name')}",
        "etag": "",
        "type": f"{ENDPOINTS.type}/ipConfigurations",
        "properties": {
            "provisioningState": "Succeeded",
            "groupId": str(properties.get("groupId") or ""),
            "memberName": str(properties.get("memberName") or ""),
            "privateIPAddress": str(properties.get("privateIPAddress") or ""),
        },
    }


# -- addresses


def place_interface(cloud: Cloud, body: Body, now: float) -> Resource:
    """The network interface of an endpoint, with an address for each name it answers to."""
    properties = body["properties"]
    id_ = str(properties["networkInterfaces"][0]["id"])
    found = cloud.world.get(id_.lower())
    if found is not None:
        return found
    subnet_id = str(properties["subnet"]["id"])
    fqdns = zone_groups.names_of(_account(cloud, _first(body)))
    rows = []
    for number, (fqdn, address) in enumerate(
        zip(fqdns or [""], _addresses(cloud, body, max(1, len(fqdns))), strict=True)
    ):
        name = f"privateEndpointIpConfig.{cloud.chance.guid()}"
        rows.append(
            {
                "name": name,
                "id": f"{id_}/ipConfigurations/{name}",
                "etag": "",
                "type": f"{INTERFACES.type}/ipConfigurations",
                "properties": {
                    "provisioningState": "Succeeded",
                    "privateIPAddress": str(address),
                    "privateIPAllocationMethod": "Static" if properties["ipConfigurations"] else "Dynamic",
                    "subnet": {"id": subnet_id},
                    "primary": number == 0,
                    "privateIPAddressVersion": "IPv4",
                    "privateLinkConnectionProperties": {
                        "groupId": (_first(body)["groupIds"] or [""])[0],
                        "requiredMemberName": MEMBERS[min(number, len(MEMBERS) - 1)],
                        "fqdns": [fqdn] if fqdn else [],
                    },
                },
            }
        )
    interface = {
        "name": id_.rsplit("/", 1)[1],
        "id": id_,
        "etag": "",
        "type": INTERFACES.type,
        "location": body["location"],
        "properties": {
            "provisioningState": "Succeeded",
            "resourceGuid": cloud.chance.guid(),
            "ipConfigurations": rows,
            "privateEndpoint": {"id": body["id"]},
            "nicType": "Standard",
        },
    }
    return network.store(cloud, Resource(id_, network.restamp(interface, network.weak_etag(cloud)), now), now)


def _addresses(cloud: Cloud, body: Body, count: int) -> list[Address]:
    """The static ones by member, the others from the start of the subnet."""
    properties = body["properties"]
    holder, subnet = find_subnet(cloud.world, str(properties["subnet"]["id"]))
    if holder is None or subnet is None:
        return [ipaddress.ip_address("10.0.0.4")] * count
    used = _used(cloud, subnet)
    wanted = {each["properties"]["memberName"].lower(): each["properties"] for each in properties["ipConfigurations"]}
    chosen: list[Address | None] = []
    for member in MEMBERS[:count]:
        row = wanted.get(member) or (wanted.get("") if member == MEMBERS[0] else None)
        chosen.append(None if row is None else _static(subnet, str(row["privateIPAddress"]), used))
    used |= {each for each in chosen if each is not None}
    free: Iterator[Address] = (
        address
        for prefix in prefixes_of(subnet)
        for number in range(4, prefix.num_addresses - 1)
        if (address := ipaddress.ip_address(int(prefix.network_address) + number)) not in used
    )
    result: list[Address] = []
    for each in chosen:
        taken = each if each is not None else next(free, None)
        if taken is None:
            raise errors.network(
                "SubnetIsFull",
                f"Subnet {subnet['name']} with address prefix {prefixes_of(subnet)[0]} does not have enough capacity "
                f"for {count} IP addresses.",
            )
        result.append(taken)
    return result


def _static(subnet: Body, text: str, used: set[Address]) -> Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as problem:
        raise errors.network("InvalidIPAddressFormat", f"The IP address '{text}' is not valid.") from problem
    prefix = next((each for each in prefixes_of(subnet) if address in each), None)
    if prefix is None:
        raise errors.network(
            "PrivateIPAddressNotInSubnet", f"Private static IP address {text} does not belong to subnet {subnet['id']}."
        )
    if address in {*[prefix[number] for number in range(4)], prefix[-1]}:
        raise errors.network(
            "PrivateIPAddressInReservedRange",
            f"Private static IP address {text} falls within reserved IP range of subnet prefix {prefix}.",
        )
    if address in used:
        raise errors.network(
            "PrivateIPAddressIsAllocated", f"IP configuration cannot use address {text}: it is already allocated."
        )
    return address


def _used(cloud: Cloud, subnet: Body) -> set[Address]:
    used: set[Address] = set()
    for each in subnet["properties"].get("ipConfigurations") or []:
        nic = cloud.world.get(str(each["id"]).lower().rsplit("/", 2)[0])
        for row in [] if nic is None else nic.body["properties"]["ipConfigurations"]:
            if text := look(row, "properties.privateIPAddress"):
                used.add(ipaddress.ip_address(str(text)))
    return used


# -- what is refused


def _require_still(endpoint: Resource) -> None:
    if endpoint.state in network.UNSETTLED:
        raise errors.retryable(
            "RetryableErrorDueToAnotherOperation",
            f"Operation PutPrivateEndpointOperation is updating resource {endpoint.id}. The call can be retried in 12 "
            "seconds.",
        )


def _require_subnet(cloud: Cloud, call: Call, subnet_id: str, id_: str, location: str) -> Resource:
    holder, subnet = find_subnet(cloud.world, subnet_id)
    if holder is None or subnet is None or holder.location != location:
        raise errors.reference_not_found(subnet_id, id_)
    require_linked(cloud, call, "Microsoft.Network/virtualNetworks/subnets/join/action", str(subnet["id"]))
    running = cloud.world.lanes.get(holder.key)
    if running is None or "PrivateEndpoint" not in cloud.world.operations[running].verb:
        state = str(subnet["properties"]["provisioningState"])
        unsettled = state if state in network.UNSETTLED else holder.state
        network.require_settled(cloud, holder.key, str(subnet["id"]), id_, unsettled)
    network.require_free(cloud, call, holder.key, id_)
    return holder


def _connection(sent: Body) -> tuple[str, Body]:
    """The one connection, and in which of the two lists it was sent."""
    found = [(kind, each) for kind in KINDS for each in network.rows_of(sent.get(kind), kind)]
    if len(found) != 1:
        raise errors.network(
            "InvalidRequestFormat", "Cannot parse the request: a private endpoint has exactly one connection."
        )
    kind, connection = found[0]
    network.named([connection], kind)
    if not look(connection, "properties.privateLinkServiceId"):
        raise errors.network("InvalidRequestFormat", "Cannot parse the request: privateLinkServiceId is required.")
    return kind, connection


def _require_same(before: Resource, subnet_id: str, kind: str, connection: Body) -> None:
    """Subnet, target, sub-resources, and by whom it is approved cannot be changed."""
    row = before.body["properties"][kind]
    old = _first(before.body)
    same = (
        bool(row)
        and str(look(before.body, "properties.subnet.id")).lower() == subnet_id.lower()
        and old["privateLinkServiceId"].lower() == str(connection["properties"]["privateLinkServiceId"]).lower()
        and old["groupIds"] == network.words_of(connection["properties"].get("groupIds"), "groupIds")
    )
    if not same:
        raise errors.network(
            "PrivateEndpointCannotBeChanged",
            f"The subnet, the connection and the group ids of private endpoint {before.id} cannot be changed.",
        )


def _require_target(cloud: Cloud, call: Call, connection: Body) -> Resource | None:
    """An account that is there, has a subdomain, and is asked for what it has; None for a target of another kind."""
    properties = connection["properties"]
    target = str(properties["privateLinkServiceId"])
    if f"/providers/{ACCOUNT}/" not in target.lower():
        return None
    account = cloud.world.get(target.lower())
    if account is None:
        raise errors.reference_not_found(target, call.path)
    groups = network.words_of(properties.get("groupIds"), "groupIds")
    if [each.lower() for each in groups] != ["account"]:
        raise errors.network(
            "InvalidGroupId", f"The group ids {groups} are not valid for {target}. The valid ones are: account."
        )
    if not look(account.body, "properties.customSubDomainName"):
        raise errors.network(
            "BadRequest", f"Private endpoints need a customSubDomainName on the account; {target} has none."
        )
    return account


def _unsettled(cloud: Cloud, call: Call, account: Resource | None) -> errors.ArmError | None:
    """The network provider sees an account later than the account sees itself."""
    if account is None:
        return None
    lag = cloud.settings.account_view_lag
    fresh = any(
        each.lane == account.key and each.effect in SETTLING and (each.end is None or each.end > call.now - lag)
        for each in cloud.world.operations.values()
    )
    if account.state == "Succeeded" and not fresh:
        return None
    return errors.network(
        "AccountProvisioningStateInvalid",
        f"Call to Microsoft.CognitiveServices/accounts failed. Error message: Account {account.id} in state "
        f"{'Accepted' if account.state == 'Succeeded' else account.state}.",
    )


# -- effects


def settle(cloud: Cloud, operation: Operation, at: float) -> None:
    """The end of a create: names and addresses are told, the connection says what the other end says."""
    endpoint = cloud.world.get(operation.target.lower())
    if endpoint is None:
        return
    network.settle(cloud, operation, at)
    if operation.error is None:
        join(cloud, endpoint, at)


def join(cloud: Cloud, endpoint: Resource, at: float) -> None:
    """See to the connection at the other end, and to the names."""
    account = _account(cloud, _first(endpoint.body))
    connection = None if account is None else connections.between(cloud, account.key, endpoint)
    if account is not None and connection is None:
        _connect(cloud, endpoint, account, at)
        return
    if connection is not None:
        connections.mirror(cloud, connection.body, at)
    elif look(_first(endpoint.body), "privateLinkServiceConnectionState.status") == "Approved":
        zone_groups.refresh(cloud, endpoint.key, at)


def settle_connection(cloud: Cloud, operation: Operation, at: float) -> None:
    """The account has taken the connection in."""
    account = cloud.world.get(operation.lane or "")
    endpoint = cloud.world.get(operation.target)
    if account is None:
        return
    _release(cloud, account, at)
    account = cloud.world.get(account.key)
    if endpoint is not None and account is not None and connections.between(cloud, account.key, endpoint) is None:
        _connect(cloud, endpoint, account, at)


def _connect(cloud: Cloud, endpoint: Resource, account: Resource, at: float) -> None:
    row = _first(endpoint.body)
    state = {**row["privateLinkServiceConnectionState"]}
    if state["status"] == "Approved":
        state["description"] = "Approved"
    connections.make(cloud, account, endpoint, state, at)


def settle_disconnection(cloud: Cloud, operation: Operation, at: float) -> None:
    account = cloud.world.get(operation.lane or "")
    endpoint = cloud.world.get(operation.target)
    if account is None:
        return
    if endpoint is not None:
        connections.drop(cloud, account.key, endpoint, at)
    _release(cloud, cloud.world.get(account.key) or account, at)


def settle_delete(cloud: Cloud, operation: Operation, at: float) -> None:
    endpoint = cloud.world.get(operation.target.lower())
    if endpoint is None:
        return
    if operation.error is not None:
        network.settle_delete(cloud, operation, at)
        return
    vanish(cloud, endpoint, at)


def vanish(cloud: Cloud, endpoint: Resource, at: float) -> None:
    """The endpoint is gone, and with it its connection, its interface, its zone group and the records of that."""
    zone_groups.withdraw(cloud, endpoint, at)
    account = _account(cloud, _first(endpoint.body))
    if account is not None:
        connections.drop(cloud, account.key, endpoint, at)
    for each in endpoint.body["properties"]["networkInterfaces"]:
        network.forget(cloud, str(each["id"]).lower(), at)
    network.forget(cloud, endpoint.key, at)


def _release(cloud: Cloud, account: Resource, at: float) -> None:
    if account.state == "Accepted":
        body = network.in_state(account.body, "Succeeded")
        body["etag"] = account_etag(cloud, account.location, at)
        cloud.world.put(account.succeed(body), at)


# -- small words


def _first(body: Body) -> Body:
    """The properties of the one connection, in whichever list it is."""
    rows = body["properties"][KINDS[0]] or body["properties"][KINDS[1]]
    first: Body = rows[0]["properties"]
    return first


def _account(cloud: Cloud, row: Body) -> Resource | None:
    found = cloud.world.get(str(row["privateLinkServiceId"]).lower())
    return found if found is not None and found.type == ACCOUNT else None
