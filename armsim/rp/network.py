"""What all of Microsoft.Network has in common: documents with their children inside, one write at a time, operations.

A security group holds its rules and a network its subnets; parent and children carry one weak etag, which is new with
every transition. What a document refers to learns of it here (`store`), so that what is kept is what is answered.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from armsim import catalogue, errors, operations
from armsim.cloud import Call, Cloud, Reply
from armsim.operations import Plan
from armsim.rp.base import (
    answer,
    find_subnet,
    hide,
    lags,
    listed,
    paged,
    place,
    read_tags,
    require_group,
    revert,
    seen,
    stale,
    whole_list,
)
from armsim.store import ENDPOINT, INTERFACE, NETWORK, SECURITY_GROUP, Operation, Resource
from armsim.wire import Body, Json, fold_location, look

PROVIDER: Final = "Microsoft.Network"
UNSETTLED: Final = frozenset({"Updating", "Deleting"})
RETRY_AFTER: Final = 10


class Kind(NamedTuple):
    """A type with a document of its own: how Azure writes it, what it calls its operations."""

    path: str
    word: str
    child: str = ""
    child_word: str = ""

    @property
    def type(self) -> str:
        return f"{PROVIDER}/{self.path}"

    def collection(self, group_key: str) -> str:
        return f"{group_key}/providers/{self.type}".lower()


SECURITY_GROUPS: Final = Kind("networkSecurityGroups", "NetworkSecurityGroup", "securityRules", "SecurityRule")
NETWORKS: Final = Kind("virtualNetworks", "VirtualNetwork", "subnets", "Subnet")
ENDPOINTS: Final = Kind("privateEndpoints", "PrivateEndpoint")
INTERFACES: Final = Kind("networkInterfaces", "NetworkInterface")


# -- documents


def weak_etag(cloud: Cloud) -> str:
    return f'W/"{cloud.chance.guid()}"'


def restamp(value: Json, etag: str, state: str | None = None) -> Json:
    """The same value with another etag and, when given, another state wherever there is one."""
    if isinstance(value, list):
        return [restamp(each, etag, state) for each in value]
    if not isinstance(value, dict):
        return value
    fresh: Body = {}
    for name, each in value.items():
        if name == "etag":
            fresh[name] = etag
        elif name == "provisioningState" and state is not None:
            fresh[name] = state
        else:
            fresh[name] = restamp(each, etag, state)
    return fresh


def essence(value: Json) -> Json:
    """What is left without etags and states: two documents are the same when this is."""
    if isinstance(value, list):
        return [essence(each) for each in value]
    if isinstance(value, dict):
        return {name: essence(each) for name, each in value.items() if name not in {"etag", "provisioningState"}}
    return value


def begin(id_: str, kind: Kind, sent: Body) -> Body:
    """What a document of any kind starts with: its name, where it is, and its tags if it was given any."""
    body: Body = {
        "name": id_.rsplit("/", 1)[1],
        "id": id_,
        "etag": "",
        "type": kind.type,
        "location": str(sent["location"]).replace(" ", "").lower(),
    }
    if sent.get("tags") is not None:
        body["tags"] = read_tags(sent["tags"])
    return body


def in_state(body: Body, state: str) -> Body:
    """The body with only its own state changed."""
    return {**body, "properties": {**body["properties"], "provisioningState": state}}


def child_of(body: Body, field: str, name: str) -> Body | None:
    children: list[Body] = body["properties"][field]
    return next((each for each in children if each["name"].lower() == name.lower()), None)


def with_child(body: Body, field: str, child: Body) -> Body:
    """The document with a child replaced in its place, or added at the end."""
    children: list[Body] = body["properties"][field]
    key = child["name"].lower()
    if any(each["name"].lower() == key for each in children):
        after = [child if each["name"].lower() == key else each for each in children]
    else:
        after = [*children, child]
    return {**body, "properties": {**body["properties"], field: after}}


def without_child(body: Body, field: str, name: str) -> Body:
    kept = [each for each in body["properties"][field] if each["name"].lower() != name.lower()]
    return {**body, "properties": {**body["properties"], field: kept}}


# -- who refers to whom


class _Mention(NamedTuple):
    """`holder` is to be listed in `field` of the document or subnet with this key."""

    target: str
    field: str
    holder: str


def store(cloud: Cloud, resource: Resource, now: float) -> Resource:
    """Keep a document and tell those it began or ceased to mention."""
    before = cloud.world.get(resource.key)
    stored = cloud.world.put(resource, now)
    _relink(cloud, before, stored, now)
    return cloud.world.get(stored.key) or stored


def forget(cloud: Cloud, key: str, now: float) -> Resource | None:
    """Take a document away and tell those it mentioned."""
    gone = cloud.world.remove(key, now)
    if gone is not None:
        _relink(cloud, gone, None, now)
    return gone


def _relink(cloud: Cloud, before: Resource | None, after: Resource | None, now: float) -> None:
    was = dict.fromkeys(_mentions(before)) if before is not None else {}
    will = dict.fromkeys(_mentions(after)) if after is not None else {}
    changes: dict[str, list[tuple[_Mention, bool]]] = {}
    for each in (*was, *will):
        if (each in was) != (each in will):
            changes.setdefault(each.target, []).append((each, each in will))
    for target, rows in changes.items():
        _mention(cloud, target, rows, now)


def _mentions(resource: Resource) -> Iterator[_Mention]:
    properties: Body = resource.body.get("properties") or {}
    if resource.type == NETWORK:
        for subnet in properties["subnets"]:
            if group := look(subnet, "properties.networkSecurityGroup.id"):
                yield _Mention(str(group).lower(), "subnets", str(subnet["id"]))
    if resource.type == INTERFACE:
        if group := look(properties, "networkSecurityGroup.id"):
            yield _Mention(str(group).lower(), "networkInterfaces", resource.id)
        for each in properties.get("ipConfigurations") or []:
            if subnet_id := look(each, "properties.subnet.id"):
                yield _Mention(str(subnet_id).lower(), "ipConfigurations", str(each["id"]))
    if resource.type == ENDPOINT and (subnet_id := look(properties, "subnet.id")):
        yield _Mention(str(subnet_id).lower(), "privateEndpoints", resource.id)


def _mention(cloud: Cloud, target: str, rows: list[tuple[_Mention, bool]], now: float) -> None:
    """All that one document or subnet has to learn, in one new version of it."""
    document = cloud.world.get(target)
    network, subnet = (None, None) if document is not None else find_subnet(cloud.world, target)
    told = subnet if document is None else document.body if document.type == SECURITY_GROUP else None
    if told is None:
        return
    for mention, add in rows:
        told = _listing(told, mention, add=add)
    owner = document or network
    assert owner is not None
    body = told if document is not None else with_child(owner.body, "subnets", told)
    cloud.world.put(owner.succeed(restamp(body, weak_etag(cloud))), now)


def _listing(body: Body, mention: _Mention, *, add: bool) -> Body:
    """A back-reference more or less; an empty list of them is not shown."""
    properties: Body = dict(body["properties"])
    holder = mention.holder.lower()
    rows = [each for each in properties.get(mention.field) or [] if str(each["id"]).lower() != holder]
    if add:
        rows.append({"id": mention.holder})
    properties.pop(mention.field, None)
    if rows:
        properties[mention.field] = rows
    return {**body, "properties": properties}


# -- what is refused


def require_free(cloud: Cloud, call: Call, key: str, target: str) -> None:
    """One write at a time per document: 429 when it is about the very same resource, 409 when about another in it."""
    guid = cloud.world.lanes.get(key)
    if guid is None:
        return
    running = cloud.world.operations[guid]
    if running.target.lower() == target.lower():
        wait = 12 if running.end is None else max(1, round(running.end - call.now + 0.5))
        raise errors.retryable(
            "RetryableErrorDueToAnotherOperation",
            f"Operation {running.verb} ({guid}) is updating resource {target}. The call can be retried in "
            f"{wait} seconds.",
        )
    raise errors.network(
        "AnotherOperationInProgress",
        "Another operation on this or dependent resource is in progress. To retrieve status of the operation use uri: "
        f"{call.base}{running.scope}/operations/{guid}?api-version={running.version}.",
        409,
    )


def require_settled(cloud: Cloud, key: str, target: str, by: str, state: str) -> None:
    """A reference to something that is still being written."""
    if state not in UNSETTLED:
        return
    guid = cloud.world.lanes.get(key, "")
    raise errors.retryable(
        "ReferencedResourceNotProvisioned",
        f"Cannot proceed with operation because resource {target} used by resource {by} is not in Succeeded state. "
        f"Resource is in {state} state and the last operation that updated/is updating the resource is "
        f"{cloud.world.operations[guid].verb if guid else 'PutSubnetOperation'}.",
    )


def require_location(call: Call, kind: Kind) -> str:
    location = call.mapping.get("location")
    if not isinstance(location, str) or not location:
        raise errors.gateway(400, "LocationRequired", "The location property is required for this definition.")
    folded = fold_location(location)
    if folded not in catalogue.regions():
        known = ",".join(catalogue.regions())
        raise errors.gateway(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{location}' is not available for resource type '{kind.type}'. List of available "
            f"regions for the resource type is '{known}'.",
        )
    return folded


def require_repaired(document: Resource) -> None:
    if document.state == "Failed":
        raise errors.network(
            "ParentResourceIsInFailedState",
            f"Cannot proceed with operation because parent resource {document.id} is in failed state.",
        )


def properties_of(call: Call) -> Body:
    sent = call.mapping.get("properties")
    if sent is not None and not isinstance(sent, dict):
        raise errors.network("InvalidRequestFormat", "Cannot parse the request: properties must be an object.")
    return sent or {}


def rows_of(value: Json, name: str) -> list[Body]:
    """A list of objects; nothing is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise errors.network("InvalidRequestFormat", f"Cannot parse the request: {name} must be a list of objects.")
    return value


