"""`accounts/raiPolicies`: content filters. The system's own are always there and belong to nobody."""

from typing import Final

from armsim import errors, operations
from armsim.cloud import Call, Cloud, Reply
from armsim.operations import Plan
from armsim.rp.base import (
    account_etag,
    answer,
    hide,
    listed,
    read_tags,
    require_account,
    require_parent,
    revert,
    seen,
    stamp,
)
from armsim.store import Resource
from armsim.wire import Body, Json, encode, join_list, look, to_bool

SYSTEM: Final = ("Microsoft.Default", "Microsoft.DefaultV2")
HARMS: Final = ("Hate", "Sexual", "Violence", "Selfharm")
LEVELS: Final = ("Low", "Medium", "High")
SOURCES: Final = ("Prompt", "Completion", "PreToolCall", "PostToolCall", "PreRun", "PostRun")
MODES: Final = ("Default", "Deferred", "Blocking", "Asynchronous_filter")


def get(cloud: Cloud, call: Call) -> Reply:
    account = require_account(cloud, call)
    name = call.names[3]
    system = _system_name(name)
    if system is not None:
        return Reply(200, encode(_system(account, system)))
    found = seen(cloud, call, f"{account.key}/raipolicies/{name.lower()}")
    if found is None:
        raise _missing(account, name)
    return answer(found)


def list_all(cloud: Cloud, call: Call) -> Reply:
    account = require_account(cloud, call)
    own = [each.render() for each in listed(cloud, call, f"{account.key}/raipolicies")]
    return Reply(200, join_list([*(encode(_system(account, name)) for name in SYSTEM), *own]))


def put(cloud: Cloud, call: Call) -> Reply:
    account = require_parent(cloud, call, "write", "raiPolicies")
    name = call.names[3]
    if _system_name(name) is not None or name.lower().startswith("microsoft."):
        raise errors.bad_request(f"The policy '{name}' is managed by the system and cannot be changed.")
    existing = cloud.world.get(f"{account.key}/raipolicies/{name.lower()}")
    name = existing.name if existing else name
    id_ = f"{account.id}/raiPolicies/{name}"
    body: Body = {
        "id": id_,
        "type": "Microsoft.CognitiveServices/accounts/raiPolicies",
        "name": name,
        "etag": account_etag(cloud, account.location, call.now),
        "properties": _properties(call.mapping.get("properties")),
    }
    if call.mapping.get("tags") is not None:
        body["tags"] = read_tags(call.mapping["tags"])
    body["systemData"] = stamp(existing.body["systemData"] if existing else None, call.principal, call.now)
    if call.fault is not None and call.fault.kind == "ignore_write":
        for path in call.fault.detail.get("paths", []):
            body = revert(body, existing.body if existing else {}, str(path).split("."))
    policy = Resource(id_, body, existing.created if existing else call.now)
    policy.location = account.location
    cloud.world.put(policy, call.now)
    status = 200 if existing else 201
    if existing is None:
        hide(cloud, call, policy.key)
    plan = Plan("Creating", policy.key, "nothing", cloud.settings.rai_write, str(account.body["location"]), account.key)
    operation = operations.start(cloud, call, plan)
    if operations.is_bent(operation):
        return answer(policy, status)
    reply = answer(policy, status)
    reply.until = operation.end
    return reply


def delete(cloud: Cloud, call: Call) -> Reply:
    """202 or 204; never 200, which the SDK would not take."""
    account = require_parent(cloud, call, "delete", "raiPolicies")
    name = call.names[3]
    if _system_name(name) is not None:
        raise errors.bad_request(f"The policy '{name}' is managed by the system and cannot be deleted.")
    key = f"{account.key}/raipolicies/{name.lower()}"
    if cloud.world.get(key) is None:
        return Reply(204)
    for each in cloud.world.members(f"{account.key}/deployments"):
        if str(look(each.body, "properties.raiPolicyName") or "").lower() == name.lower():
            raise errors.bad_request(f"The policy '{name}' is used by deployment '{each.name}' and cannot be deleted.")
    plan = Plan("Deleting", key, "policy-deleted", cloud.settings.rai_write, str(account.body["location"]), account.key)
    operation = operations.start(cloud, call, plan)
    return Reply(202, headers=operations.async_headers(cloud, call, operation))


def _properties(sent: Json) -> Body:
    if not isinstance(sent, dict):
        raise errors.bad_request("The properties of the policy are required.")
    result: Body = {"type": "UserManaged", "mode": _choice(sent.get("mode", "Default"), "mode", MODES)}
    base = sent.get("basePolicyName")
    if not base:
        raise errors.bad_request("The basePolicyName of the policy is required.")
    result["basePolicyName"] = str(base)
    result["contentFilters"] = [_filter(each) for each in sent.get("contentFilters") or []]
    for name in ("customBlocklists", "customTopics", "safetyProviders"):
        if sent.get(name) is not None:
            result[name] = sent[name]
    return result


def _filter(sent: Json) -> Body:
    if not isinstance(sent, dict) or not sent.get("name"):
        raise errors.bad_request("A content filter needs a name.")
    result: Body = {"name": str(sent["name"])}
    try:
        result |= {name: to_bool(sent[name]) for name in ("blocking", "enabled") if sent.get(name) is not None}
    except ValueError as problem:
        raise errors.bad_request(f"The content filter '{sent['name']}' has a flag that is no boolean.") from problem
    if sent.get("severityThreshold") is not None:
        result["severityThreshold"] = _choice(sent["severityThreshold"], "severityThreshold", LEVELS)
    if sent.get("source") is not None:
        result["source"] = _choice(sent["source"], "source", SOURCES)
    if sent.get("action") is not None:
        result["action"] = str(sent["action"])
    return result


def _choice(value: Json, name: str, choices: tuple[str, ...]) -> str:
    for choice in choices:
        if str(value).lower() == choice.lower():
            return choice
    raise errors.bad_request(f"{name} must be one of {', '.join(choices)}; it is '{value}'.")


def _system_name(name: str) -> str | None:
    return next((each for each in SYSTEM if each.lower() == name.lower()), None)


def _system(account: Resource, name: str) -> Body:
    level = "Medium"
    filters = [
        {"name": harm, "severityThreshold": level, "blocking": True, "enabled": True, "source": source}
        for harm in HARMS
        for source in ("Prompt", "Completion")
    ]
    if name == "Microsoft.DefaultV2":
        filters += [
            {"name": "Jailbreak", "blocking": True, "enabled": True, "source": "Prompt"},
            {"name": "Protected Material Text", "blocking": True, "enabled": True, "source": "Completion"},
            {"name": "Protected Material Code", "blocking": False, "enabled": True, "source": "Completion"},
        ]
    return {
        "id": f"{account.id}/raiPolicies/{name}",
        "type": "Microsoft.CognitiveServices/accounts/raiPolicies",
        "name": name,
        "properties": {"mode": "Blocking", "type": "SystemManaged", "contentFilters": filters},
    }


def _missing(account: Resource, name: str) -> errors.ArmError:
    group = account.id.split("/")[4]
    error = errors.resource_not_found(f"Microsoft.CognitiveServices/accounts/{account.name}/raiPolicies/{name}", group)
    error.cause = "service"
    return error
