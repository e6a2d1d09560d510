"""`/_sim/*`: seed, mutate behind everybody's back, inject faults, move the clock, read the log. Needs no token."""

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from armsim import hardware, operations
from armsim import settings as defaults
from armsim.cloud import Call, Cloud, Principal
from armsim.errors import ArmError
from armsim.identity import Client
from armsim.rp import network_planting, planting, tiers, upgrades
from armsim.settings import change
from armsim.store import Subscription, World
from armsim.wire import Body, Json, encode, fold_location

if TYPE_CHECKING:
    from armsim.door import Door

NOT_FOUND: Final = (404, encode({"error": "no such control path"}))


async def answer(door: "Door", method: str, path: str, raw_query: str, body: bytes) -> tuple[int, bytes]:
    """Status and JSON body; a mistake in the request is 400 with words."""
    found = _TABLE.get((method, path.removeprefix("/_sim").rstrip("/")))
    if found is None:
        return NOT_FOUND
    try:
        query = {name: values[-1] for name, values in parse_qs(raw_query).items()}
        door.cloud.settle()
        return 200, encode(found(door, json.loads(body) if body else {}, query))
    except (ValueError, KeyError, TypeError, ArmError) as problem:
        return 400, encode({"error": f"{type(problem).__name__}: {problem}"})


def _health(door: "Door", _body: Json, _query: Body) -> Json:
    clock = door.cloud.clock
    return {"status": "ok", "now": clock.now(), "pace": clock.pace}


def _seed(door: "Door", body: Json, _query: Body) -> Json:
    return {"seeded": seed(door.cloud, door, body)}


def seed(cloud: Cloud, door: "Door", body: Body) -> int:
    """Put things into the world as if they had always been there."""
    world, now = cloud.world, cloud.clock.now()
    count = 0
    for each in body.get("subscriptions", []):
        tenant = str(each.get("tenantId") or defaults.TENANT)
        name = str(each["subscriptionId"])
        world.subscriptions[name.lower()] = Subscription(name, tenant, str(each.get("displayName") or name))
        door.identity.tenants.add(tenant)
        count += 1
    for each in body.get("clients", []):
        tenant = str(each.get("tenantId") or defaults.TENANT)
        object_id = str(each.get("objectId") or cloud.chance.guid())
        door.identity.register(Client(str(each["clientId"]), object_id, tenant, str(each["clientSecret"])))
        count += 1
    for location, entries in body.get("models", {}).items():
        before = upgrades.defaults_of(cloud.catalogue, location)
        cloud.catalogue.replace(location, entries)
        upgrades.follow(cloud, location, before)
        rows = (
            sku for each in cloud.catalogue.entries(fold_location(location)) for sku in each["model"].get("skus", [])
        )
        offered = (str(sku["usageName"]) for sku in rows if sku.get("usageName"))
        world.spelled.update({pool.lower(): pool for pool in offered})
        count += 1
    count += _seed_limits(world, body)
    for each in body.get("quotaTiers", []):
        tiers.seed(cloud, each)
        count += 1
    for each in body.get("unregisteredProviders", []):
        world.subscriptions[str(each["subscriptionId"]).lower()].unregistered.add(str(each["namespace"]).lower())
        count += 1
    count += _seed_rules(world, body)
    ordered = sorted(body.get("resources", []), key=lambda each: network_planting.rank(str(each["id"])))
    for each in ordered:
        planting.plant(cloud, each, now)
    for each in body.get("deletedAccounts", []):
        planting.plant_deleted(cloud, each, now)
    # Last, because they say what is left beside all that runs.
    for each in body.get("capacities", []):
        hardware.offer(world, each)
    world.version += 1
    return count + len(ordered) + sum(len(body.get(name, [])) for name in ("deletedAccounts", "capacities"))


def _seed_limits(world: World, body: Body) -> int:
    """Null takes back what was set."""
    count = 0
    for subscription, locations in body.get("limits", {}).items():
        for location, limits in locations.items():
            for pool, limit in limits.items():
                key = (subscription.lower(), fold_location(location), pool.lower())
                world.limits.pop(key, None)
                if limit is not None:
                    world.limits[key] = float(limit)
                world.spelled[pool.lower()] = pool
                count += 1
    return count


def _seed_rules(world: World, body: Body) -> int:
    for each in body.get("locks", []):
        world.locks.append({"scope": each["scope"], "level": each["level"], "name": each.get("name", "lock")})
    world.policies.extend(body.get("policies", []))
    world.denied.extend(body.get("denied", []))
    if "grants" in body:
        world.grants = [*(world.grants or []), *body["grants"]]
    return sum(len(body.get(name, [])) for name in ("locks", "policies", "denied", "grants"))