def words_of(value: Json, name: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise errors.network("InvalidRequestFormat", f"Cannot parse the request: {name} must be a list.")
    return [str(each) for each in value]


def named(rows: list[Body], what: str) -> list[str]:
    """The names of inline children, which must be there and differ."""
    names = [str(each.get("name") or "") for each in rows]
    for name in names:
        if not name:
            raise errors.network(
                "InvalidRequestFormat", f"Cannot parse the request: every member of {what} needs a name."
            )
    if len({name.lower() for name in names}) < len(names):
        raise errors.network("InvalidRequestFormat", f"Cannot parse the request: {what} has two members of one name.")
    return names


# -- finding


def key_of(call: Call, kind: Kind) -> str:
    return f"{kind.collection(place(call).group_key)}/{call.names[2].lower()}"


def id_of(cloud: Cloud, call: Call, kind: Kind) -> str:
    group = require_group(cloud, place(call), writing=True)
    return f"{group.id}/providers/{kind.type}/{call.names[2]}"


def require_document(cloud: Cloud, call: Call, kind: Kind, *, reading: bool = False) -> Resource:
    """The document of a read, or of a write that needs it; ARM itself answers when there is none."""
    key = key_of(call, kind)
    found = seen(cloud, call, key) if reading else cloud.world.get(key)
    if found is None:
        require_group(cloud, place(call))
        raise errors.resource_not_found(f"{kind.type}/{call.names[2]}", call.names[1])
    return found


def require_parent(cloud: Cloud, call: Call, kind: Kind, child: str = "") -> Resource:
    """The document of a write to one of its children."""
    found = cloud.world.get(key_of(call, kind))
    if found is None:
        parent = id_of(cloud, call, kind)
        raise errors.parent_not_found("write", f"{kind.path}/{child or kind.child}", parent)
    require_group(cloud, place(call), writing=True)
    return found


# -- answers


def get(kind: Kind) -> Callable[[Cloud, Call], Reply]:
    return lambda cloud, call: answer(require_document(cloud, call, kind, reading=True))


def list_by_group(kind: Kind) -> Callable[[Cloud, Call], Reply]:
    def respond(cloud: Cloud, call: Call) -> Reply:
        require_group(cloud, place(call))
        members = listed(cloud, call, kind.collection(place(call).group_key))
        return paged(call, [("", each) for each in members], cloud.settings.network_page_size)

    return respond


def list_by_subscription(kind: Kind) -> Callable[[Cloud, Call], Reply]:
    def respond(cloud: Cloud, call: Call) -> Reply:
        subscription, type_ = call.names[0].lower(), kind.type.lower()
        members = {each.key: each for each in cloud.world.of_type(subscription, type_)}
        for key, old in (stale(cloud, call) or {}).items():
            collection = key.rpartition("/")[0]
            if not collection.endswith(f"/providers/{type_}") or key.split("/")[2] != subscription:
                continue
            if old is None:
                members.pop(key, None)
            else:
                members[key] = old
        rows = [(each.location, each) for each in members.values() if not lags(call, each)]
        return paged(call, sorted(rows, key=lambda row: row[0]), cloud.settings.network_page_size)

    return respond


def get_child(kind: Kind, field: str) -> Callable[[Cloud, Call], Reply]:
    def respond(cloud: Cloud, call: Call) -> Reply:
        document = require_document(cloud, call, kind, reading=True)
        child = child_of(document.body, field, call.names[3])
        if child is None or cloud.world.hidden.get(call.path.lower(), 0.0) > call.now:
            raise child_missing(document, f"{field}/{call.names[3]}")
        return answer(Resource(str(child["id"]), child, document.created))

    return respond


def list_children(kind: Kind, field: str) -> Callable[[Cloud, Call], Reply]:
    def respond(cloud: Cloud, call: Call) -> Reply:
        document = require_document(cloud, call, kind, reading=True)
        children = document.body["properties"][field]
        return whole_list([Resource(str(each["id"]), each, document.created) for each in children])

    return respond


def child_missing(document: Resource, path: str) -> errors.ArmError:
    """The provider's own words: ARM knows nothing of what is inside a document."""
    child = "/".join([document.id, path])
    return errors.network("NotFound", f"Resource {child} not found.", 404)


# -- writes


class Write(NamedTuple):
    """A change of a document: what it becomes when it is done, which part of it is on its way, how long it takes."""

    kind: Kind
    body: Body
    seconds: float
    child: Body | None = None


def put(cloud: Cloud, call: Call, before: Resource | None, write: Write) -> Reply:
    """201 or 200 with an operation; what changes nothing is Succeeded at once."""
    etag = weak_etag(cloud)
    body = restamp(_spared(call, before, write.body), etag, "Succeeded" if write.child is None else None)
    field = write.kind.child
    child = None if write.child is None else child_of(body, field, str(write.child["name"]))
    target = str(body["id"] if child is None else child["id"])
    new = before is None or (child is not None and child_of(before.body, field, str(child["name"])) is None)
    plain = before is not None and before.state == "Succeeded" and essence(body) == essence(before.body)
    if not plain:
        body = _on_its_way(write, body, child)
    document = Resource(str(body["id"]), body, call.now) if before is None else before.succeed(body)
    word = write.kind.word if child is None else write.kind.child_word
    lane = document.key
    plan = Plan(
        f"Put{word}Operation", target, "network-ready", write.seconds, document.location, lane, scope(call, document)
    )
    if plain:
        plan = plan._replace(seconds=0.0, effect="nothing", lane=None)
    operation = operations.start(cloud, call, plan)
    stored = store(cloud, document, call.now)
    if new:
        hide(cloud, call, target.lower())
    shown: Body = stored.body if child is None else child_of(stored.body, field, str(child["name"])) or {}
    link = operation_url(cloud, call, operation)
    headers = {"azure-asyncoperation": link, "retry-after": str(RETRY_AFTER)}
    reply = answer(Resource(target, shown, call.now), 201 if new else 200)
    return Reply(reply.status, reply.body, headers)


def _on_its_way(write: Write, body: Body, child: Body | None) -> Body:
    """Updating: all of it, or the child and the document around it."""
    if child is None:
        return in_state(body, "Updating") if write.kind == ENDPOINTS else restamp(body, body["etag"], "Updating")
    body = with_child(body, write.kind.child, restamp(child, body["etag"], "Updating"))
    return in_state(body, "Updating")


def _spared(call: Call, before: Resource | None, body: Body) -> Body:
    """Without the fields that a fault makes the service ignore."""
    fault = call.fault
    if fault is not None and fault.kind == "ignore_write":
        for path in fault.detail.get("paths", []):
            body = revert(body, {} if before is None else before.body, str(path).split("."))
    return body


def delete(cloud: Cloud, call: Call, document: Resource, kind: Kind, seconds: float) -> Reply:
    """202 with both headers; Deleting meanwhile."""
    body = in_state(restamp(document.body, weak_etag(cloud)), "Deleting")
    cloud.world.put(document.succeed(body), call.now)
    plan = Plan(f"Delete{kind.word}Operation", document.id, "network-deleted", seconds, document.location, document.key)
    return begin_delete(cloud, call, plan._replace(scope=scope(call, document)))


def delete_child(cloud: Cloud, call: Call, document: Resource, kind: Kind, child: Body) -> Reply:
    etag = weak_etag(cloud)
    body = with_child(restamp(document.body, etag), kind.child, in_state({**child, "etag": etag}, "Deleting"))
    cloud.world.put(document.succeed(in_state(body, "Updating")), call.now)
    seconds = cloud.settings.network_delete
    plan = Plan(
        f"Delete{kind.child_word}Operation", str(child["id"]), "network-child-deleted", seconds, document.location
    )
    return begin_delete(cloud, call, plan._replace(lane=document.key, scope=scope(call, document)))


def begin_delete(cloud: Cloud, call: Call, plan: Plan) -> Reply:
    operation = operations.start(cloud, call, plan)
    return Reply(202, headers={**both_urls(cloud, call, operation), "retry-after": str(RETRY_AFTER)})


def patch_tags(kind: Kind) -> Callable[[Cloud, Call], Reply]:
    def respond(cloud: Cloud, call: Call) -> Reply:
        document = require_document(cloud, call, kind)
        require_group(cloud, place(call), writing=True)
        require_free(cloud, call, document.key, document.id)
        return answer(retag(cloud, document, read_tags(call.mapping.get("tags") or {}), call.now))

    return respond


def retag(cloud: Cloud, document: Resource, tags: dict[str, str], now: float) -> Resource:
    """Synchronous; a new etag all the same."""
    body = restamp({**document.body, "tags": tags}, weak_etag(cloud))
    return cloud.world.put(document.succeed(body), now)


# -- operations


def scope(call: Call, document: Resource) -> str:
    return f"/subscriptions/{call.segments[1]}/providers/{PROVIDER}/locations/{document.location}"


def operation_url(cloud: Cloud, call: Call, operation: Operation) -> str:
    query = operations.signed_query(cloud, operation, "")
    return f"{call.base}{operation.scope}/operations/{operation.guid}?{query}"


def both_urls(cloud: Cloud, call: Call, operation: Operation) -> dict[str, str]:
    query = operations.signed_query(cloud, operation, "")
    return {
        "azure-asyncoperation": operation_url(cloud, call, operation),
        "location": f"{call.base}{operation.scope}/operationResults/{operation.guid}?{query}",
    }


def require_operation(cloud: Cloud, call: Call) -> Operation:
    """The operation of a polling URL, whose query must come back as it was given out."""
    guid = call.names[2].lower()
    operation = cloud.world.operations.get(guid)
    prefix = call.path.lower().rpartition("/")[0].rpartition("/")[0]
    if operation is None or operation.scope.lower() != prefix:
        raise errors.network("OperationNotFound", f"Operation {guid} was not found.", 404)
    if call.raw_query != operations.signed_query(cloud, operation, ""):
        raise errors.gateway(
            400, "InvalidAsyncOperationSignature", "The signature of the asynchronous operation URL is not valid."
        )
    return operation


def outcome(operation: Operation) -> Body:
    """Nothing but the status, and the error of a failure."""
    if operation.status != "Failed" or operation.error is None:
        return {"status": operation.status or "InProgress"}
    return {"status": "Failed", "error": {**operation.error, "details": []}}


def settle(cloud: Cloud, operation: Operation, at: float) -> None:
    """The end of a PUT."""
    document = _document(cloud, operation.target)
    if document is None:
        return
    lag = cloud.settings.subnet_settles
    if lag and operation.error is None and document.type == NETWORK:
        cloud.world.schedule(at + lag, "network-settled", document.key)
        return
    _end(cloud, document, at, "Succeeded" if operation.error is None else "Failed", operation.target)


def settle_late(cloud: Cloud, at: float, key: str) -> None:
    document = cloud.world.get(key)
    if document is not None and key not in cloud.world.lanes:
        _end(cloud, document, at, "Succeeded")


def settle_delete(cloud: Cloud, operation: Operation, at: float) -> None:
    document = _document(cloud, operation.target)
    if document is None:
        return
    if operation.error is not None:
        _end(cloud, document, at, "Failed")
        return
    forget(cloud, document.key, at)


def settle_child_delete(cloud: Cloud, operation: Operation, at: float) -> None:
    document = _document(cloud, operation.target)
    if document is None:
        return
    if operation.error is not None:
        _end(cloud, document, at, "Failed", operation.target)
        return
    name = operation.target.rpartition("/")[2]
    field = "subnets" if document.type == NETWORK else "securityRules"
    body = restamp(without_child(document.body, field, name), weak_etag(cloud), "Succeeded")
    store(cloud, document.succeed(body), at)


def _end(cloud: Cloud, document: Resource, at: float, state: str, target: str = "") -> None:
    """A terminal state, of the child too that the operation was about."""
    body = restamp(document.body, weak_etag(cloud), "Succeeded")
    if state != "Succeeded":
        field = "subnets" if document.type == NETWORK else "securityRules"
        child = child_of(body, field, target.rpartition("/")[2]) if target.lower() != document.key else None
        body = in_state(body if child is None else with_child(body, field, in_state(child, state)), state)
    cloud.world.put(document.succeed(body), at)


def _document(cloud: Cloud, target: str) -> Resource | None:
    """The document that an operation was about, or the one around the child it was about."""
    key = target.lower()
    return cloud.world.get(key) or cloud.world.get(key.rsplit("/", 2)[0])
