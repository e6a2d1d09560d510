"""`Microsoft.Authorization` as far as clients ask: locks, and what the caller may do."""

from armsim import errors, rights
from armsim.cloud import Call, Cloud, Reply
from armsim.rp.base import Place, find_subnet, require_group
from armsim.wire import Body, encode

LEVELS = ("CanNotDelete", "ReadOnly")


def list_locks(cloud: Cloud, call: Call) -> Reply:
    rows = [_lock(each) for each in cloud.world.locks if str(each["scope"]).lower().startswith(call.scope.lower())]
    return Reply(200, encode({"value": rows}))


def get_lock(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, encode(_lock(_require(cloud, call))))


def put_lock(cloud: Cloud, call: Call) -> Reply:
    level = str((call.mapping.get("properties") or {}).get("level", ""))
    known = next((each for each in LEVELS if each.lower() == level.lower()), None)
    if known is None:
        raise errors.gateway(400, "InvalidRequestContent", f"The lock level '{level}' is not valid.")
    existing = _find(cloud, call)
    lock = {"scope": call.scope, "name": call.names[-1], "level": known}
    if existing is not None:
        cloud.world.locks.remove(existing)
    cloud.world.locks.append(lock)
    cloud.world.version += 1
    return Reply(201 if existing is None else 200, encode(_lock(lock)))


def delete_lock(cloud: Cloud, call: Call) -> Reply:
    existing = _find(cloud, call)
    if existing is None:
        return Reply(204)
    cloud.world.locks.remove(existing)
    cloud.world.version += 1
    return Reply(200)


def permissions(cloud: Cloud, call: Call) -> Reply:
    """What the caller may do at a scope that is there, and so below it, as far as nothing is set below."""
    _require_scope(cloud, call)
    return Reply(200, encode({"value": rights.entries(cloud.world, call.principal, call.scope)}))


def _require_scope(cloud: Cloud, call: Call) -> None:
    parts = call.scope.strip("/").split("/")
    if len(parts) < 4 or parts[2].lower() != "resourcegroups":
        return
    require_group(cloud, Place(parts[1], parts[3], ""))
    there = cloud.world.get(call.scope.lower()) or find_subnet(cloud.world, call.scope)[1]
    if len(parts) > 4 and there is None:
        raise errors.resource_not_found("/".join(parts[5:]), parts[3])


def change_rights(cloud: Cloud, _at: float, ticket: str) -> None:
    """What was granted or taken a while ago holds from now on."""
    world = cloud.world
    change = world.coming.pop(ticket, {})
    world.grants = change.get("grants", world.grants)
    world.denied = change.get("denied", world.denied)
    world.version += 1


def no_rows(_cloud: Cloud, _call: Call) -> Reply:
    """Role assignments are not simulated: there are none."""
    return Reply(200, encode({"value": []}))


def _find(cloud: Cloud, call: Call) -> Body | None:
    for each in cloud.world.locks:
        same = str(each["scope"]).lower() == call.scope.lower()
        if same and str(each.get("name", "lock")).lower() == call.names[-1].lower():
            return each
    return None


def _require(cloud: Cloud, call: Call) -> Body:
    found = _find(cloud, call)
    if found is None:
        raise errors.gateway(404, "LockNotFound", f"The lock '{call.names[-1]}' could not be found.")
    return found


def _lock(lock: Body) -> Body:
    name = lock.get("name", "lock")
    return {
        "id": f"{lock['scope']}/providers/Microsoft.Authorization/locks/{name}",
        "name": name,
        "type": "Microsoft.Authorization/locks",
        "properties": {"level": lock["level"]},
    }
