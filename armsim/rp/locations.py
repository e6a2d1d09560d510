"""`Microsoft.CognitiveServices` below a subscription and its locations: usages, models, SKUs, availability."""

from armsim import catalogue, errors, hardware, quota
from armsim.clock import from_iso
from armsim.cloud import Call, Cloud, Reply
from armsim.hardware import Load
from armsim.rp.base import require_account
from armsim.wire import Body, encode, fold_location, look

ROOT = "Microsoft.CognitiveServices"


def usages(cloud: Cloud, call: Call) -> Reply:
    subscription, location = call.names[0].lower(), _region(call.names[1]).name
    rows = quota.usages(cloud.world, subscription, location)
    wanted = call.query.get("$filter")
    if wanted is not None and "eq" in wanted:
        name = wanted.split("'")[1].lower() if "'" in wanted else wanted.rsplit(" ", 1)[-1].lower()
        rows = [row for row in rows if row["name"]["value"].lower() == name]
    return Reply(200, encode({"value": rows}))


def models(cloud: Cloud, call: Call) -> Reply:
    subscription, region = call.names[0], _region(call.names[1])
    prefix = f"/subscriptions/{subscription}/providers/{ROOT}/locations/{region.label}/models/"
    rows = []
    for entry in cloud.catalogue.entries(region.name):
        model = entry["model"]
        name = f"{model['format']}.{model['name']}.{model['version']}"
        rows.append(
            {
                "id": prefix + name,
                "type": f"{ROOT}/locations/models",
                "name": name,
                "location": region.label,
                "kind": entry["kind"],
                "skuName": entry["skuName"],
                "model": _as_of(model, call.now),
            }
        )
    return Reply(200, encode({"value": rows}))


def _as_of(model: Body, now: float) -> Body:
    """A model whose date has passed is told as withdrawn, whatever the list said before."""
    date = look(model, "deprecation.inference")
    return {**model, "lifecycleStatus": "Deprecated"} if date and from_iso(str(date)) <= now else model


def model_capacities(cloud: Cloud, call: Call) -> Reply:
    """What could be deployed, by region and deployment type: of one region, or of all that offer the model."""
    wanted = {name.lower(): value for name, value in call.query.items()}
    missing = [each for each in ("modelFormat", "modelName", "modelVersion") if not wanted.get(each.lower())]
    if missing:
        raise errors.bad_request(f"The query parameters {', '.join(missing)} are required.")
    names = (wanted["modelformat"], wanted["modelname"], wanted["modelversion"])
    regions = [_region(call.names[1])] if len(call.names) > 1 else list(catalogue.regions().values())
    rows: list[Body] = []
    for region in regions:
        model = cloud.catalogue.find_any(region.name, names)
        offered = (model or {}).get("skus", [])
        rows.extend(_capacity(cloud, call, (region, sku), model or {}) for sku in offered)
    return Reply(200, encode({"value": rows}))


def _capacity(cloud: Cloud, call: Call, at: tuple[catalogue.Region, Body], model: Body) -> Body:
    region, sku = at
    name = f"{model['format']}.{model['name']}.{model['version']}"
    return {
        "id": f"/subscriptions/{call.names[0]}/providers/{ROOT}/locations/{region.label}/models/{name}"
        f"/skuCapacities/{sku['name']}",
        "type": f"{ROOT}/locations/models/skuCapacities",
        "name": sku["name"],
        "location": region.label,
        "properties": {
            "model": {key: model[key] for key in ("format", "name", "version")},
            "skuName": sku["name"],
            "availableCapacity": _available(cloud, call, at, model),
            "availableFinetuneCapacity": 0,
        },
    }


def _available(cloud: Cloud, call: Call, at: tuple[catalogue.Region, Body], model: Body) -> int:
    """The lesser of what the quota and the hardware have left, or of the hardware alone when so set."""
    region, sku = at
    key = (call.names[0].lower(), region.name, str(sku["usageName"]).lower())
    names = (str(model["name"]).lower(), str(model["version"]).lower(), str(sku["name"]).lower())
    most = float((sku.get("capacity") or {}).get("maximum", 0))
    within = quota.limit_of(cloud.world, *key) - cloud.world.in_use(key)
    bounds = [
        within if cloud.settings.capacities_within_quota else most,
        hardware.left(cloud.world, Load(region.name, *names)),
    ]
    return max(0, int(min(each for each in bounds if each is not None)))


