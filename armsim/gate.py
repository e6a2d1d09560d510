"""What ARM itself checks before a provider sees a request: who asks, how often, where, and whether it may.

Order: token, api-version, subscription, buckets, permission, registration, locks, policies.
"""

import re
from typing import Final

from armsim import errors, rights
from armsim.cloud import Call, Cloud
from armsim.identity import TokenError
from armsim.routes import Route
from armsim.store import TRACKED
from armsim.throttle import Throttle
from armsim.wire import Body, Json, look, merge

VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z]+)?", re.IGNORECASE)
WRITES: Final = frozenset({"PUT", "PATCH", "POST", "DELETE"})
VERBS: Final = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}
# What polls of operations end with, and the lists of a subscription that show what the caller may read.
POLLED: Final = frozenset({"operationresults", "operations"})
EVERYTHING: Final = "microsoft.resources/subscriptions/resources"
LISTED: Final = frozenset({*TRACKED, "microsoft.resources/subscriptions/resourcegroups", EVERYTHING})


def unauthorised(problem: TokenError, base: str) -> errors.ArmError:
    error = errors.gateway(401, problem.code, problem.message)
    error.headers["www-authenticate"] = (
        f'Bearer authorization_uri="{base}/common", error="invalid_token", error_description="{problem.message}"'
    )
    return error


