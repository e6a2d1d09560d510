"""`accounts/deployments`: create, update, scale, delete, read. A write blocks its caller until it is done.

Judges model, version, SKU, capacity and quota against the catalogue. Knows accounts only as parents.
"""

from dataclasses import dataclass
from typing import Final

from armsim import errors, hardware, operations, quota
from armsim.clock import from_iso
from armsim.cloud import Call, Cloud, Reply
from armsim.hardware import Load
from armsim.operations import Plan
from armsim.rp.base import (
    answer,
    guid_etag,
    hide,
    listed,
    place,
    read_tags,
    require_account,
    require_group,
    require_lane,
    require_parent,
    revert,
    seen,
    stamp,
    whole_list,
)
from armsim.settings import NO_CAPACITY
from armsim.store import Held, Operation, Resource
from armsim.wire import Body, Json, encode, look, to_bool, to_int

UPGRADES: Final = ("OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade")
# Capabilities of a model that its deployments do not repeat.
MODEL_ONLY: Final = frozenset({"area", "scaletype", "finetune", "inference"})


@dataclass(frozen=True, slots=True)
class Wish:
    """What a PUT asks for, after the service's defaults."""

    sku: str
    capacity: int
    format: str
    model: str
    version: str


@dataclass(frozen=True, slots=True)
class Offer:
    """The catalogue's entry that a wish was found in."""

    model: Body
    sku: Body

    def pools(self, units: float, model: Body) -> Held:
        """What a deployment of so many units counts against; the model as it was sent."""
        sku = {"name": self.sku["name"], "capacity": units}
        return quota.deployment_pools(str(self.sku["usageName"]), sku, model)


# -- reads


def get(cloud: Cloud, call: Call) -> Reply:
    account = require_account(cloud, call)
    name = call.names[3]
    found = seen(cloud, call, f"{account.key}/deployments/{name.lower()}")
    if found is None:
        raise errors.ArmError(
            404, "DeploymentNotFound", f"The deployment '{name}' of account '{account.name}' does not exist."
        )
    return answer(found)


def list_all(cloud: Cloud, call: Call) -> Reply:
    account = require_account(cloud, call)
    return whole_list(listed(cloud, call, f"{account.key}/deployments"))


def list_skus(cloud: Cloud, call: Call) -> Reply:
    """What the deployment could be scaled to."""
    account = require_account(cloud, call)
    found = cloud.world.get(f"{account.key}/deployments/{call.names[3].lower()}")
    if found is None:
        return get(cloud, call)
    model = found.body["properties"]["model"]
    entry = cloud.catalogue.find(
        account.location, str(account.body["kind"]), (model["format"], model["name"], model["version"])
    )
    rows = [
        {
            "resourceType": "Microsoft.CognitiveServices/accounts/deployments",
            "sku": {"name": sku["name"]},
            "capacity": sku["capacity"],
        }
        for sku in (entry or {}).get("skus", [])
    ]
    return Reply(200, encode({"value": rows}))


# -- writes


def put(cloud: Cloud, call: Call) -> Reply:
    account = require_parent(cloud, call, "write", "deployments")
    name = call.names[3]
    existing = cloud.world.get(f"{account.key}/deployments/{name.lower()}")
    body = call.mapping
    properties = body.get("properties")
    if not isinstance(properties, dict):
        raise _invalid("The properties of the deployment are required.")
    if properties.get("scaleSettings") is not None:
        raise _invalid("The property scaleSettings is not supported in this API version, use sku instead.")
    wish = _read(cloud, account, body, existing)
    offer = _offer(cloud, account, wish, existing)
    if existing is not None:
        _require_same(existing, wish)
    elif wish.sku.lower().endswith("standard"):
        _require_room(cloud, account)
    _require_capacity(offer, wish.capacity)
    for need in offer.pools(wish.capacity, properties["model"]):
        _require_quota(cloud, account, need, existing)
    shortage = _find_shortage(cloud, account, wish, existing)
    if shortage is not None and shortage.status:
        raise shortage
    deployment = _build(cloud, call, (account, existing), (wish, offer))
    return _begin(cloud, call, account, deployment, shortage)


def patch(cloud: Cloud, call: Call) -> Reply:
    """Only tags and capacity."""
    account = require_account(cloud, call)
    require_group(cloud, place(call), writing=True)
    existing = cloud.world.get(f"{account.key}/deployments/{call.names[3].lower()}")
    if existing is None:
        return get(cloud, call)
    require_lane(cloud, account)
    body = call.mapping
    stored = existing.body["properties"]["model"]
    sku = body.get("sku") if isinstance(body.get("sku"), dict) else {}
    full: Body = {
        "sku": {**existing.body["sku"], **(sku or {})},
        "properties": {name: value for name, value in existing.body["properties"].items() if name in _SENT},
    }
    full["properties"]["model"] = stored
    tags = body.get("tags") if body.get("tags") is not None else existing.body.get("tags")
    if tags is not None:
        full["tags"] = tags
    call.body = full
    return put(cloud, call)


