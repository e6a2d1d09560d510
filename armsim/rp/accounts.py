"""`Microsoft.CognitiveServices/accounts`: create, replace, patch, delete softly, restore, read, list, keys.

Where each rule is known from: FIDELITY.md. Knows deployments only as children that go with their account.
"""

import json
import re
from typing import Final

from armsim import catalogue, errors, operations, quota
from armsim.clock import iso_fine
from armsim.cloud import Call, Cloud, Reply
from armsim.gate import require_linked
from armsim.operations import Plan
from armsim.rp import deleted, firewall, upgrades
from armsim.rp.base import (
    Place,
    account_etag,
    answer,
    hide,
    lags,
    listed,
    paged,
    place,
    read_tags,
    require_account,
    require_group,
    require_lane,
    require_stay,
    revert,
    seen,
    stale,
    stamp,
)
from armsim.store import ACCOUNT, Operation, Resource
from armsim.wire import Body, Json, fold_location, look, to_bool

JOIN: Final = "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action"
ASSIGN: Final = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,63}")
DOMAIN: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}[a-z0-9]")
# In place only these turn into each other.
UPGRADABLE: Final = frozenset({"openai", "aiservices"})
OTHER_KINDS: Final = frozenset(
    {
        "anomalydetector", "bing.customsearch.v7", "bing.search.v7", "computervision", "contentmoderator",
        "contentsafety", "conversationallanguageunderstanding", "customvision.prediction", "customvision.training",
        "face", "healthinsights", "imagevision", "immersivereader", "languageauthoring", "luis", "luis.authoring",
        "metricsadvisor", "personalizer", "qnamaker", "qnamaker.v2", "speech", "speechtranslation", "texttranslation",
    }
)  # fmt: skip
FLAGS: Final = (
    "disableLocalAuth",
    "restrictOutboundNetworkAccess",
    "dynamicThrottlingEnabled",
    "allowProjectManagement",
    "storedCompletionsDisabled",
)
ECHOED: Final = (
    "migrationToken",
    "encryption",
    "userOwnedStorage",
    "amlWorkspace",
    "allowedFqdnList",
    "locations",
    "raiMonitorConfig",
    "networkInjections",
    "defaultProject",
    "associatedProjects",
)
ACCESS: Final = ("Enabled", "Disabled", "SecuredByPerimeter")


# -- reads


def get(cloud: Cloud, call: Call) -> Reply:
    where = place(call)
    account = seen(cloud, call, where.account_key)
    if account is None:
        require_group(cloud, where)
        raise errors.resource_not_found(f"Microsoft.CognitiveServices/accounts/{where.name}", where.group)
    return answer(account)


def list_by_group(cloud: Cloud, call: Call) -> Reply:
    group = require_group(cloud, place(call))
    members = listed(cloud, call, f"{group.key}/providers/{ACCOUNT}")
    return paged(call, [("", each) for each in members], cloud.settings.page_size)


def list_by_subscription(cloud: Cloud, call: Call) -> Reply:
    """A fan-out by ARM to every region: in order of region, and one region may lag behind."""
    subscription = call.names[0].lower()
    members = {each.key: each for each in cloud.world.of_type(subscription, ACCOUNT)}
    for key, old in (stale(cloud, call) or {}).items():
        if (
            f"/{ACCOUNT}/" not in key
            or not key.startswith(f"/subscriptions/{subscription}/")
            or "/" in key.split(f"/{ACCOUNT}/")[1]
        ):
            continue
        if old is None:
            members.pop(key, None)
        else:
            members[key] = old
    rows = [(each.location, each) for each in members.values() if not lags(call, each)]
    rows.sort(key=lambda row: row[0])
    reply = paged(call, rows, cloud.settings.page_size)
    reply.headers["x-ms-original-request-ids"] = ",".join(cloud.chance.guid() for _ in catalogue.regions())
    return reply


def list_keys(cloud: Cloud, call: Call) -> Reply:
    account = require_account(cloud, call)
    if look(account.body, "properties.disableLocalAuth") is True:
        raise errors.bad_request("Failed to list key. disableLocalAuth is set to be true")
    return Reply(200, _keys(cloud, account))


