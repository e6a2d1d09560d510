"""Which action of Azure a request takes: the rule by which Resource Manager names it, from method and path alone.

Shares no table with the product or with the simulation, so that it can judge both.
"""

from __future__ import annotations

_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}


def find_action(method: str, path: str) -> str:
    """Every second word behind the last `providers` is part of a type, the others are names; the word that a POST ends
    with is what it does. Folded: Azure takes actions in any case."""
    words = [each for each in path.lower().split("?")[0].split("/") if each]
    at = max((n for n, word in enumerate(words) if word == "providers"), default=-1)
    if at < 0 or at + 2 >= len(words):
        # What belongs to no provider is of Resource Manager itself: subscriptions, groups, providers, their operations.
        return "/".join(["microsoft.resources", *words[::2], _VERBS[method]])
    behind = words[at + 1 :]
    if method == "POST":
        return "/".join([behind[0], *behind[1:-1:2], behind[-1], "action"])
    return "/".join([behind[0], *behind[1::2], _VERBS[method]])