# Names of other deployments, echoed.
_OTHERS: Final = ("parentDeploymentName", "spilloverDeploymentName")
_SENT: Final = frozenset({"versionUpgradeOption", "raiPolicyName", "dynamicThrottlingEnabled", *_OTHERS})


def delete(cloud: Cloud, call: Call) -> Reply:
    account = require_parent(cloud, call, "delete", "deployments")
    key = f"{account.key}/deployments/{call.names[3].lower()}"
    if cloud.world.get(key) is None:
        return Reply(204)
    location = str(account.body["location"])
    plan = Plan("Deleting", key, "child-deleted", cloud.settings.deployment_delete, location, account.key)
    operation = operations.start(cloud, call, plan)
    _set_state(cloud, key, "Deleting", call.now)
    if operations.is_bent(operation):
        return Reply(202, headers=operations.async_headers(cloud, call, operation))
    return Reply(200, until=operation.end)


def _begin(cloud: Cloud, call: Call, account: Resource, deployment: Resource, failing: errors.ArmError | None) -> Reply:
    """Store it at once, in a state that is not terminal, and hold the answer back until the work is done."""
    before = cloud.world.get(deployment.key)
    status = 201 if before is None else 200
    cloud.world.put(deployment, call.now)
    if before is not None:
        _give_up(cloud, before, deployment.held, call.now)
    if status == 201:
        hide(cloud, call, deployment.key)
    low, high = cloud.settings.deployment_write
    seconds = cloud.chance.spread(f"deployment:{deployment.key}:{deployment.body['sku']['capacity']}", low, high)
    location = str(account.body["location"])
    plan = Plan("Creating", deployment.key, "child-ready", seconds, location, account.key)
    operation = operations.start(cloud, call, plan)
    if failing is not None:
        operation.error = {"code": failing.code, "message": failing.message}
    if operations.is_bent(operation):
        return answer(deployment, status)

    def late() -> Reply:
        return answer(cloud.world.get(deployment.key) or deployment, status)

    return Reply(status, until=operation.end, late=late)


# -- judging


def _read(cloud: Cloud, account: Resource, body: Body, existing: Resource | None) -> Wish:
    """A `sku` anywhere but at the root does not count: the deployment becomes Standard."""
    model = body["properties"].get("model")
    if not isinstance(model, dict) or not model.get("name") or not model.get("format"):
        raise _invalid("The model of the deployment needs format and name.")
    sku = body.get("sku")
    if sku is not None and not isinstance(sku, dict):
        raise _invalid("The sku of the deployment is no object.")
    sku = sku or {}
    capacity = sku.get("capacity")
    try:
        units = 1 if capacity is None else to_int(capacity)
    except (ValueError, TypeError) as problem:
        raise errors.gateway(
            400, "InvalidRequestContent", f"The request content was invalid: capacity is no number: {capacity!r}."
        ) from problem
    form, name = str(model["format"]), str(model["name"])
    sku_name = str(sku.get("name") or "Standard")
    version = str(model.get("version") or "") or _default_version(cloud, account, (form, name, sku_name), existing)
    return Wish(sku_name, units, form, name, version)


def _default_version(cloud: Cloud, account: Resource, wanted: tuple[str, str, str], existing: Resource | None) -> str:
    form, name, sku = wanted
    if existing is not None:
        return str(look(existing.body, "properties.model.version"))
    versions = cloud.catalogue.versions(account.location, str(account.body["kind"]), form, name)
    offered = [each for each in versions if _sku(each, sku) is not None] or versions
    default = next((each for each in versions if each.get("isDefaultVersion")), None)
    if default is not None and (default in offered):
        return str(default["version"])
    return str(offered[-1]["version"]) if offered else ""


