"""What every provider does alike: find the group, keep to one write per account, stamp system data, make etags."""

import base64
import json
from typing import NamedTuple

from armsim import errors
from armsim.clock import iso_fine
from armsim.cloud import Call, Cloud, Principal, Reply
from armsim.store import ACCOUNT, SUBNET, Resource, World
from armsim.wire import Body, Json, fold_location, join_list


class Place(NamedTuple):
    """Where a resource of a group lives: names as sent, keys folded."""

    subscription: str
    group: str
    name: str

    @property
    def group_key(self) -> str:
        return f"/subscriptions/{self.subscription}/resourcegroups/{self.group}".lower()

    @property
    def account_key(self) -> str:
        return f"{self.group_key}/providers/{ACCOUNT}/{self.name}".lower()


def place(call: Call) -> Place:
    """From a path whose first names are subscription, group and account."""
    names = call.names
    return Place(names[0], names[1], names[2] if len(names) > 2 else "")


def require_group(cloud: Cloud, where: Place, *, writing: bool = False) -> Resource:
    group = cloud.world.get(where.group_key)
    if group is None:
        raise errors.group_not_found(where.group)
    if writing and group.state == "Deleting":
        raise errors.group_being_deleted(group.name)
    return group


def require_account(cloud: Cloud, call: Call) -> Resource:
    """The account of a read; ARM itself answers when there is none."""
    where = place(call)
    account = cloud.world.get(where.account_key)
    if account is None:
        require_group(cloud, where)
        raise errors.resource_not_found(f"Microsoft.CognitiveServices/accounts/{where.name}", where.group)
    return account


def require_parent(cloud: Cloud, call: Call, verb: str, child: str) -> Resource:
    """The account of a write to one of its children, free to take it."""
    where = place(call)
    require_group(cloud, where, writing=True)
    account = cloud.world.get(where.account_key)
    if account is None:
        parent = (
            f"/subscriptions/{where.subscription}/resourceGroups/{where.group}/providers"
            f"/Microsoft.CognitiveServices/accounts/{where.name}"
        )
        raise errors.parent_not_found(verb, f"accounts/{child}", parent)
    require_lane(cloud, account)
    if account.state == "Failed":
        raise errors.bad_request(f"The parent account '{account.id}' does not provision correctly.")
    return account


def require_lane(cloud: Cloud, account: Resource) -> None:
    """One write at a time per account and everything below it."""
    if account.key in cloud.world.lanes or account.state not in {"Succeeded", "Failed", "Canceled", ""}:
        raise errors.request_conflict(account.id)


def stamp(before: Body | None, principal: Principal, now: float) -> Body:
    """systemData after a write by this principal."""
    moment = iso_fine(now)
    fresh = {"createdBy": principal.client, "createdByType": principal.kind, "createdAt": moment}
    created = {name: before[name] for name in fresh if name in before} if before else fresh
    return {
        **created,
        "lastModifiedBy": principal.client,
        "lastModifiedByType": principal.kind,
        "lastModifiedAt": moment,
    }


def find_subnet(world: World, id_: str) -> tuple[Resource | None, Body | None]:
    """The network that an id of a subnet names, and the subnet in it, as far as they are there."""
    key, _, name = id_.lower().rpartition("/")
    network = world.get(key.rpartition("/")[0])
    if network is None or f"/{SUBNET.rpartition('/')[0]}/" not in key:
        return None, None
    subnets: list[Body] = network.body["properties"]["subnets"]
    return network, next((each for each in subnets if each["name"].lower() == name), None)


def account_etag(cloud: Cloud, location: str, now: float) -> str:
    """`"5c02a25b-0000-2300-0000-6900d7b60000"`: a counter, the region, the time."""
    region = sum(fold_location(location).encode()) % 256
    return f'"{int(cloud.chance.draw() * 2**32):08x}-0000-{region:02x}00-0000-{int(now):08x}0000"'


def guid_etag(cloud: Cloud) -> str:
    return f'"{cloud.chance.guid()}"'


def answer(resource: Resource, status: int = 200) -> Reply:
    """The resource with its etag in the header, as both providers send it."""
    etag = resource.body.get("etag")
    return Reply(status, resource.render(), {"etag": etag} if etag else {})


def listed(cloud: Cloud, call: Call, collection: str) -> list[Resource]:
    """The members of a collection, as they are or, under a stale read, as they were."""
    members = list(cloud.world.members(collection))
    overlay = stale(cloud, call)
    if overlay is None:
        return members
    merged = {each.key: each for each in members}
    for key, old in overlay.items():
        if key.rpartition("/")[0] != collection:
            continue
        if old is None:
            merged.pop(key, None)
        else:
            merged[key] = old
    return sorted(merged.values(), key=lambda each: each.created)