def _show_rights(door: "Door", _body: Json, _query: Body) -> Json:
    world = door.cloud.world
    return {"grants": world.grants, "denied": world.denied, "coming": list(world.coming.values())}


def _change_rights(door: "Door", body: Json, _query: Body) -> Json:
    """Replaces grants, denials or both, as somebody who assigns roles does: it takes its time to hold everywhere."""
    unknown = sorted(set(body) - {"grants", "denied"})
    if unknown:
        raise ValueError(f"no such rights: {', '.join(unknown)}; there are denied, grants")
    cloud = door.cloud
    holds = cloud.clock.now() + cloud.settings.rights_lag
    ticket = cloud.chance.guid()
    cloud.world.coming[ticket] = {**body, "holds": holds}
    cloud.world.schedule(holds, "rights", ticket)
    cloud.settle()
    return {"holds": holds}


def _mutate(door: "Door", body: Json, _query: Body) -> Json:
    actor = Principal(str(body.get("actor") or "user@example.com"), "", defaults.TENANT, "User")
    call = Call(str(body["method"]).upper(), str(body["id"]), [], {}, "", body.get("body") or {}, actor, "", 0.0)
    call.now = door.cloud.clock.now()
    changed = planting.mutate(door.cloud, call)
    return {"resource": changed.body if changed is not None else None}


def _state(door: "Door", _body: Json, _query: Body) -> Json:
    return dump(door.cloud)


def dump(cloud: Cloud) -> Body:
    """Everything that survives a restart. `byId` and `usages` are for reading only."""
    world = cloud.world
    return {
        "now": cloud.clock.now(),
        "pace": cloud.clock.pace,
        "serial": world.version,
        "models": cloud.catalogue.replaced,
        "byId": {each.id: each.body for each in world.resources.values()},
        "usages": [[*key, used] for key, used in sorted(world.used.items()) if used],
        **world.dump(),
    }


def _load(door: "Door", body: Json, _query: Body) -> Json:
    load(door, body)
    return {"loaded": len(door.cloud.world.resources)}


def load(door: "Door", body: Body) -> None:
    """Replace the world. Time goes on from where it was when the world was saved."""
    cloud = door.cloud
    cloud.clock.set(float(body["now"]))
    cloud.world = World.load(body, float(body["now"]))
    cloud.world.version = int(body.get("serial", 0)) + 1
    cloud.chance.reseed(cloud.world.version)
    for location, entries in (body.get("models") or {}).items():
        cloud.catalogue.replace(location, entries)
    door.identity.tenants.update(each.tenant for each in cloud.world.subscriptions.values())


def _add_faults(door: "Door", body: Json, _query: Body) -> Json:
    specs = body if isinstance(body, list) else body.get("faults", [body])
    return {"ids": [door.cloud.faults.add(each).id for each in specs]}


def _list_faults(door: "Door", _body: Json, _query: Body) -> Json:
    return {"faults": door.cloud.faults.describe()}


def _clear_faults(door: "Door", _body: Json, _query: Body) -> Json:
    door.cloud.faults.clear()
    operations.release(door.cloud)
    return {"faults": []}


def _clock(door: "Door", body: Json, _query: Body) -> Json:
    clock = door.cloud.clock
    if "pace" in body:
        clock.set_pace(float(body["pace"]))
    if "set" in body:
        clock.set(float(body["set"]))
    if "advance" in body:
        clock.advance(float(body["advance"]))
    door.cloud.settle()
    return {"now": clock.now(), "pace": clock.pace}


def _requests(door: "Door", _body: Json, query: Body) -> Json:
    return door.ledger.since(int(query.get("since", 0)))


def _clear_requests(door: "Door", _body: Json, _query: Body) -> Json:
    door.ledger.clear()
    return {"next": door.ledger.next}


def _summary(door: "Door", _body: Json, _query: Body) -> Json:
    return door.ledger.summary()


def _settings(door: "Door", body: Json, _query: Body) -> Json:
    door.cloud.settings = change(door.cloud.settings, body)
    return {"settings": list(body)}


_TABLE: Final = {
    ("GET", "/health"): _health,
    ("POST", "/seed"): _seed,
    ("POST", "/mutate"): _mutate,
    ("GET", "/rights"): _show_rights,
    ("PUT", "/rights"): _change_rights,
    ("GET", "/state"): _state,
    ("PUT", "/state"): _load,
    ("POST", "/faults"): _add_faults,
    ("GET", "/faults"): _list_faults,
    ("DELETE", "/faults"): _clear_faults,
    ("POST", "/clock"): _clock,
    ("GET", "/clock"): _clock,
    ("GET", "/requests"): _requests,
    ("DELETE", "/requests"): _clear_requests,
    ("GET", "/requests/summary"): _summary,
    ("PUT", "/settings"): _settings,
}