def regenerate_key(cloud: Cloud, call: Call) -> Reply:
    account = require_account(cloud, call)
    name = str(call.mapping.get("keyName", "")).lower()
    if name not in {"key1", "key2"}:
        raise errors.bad_request("keyName must be Key1 or Key2.")
    _keys(cloud, account)
    cloud.world.keys[account.key][int(name[-1]) - 1] = _new_key(cloud)
    _store(cloud, call, account, {**account.body, "etag": account_etag(cloud, account.location, call.now)})
    return Reply(200, _keys(cloud, account))


def _keys(cloud: Cloud, account: Resource) -> bytes:
    keys = cloud.world.keys.setdefault(account.key, [_new_key(cloud), _new_key(cloud)])
    return json.dumps({"key1": keys[0], "key2": keys[1]}).encode()


def _new_key(cloud: Cloud) -> str:
    return cloud.chance.guid().replace("-", "")


# -- writes


def put(cloud: Cloud, call: Call) -> Reply:
    where = place(call)
    if NAME.fullmatch(where.name) is None:
        raise errors.page(404, errors.NOT_FOUND_PAGE)
    group = require_group(cloud, where, writing=True)
    _require_links(cloud, call)
    existing = cloud.world.get(where.account_key)
    location = call.mapping.get("location")
    if not isinstance(location, str) or not location:
        raise errors.gateway(400, "LocationRequired", "The location property is required for this definition.")
    if existing is not None:
        return _replace(cloud, call, existing)
    _require_region(location, str(call.mapping.get("kind", "")))
    restoring = _flag(call.mapping.get("properties") or {}, "restore")
    buried = deleted.key_of(where, location)
    if restoring:
        return _restore(cloud, call, buried, f"{group.id}/providers/Microsoft.CognitiveServices/accounts/{where.name}")
    if buried in cloud.world.graves:
        raise deleted.must_be_restored(cloud.world.graves[buried])
    return _create(cloud, call, where, group)


def _require_links(cloud: Cloud, call: Call) -> None:
    """The right to use the subnets and identities that a body names."""
    acls, identity = look(call.mapping, "properties.networkAcls"), call.mapping.get("identity")
    rules = acls.get("virtualNetworkRules") if isinstance(acls, dict) else None
    identities = identity.get("userAssignedIdentities") if isinstance(identity, dict) else None
    for rule in rules if isinstance(rules, list) else []:
        if isinstance(rule, dict) and "id" in rule:
            require_linked(cloud, call, JOIN, str(rule["id"]))
    for name in identities if isinstance(identities, dict) else {}:
        require_linked(cloud, call, ASSIGN, name)


def _create(cloud: Cloud, call: Call, where: Place, group: Resource) -> Reply:
    body = call.mapping
    kind, sku = _require_kind(body), _require_sku(body)
    location = str(body["location"])
    sent = _properties(cloud, kind, body.get("properties"))
    if "networkAcls" in sent and "customSubDomainName" not in sent:
        raise _needs_domain()
    _require_domain(cloud, sent.get("customSubDomainName"), where.account_key)
    subscription, region = where.subscription.lower(), fold_location(location)
    held = quota.account_pools(kind, sku)
    for need in held:
        quota.require(cloud.world, subscription, region, need)
    id_ = f"{group.id}/providers/Microsoft.CognitiveServices/accounts/{where.name}"
    stored: Body = {
        "id": id_,
        "name": where.name,
        "type": "Microsoft.CognitiveServices/accounts",
        "etag": account_etag(cloud, region, call.now),
        "location": location,
        "sku": {"name": sku},
        "kind": kind,
    }
    if "tags" in body and body["tags"] is not None:
        stored["tags"] = read_tags(body["tags"])
    stored["properties"] = complete(cloud, stored, sent, call.now)
    if body.get("identity") is not None:
        stored["identity"] = _identity(cloud, call, None, body["identity"])
    stored["systemData"] = stamp(None, call.principal, call.now)
    account = Resource(id_, stored, call.now)
    account.held = held
    hide(cloud, call, account.key)
    if cloud.settings.sync_create:
        stored["properties"]["provisioningState"] = "Succeeded"
        return answer(cloud.world.put(account, call.now), 201)
    cloud.world.put(account, call.now)
    low, high = cloud.settings.account_create
    seconds = cloud.chance.spread(f"create:{account.key}", low, high)
    operation = operations.start(
        cloud, call, Plan("Creating", account.key, "account-ready", seconds, location, account.key)
    )
    reply = answer(account, 201)
    reply.headers["azure-asyncoperation"] = operations.url(cloud, call, operation, raw_location=True)
    return reply