def stale(cloud: Cloud, call: Call) -> dict[str, Resource | None] | None:
    """What was different at the moment that a stale read looks back to."""
    if call.fault is None or call.fault.kind != "stale_read":
        return None
    return cloud.world.before(call.now - call.fault.number("seconds", 30.0))


def seen(cloud: Cloud, call: Call, key: str) -> Resource | None:
    """A resource as a read sees it: hidden for a while after its create, or stale."""
    if cloud.world.hidden.get(key, 0.0) > call.now:
        return None
    overlay = stale(cloud, call)
    if overlay is not None and key in overlay:
        return overlay[key]
    return cloud.world.get(key)


def hide(cloud: Cloud, call: Call, key: str) -> None:
    """After a create: a GET that finds nothing for some seconds, when a fault asks for it."""
    fault = call.fault
    if fault is not None and fault.kind == "not_found_after_create":
        fault.spent = True
        cloud.world.hidden[key] = call.now + fault.number("seconds", 5.0)


def whole_list(resources: list[Resource]) -> Reply:
    return Reply(200, join_list(each.render() for each in resources))


def read_tags(value: object) -> dict[str, str]:
    """Tags are echoed as sent; numbers and booleans become text."""
    if not isinstance(value, dict):
        raise errors.gateway(400, "InvalidRequestContent", "The request content was invalid: 'tags' must be an object.")
    if len(value) > 50:
        raise errors.gateway(400, "TagsLimitExceeded", "A resource can have at most 50 tags.")
    tags: dict[str, str] = {}
    for name, each in value.items():
        if isinstance(each, dict | list):
            raise errors.gateway(
                400, "InvalidRequestContent", f"The request content was invalid: the value of tag '{name}' is no text."
            )
        tags[str(name)] = "" if each is None else _tag_text(each)
    return tags


def _tag_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def lags(call: Call, resource: Resource) -> bool:
    """Whether a fault keeps a young resource of a region out of a list of the subscription."""
    fault = call.fault
    if fault is None or fault.kind != "list_lag":
        return False
    location = fold_location(fault.text("location", resource.location))
    return resource.location == location and resource.created > call.now - fault.number("seconds", 60.0)


def paged(call: Call, rows: list[tuple[str, Resource]], size: int) -> Reply:
    """Pages by an opaque token that names the last member seen, so that changes between pages do no harm."""
    rows = [row for row in rows if call.sees is None or call.sees(row[1])]
    token = next((value for name, value in call.query.items() if name.lower() == "$skiptoken"), None)
    if token is not None:
        last = _read_token(token)
        rows = [row for row in rows if [row[0], row[1].created, row[1].key] > last]
    rows.sort(key=lambda row: (row[0], row[1].created, row[1].key))
    page, rest = rows[:size], rows[size:]
    link = None
    if rest:
        last_row = page[-1]
        marker = json.dumps([last_row[0], last_row[1].created, last_row[1].key]).encode()
        text = base64.urlsafe_b64encode(marker).decode().rstrip("=")
        link = f"{call.base}{call.path}?api-version={call.query['api-version']}&%24skipToken={text}"
    return Reply(200, join_list((row[1].render() for row in page), link))


def _read_token(token: str) -> list[Json]:
    try:
        marker = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError as problem:
        raise errors.bad_request("The skip token is not valid.", "InvalidSkipToken") from problem
    return marker if isinstance(marker, list) else []


def revert(after: Body, before: Body, path: list[str]) -> Body:
    """The body with the value at the path as it was before the write."""
    name = path[0]
    result = dict(after)
    if len(path) > 1:
        inner, old = after.get(name), before.get(name)
        if isinstance(inner, dict):
            result[name] = revert(inner, old if isinstance(old, dict) else {}, path[1:])
        return result
    if name in before:
        result[name] = before[name]
    else:
        result.pop(name, None)
    return result


def require_stay(account: Resource, location: str) -> None:
    stored = str(account.body["location"])
    if fold_location(location) != fold_location(stored):
        raise errors.gateway(
            409,
            "InvalidResourceLocation",
            f"The resource '{account.name}' already exists in location '{fold_location(stored)}' in resource group "
            f"'{account.id.split('/')[4]}'. A resource with the same name cannot be created in location "
            f"'{fold_location(location)}'. Please select a new resource name.",
        )