def skus(_cloud: Cloud, _call: Call) -> Reply:
    return Reply(200, encode({"value": list(catalogue.sku_rows())}))


def account_models(cloud: Cloud, call: Call) -> Reply:
    account = require_account(cloud, call)
    kind = str(account.body["kind"]).lower()
    offered = (each for each in cloud.catalogue.entries(account.location) if str(each["kind"]).lower() == kind)
    rows = [_as_of(each["model"], call.now) for each in offered]
    return Reply(200, encode({"value": rows}))


def account_skus(cloud: Cloud, call: Call) -> Reply:
    account = require_account(cloud, call)
    found = catalogue.skus_of(str(account.body["kind"])).values()
    rows = [{"resourceType": f"{ROOT}/accounts", "sku": {"name": sku["name"], "tier": sku["tier"]}} for sku in found]
    return Reply(200, encode({"value": rows}))


def account_usages(cloud: Cloud, call: Call) -> Reply:
    """The counters of calls, not the pools of quota. OpenAI accounts have none."""
    account = require_account(cloud, call)
    counters = catalogue.account_template(str(account.body["kind"])).get("usages", [])
    rows = [
        {
            "name": {"value": each["name"], "localizedValue": each["name"]},
            "status": "Included",
            "currentValue": 0.0,
            "limit": float(each["limit"]),
            "nextResetTime": "0001-01-01T00:00:00Z",
            "quotaPeriod": each["quotaPeriod"],
            "unit": "Count",
        }
        for each in counters
    ]
    return Reply(200, encode({"value": rows}))


def private_links(cloud: Cloud, call: Call) -> Reply:
    account = require_account(cloud, call)
    row = {
        "id": f"{account.id}/privateLinkResources/account",
        "name": "account",
        "type": f"{ROOT}/accounts/privateLinkResources",
        "properties": {
            "groupId": "account",
            "requiredMembers": ["default"],
            "requiredZoneNames": ["privatelink.cognitiveservices.azure.com"],
        },
    }
    return Reply(200, encode({"value": [row]}))


def no_rows(cloud: Cloud, call: Call) -> Reply:
    """Children that are not simulated: there are none."""
    require_account(cloud, call)
    return Reply(200, encode({"value": []}))


def check_domain(cloud: Cloud, call: Call) -> Reply:
    name = str(call.mapping.get("subdomainName") or "")
    if not name:
        raise errors.bad_request("The subdomainName is required.")
    free = name.lower() not in cloud.world.domains
    reason = None if free else "Sub domain name is already used. Please pick a different one."
    answer = {
        "isSubdomainAvailable": free,
        "reason": reason,
        "subdomainName": name,
        "type": call.mapping.get("type", f"{ROOT}/accounts"),
        "kind": call.mapping.get("kind"),
    }
    return Reply(200, encode(answer))


def check_skus(_cloud: Cloud, call: Call) -> Reply:
    region = _region(call.names[1])
    kind = str(call.mapping.get("kind") or "")
    known = catalogue.skus_of(kind)
    rows = []
    for sku in call.mapping.get("skus") or []:
        entry = known.get(str(sku).lower())
        fits = entry is not None and region.name in entry["locations"]
        rows.append(
            {
                "kind": kind,
                "type": call.mapping.get("type"),
                "skuName": sku,
                "skuAvailable": fits,
                "reason": None if fits else "NotAvailableForSubscription",
                "message": None if fits else f"The sku {sku} of kind {kind} is not available in {region.name}.",
            }
        )
    return Reply(200, encode({"value": rows}))


def _region(name: str) -> catalogue.Region:
    found = catalogue.regions().get(fold_location(name))
    if found is None:
        raise errors.gateway(
            404,
            "LocationNotFound",
            f"The provided location '{name}' is not valid for subscription. Please use a known location.",
        )
    return found
