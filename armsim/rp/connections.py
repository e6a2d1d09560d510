"""`accounts/privateEndpointConnections`: the account's side of a private endpoint. Made by the network, judged here.

Knows no private endpoints: a connection appears when it is planted. The account repeats its connections in its body.
"""

from typing import Final

from armsim import errors, operations
from armsim.cloud import Call, Cloud, Reply
from armsim.operations import Plan
from armsim.rp.base import account_etag, answer, listed, require_account, require_parent, seen, whole_list
from armsim.store import Resource
from armsim.wire import Body, Json

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
    reply = answer(changed)
    reply.until = _block(cloud, call, account, changed.key)
    return reply


def delete(cloud: Cloud, call: Call) -> Reply:
    account = require_parent(cloud, call, "delete", "privateEndpointConnections")
    key = _key(account, call)
    if cloud.world.remove(key, call.now) is None:
        return Reply(204)
    show(cloud, account.key, call.now)
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
