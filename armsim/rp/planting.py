"""Resources that appear or change without a request: seeds, and mutations behind everybody's back.

Fills in what the service would have made; refuses nothing, so that a test can also plant what Azure would not accept.
"""

from armsim import operations, quota
from armsim.clock import from_iso
from armsim.cloud import Call, Cloud, Principal
from armsim.operations import Plan
from armsim.rp import accounts, activity, connections, deleted, network_planting, resources, upgrades
from armsim.rp.base import account_etag, guid_etag, stamp
from armsim.store import ACCOUNT, CONNECTION, DEPLOYMENT, GROUP, RAI_POLICY, ArmId, Resource, Subscription
from armsim.wire import Body, fold_location, look, merge

UNFINISHED = frozenset({"Accepted", "Creating"})
PLANTER = Principal("user@example.com", "", "", "User")


def plant(cloud: Cloud, sent: Body, now: float) -> Resource:
    """One resource, Succeeded at once; the group and the subscription it needs come with it."""
    where = ArmId.parse(str(sent["id"]))
    _require_home(cloud, where, sent, now)
    if where.type in network_planting.TYPES:
        return network_planting.plant(cloud, _as_call("PUT", str(sent["id"]), sent, PLANTER, now))
    body = {name: value for name, value in sent.items() if name != "deployments"}
    body.setdefault("name", where.name)
    created = from_iso(str(look(body, "systemData.createdAt"))) if look(body, "systemData.createdAt") else now
    resource = Resource(str(sent["id"]), _fill(cloud, where, body, now), created)
    planted = cloud.world.put(_hold(cloud, resource), now)
    upgrades.watch(cloud, planted, now)
    if planted.type == ACCOUNT and planted.state in UNFINISHED:
        _begin(cloud, planted, now)
    if planted.type == CONNECTION:
        connections.show(cloud, connections.parent_of(planted), now)
    for each in sent.get("deployments", []):
        name = each.get("name") or str(each["id"]).rsplit("/", 1)[-1]
        plant(cloud, {**each, "id": f"{planted.id}/deployments/{name}"}, now)
    return planted


def _begin(cloud: Cloud, account: Resource, now: float) -> None:
    """An account that is planted in the middle of something comes to the end of it."""
    call = _as_call("PUT", account.id, {}, PLANTER, now)
    seconds = cloud.settings.account_update
    plan = Plan("Updating", account.key, "account-ready", seconds, str(account.body["location"]), account.key)
    operations.start(cloud, call, plan)


def plant_deleted(cloud: Cloud, sent: Body, now: float) -> None:
    """A soft-deleted account, by the id that it had alive, with the deployments it holds."""
    at = from_iso(str(sent["deletionDate"])) if sent.get("deletionDate") else now
    alive = {name: value for name, value in sent.items() if name != "deletionDate"}
    deleted.bury(cloud, plant(cloud, alive, at), at)


def mutate(cloud: Cloud, call: Call) -> Resource | None:
    """PUT replaces, PATCH merges, DELETE removes (an account softly); the actor is left in systemData."""
    changed = _mutate(cloud, call)
    kind = str(changed.body["type"]) if changed is not None else ArmId.parse(call.path).type
    activity.record(cloud, call, kind)
    return changed


def _mutate(cloud: Cloud, call: Call) -> Resource | None:
    key = call.path.lower()
    where = ArmId.parse(call.path)
    if where.type in network_planting.TYPES:
        _require_home(cloud, where, call.mapping, call.now)
        return network_planting.change(cloud, call)
    stored = cloud.world.get(key)
    if call.method == "DELETE":
        if stored is not None and stored.type == ACCOUNT:
            deleted.bury(cloud, stored, call.now)
        elif stored is not None and stored.type == GROUP:
            resources.raze(cloud, stored, call.now)
        else:
            cloud.world.remove(key, call.now)
        if stored is not None and stored.type == CONNECTION:
            network_planting.told(cloud, stored, call.now, gone=True)
        return None
    if stored is None:
        planted = plant(cloud, {**call.mapping, "id": call.path}, call.now)
        body = {**planted.body, "systemData": stamp(None, call.principal, call.now)}
        return cloud.world.put(_hold(cloud, planted.succeed(body)), call.now)
    body = merge(stored.body, call.mapping) if call.method == "PATCH" else _replace(cloud, stored, call)
    body["systemData"] = stamp(stored.body.get("systemData"), call.principal, call.now)
    if stored.type != GROUP:
        body["etag"] = _etag(cloud, stored.type, stored.location, call.now)
    if stored.type == GROUP:
        body.pop("systemData")
    changed = cloud.world.put(_hold(cloud, stored.succeed(body)), call.now)
    upgrades.watch(cloud, changed, call.now)
    if stored.type == CONNECTION:
        network_planting.told(cloud, changed, call.now)
    return changed


def _as_call(method: str, id_: str, body: Body, actor: Principal, now: float) -> Call:
    return Call(method, id_, id_.strip("/").split("/"), {}, "", body, actor, "", now)


def _replace(cloud: Cloud, stored: Resource, call: Call) -> Body:
    """A PUT that leaves what makes the resource the same one."""
    same: Body = {name: stored.body[name] for name in ("location", "kind", "sku") if name in stored.body}
    sent: Body = {**same, **call.mapping, "id": stored.id, "name": stored.name}
    body = _fill(cloud, ArmId.parse(stored.id), sent, call.now)
    before: Body = stored.body.get("properties", {})
    kept = {name: before[name] for name in ("internalId", "dateCreated") if name in before}
    return {**body, "properties": {**body.get("properties", {}), **kept}}


