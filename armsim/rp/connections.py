"""`accounts/privateEndpointConnections`: the account's side of a private endpoint. Made by the network, judged here.

A connection appears when a private endpoint is made or when it is planted. The account repeats its connections in its
body, and the endpoint says what its connection says.
"""

from typing import Final

from armsim import errors, operations
from armsim.cloud import Call, Cloud, Reply
from armsim.operations import Plan
from armsim.rp import network, zone_groups
from armsim.rp.base import account_etag, answer, listed, require_account, require_parent, seen, whole_list
from armsim.store import ENDPOINT, Resource
from armsim.wire import Body, Json, look

TYPE: Final = "Microsoft.CognitiveServices/accounts/privateEndpointConnections"
STATES: Final = ("Approved", "Pending", "Rejected", "Disconnected")


def get(cloud: Cloud, call: Call) -> Reply:
    account = require_account(cloud, call)
    found = seen(cloud, call, _key(account, call))
    if found is None:
        raise _missing(account, call.names[3])
    return answer(found)


def list_all(cloud: Cloud, call: Call) -> Reply:
    account = require_account(cloud, call)
    return whole_list(listed(cloud, call, f"{account.key}/privateendpointconnections"))


def put(cloud: Cloud, call: Call) -> Reply:
    """Approve or reject. Without a description an approval keeps the old words and a rejection drops them."""
    account = require_parent(cloud, call, "write", "privateEndpointConnections")
    existing = cloud.world.get(_key(account, call))
    if existing is None:
        raise _missing(account, call.names[3])
    sent = (call.mapping.get("properties") or {}).get("privateLinkServiceConnectionState")
    if not isinstance(sent, dict):
        raise errors.bad_request("The privateLinkServiceConnectionState of the connection is required.")
    properties: Body = existing.body["properties"]
    state = {"status": _status(sent.get("status"))}
    words = sent.get("description")
    if words is None and state["status"] == "Approved":
        words = properties["privateLinkServiceConnectionState"].get("description")
    if words is not None:
        state["description"] = str(words)
    state["actionsRequired"] = str(sent.get("actionsRequired") or "None")
    after = {
        **existing.body,
        "etag": account_etag(cloud, account.location, call.now),
        "properties": {**properties, "privateLinkServiceConnectionState": state},
    }
    changed = cloud.world.put(existing.succeed(after), call.now)
    show(cloud, account.key, call.now)
    mirror(cloud, changed.body, call.now)
    reply = answer(changed)
    reply.until = _block(cloud, call, account, changed.key)
    return reply


def delete(cloud: Cloud, call: Call) -> Reply:
    account = require_parent(cloud, call, "delete", "privateEndpointConnections")
    key = _key(account, call)
    gone = cloud.world.remove(key, call.now)
    if gone is None:
        return Reply(204)
    show(cloud, account.key, call.now)
    mirror(cloud, disconnected(gone.body), call.now)
    return Reply(200, until=_block(cloud, call, account, key))


def fill(cloud: Cloud, id_: str, body: Body, now: float) -> Body:
    """A connection as the service shows one that the network has just made."""
    account = cloud.world.get(_account_key(id_))
    location = str(account.body["location"]) if account is not None else "westeurope"
    name, parent = id_.rsplit("/", 1)[1], id_.split("/")[-3]
    sent: Body = body.get("properties") or {}
    state = {"status": "Approved", "description": "Approved", "actionsRequired": "None"}
    group = id_.partition("/providers/")[0]
    endpoint = f"{group}/providers/Microsoft.Network/privateEndpoints/{name.partition('.')[0]}"
    return {
        "id": id_,
        "name": f"{parent}/{name}",
        "type": TYPE,
        "etag": account_etag(cloud, location, now),
        "location": location,
        "properties": {
            "privateEndpoint": {"id": endpoint},
            "groupIds": ["account"],
            "privateLinkServiceConnectionState": state,
            **sent,
            "provisioningState": "Succeeded",
        },
    }


