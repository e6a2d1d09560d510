"""The activity log: who wrote what, found some time after it happened. Network resources carry no other witness."""

import re
from typing import Final

from armsim import errors
from armsim.clock import from_iso, iso_fine
from armsim.cloud import Call, Cloud, Reply
from armsim.store import ArmId
from armsim.wire import Body, encode

FILTER: Final = re.compile(r"(\w+)\s+(eq|ge|le)\s+'([^']*)'", re.IGNORECASE)
VERBS: Final = {"PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}


def record(cloud: Cloud, call: Call, kind: str) -> None:
    """Keep an event about a write that changed something."""
    at = ArmId.parse(call.path)
    if not at.subscription:
        return
    verb = VERBS[call.method]
    operation = kind if kind.endswith(f"/{verb}") else f"{kind}/{verb}"
    provider = kind.partition("/")[0]
    guid = cloud.chance.guid()
    caller = call.principal.client
    cloud.world.activity.append(
        {
            "authorization": {"action": operation, "scope": call.path},
            "caller": caller,
            "channels": "Operation",
            "claims": {"appid": caller} if call.principal.kind == "Application" else {"name": caller},
            "correlationId": guid,
            "eventDataId": cloud.chance.guid(),
            "eventName": {"value": "EndRequest", "localizedValue": "End request"},
            "category": {"value": "Administrative", "localizedValue": "Administrative"},
            "eventTimestamp": iso_fine(call.now),
            "id": f"{call.path}/events/{guid}/ticks/{int(call.now * 10_000_000)}",
            "level": "Informational",
            "operationId": guid,
            "operationName": {"value": operation, "localizedValue": operation},
            "resourceGroupName": at.group,
            "resourceProviderName": {"value": provider, "localizedValue": provider},
            "resourceType": {"value": kind, "localizedValue": kind},
            "resourceId": call.path,
            "status": {"value": "Succeeded", "localizedValue": "Succeeded"},
            "subStatus": {"value": "", "localizedValue": ""},
            "submissionTimestamp": iso_fine(call.now + cloud.settings.activity_lag),
            "subscriptionId": at.subscription,
            "tenantId": call.principal.tenant,
        }
    )


def list_events(cloud: Cloud, call: Call) -> Reply:
    """Newest first. A filter must give a start; resourceUri, resourceGroupName and the like narrow it down."""
    terms = [(name.lower(), sign.lower(), text) for name, sign, text in FILTER.findall(call.query.get("$filter", ""))]
    if not any(name == "eventtimestamp" and sign == "ge" for name, sign, _ in terms):
        raise errors.bad_request("The filter must hold a start time: eventTimestamp ge '...'.")
    subscription = call.names[0].lower()
    rows = [
        each
        for each in reversed(cloud.world.activity)
        if each["subscriptionId"].lower() == subscription
        and from_iso(each["submissionTimestamp"]) <= call.now
        and all(_fits(each, *term) for term in terms)
    ]
    return Reply(200, encode({"value": rows}))


def _fits(event: Body, name: str, sign: str, text: str) -> bool:
    if name == "eventtimestamp":
        at = from_iso(event["eventTimestamp"])
        return at >= from_iso(text) if sign == "ge" else at <= from_iso(text)
    found = {
        "resourceuri": event["resourceId"],
        "resourceid": event["resourceId"],
        "resourcegroupname": event["resourceGroupName"],
        "resourceprovider": event["resourceProviderName"]["value"],
        "correlationid": event["correlationId"],
        "caller": event["caller"],
    }.get(name)
    return found is None or str(found).lower() == text.lower()
