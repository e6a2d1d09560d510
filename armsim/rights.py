"""What callers may do: what was granted to them less what was denied, at the scope where they ask for it.

As long as nothing was ever granted, everybody may do everything that is not denied. What is enforced and what the
permissions API answers come from the same two lists. Knows no request and no provider.
"""

import re
from functools import cache

from armsim.cloud import Principal
from armsim.store import World
from armsim.wire import Body


def may(world: World, principal: Principal, action: str, path: str) -> bool:
    """Whether this caller may do this to what is at the path, or would be."""
    if is_denied(world, principal, action, path):
        return False
    # People act through the control path alone, where nobody is asked for a grant.
    return principal.kind == "User" or any(
        _names(each, principal) and _is_above(each, path) and _covers(each, action) for each in _grants(world)
    )


def may_somewhere(world: World, principal: Principal, action: str, path: str) -> bool:
    """Whether this caller may do this to the path or to anything below it."""
    return may(world, principal, action, path) or any(
        _names(each, principal) and _is_below(each, path) and _covers(each, action) for each in _grants(world)
    )


def knows(world: World, principal: Principal, path: str) -> bool:
    """Whether anything at all was granted to this caller above, at or below the path."""
    return any(_names(each, principal) and (_is_above(each, path) or _is_below(each, path)) for each in _grants(world))


def is_denied(world: World, principal: Principal, action: str, path: str) -> bool:
    """Whether one of the denials takes this action on this path from this caller."""
    return any(
        _names(each, principal) and _is_above(each, path) and _matches(_pattern(each), action) for each in world.denied
    )


def entries(world: World, principal: Principal, scope: str) -> list[Body]:
    """One entry for each grant that holds at the scope, in the words of the permissions API; denials are in all."""
    taken = [_pattern(each) for each in world.denied if _names(each, principal) and _is_above(each, scope)]
    return [
        {
            "actions": _texts(each, "actions"),
            "notActions": list(dict.fromkeys([*_texts(each, "notActions"), *taken])),
            "dataActions": [],
            "notDataActions": [],
        }
        for each in _grants(world)
        if _names(each, principal) and _is_above(each, scope)
    ]


def _grants(world: World) -> list[Body]:
    return [{"actions": ["*"]}] if world.grants is None else world.grants


def _names(rule: Body, principal: Principal) -> bool:
    return str(rule.get("principal", "*")).lower() in {"*", principal.client.lower(), principal.object.lower()}


def _scope(rule: Body) -> str:
    return str(rule.get("scope", "/")).rstrip("/").lower()


def _is_above(rule: Body, path: str) -> bool:
    return f"{path.lower()}/".startswith(f"{_scope(rule)}/")


def _is_below(rule: Body, path: str) -> bool:
    return _scope(rule).startswith(f"{path.lower()}/")


def _covers(grant: Body, action: str) -> bool:
    given = any(_matches(each, action) for each in _texts(grant, "actions"))
    return given and not any(_matches(each, action) for each in _texts(grant, "notActions"))


def _texts(grant: Body, name: str) -> list[str]:
    return [str(each) for each in grant.get(name) or []]


def _pattern(denial: Body) -> str:
    return str(denial.get("action", "*"))


def _matches(pattern: str, action: str) -> bool:
    return _compiled(pattern.lower()).fullmatch(action.lower()) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A star stands for anything, slashes too; nothing else is special."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
