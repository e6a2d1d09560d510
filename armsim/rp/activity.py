"""The activity log: who wrote what, found some time after it happened. Network resources carry no other witness."""

import re
from typing import Final

from armsim import errors
from armsim.clock import from_iso, iso_fine
from armsim.cloud import Call, Cloud, Reply
from armsim.store import ArmId
from armsim.wire import Body, encode

FILTER: Final = re.compile(r"(\w+)\s+(eq|ge|le)\s+'([^']*)'", re.IGNORECASE)
OBJECT_CLAIM: Final = "http://schemas.microsoft.com/identity/claims/objectidentifier"
VERBS: Final = {"PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}


def record(cloud: Cloud, call: Call, kind: str) -> None:
    """Remember a write that changed something, in few words: the world is saved often."""
    if ArmId.parse(call.path).subscription:
        cloud.world.activity.append(
            {
                "at": call.now,
                "path": call.path,
                "kind": kind,
                "verb": VERBS[call.method],
                "caller": call.principal.client,
                "object": call.principal.object,
                "person": call.principal.kind == "User",
                "tenant": call.principal.tenant,
                "guid": cloud.chance.guid(),
                "found": call.now + cloud.settings.activity_lag,
            }
        )


def _event(short: Body) -> Body:
    path, kind, guid = short["path"], short["kind"], short["guid"]
    caller, claims = _caller(short)
    at = ArmId.parse(path)
    operation = kind if kind.endswith(f"/{short['verb']}") else f"{kind}/{short['verb']}"
    return {
        "authorization": {"action": operation, "scope": path},
        "caller": caller,
        "channels": "Operation",
        "claims": claims,
        "correlationId": guid,
        "eventDataId": guid,
        "eventName": _word("EndRequest"),
        "category": _word("Administrative"),
        "eventTimestamp": iso_fine(short["at"]),
        "id": f"{path}/events/{guid}/ticks/{int(short['at'] * 10_000_000)}",
        "level": "Informational",
        "operationId": guid,
        "operationName": _word(operation),
        "resourceGroupName": at.group,
        "resourceProviderName": _word(kind.partition("/")[0]),
        "resourceType": _word(kind),
        "resourceId": path,
        "status": _word("Succeeded"),
        "subStatus": _word(""),
        "submissionTimestamp": iso_fine(short["found"]),
        "subscriptionId": at.subscription,
        "tenantId": short["tenant"],
    }


def _caller(short: Body) -> tuple[str, Body]:
    """A person by name, an application by the id of its object; its client id is among the claims only."""
    if short["person"]:
        return short["caller"], {"name": short["caller"]}
    return short["object"], {"appid": short["caller"], OBJECT_CLAIM: short["object"]}


def _word(value: str) -> Body:
    return {"value": value, "localizedValue": value}


def list_events(cloud: Cloud, call: Call) -> Reply:
    """Newest first. A filter must give a start; resourceUri, resourceGroupName and the like narrow it down."""
    terms = [(name.lower(), sign.lower(), text) for name, sign, text in FILTER.findall(call.query.get("$filter", ""))]
    if not any(name == "eventtimestamp" and sign == "ge" for name, sign, _ in terms):
        raise errors.bad_request("The filter must hold a start time: eventTimestamp ge '...'.")
    subscription = call.names[0].lower()
    found = (_event(each) for each in reversed(cloud.world.activity) if each["found"] <= call.now)
    rows = [
        each
        for each in found
        if each["subscriptionId"].lower() == subscription and all(_fits(each, *term) for term in terms)
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