def show(cloud: Cloud, account_key: str, now: float) -> None:
    """Repeat the connections in the account, which gets a new etag by that."""
    account = cloud.world.get(account_key)
    if account is None:
        return
    rows = [_embedded(each.body) for each in cloud.world.members(f"{account_key}/privateendpointconnections")]
    properties = {**account.body["properties"], "privateEndpointConnections": rows}
    body = {**account.body, "etag": account_etag(cloud, account.location, now), "properties": properties}
    cloud.world.put(account.succeed(body), now)


# -- the endpoint's side


def between(cloud: Cloud, account_key: str, endpoint: Resource) -> Resource | None:
    """The connection of this endpoint to this account."""
    return cloud.world.get(f"{account_key}/privateendpointconnections/{_name(endpoint)}".lower())


def make(cloud: Cloud, account: Resource, endpoint: Resource, state: Body, now: float) -> None:
    """The connection appears at the account, and the endpoint learns how it was received."""
    id_ = f"{account.id}/privateEndpointConnections/{_name(endpoint)}"
    properties = {"privateEndpoint": {"id": endpoint.id}, "privateLinkServiceConnectionState": state}
    connection = Resource(id_, fill(cloud, id_, {"properties": properties}, now), now)
    cloud.world.put(connection, now)
    show(cloud, account.key, now)
    mirror(cloud, connection.body, now)


def drop(cloud: Cloud, account_key: str, endpoint: Resource, now: float) -> None:
    """The endpoint is gone, and so is its connection."""
    connection = between(cloud, account_key, endpoint)
    if connection is not None:
        cloud.world.remove(connection.key, now)
        show(cloud, account_key, now)


def mirror(cloud: Cloud, body: Body, now: float) -> None:
    """Tell the endpoint, if it is one that the world knows, what its connection says."""
    endpoint = cloud.world.get(str(look(body, "properties.privateEndpoint.id")).lower())
    if endpoint is None or endpoint.type != ENDPOINT or not str(body["name"]).lower().endswith(_name(endpoint).lower()):
        return
    state = {"description": "", **body["properties"]["privateLinkServiceConnectionState"]}
    properties = dict(endpoint.body["properties"])
    for kind in ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections"):
        properties[kind] = [
            {**row, "properties": {**row["properties"], "privateLinkServiceConnectionState": state}}
            for row in properties[kind]
        ]
    body = network.restamp({**endpoint.body, "properties": properties}, network.weak_etag(cloud))
    cloud.world.put(endpoint.succeed(body), now)
    zone_groups.refresh(cloud, endpoint.key, now)


def disconnected(body: Body) -> Body:
    """What an endpoint is told when the connection or the account went away under it."""
    state = {"status": "Disconnected", "description": "Connection was removed", "actionsRequired": "None"}
    return {**body, "properties": {**body["properties"], "privateLinkServiceConnectionState": state}}


def _name(endpoint: Resource) -> str:
    return f"{endpoint.name}.{endpoint.body['properties']['resourceGuid']}"


def parent_of(connection: Resource) -> str:
    return _account_key(connection.id)


def _embedded(body: Body) -> Body:
    inner = {name: value for name, value in body["properties"].items() if name != "provisioningState"}
    return {"id": body["id"], "name": body["name"], "type": body["type"], "properties": inner}


def _block(cloud: Cloud, call: Call, account: Resource, key: str) -> float | None:
    low, high = cloud.settings.connection_write
    seconds = cloud.chance.spread(f"connection:{key}:{call.now}", low, high)
    location = str(account.body["location"])
    return operations.start(cloud, call, Plan("Updating", key, "nothing", seconds, location, account.key)).end


def _status(value: Json) -> str:
    for each in STATES:
        if str(value).lower() == each.lower():
            return each
    raise errors.bad_request(f"The status of a connection must be one of {', '.join(STATES)}; it is '{value}'.")


def _key(account: Resource, call: Call) -> str:
    return f"{account.key}/privateendpointconnections/{call.names[3].lower()}"


def _account_key(id_: str) -> str:
    return id_.lower().rsplit("/", 2)[0]


def _missing(account: Resource, name: str) -> errors.ArmError:
    path = f"Microsoft.CognitiveServices/accounts/{account.name}/privateEndpointConnections/{name}"
    error = errors.resource_not_found(path, account.id.split("/")[4])
    error.cause = "service"
    return error