def complete(cloud: Cloud, stored: Body, sent: Body, now: float) -> Body:
    """The properties that the service adds to the ones that were sent, in its order."""
    template = catalogue.account_template(str(stored["kind"]))
    properties: Body = {
        "endpoint": "",
        "internalId": cloud.chance.guid().replace("-", ""),
        "dateCreated": iso_fine(now),
    }
    for name in ("apiProperties", "quotaLimit", "callRateLimit"):
        if name in template:
            properties[name] = template[name]
    properties["isMigrated"] = False
    properties.update({name: value for name, value in sent.items() if name != "publicNetworkAccess"})
    if "allowProjectManagement" in template:
        properties.setdefault("allowProjectManagement", False)
    properties["privateEndpointConnections"] = []
    properties["publicNetworkAccess"] = sent.get("publicNetworkAccess", "Enabled")
    properties["capabilities"] = template["capabilities"]
    properties["endpoints"] = {}
    properties["provisioningState"] = "Creating"
    _address(stored, properties)
    return properties


def _address(stored: Body, properties: Body) -> None:
    """Endpoints follow the subdomain, or the region as long as there is none."""
    template = catalogue.account_template(str(stored["kind"]))
    domain = properties.get("customSubDomainName")
    form = "subdomain" if domain else "regional"
    words = {"subdomain": domain, "region": fold_location(str(stored["location"]))}
    properties["endpoint"] = template["endpoint"][form].format(**words)
    properties["endpoints"] = {label: each[form].format(**words) for label, each in template["endpoints"].items()}


def _replace(cloud: Cloud, call: Call, account: Resource) -> Reply:
    """PUT on an account that exists: everything writable is replaced, with guard rails."""
    body = call.mapping
    require_stay(account, str(body["location"]))
    require_lane(cloud, account)
    stored = account.body
    sent = _properties(cloud, str(body.get("kind") or stored["kind"]), body.get("properties"))
    before: Body = stored["properties"]
    if "networkAcls" in before and "networkAcls" not in sent:
        raise errors.bad_request("The property NetworkAcls is required for this resouce.")
    kept = {name: value for name, value in before.items() if name not in _WRITABLE}
    if before.get("allowProjectManagement") is True:
        sent.setdefault("allowProjectManagement", True)
    after = _change(cloud, call, account, sent, whole=True)
    after["properties"] = {**kept, **after["properties"], "provisioningState": "Accepted"}
    after["properties"].setdefault("publicNetworkAccess", "Enabled")
    if "allowProjectManagement" in before:
        after["properties"].setdefault("allowProjectManagement", False)
    _address(after, after["properties"])
    after.pop("tags", None)
    if body.get("tags") is not None:
        after["tags"] = read_tags(body["tags"])
    return _update(cloud, call, account, after, 200)


def patch(cloud: Cloud, call: Call) -> Reply:
    """Touches what is sent. Tags alone are synchronous; all else, even nothing, is an operation."""
    account = require_account(cloud, call)
    require_group(cloud, place(call), writing=True)
    _require_links(cloud, call)
    if call.mapping.get("location"):
        require_stay(account, str(call.mapping["location"]))
    require_lane(cloud, account)
    body = call.mapping
    stored = account.body
    kind = str(body.get("kind") or stored["kind"])
    sent = _properties(cloud, kind, body.get("properties"))
    after = _change(cloud, call, account, sent, whole=False)
    after["properties"] = {**stored["properties"], **after["properties"]}
    if body.get("tags") is not None:
        after["tags"] = read_tags(body["tags"])
    same_sku = "sku" not in body or after["sku"] == stored["sku"]
    if "tags" in body and not sent and same_sku and "identity" not in body and kind == stored["kind"]:
        return answer(_store(cloud, call, account, _touch(cloud, call, account, after)))
    after["properties"]["provisioningState"] = "Accepted"
    _address(after, after["properties"])
    return _update(cloud, call, account, after, 202)


