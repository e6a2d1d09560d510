"""`Microsoft.Resources`: subscriptions, tenants, groups, providers, tags, generic lists, cloud metadata."""

import re
from typing import Final

from armsim import catalogue, errors, operations, rights
from armsim.cloud import Call, Cloud, Reply
from armsim.operations import Plan
from armsim.rp import accounts, deleted, network, private_endpoints
from armsim.rp.base import Place, answer, place, read_tags, require_group, require_lane, seen, stale
from armsim.store import ACCOUNT, ENDPOINT, GROUP, TRACKED, ZONE, Operation, Resource, Subscription
from armsim.wire import Body, encode, fold_location, join_list, look

GROUP_NAME: Final = re.compile(r"[-\w._()]{1,90}")
CS: Final = "Microsoft.CognitiveServices"
PROVIDERS: Final = {
    each.lower(): each
    for each in ("Microsoft.CognitiveServices", "Microsoft.Resources", "Microsoft.Authorization", "Microsoft.Network")
}
CS_TYPES: Final = (
    "accounts",
    "accounts/deployments",
    "accounts/raiPolicies",
    "deletedAccounts",
    "locations",
    "locations/operationResults",
    "locations/resourceGroups",
    "locations/resourceGroups/deletedAccounts",
    "locations/usages",
    "locations/models",
    "operations",
)
VERSIONS: Final = ("2025-09-01", "2025-06-01", "2024-10-01", "2023-05-01", "2022-12-01", "2017-04-18")
NETWORK_VERSIONS: Final = ("2026-03-01", "2024-06-01", "2023-11-01", "2023-09-01", "2022-01-01", "2018-09-01")
NETWORK_TYPES: Final = (
    "networkSecurityGroups",
    "virtualNetworks",
    "networkInterfaces",
    "privateEndpoints",
    "privateDnsZones",
    "privateDnsZones/virtualNetworkLinks",
    "locations",
    "locations/operations",
    "locations/operationResults",
)
GROUP_VERSIONS: Final = ("2025-04-01", "2024-11-01", "2022-09-01", "2021-04-01", "2020-06-01", "2016-09-01")


# -- subscriptions and tenants


def list_subscriptions(cloud: Cloud, call: Call) -> Reply:
    rows = [
        _subscription(each)
        for each in cloud.world.subscriptions.values()
        if each.tenant == call.principal.tenant
        and rights.knows(cloud.world, call.principal, f"/subscriptions/{each.id}")
    ]
    return Reply(200, encode({"value": rows, "count": {"type": "Total", "value": len(rows)}}))


def get_subscription(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, encode(_subscription(cloud.world.subscriptions[call.names[0].lower()])))


def list_tenants(_cloud: Cloud, call: Call) -> Reply:
    tenant = call.principal.tenant
    row = {
        "id": f"/tenants/{tenant}",
        "tenantId": tenant,
        "countryCode": "NL",
        "displayName": "Simulated tenant",
        "domains": ["simulated.example.com"],
        "tenantCategory": "Home",
        "defaultDomain": "simulated.example.com",
        "tenantType": "AAD",
    }
    return Reply(200, encode({"value": [row]}))


def list_locations(_cloud: Cloud, call: Call) -> Reply:
    rows = [
        {
            "id": f"/subscriptions/{call.names[0]}/locations/{each.name}",
            "name": each.name,
            "type": "Region",
            "displayName": each.display,
            "regionalDisplayName": each.display,
            "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
        }
        for each in catalogue.regions().values()
    ]
    return Reply(200, encode({"value": rows}))