def _require_home(cloud: Cloud, where: ArmId, sent: Body, now: float) -> None:
    world = cloud.world
    if where.subscription.lower() not in world.subscriptions:
        tenant = next(iter(world.subscriptions.values())).tenant if world.subscriptions else ""
        world.subscriptions[where.subscription.lower()] = Subscription(where.subscription, tenant, where.subscription)
    group = f"/subscriptions/{where.subscription}/resourceGroups/{where.group}"
    if where.group and where.type != GROUP and world.get(group.lower()) is None:
        plant(cloud, {"id": group, "location": sent.get("location", "westeurope")}, now)


def _fill(cloud: Cloud, where: ArmId, body: Body, now: float) -> Body:
    match where.type:
        case _ if where.type == GROUP:
            return _fill_group(body)
        case _ if where.type == ACCOUNT:
            return _fill_account(cloud, body, now)
        case _ if where.type == DEPLOYMENT:
            return _fill_deployment(cloud, body, now)
        case _ if where.type == RAI_POLICY:
            return _fill_policy(cloud, body, now)
        case _ if where.type == CONNECTION:
            return connections.fill(cloud, str(body["id"]), body, now)
        case _:
            return body


def _fill_group(body: Body) -> Body:
    body["type"] = "Microsoft.Resources/resourceGroups"
    body["location"] = fold_location(str(body.get("location", "westeurope")))
    body.setdefault("properties", {"provisioningState": "Succeeded"})
    return body


def _fill_account(cloud: Cloud, body: Body, now: float) -> Body:
    body = {"kind": "OpenAI", "sku": {"name": "S0"}, "location": "westeurope", **body}
    body["type"] = "Microsoft.CognitiveServices/accounts"
    sent: Body = body.get("properties") or {}
    filled = accounts.complete(cloud, body, sent, now)
    filled["provisioningState"] = "Succeeded"
    body["properties"] = {**filled, **sent}
    body.setdefault("etag", account_etag(cloud, str(body["location"]), now))
    body.setdefault("systemData", stamp(None, PLANTER, now))
    order = ("id", "name", "type", "etag", "location", "sku", "kind", "tags", "properties", "identity", "systemData")
    return {name: body[name] for name in (*order, *(key for key in body if key not in order)) if name in body}


def _fill_deployment(cloud: Cloud, body: Body, now: float) -> Body:
    body["type"] = "Microsoft.CognitiveServices/accounts/deployments"
    sku = {"name": "Standard", "capacity": 1, **(body.get("sku") or {})}
    sent: Body = body.get("properties") or {}
    found = _offer(cloud, str(body["id"]), sent.get("model") or {}, str(sku["name"]))
    filled: Body = {
        "versionUpgradeOption": "OnceNewDefaultVersionAvailable",
        "currentCapacity": sku["capacity"],
        "capabilities": {},
        "provisioningState": "Succeeded",
    }
    if found is not None and found[1].get("rateLimits"):
        filled["rateLimits"] = [{**each, "count": each["count"] * sku["capacity"]} for each in found[1]["rateLimits"]]
    body["sku"], body["properties"] = sku, {**filled, **sent}
    body.setdefault("systemData", stamp(None, PLANTER, now))
    body.setdefault("etag", guid_etag(cloud))
    return body


def _fill_policy(cloud: Cloud, body: Body, now: float) -> Body:
    body["type"] = "Microsoft.CognitiveServices/accounts/raiPolicies"
    body["properties"] = {
        "type": "UserManaged",
        "mode": "Default",
        "contentFilters": [],
        **(body.get("properties") or {}),
    }
    body.setdefault("systemData", stamp(None, PLANTER, now))
    body.setdefault("etag", account_etag(cloud, "westeurope", now))
    return body


def _hold(cloud: Cloud, resource: Resource) -> Resource:
    """Count it against its pools."""
    if resource.type == ACCOUNT:
        resource.held = quota.account_pools(str(resource.body["kind"]), str(resource.body["sku"]["name"]))
    if resource.type in {DEPLOYMENT, RAI_POLICY}:
        parent = cloud.world.get(resource.parent)
        resource.location = parent.location if parent is not None else resource.location
    if resource.type == DEPLOYMENT:
        sku, model = resource.body["sku"], look(resource.body, "properties.model") or {}
        found = _offer(cloud, resource.id, model, str(sku["name"]))
        resource.held = () if found is None else quota.deployment_pools(str(found[1]["usageName"]), sku, model)
    return resource


def _offer(cloud: Cloud, id_: str, model: Body, sku: str) -> tuple[Body, Body] | None:
    account = cloud.world.get(id_.lower().rsplit("/", 2)[0])
    if account is None:
        return None
    names = (str(model.get("format", "")), str(model.get("name", "")), str(model.get("version", "")))
    entry = cloud.catalogue.find(account.location, str(account.body["kind"]), names)
    for each in (entry or {}).get("skus", []):
        if str(each["name"]).lower() == sku.lower():
            return entry or {}, each
    return None


def _etag(cloud: Cloud, kind: str, location: str, now: float) -> str:
    return guid_etag(cloud) if kind == DEPLOYMENT else account_etag(cloud, location, now)