def _offer(cloud: Cloud, account: Resource, wish: Wish, existing: Resource | None) -> Offer:
    model = cloud.catalogue.find(account.location, str(account.body["kind"]), (wish.format, wish.model, wish.version))
    words = f"Format: {wish.format}, Name: {wish.model}, Version: {wish.version}"
    if model is None:
        raise errors.bad_request(
            f"The model '{words}' of account deployment is not supported.", "DeploymentModelNotSupported"
        )
    changes = existing is None or look(existing.body, "properties.model.version") != wish.version
    now = cloud.clock.now()
    if changes or _past(look(model, "deprecation.inference"), now):
        _require_alive(model, words, now)
    sku = _sku(model, wish.sku)
    if sku is None:
        raise _invalid(
            f"The specified SKU '{wish.sku}' for model '{wish.model} {wish.version}' is not supported in this region "
            f"'{account.location}'."
        )
    if changes and _past(sku.get("deprecationDate"), now):
        raise _deprecated(words, str(sku["deprecationDate"]))
    return Offer(model, sku)


def find_offer(cloud: Cloud, account: Resource, names: tuple[str, str, str], sku: str) -> Offer | None:
    """A model, by format, name and version, on a deployment type, as the account's region offers it."""
    model = cloud.catalogue.find(account.location, str(account.body["kind"]), names)
    found = None if model is None else _sku(model, sku)
    return None if model is None or found is None else Offer(model, found)


def _sku(model: Body, name: str) -> Body | None:
    return next((each for each in model.get("skus", []) if each["name"].lower() == name.lower()), None)


def _require_alive(model: Body, words: str, now: float) -> None:
    status = str(model.get("lifecycleStatus", ""))
    inference = look(model, "deprecation.inference")
    if status == "Deprecated" or _past(inference, now):
        raise _deprecated(words, str(inference))
    if status == "Deprecating":
        raise errors.bad_request(
            f"The model '{words}' is being deprecated; new deployments are not allowed.", "ServiceModelDeprecating"
        )


def _past(date: Json, now: float) -> bool:
    return bool(date) and from_iso(str(date)) <= now


def _deprecated(words: str, date: str) -> errors.ArmError:
    since = f"{date[5:7]}/{date[8:10]}/{date[:4]} 00:00:00" if len(date) >= 10 else "an earlier date"
    return errors.bad_request(f"The model '{words}' has been deprecated since {since}.", "ServiceModelDeprecated")


def _require_room(cloud: Cloud, account: Resource) -> None:
    limit = cloud.settings.deployments_per_account
    siblings = cloud.world.members(f"{account.key}/deployments")
    if sum(str(each.body["sku"]["name"]).lower().endswith("standard") for each in siblings) >= limit:
        raise errors.bad_request(
            f"The account '{account.name}' has reached the maximum of {limit} standard deployments.",
            "InsufficientQuota",
        )


def _require_same(existing: Resource, wish: Wish) -> None:
    """What a deployment can never change, and what it cannot change at once."""
    stored = existing.body["properties"]["model"]
    if (wish.format.lower(), wish.model.lower()) != (stored["format"].lower(), stored["name"].lower()):
        raise _invalid(f"The model of deployment '{existing.name}' cannot be changed.")
    if wish.sku.lower() != existing.body["sku"]["name"].lower():
        raise _invalid(f"The sku name of deployment '{existing.name}' cannot be changed.")
    if wish.version != stored["version"] and wish.capacity != existing.body["sku"]["capacity"]:
        raise errors.bad_request("The capacity and the model of a deployment cannot be changed in the same request.")


def _require_capacity(offer: Offer, units: int) -> None:
    rule: Body = offer.sku.get("capacity") or {}
    low, high, step = rule.get("minimum", 1), rule.get("maximum"), rule.get("step", 1)
    allowed = rule.get("allowedValues")
    fits = units >= low and (high is None or units <= high) and units % step == 0
    if not fits or (allowed and units not in allowed):
        raise _invalid(
            f"The capacity '{units}' is not valid for sku '{offer.sku['name']}': minimum {low}, maximum {high}, "
            f"step {step}."
        )


def _require_quota(cloud: Cloud, account: Resource, want: tuple[str, float], existing: Resource | None) -> None:
    """Only the increase counts."""
    pool, units = want
    had = next((amount for name, amount in (existing.held if existing else ()) if name == pool), 0.0)
    quota.require(cloud.world, account.subscription, account.location, (pool, units - had))


def _find_shortage(cloud: Cloud, account: Resource, wish: Wish, existing: Resource | None) -> errors.ArmError | None:
    """The refusal when the region has the quota and not the hardware."""
    if not cloud.world.hardware:
        return None
    names = (wish.model.lower(), wish.version.lower(), wish.sku.lower())
    if not hardware.lacks(cloud.world, Load(account.location, *names, wish.capacity), existing):
        return None
    code = cloud.settings.no_capacity
    what = f"{wish.capacity} units of model '{wish.model}', version '{wish.version}', with sku '{wish.sku}'"
    return errors.no_capacity(NO_CAPACITY[code], code, account.location, what)