def _subscription(subscription: Subscription) -> Body:
    return {
        "id": f"/subscriptions/{subscription.id}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": subscription.id,
        "tenantId": subscription.tenant,
        "displayName": subscription.name,
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


# -- groups


def put_group(cloud: Cloud, call: Call) -> Reply:
    where = place(call)
    if GROUP_NAME.fullmatch(where.group) is None or where.group.endswith("."):
        raise errors.gateway(400, "InvalidResourceGroup", f"The resource group name '{where.group}' is not valid.")
    body = call.mapping
    location = body.get("location")
    if not isinstance(location, str) or not location:
        raise errors.gateway(400, "LocationRequired", "The location property is required for this definition.")
    if fold_location(location) not in catalogue.regions():
        known = ",".join(catalogue.regions())
        raise errors.gateway(
            400,
            "LocationNotAvailableForResourceGroup",
            f"The provided location '{location}' is not available for resource group. List of available regions is "
            f"'{known}'.",
        )
    existing = cloud.world.get(where.group_key)
    if existing is None:
        group = make_group(cloud, where, body)
        return answer(cloud.world.put(Resource(str(group["id"]), group, call.now), call.now), 201)
    if existing.state == "Deleting":
        raise errors.group_being_deleted(existing.name)
    if fold_location(location) != existing.location:
        raise errors.gateway(
            409,
            "InvalidResourceGroupLocation",
            f"Invalid resource group location '{fold_location(location)}'. The Resource group already exists in "
            f"location '{existing.location}'.",
        )
    group = make_group(cloud, Place(where.subscription, existing.name, ""), body)
    return answer(cloud.world.put(existing.succeed(group), call.now))


def make_group(cloud: Cloud, where: Place, body: Body) -> Body:
    """The stored form: the location in its short form, tags and managedBy only when sent."""
    subscription = cloud.world.subscriptions[where.subscription.lower()].id
    group: Body = {
        "id": f"/subscriptions/{subscription}/resourceGroups/{where.group}",
        "name": where.group,
        "type": "Microsoft.Resources/resourceGroups",
        "location": fold_location(str(body["location"])),
    }
    if body.get("managedBy") is not None:
        group["managedBy"] = body["managedBy"]
    if body.get("tags") is not None:
        group["tags"] = read_tags(body["tags"])
    group["properties"] = {"provisioningState": "Succeeded"}
    return group


def patch_group(cloud: Cloud, call: Call) -> Reply:
    group = require_group(cloud, place(call), writing=True)
    body = dict(group.body)
    if call.mapping.get("tags") is not None:
        body["tags"] = read_tags(call.mapping["tags"])
    if call.mapping.get("managedBy") is not None:
        body["managedBy"] = call.mapping["managedBy"]
    order = ("id", "name", "type", "location", "managedBy", "tags", "properties")
    after = group.succeed({name: body[name] for name in order if name in body})
    return answer(cloud.world.put(after, call.now))


def get_group(cloud: Cloud, call: Call) -> Reply:
    where = place(call)
    group = seen(cloud, call, where.group_key)
    if group is None:
        raise errors.group_not_found(where.group)
    return answer(group)


def has_group(cloud: Cloud, call: Call) -> Reply:
    if cloud.world.get(place(call).group_key) is None:
        raise errors.group_not_found(call.names[1])
    return Reply(204)


def list_groups(cloud: Cloud, call: Call) -> Reply:
    collection = f"/subscriptions/{call.names[0]}/resourcegroups".lower()
    members = {each.key: each for each in cloud.world.members(collection)}
    for key, old in (stale(cloud, call) or {}).items():
        if key.rpartition("/")[0] == collection:
            if old is None:
                members.pop(key, None)
            else:
                members[key] = old
    wanted = _tag_filter(call.query.get("$filter"))
    return Reply(200, join_list(each.render() for each in call.visible(members.values()) if _tagged(each, wanted)))


def delete_group(cloud: Cloud, call: Call) -> Reply:
    """202 and a location to poll every 15 s; accounts inside are deleted softly on the way."""
    group = require_group(cloud, place(call))
    if group.state != "Deleting":
        body = {**group.body, "properties": {"provisioningState": "Deleting"}}
        cloud.world.put(group.succeed(body), call.now)
        plan = Plan("Deleting", group.key, "group-deleted", cloud.settings.group_delete, group.location)
        guid = operations.start(cloud, call, plan).guid
    else:
        guid = next(
            each.guid for each in cloud.world.operations.values() if each.target == group.key and not each.status
        )
    return Reply(202, headers=_group_headers(call, guid))


def poll_group(cloud: Cloud, call: Call) -> Reply:
    guid = call.names[1].lower()
    operation = cloud.world.operations.get(guid)
    if operation is None or operation.effect != "group-deleted":
        raise errors.gateway(404, "OperationNotFound", f"The operation '{call.names[1]}' could not be found.")
    if not operation.status:
        return Reply(202, headers=_group_headers(call, guid))
    if operation.error is not None:
        raise errors.gateway(409, str(operation.error["code"]), str(operation.error["message"]))
    return Reply(200)


def _group_headers(call: Call, guid: str) -> dict[str, str]:
    version = call.query["api-version"]
    link = f"{call.base}/subscriptions/{call.names[0]}/operationresults/{guid.upper()}?api-version={version}"
    return {"location": link, "retry-after": "15"}


def settle_group(cloud: Cloud, operation: Operation, at: float) -> None:
    group = cloud.world.get(operation.target)
    if group is None:
        return
    if operation.error is not None:
        cloud.world.put(group.succeed({**group.body, "properties": {"provisioningState": "Failed"}}), at)
        return
    raze(cloud, group, at)


def raze(cloud: Cloud, group: Resource, at: float) -> None:
    """The group and everything in it are gone; accounts are buried."""
    for account in list(cloud.world.members(f"{group.key}/providers/{ACCOUNT}")):
        properties = {**account.body["properties"], "provisioningState": "Succeeded"}
        deleted.bury(cloud, account.succeed({**account.body, "properties": properties}), at)
    for child in cloud.world.children(group.key):
        if child.type == ENDPOINT:
            private_endpoints.vanish(cloud, child, at)
        network.forget(cloud, child.key, at)
    cloud.world.remove(group.key, at)


# -- generic lists


def list_resources(cloud: Cloud, call: Call) -> Reply:
    """`/resources`, of a subscription or of a group, with the filters that clients use."""
    subscription = call.names[0].lower()
    group = None
    if len(call.names) > 1:
        group = require_group(cloud, place(call)).name.lower()
    wanted = call.query.get("$filter")
    kind = _quoted(wanted, r"resourceType\s+eq\s+'([^']*)'")
    kinds = [each for each in TRACKED if kind is None or kind.lower() == each]
    tag = _tag_filter(wanted)
    name = _quoted(wanted, r"(?<!tag)name\s+eq\s+'([^']*)'")
    rows = [
        _generic(each)
        for type_ in kinds
        for each in call.visible(cloud.world.of_type(subscription, type_))
        if (group is None or each.group == group)
        and _tagged(each, tag)
        and (name is None or each.name.lower() == name.lower())
    ]
    return Reply(200, encode({"value": rows}))


def _generic(resource: Resource) -> Body:
    return {
        name: resource.body[name]
        for name in ("id", "name", "type", "location", "sku", "kind", "tags", "identity")
        if name in resource.body
    }


def _quoted(text: str | None, pattern: str) -> str | None:
    found = re.search(pattern, text or "", re.IGNORECASE)
    return found.group(1) if found else None


def _tag_filter(text: str | None) -> tuple[str, str | None] | None:
    name = _quoted(text, r"tagname\s+eq\s+'([^']*)'")
    return None if name is None else (name, _quoted(text, r"tagvalue\s+eq\s+'([^']*)'"))


def _tagged(resource: Resource, wanted: tuple[str, str | None] | None) -> bool:
    if wanted is None:
        return True
    name, value = wanted
    tags = {key.lower(): each for key, each in (resource.body.get("tags") or {}).items()}
    return name.lower() in tags and (value is None or tags[name.lower()] == value)


# -- providers


def list_providers(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, encode({"value": [_provider(cloud, call, each) for each in PROVIDERS.values()]}))


def get_provider(cloud: Cloud, call: Call) -> Reply:
    return Reply(200, encode(_provider(cloud, call, _namespace(call))))


def register(cloud: Cloud, call: Call) -> Reply:
    """Registering for a while, then Registered."""
    namespace = _namespace(call)
    subscription = cloud.world.subscriptions[call.names[0].lower()]
    if namespace.lower() in subscription.unregistered and namespace.lower() not in subscription.registering:
        due = call.now + cloud.settings.provider_register
        subscription.registering[namespace.lower()] = due
        cloud.world.version += 1
        cloud.world.schedule(due, "registration", f"{subscription.id.lower()} {namespace.lower()}")
    return Reply(200, encode(_provider(cloud, call, namespace)))


def unregister(cloud: Cloud, call: Call) -> Reply:
    namespace = _namespace(call)
    subscription = cloud.world.subscriptions[call.names[0].lower()]
    subscription.unregistered.add(namespace.lower())
    cloud.world.version += 1
    return Reply(200, encode(_provider(cloud, call, namespace)))


def settle_registration(cloud: Cloud, _at: float, subject: str) -> None:
    subscription_id, namespace = subject.split(" ")
    subscription = cloud.world.subscriptions.get(subscription_id)
    if subscription is not None:
        subscription.unregistered.discard(namespace)
        subscription.registering.pop(namespace, None)
        cloud.world.version += 1


def _namespace(call: Call) -> str:
    name = call.names[-1]
    found = PROVIDERS.get(name.lower())
    if found is None:
        raise errors.gateway(404, "InvalidResourceNamespace", f"The resource namespace '{name}' is invalid.")
    return found


def _provider(cloud: Cloud, call: Call, namespace: str) -> Body:
    subscription = cloud.world.subscriptions.get(call.names[0].lower()) if call.names else None
    state = "Registered"
    if subscription is not None and namespace.lower() in subscription.unregistered:
        state = "Registering" if namespace.lower() in subscription.registering else "NotRegistered"
    prefix = f"/subscriptions/{subscription.id}" if subscription else ""
    places = [each.display for each in catalogue.regions().values()]
    if namespace == CS:
        types = [_resource_type(name, places, VERSIONS) for name in CS_TYPES]
    elif namespace == "Microsoft.Network":
        types = [_resource_type(name, places, NETWORK_VERSIONS) for name in NETWORK_TYPES]
    elif namespace == "Microsoft.Resources":
        types = [_resource_type(name, [], GROUP_VERSIONS) for name in ("resourceGroups", "subscriptions", "tags")]
    else:
        types = []
    return {
        "id": f"{prefix}/providers/{namespace}",
        "namespace": namespace,
        "resourceTypes": types,
        "registrationState": state,
        "registrationPolicy": "RegistrationRequired",
    }


def _resource_type(name: str, places: list[str], versions: tuple[str, ...]) -> Body:
    return {
        "resourceType": name,
        "locations": places,
        "apiVersions": list(versions),
        "defaultApiVersion": versions[0],
        "capabilities": "SupportsTags, SupportsLocation" if name == "accounts" else "None",
    }


# -- tags at any scope


def get_tags(cloud: Cloud, call: Call) -> Reply:
    return _tags_answer(call, _tag_target(cloud, call))


def put_tags(cloud: Cloud, call: Call) -> Reply:
    target = _tag_target(cloud, call)
    return _set_tags(cloud, call, target, read_tags(look(call.mapping, "properties.tags") or {}))


def patch_tags(cloud: Cloud, call: Call) -> Reply:
    """Merge, Replace or Delete."""
    target = _tag_target(cloud, call)
    sent = read_tags(look(call.mapping, "properties.tags") or {})
    tags: dict[str, str] = dict(target.body.get("tags") or {})
    kind = str(call.mapping.get("operation", "")).lower()
    if kind == "replace":
        tags = sent
    elif kind == "merge":
        tags |= sent
    elif kind == "delete":
        tags = {name: value for name, value in tags.items() if name not in sent}
    else:
        raise errors.gateway(400, "InvalidRequestContent", "The request content was invalid: operation.")
    return _set_tags(cloud, call, target, tags)


def delete_tags(cloud: Cloud, call: Call) -> Reply:
    _set_tags(cloud, call, _tag_target(cloud, call), {})
    return Reply(200)


def tag_names(_cloud: Cloud, _call: Call) -> Reply:
    return Reply(200, encode({"value": []}))


def _tag_target(cloud: Cloud, call: Call) -> Resource:
    target = cloud.world.get(call.scope.lower())
    if target is None or target.type not in {*TRACKED, GROUP}:
        raise errors.gateway(404, "ResourceNotFound", f"The Resource '{call.scope}' was not found. {errors.FIX}")
    return target


def _set_tags(cloud: Cloud, call: Call, target: Resource, tags: dict[str, str]) -> Reply:
    if target.type == ACCOUNT:
        require_lane(cloud, target)
        changed = accounts.retag(cloud, call, target, tags)
    elif target.type in TRACKED and not target.type.startswith(ZONE):
        network.require_free(cloud, call, target.key, target.id)
        changed = network.retag(cloud, target, tags, call.now)
    else:
        changed = cloud.world.put(target.succeed({**target.body, "tags": tags}), call.now)
    return _tags_answer(call, changed)


def _tags_answer(call: Call, target: Resource) -> Reply:
    body = {
        "id": f"{call.scope}/providers/Microsoft.Resources/tags/default",
        "name": "default",
        "type": "Microsoft.Resources/tags",
        "properties": {"tags": target.body.get("tags") or {}},
    }
    return Reply(200, encode(body))


# -- the cloud itself


def cloud_metadata(_cloud: Cloud, call: Call) -> Reply:
    """One shape per age of client: flat until 2018, a list of clouds until 2021, one cloud since 2022."""
    version = call.query.get("api-version", "2015-01-01")
    if version < "2018":
        old = {
            "galleryEndpoint": f"{call.base}/",
            "graphEndpoint": f"{call.base}/",
            "portalEndpoint": f"{call.base}/",
            "authentication": {"loginEndpoint": f"{call.base}/", "audiences": [f"{call.base}/"]},
        }
        return Reply(200, encode(old))
    modern: Body = {
        "name": "AzureSimulated",
        "portal": call.base,
        "authentication": {
            "loginEndpoint": call.base,
            "audiences": [call.base, f"{call.base}/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "media": call.base,
        "graphAudience": f"{call.base}/",
        "graph": f"{call.base}/",
        "microsoftGraphResourceId": f"{call.base}/",
        "suffixes": {
            "storage": "core.windows.net",
            "keyVaultDns": "vault.azure.net",
            "sqlServerHostname": "database.windows.net",
            "acrLoginServer": "azurecr.io",
        },
        "batch": call.base,
        "resourceManager": f"{call.base}/",
        "vmImageAliasDoc": f"{call.base}/",
        "gallery": f"{call.base}/",
    }
    return Reply(200, encode([modern] if version < "2022" else modern))