def _change(cloud: Cloud, call: Call, account: Resource, sent: Body, *, whole: bool) -> Body:
    """What PUT and PATCH share: kind, SKU, identity, and the one-way streets of the properties."""
    body, stored = call.mapping, account.body
    before: Body = stored["properties"]
    after = {name: value for name, value in stored.items() if name != "properties"}
    kind = str(body.get("kind") or stored["kind"])
    if kind.lower() != stored["kind"].lower():
        if {kind.lower(), stored["kind"].lower()} != UPGRADABLE:
            raise errors.bad_request(f"The kind of an account cannot be changed from {stored['kind']} to {kind}.")
        after["kind"] = _require_kind(body)
    if body.get("sku") is not None:
        after["sku"] = {"name": _require_sku({"kind": after["kind"], **body})}
    _require_same_domain(cloud, account, sent, whole=whole)
    if "networkAcls" in sent and not (sent.get("customSubDomainName") or before.get("customSubDomainName")):
        raise _needs_domain()
    if before.get("allowProjectManagement") is True and sent.get("allowProjectManagement") is False:
        raise errors.bad_request("allowProjectManagement cannot be turned off.")
    if body.get("identity") is not None:
        after["identity"] = _identity(cloud, call, stored.get("identity"), body["identity"])
    after["properties"] = sent
    return after


def _require_same_domain(cloud: Cloud, account: Resource, sent: Body, *, whole: bool) -> None:
    """A subdomain can be added once, never changed, never taken away."""
    stored, wanted = account.body["properties"].get("customSubDomainName"), sent.get("customSubDomainName")
    if stored and (wanted or whole) and wanted != stored:
        raise errors.bad_request(f"The customSubDomainName of '{account.name}' is '{stored}' and cannot be changed.")
    if not stored:
        _require_domain(cloud, wanted, account.key)


def _update(cloud: Cloud, call: Call, account: Resource, after: Body, status: int) -> Reply:
    after = _touch(cloud, call, account, after)
    changed = _store(cloud, call, account, after)
    location = str(after["location"])
    plan = Plan("Updating", account.key, "account-ready", cloud.settings.account_update, location, account.key)
    operation = operations.start(cloud, call, plan)
    reply = answer(changed, status)
    reply.headers.update(operations.async_headers(cloud, call, operation))
    if status == 200:
        del reply.headers["location"]
    return reply


def _touch(cloud: Cloud, call: Call, account: Resource, after: Body) -> Body:
    order = ("id", "name", "type", "etag", "location", "sku", "kind", "tags", "properties", "identity", "systemData")
    after["etag"] = account_etag(cloud, account.location, call.now)
    after["systemData"] = stamp(account.body.get("systemData"), call.principal, call.now)
    return {name: after[name] for name in order if name in after}


def _store(cloud: Cloud, call: Call, account: Resource, after: Body) -> Resource:
    """The next version, without the fields that a fault makes the service ignore."""
    fault = call.fault
    if fault is not None and fault.kind == "ignore_write":
        for path in fault.detail.get("paths", []):
            after = revert(after, account.body, str(path).split("."))
    changed = account.succeed(after)
    changed.held = quota.account_pools(str(after["kind"]), str(after["sku"]["name"]))
    return cloud.world.put(changed, call.now)


