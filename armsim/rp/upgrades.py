"""Versions of deployments that the service moves by itself: to a new default, or away from one that expires.

Moved are the standard types whose option lets them be. Everything else stays as it is, also when its model has retired.
"""

from typing import Final

from armsim.catalogue import Catalogue
from armsim.clock import from_iso
from armsim.cloud import Cloud
from armsim.rp import deployments
from armsim.rp.base import guid_etag
from armsim.rp.deployments import Offer
from armsim.store import ACCOUNT, DEPLOYMENT, Operation, Resource
from armsim.wire import Body, Json, fold_location, look

FOLLOWS_DEFAULT, ON_EXPIRY = "OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired"
DAY: Final = 86_400.0
# How long it tries again after when the account is busy.
LATER: Final = 60.0

Defaults = dict[tuple[str, str, str], str]  # versions by kind of account, format and name of the model


def settle_child(cloud: Cloud, operation: Operation, at: float) -> None:
    """The end of a write: from now on the version is watched."""
    deployments.settle_child(cloud, operation, at)
    stored = cloud.world.get(operation.target)
    if stored is not None:
        watch(cloud, stored, at)


def watch(cloud: Cloud, deployment: Resource, now: float) -> None:
    """Have it moved when the model list says that it will be."""
    due = _announced(cloud, deployment) if deployment.type == DEPLOYMENT else None
    if due is not None:
        cloud.world.schedule(max(due, now), "upgrade", deployment.key)


def defaults_of(catalogue: Catalogue, location: str) -> Defaults:
    return {
        (str(each["kind"]).lower(), str(each["model"]["format"]).lower(), str(each["model"]["name"]).lower()): str(
            each["model"]["version"]
        )
        for each in catalogue.entries(fold_location(location))
        if each["model"].get("isDefaultVersion")
    }


def follow(cloud: Cloud, location: str, before: Defaults) -> None:
    """The model list of a region was replaced: what follows its default moves within the time that is announced."""
    now, place = cloud.clock.now(), fold_location(location)
    after = defaults_of(cloud.catalogue, place)
    for subscription in cloud.world.subscriptions:
        for each in list(cloud.world.of_type(subscription, DEPLOYMENT)):
            if each.location != place:
                continue
            name = _names(cloud, each)
            if name in before and name in after and before[name] != after[name] and _option(each) == FOLLOWS_DEFAULT:
                cloud.world.schedule(now + _delay(cloud, each), "new-default", each.key)
            watch(cloud, each, now)


def move_to_default(cloud: Cloud, at: float, key: str) -> None:
    deployment = cloud.world.get(key)
    if deployment is None or _option(deployment) != FOLLOWS_DEFAULT:
        return
    version = defaults_of(cloud.catalogue, deployment.location).get(_names(cloud, deployment))
    model: Body = look(deployment.body, "properties.model")
    if version is not None and not _is_newer(str(model["version"]), version):
        _move(cloud, deployment, (str(model["name"]), version), ("new-default", at))


def move_on(cloud: Cloud, at: float, key: str) -> None:
    """To the announced replacement, or to the default when none is announced or offered."""
    deployment = cloud.world.get(key)
    due = None if deployment is None else _announced(cloud, deployment)
    if deployment is None or due is None:
        return
    if due > at:
        watch(cloud, deployment, at)
        return
    model: Body = look(deployment.body, "properties.model")
    config: Body = (_entry(cloud, deployment) or {}).get("replacementConfig") or {}
    announced = (str(config.get("targetModelName") or model["name"]), str(config.get("targetModelVersion") or ""))
    default = defaults_of(cloud.catalogue, deployment.location).get(_names(cloud, deployment), "")
    for target in (announced, (str(model["name"]), default)):
        if _move(cloud, deployment, target, ("upgrade", at)):
            return


def _announced(cloud: Cloud, deployment: Resource) -> float | None:
    """When it will be moved, by what the model list says of its version now; None: never."""
    entry, option = _entry(cloud, deployment), _option(deployment)
    if entry is None or option not in {FOLLOWS_DEFAULT, ON_EXPIRY}:
        return None
    config: Body = entry.get("replacementConfig") or {}
    retires = _moment(look(entry, "deprecation.inference"))
    starts = _moment(config.get("autoUpgradeStartDate")) if option == FOLLOWS_DEFAULT else None
    if starts is not None:
        starts += _delay(cloud, deployment)
    elif option == ON_EXPIRY and retires is not None:
        starts = retires - float(config.get("upgradeOnExpiryLeadTimeDays") or 0) * DAY
    return min((each for each in (starts, retires) if each is not None), default=None)


def _move(cloud: Cloud, deployment: Resource, target: tuple[str, str], retry: tuple[str, float]) -> bool:
    """Whether it is moved, now or as soon as it can be. Who wrote last is not told, and no quota is asked for."""
    account = cloud.world.get(deployment.parent)
    body = deployment.body
    model: Body = body["properties"]["model"]
    if account is None or deployment.state == "Failed" or target == (model["name"], model["version"]):
        return False
    offer = deployments.find_offer(cloud, account, (str(model["format"]), *target), str(body["sku"]["name"]))
    if offer is None:
        return False
    kind, at = retry
    if account.key in cloud.world.lanes or deployment.state != "Succeeded":
        cloud.world.schedule(at + LATER, kind, deployment.key)
        return True
    moved = deployment.succeed(_rewrite(cloud, body, offer))
    moved.held = offer.pools(float(body["sku"]["capacity"]), model)
    # Not at once again, whatever the list says of the version that it has now.
    watch(cloud, cloud.world.put(moved, at), at + LATER)
    return True


def _rewrite(cloud: Cloud, body: Body, offer: Offer) -> Body:
    model = {**body["properties"]["model"], "name": offer.model["name"], "version": offer.model["version"]}
    told = deployments.tell(offer, int(body["sku"]["capacity"]))
    return {**body, "etag": guid_etag(cloud), "properties": {**body["properties"], "model": model, **told}}


def _entry(cloud: Cloud, deployment: Resource) -> Body | None:
    account = cloud.world.get(deployment.parent)
    if account is None or account.type != ACCOUNT:
        return None
    model: Body = look(deployment.body, "properties.model") or {}
    names = (str(model.get("format", "")), str(model.get("name", "")), str(model.get("version", "")))
    return cloud.catalogue.find(account.location, str(account.body["kind"]), names)


def _option(deployment: Resource) -> str:
    """What it lets the service do; nothing for the types that the service does not move."""
    standard = str(look(deployment.body, "sku.name") or "").lower().endswith("standard")
    return str(look(deployment.body, "properties.versionUpgradeOption") or "") if standard else ""


def _names(cloud: Cloud, deployment: Resource) -> tuple[str, str, str]:
    account = cloud.world.get(deployment.parent)
    model: Body = look(deployment.body, "properties.model") or {}
    kind = "" if account is None else str(account.body["kind"])
    return kind.lower(), str(model.get("format", "")).lower(), str(model.get("name", "")).lower()


def _delay(cloud: Cloud, deployment: Resource) -> float:
    return cloud.chance.spread(f"upgrade:{deployment.key}", *cloud.settings.version_moves)


def _moment(date: Json) -> float | None:
    return from_iso(str(date)) if date else None


def _is_newer(version: str, other: str) -> bool:
    """Versions that are dates tell; of others nobody knows."""
    return len(version) == len(other) == len("2024-11-20") and version.count("-") == 2 and version > other