def _invalid(message: str) -> errors.ArmError:
    return errors.bad_request(message, "InvalidResourceProperties")


# -- making


def _build(cloud: Cloud, call: Call, at: tuple[Resource, Resource | None], of: tuple[Wish, Offer]) -> Resource:
    account, existing = at
    wish, offer = of
    name = existing.name if existing else call.names[3]
    id_ = f"{account.id}/deployments/{name}"
    body: Body = {
        "id": id_,
        "type": "Microsoft.CognitiveServices/accounts/deployments",
        "name": name,
        "sku": {"name": str(offer.sku["name"]), "capacity": wish.capacity},
        "properties": _properties(cloud, call, wish, offer),
    }
    body["properties"]["provisioningState"] = "Creating" if existing is None else "Accepted"
    if call.mapping.get("tags") is not None:
        body["tags"] = read_tags(call.mapping["tags"])
    body["systemData"] = stamp(existing.body["systemData"] if existing else None, call.principal, call.now)
    body["etag"] = guid_etag(cloud)
    if call.fault is not None and call.fault.kind == "ignore_write":
        for path in call.fault.detail.get("paths", []):
            body = revert(body, existing.body if existing else {}, str(path).split("."))
    deployment = Resource(id_, body, existing.created if existing else call.now)
    deployment.location = account.location
    deployment.held = offer.pools(look(body, "sku.capacity") or 0, call.mapping["properties"]["model"])
    return deployment


def _properties(cloud: Cloud, call: Call, wish: Wish, offer: Offer) -> Body:
    sent: Body = call.mapping["properties"]
    model: Body = {"format": offer.model["format"], "name": offer.model["name"], "version": offer.model["version"]}
    model |= {name: sent["model"][name] for name in ("publisher", "source", "sourceAccount") if sent["model"].get(name)}
    properties: Body = {"model": model, "versionUpgradeOption": _upgrade(sent.get("versionUpgradeOption"))}
    properties["currentCapacity"] = wish.capacity
    policy = sent.get("raiPolicyName") or cloud.settings.rai_policy_default
    if policy:
        properties["raiPolicyName"] = str(policy)
    properties |= {name: str(sent[name]) for name in _OTHERS if sent.get(name)}
    if sent.get("dynamicThrottlingEnabled") is not None:
        properties["dynamicThrottlingEnabled"] = to_bool(sent["dynamicThrottlingEnabled"])
    told = tell(offer, wish.capacity)
    return {**properties, "capabilities": told.pop("capabilities"), "provisioningState": "", **told}


def tell(offer: Offer, units: int) -> Body:
    """What the service says of a model as it is deployed."""
    capabilities: Body = offer.model.get("capabilities") or {}
    told: Body = {"capabilities": {name: capabilities[name] for name in capabilities if name.lower() not in MODEL_ONLY}}
    if offer.sku.get("rateLimits"):
        told["rateLimits"] = [{**each, "count": each["count"] * units} for each in offer.sku["rateLimits"]]
    return told


def _upgrade(value: Json) -> str:
    if value is None:
        return UPGRADES[0]
    for choice in UPGRADES:
        if str(value).lower() == choice.lower():
            return choice
    raise _invalid(f"versionUpgradeOption must be one of {', '.join(UPGRADES)}; it is '{value}'.")


# -- effects, also those of the other children


def settle_child(cloud: Cloud, operation: Operation, at: float) -> None:
    _set_state(cloud, operation.target, "Succeeded" if operation.error is None else "Failed", at)


def settle_child_delete(cloud: Cloud, operation: Operation, at: float) -> None:
    if operation.error is None:
        removed = cloud.world.remove(operation.target, at)
        if removed is not None:
            _give_up(cloud, removed, (), at)
    else:
        _set_state(cloud, operation.target, "Failed", at)


def _give_up(cloud: Cloud, before: Resource, held: Held, at: float) -> None:
    """What a deployment holds no longer; a setting makes it count for a while longer."""
    kept = dict(held)
    freed = ((pool, amount - kept.get(pool, 0.0)) for pool, amount in before.held)
    less = tuple((pool, amount) for pool, amount in freed if amount > 0)
    cloud.world.linger(before, less, at, at + cloud.settings.deployment_returns)


def _set_state(cloud: Cloud, key: str, state: str, at: float) -> None:
    child = cloud.world.get(key)
    if child is not None:
        properties = {**child.body["properties"], "provisioningState": state}
        cloud.world.put(child.succeed({**child.body, "properties": properties}), at)