def delete(cloud: Cloud, call: Call) -> Reply:
    """Always soft. Synchronous for the caller, who waits some seconds."""
    where = place(call)
    require_group(cloud, where)
    account = cloud.world.get(where.account_key)
    if account is None:
        return Reply(204)
    if account.key in cloud.world.lanes or account.state == "Deleting":
        raise errors.not_terminal(account.id)
    properties = {**account.body["properties"], "provisioningState": "Deleting"}
    cloud.world.put(account.succeed({**account.body, "properties": properties}), call.now)
    low, high = cloud.settings.account_delete
    seconds = cloud.chance.spread(f"delete:{account.key}:{account.created}", low, high)
    location = str(account.body["location"])
    operation = operations.start(
        cloud, call, Plan("Deleting", account.key, "account-deleted", seconds, location, account.key)
    )
    if operations.is_bent(operation):
        return Reply(202, headers=operations.async_headers(cloud, call, operation))
    return Reply(200, until=operation.end)


def _restore(cloud: Cloud, call: Call, buried: str, id_: str) -> Reply:
    """Synchronous: the account as it was, with fresh system data; its deployments come back with it."""
    grave = cloud.world.graves.get(buried)
    if grave is None or grave.purging:
        raise errors.bad_request(
            f"The resource '{id_}' cannot be restored because it is not soft-deleted in this location.",
            "CanNotRestoreANonExistingResource",
        )
    grave = cloud.world.exhume(buried, call.now)
    body = dict(grave.account.body)
    body["properties"] = {**body["properties"], "provisioningState": "Succeeded"}
    body["etag"] = account_etag(cloud, grave.account.location, call.now)
    body["systemData"] = stamp(None, call.principal, call.now)
    account = grave.account.succeed(body)
    cloud.world.put(account, call.now)
    for child in grave.children:
        upgrades.watch(cloud, cloud.world.put(child, call.now), call.now)
    return answer(account, 201)


# -- what the service refuses


def _require_region(location: str, kind: str) -> None:
    region = catalogue.regions().get(fold_location(location))
    if region is None or (kind.lower() == "openai" and not region.openai):
        known = ",".join(each.name for each in catalogue.regions().values())
        raise errors.gateway(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{location}' is not available for resource type "
            f"'Microsoft.CognitiveServices/accounts'. List of available regions for the resource type is '{known}'.",
        )


def _require_kind(body: Body) -> str:
    kind = str(body.get("kind") or "")
    known = catalogue.kinds().get(kind.lower())
    if known is not None:
        return known
    if kind.lower() in OTHER_KINDS:
        return kind
    raise errors.bad_request(f"The account kind '{kind}' is not valid.", "InvalidKind")


def _require_sku(body: Body) -> str:
    sku = body.get("sku")
    name = str(sku.get("name") or "") if isinstance(sku, dict) else str(sku or "")
    kind = str(body.get("kind") or "").lower()
    if not name:
        raise errors.bad_request("The sku of the account is required.", "InvalidSku")
    if kind in UPGRADABLE and name.lower() != "s0":
        raise errors.bad_request(f"The sku '{name}' is not valid for kind '{body.get('kind')}'.", "InvalidSku")
    return "S0" if name.lower() == "s0" else name


def _require_domain(cloud: Cloud, domain: Json, account_key: str) -> None:
    if not domain:
        return
    owner = cloud.world.domains.get(domain)
    if owner is not None and owner != account_key:
        raise errors.ArmError(
            409,
            "CustomDomainInUse",
            f"Please pick a different name. The subdomain name '{domain}' is not available as it's already used by a "
            "resource. The resource may have been deleted within the last 48 hours; purge it to use the name now.",
        )


def _needs_domain() -> errors.ArmError:
    return errors.bad_request("Network ACLs need a customSubDomainName on the account.")


def _properties(cloud: Cloud, kind: str, sent: Json) -> Body:
    """The writable properties that were sent, in the service's reading; an explicit null is passed over."""
    if sent is None:
        return {}
    if not isinstance(sent, dict):
        raise errors.gateway(400, "InvalidRequestContent", "The request content was invalid: properties is no object.")
    folded = {name.lower(): value for name, value in sent.items() if value is not None}
    result: Body = {}
    if (domain := folded.get("customsubdomainname")) is not None:
        result["customSubDomainName"] = _domain_name(domain)
    if (access := folded.get("publicnetworkaccess")) is not None:
        result["publicNetworkAccess"] = _access(access)
    if (acls := folded.get("networkacls")) is not None:
        result["networkAcls"] = firewall.normalise(cloud.world, kind, acls)
    for name in FLAGS:
        if name.lower() in folded:
            result[name] = _flag(sent, name)
    if "dynamicThrottlingEnabled" in result and kind.lower() in UPGRADABLE:
        raise errors.bad_request(f"dynamicThrottlingEnabled is not supported for kind '{kind}'.")
    result.update({name: folded[name.lower()] for name in ECHOED if name.lower() in folded})
    if folded.get("apiproperties"):
        result["apiProperties"] = folded["apiproperties"]
    return result