def require_version(call: Call) -> None:
    version = next((value for name, value in call.query.items() if name.lower() == "api-version"), "")
    if not version:
        raise errors.gateway(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if VERSION.fullmatch(version) is None:
        raise errors.gateway(
            400, "InvalidApiVersionParameter", f"The api-version '{version}' is invalid. It must be a date."
        )
    call.query["api-version"] = version


def require_subscription(cloud: Cloud, call: Call) -> str:
    """The folded subscription of the path, or nothing for a request to the tenant."""
    if call.segments[:1] == [] or call.segments[0].lower() != "subscriptions" or len(call.segments) < 2:
        return ""
    name = call.segments[1].lower()
    found = cloud.world.subscriptions.get(name)
    if found is None:
        raise errors.subscription_not_found(call.segments[1])
    if found.tenant != call.principal.tenant:
        raise errors.gateway(
            401,
            "InvalidAuthenticationTokenTenant",
            f"The access token is from the wrong issuer. It must match the tenant '{found.tenant}' associated with "
            "this subscription.",
        )
    return name


def take_token(cloud: Cloud, throttle: Throttle, call: Call, subscription: str) -> dict[str, str]:
    """The headers that tell what is left; raises 429."""
    refusal, headers = throttle.take(cloud.settings, subscription, call.principal.client, call.method, call.now)
    if refusal is not None:
        error = errors.throttled(refusal.verb[:-1], subscription, call.principal.client, refusal.seconds)
        error.headers.update(headers)
        raise error
    headers.update(_take_provider_token(cloud, throttle, call, subscription))
    return headers


def _take_provider_token(cloud: Cloud, throttle: Throttle, call: Call, subscription: str) -> dict[str, str]:
    """What Microsoft.Network counts on top: all its requests, and those to private DNS on their own."""
    path = call.path.lower()
    if "/providers/microsoft.network/" not in f"{path}/":
        return {}
    dns = "/providers/microsoft.network/privatedns" in path
    reading = call.method in {"GET", "HEAD"}
    settings = cloud.settings
    if dns:
        size, seconds = settings.dns_reads if reading else settings.dns_writes
    else:
        size, seconds = settings.network_reads if reading else settings.network_writes
    key = (subscription, _region(cloud, call), f"{'dns' if dns else 'network'}-{'reads' if reading else 'writes'}")
    wait, left = throttle.take_from(key, size, size / seconds, call.now)
    if wait and settings.throttle:
        error = errors.network("TooManyRequests", f"Too many requests. Please retry after '{wait}' seconds.", 429)
        error.headers["retry-after"] = str(wait)
        raise error
    return {"x-ms-ratelimit-remaining-subscription-resource-requests": str(left)} if dns else {}


def _region(cloud: Cloud, call: Call) -> str:
    """Limits of the network provider hold per region; that of the group stands for it."""
    group = cloud.world.get("/".join(["", *call.segments[:4]]).lower())
    return "" if group is None else group.location


def require_leave(cloud: Cloud, call: Call, route: Route, subscription: str) -> None:
    """Permission, registration, locks and policies: only what this world has is looked at."""
    world = cloud.world
    require_permission(cloud, call, route)
    if subscription and world.subscriptions[subscription].unregistered:
        _require_registration(cloud, call, subscription)
    if call.method not in WRITES:
        return
    if world.locks:
        _require_unlocked(world.locks, call)
    if world.policies and call.method in {"PUT", "PATCH"}:
        _require_policy(cloud, call, route)


def require_permission(cloud: Cloud, call: Call, route: Route) -> None:
    """Costs nothing as long as nothing was granted or denied."""
    world, principal, path = cloud.world, call.principal, call.path
    verb = VERBS[call.method]
    action = route.action if route.action_verb == "" else f"{route.action}/{verb}"
    call.actions.append(action)
    if not world.denied and world.grants is None:
        return
    if rights.may(world, principal, action, path):
        return
    scope = _scope_of(call)
    if not rights.is_denied(world, principal, action, path) and verb == "read" and _is_open(cloud, call, route, scope):
        return
    raise errors.forbidden(principal.client, principal.object, action, scope)


def _is_open(cloud: Cloud, call: Call, route: Route, scope: str) -> bool:
    """Reads that ask for no grant at their own scope.

    What belongs to no subscription, the subscription one works in, operations to whom may read them anywhere in it; and
    the lists of a subscription, which leave out what the caller may not read.
    """
    world, principal, kind = cloud.world, call.principal, route.action.lower()
    if not scope.startswith("/subscriptions/"):
        return True
    if kind == "microsoft.resources/subscriptions":
        return rights.knows(world, principal, scope)
    if kind.rpartition("/")[2] in POLLED:
        return rights.may_somewhere(world, principal, f"{route.action}/read", scope)
    if len(call.segments) > 5 or kind not in LISTED:
        return False
    generic = kind == EVERYTHING
    call.sees = lambda each: rights.may(world, principal, f"{each.type if generic else route.action}/read", each.key)
    if generic:
        return rights.knows(world, principal, scope)
    return rights.may_somewhere(world, principal, f"{route.action}/read", scope)


def _scope_of(call: Call) -> str:
    """The scope that a refusal names: the resource, or what holds the collection or takes the action."""
    parts = call.segments
    low = [each.lower() for each in parts]
    if call.scope:
        return call.scope
    if low[:1] != ["subscriptions"]:
        return call.path
    if low[2:3] != ["resourcegroups"]:
        return "/" + "/".join(parts[:2])
    if "providers" not in low:
        return "/" + "/".join(parts[:4] if len(parts) > 3 else parts[:2])
    at = len(low) - 1 - low[::-1].index("providers")
    inner = len(parts) - at - 1
    if inner % 2:
        return call.path
    return "/" + "/".join(parts[: at if inner == 2 else -1])


def require_linked(cloud: Cloud, call: Call, action: str, linked: str) -> None:
    """The right to use another resource, which ARM checks at the scope of that resource."""
    if action not in call.actions:
        call.actions.append(action)
    if not rights.may(cloud.world, call.principal, action, linked):
        verb = f"write on {call.path}"
        raise errors.linked_forbidden(call.principal.client, call.principal.object, action, linked, verb)


def _require_registration(cloud: Cloud, call: Call, subscription: str) -> None:
    """Writes, and what a provider answers for a location; lists of resources are just empty."""
    low = [each.lower() for each in call.segments]
    if "providers" not in low or low[-1] in {"register", "unregister"}:
        return
    at = low.index("providers") + 1
    if at >= len(low) or (at == len(low) - 1):
        return
    served = call.method not in WRITES and low[at + 1 : at + 2] != ["locations"]
    if low[at] in cloud.world.subscriptions[subscription].unregistered and not served:
        raise errors.unregistered(call.segments[at])


def _require_unlocked(locks: list[Body], call: Call) -> None:
    """A lock holds for its scope and all below; a delete also meets the locks below."""
    if call.scope and "locks" in call.path.lower().rsplit("/providers/", 1)[-1]:
        return
    target = (call.scope or call.path).lower()
    hits = []
    for lock in locks:
        scope = str(lock["scope"]).rstrip("/").lower()
        above = target == scope or target.startswith(f"{scope}/")
        below = call.method == "DELETE" and scope.startswith(f"{target}/")
        if (above and (call.method == "DELETE" or lock["level"] == "ReadOnly")) or below:
            hits.append(str(lock["scope"]))
    if hits:
        raise errors.locked("delete" if call.method == "DELETE" else "write", call.path, hits)


def _require_policy(cloud: Cloud, call: Call, route: Route) -> None:
    """Judges the resource as it would be after the write."""
    stored = cloud.world.get(call.path.lower())
    after = call.mapping
    if call.method == "PATCH" and stored is not None:
        after = merge(stored.body, after)
    for policy in cloud.world.policies:
        scope = str(policy.get("scope", "/")).rstrip("/").lower()
        deny: Body = policy.get("deny") or {}
        wanted = str(deny.get("type") or route.action).lower()
        kind = "microsoft.resources/subscriptions/resourcegroups" if wanted.endswith("/resourcegroups") else wanted
        if kind != route.action.lower() or not f"{call.path.lower()}/".startswith(f"{scope}/"):
            continue
        if _denies(deny, after):
            message = str(deny.get("message") or "The resource does not comply with a policy.")
            raise errors.disallowed_by_policy(call.segments[-1], message)


def _denies(deny: Body, after: Body) -> bool:
    """No field: always. `equals`, `notEquals`: by value. A field alone: when it is missing."""
    field = deny.get("field")
    if not field:
        return True
    value: Json = look(after, str(field))
    if "equals" in deny:
        return bool(value == deny["equals"])
    if "notEquals" in deny:
        return bool(value != deny["notEquals"])
    return value is None
