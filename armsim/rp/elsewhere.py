"""Resources of providers that are not simulated: there are none but those that were planted, and those can be read.

ARM itself answers for what is not there, so its words are known although the provider is not.
"""

from typing import Final

from armsim import errors
from armsim.cloud import Call, Cloud, Reply
from armsim.rp.base import Place, answer, require_group

NAMESPACES: Final = frozenset({"microsoft.network"})


def serves(call: Call) -> bool:
    """Whether the path is that of a resource, in a group, of one of these providers."""
    low = [each.lower() for each in call.segments]
    in_a_group = low[:1] == ["subscriptions"] and low[2:3] == ["resourcegroups"] and low[4:5] == ["providers"]
    return in_a_group and len(low) > 7 and len(low) % 2 == 0 and low[5] in NAMESPACES


def kind_of(call: Call) -> str:
    """The type of the resource that the path names."""
    return "/".join([call.segments[5], *call.segments[6::2]])


def respond(cloud: Cloud, call: Call) -> Reply:
    """Reads what was planted; otherwise says what is missing, the outermost first."""
    segments = call.segments
    group = require_group(cloud, Place(segments[1], segments[3], ""))
    found = cloud.world.get(call.path.lower())
    if found is not None and call.method == "GET":
        return answer(found)
    parent = "/" + "/".join(segments[:8])
    orphan = len(segments) > 8 and cloud.world.get(parent.lower()) is None
    if call.method in {"GET", "HEAD"}:
        names = segments[6:8] if orphan else segments[6:]
        raise errors.resource_not_found("/".join([segments[5], *names]), group.name)
    if call.method == "PUT" and orphan:
        raise errors.parent_not_found("write", "/".join(segments[6::2]), parent)
    if call.method == "DELETE" and found is None:
        return Reply(204)
    raise errors.unknown_type("/".join(segments[6::2]), segments[5], call.query["api-version"])