_WRITABLE: Final = frozenset({"customSubDomainName", "publicNetworkAccess", "networkAcls", *FLAGS, *ECHOED})


def _domain_name(value: Json) -> str:
    name = str(value).lower()
    if DOMAIN.fullmatch(name) is None:
        raise errors.bad_request(f"The customSubDomainName '{value}' is not valid.", "InvalidCustomSubDomainName")
    return name


def _access(value: Json) -> str:
    for choice in ACCESS:
        if str(value).lower() == choice.lower():
            return choice
    raise errors.bad_request(f"publicNetworkAccess must be one of {', '.join(ACCESS)}; it is '{value}'.")


def _flag(properties: Body, name: str) -> bool:
    value = look(properties, name)
    if value is None:
        return False
    try:
        return to_bool(value)
    except ValueError as problem:
        raise errors.gateway(
            400, "InvalidRequestContent", f"The request content was invalid: '{name}' is no boolean: {value!r}."
        ) from problem


def _identity(cloud: Cloud, call: Call, stored: Body | None, sent: Json) -> Body:
    kind = str(sent.get("type", "None")) if isinstance(sent, dict) else "None"
    parts = {part.strip().lower() for part in kind.split(",")}
    if not parts <= {"none", "systemassigned", "userassigned"}:
        raise errors.bad_request(f"The identity type '{kind}' is not valid.")
    if parts == {"none"}:
        return {"type": "None"}
    names = {"systemassigned": "SystemAssigned", "userassigned": "UserAssigned"}
    spelt = ", ".join(names[part] for part in ("systemassigned", "userassigned") if part in parts)
    result: Body = {}
    if "systemassigned" in parts:
        principal = (stored or {}).get("principalId") or cloud.chance.guid()
        result |= {"principalId": principal, "tenantId": call.principal.tenant}
    result["type"] = spelt
    if "userassigned" in parts:
        wanted = sent.get("userAssignedIdentities")
        if not isinstance(wanted, dict) or not wanted:
            raise errors.bad_request("A user-assigned identity needs userAssignedIdentities.")
        known = {key.lower(): value for key, value in ((stored or {}).get("userAssignedIdentities") or {}).items()}
        result["userAssignedIdentities"] = {
            key: known.get(key.lower()) or {"principalId": cloud.chance.guid(), "clientId": cloud.chance.guid()}
            for key, value in wanted.items()
            if value is not None
        }
    return result


# -- effects


def settle_state(cloud: Cloud, operation: Operation, at: float) -> None:
    """The end of a create or an update: a terminal state and a new etag."""
    account = cloud.world.get(operation.target)
    if account is None:
        return
    state = "Succeeded" if operation.error is None else "Failed"
    properties = {**account.body["properties"], "provisioningState": state}
    etag = account_etag(cloud, account.location, at)
    cloud.world.put(account.succeed({**account.body, "etag": etag, "properties": properties}), at)


def settle_delete(cloud: Cloud, operation: Operation, at: float) -> None:
    account = cloud.world.get(operation.target)
    if account is None:
        return
    if operation.error is None:
        deleted.bury(cloud, account, at)
        return
    settle_state(cloud, operation, at)


# -- for the tags endpoint


def retag(cloud: Cloud, call: Call, account: Resource, tags: dict[str, str]) -> Resource:
    """Tags changed from outside the type: the same as a PATCH of tags."""
    return _store(cloud, call, account, _touch(cloud, call, account, {**account.body, "tags": tags}))
