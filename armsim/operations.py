"""Long-running operations: start, finish, the signed URLs under which they are polled.

An operation ends by the clock whether or not anybody asks. What its end means is named by `effect` and done by the
provider that owns it. The query of an operation URL is compared byte for byte.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

from armsim import errors
from armsim.clock import iso
from armsim.cloud import Call, Cloud, Reply
from armsim.faults import OPERATION_KINDS
from armsim.store import Operation
from armsim.wire import Body, encode

POLL_VERSION = "2017-04-18"
LOCATION_MARK = "&operationResultResponseType=Location"

Effect = Callable[[Cloud, Operation, float], None]


class Plan(NamedTuple):
    """What an operation will do. `lane` is the account that takes no other write meanwhile."""

    verb: str
    target: str
    effect: str
    seconds: float
    location: str
    lane: str | None = None
    # Where its URLs live, for providers that have their own; they poll with the api-version of the request.
    scope: str = ""


def start(cloud: Cloud, call: Call, plan: Plan) -> Operation:
    """Begin an operation, bent by the fault of this request if there is one."""
    subscription = call.segments[1] if len(call.segments) > 1 else ""
    operation = Operation(
        cloud.chance.guid(),
        subscription,
        plan.location,
        plan.verb,
        plan.target,
        plan.effect,
        call.now,
        call.now + plan.seconds,
        plan.lane,
    )
    if plan.scope:
        operation.scope, operation.version = plan.scope, call.query.get("api-version", POLL_VERSION)
    _bend(operation, call, plan)
    world = cloud.world
    world.operations[operation.guid] = operation
    world.version += 1
    if plan.lane is not None:
        world.lanes[plan.lane] = operation.guid
    if operation.end is not None:
        world.schedule(operation.end, "operation", operation.guid)
    return operation


def _bend(operation: Operation, call: Call, plan: Plan) -> None:
    fault = call.fault
    if fault is None or fault.kind not in OPERATION_KINDS or fault.kind == "not_found_after_create":
        return
    fault.spent = True
    operation.fault = fault.id
    seconds = fault.number("seconds", plan.seconds)
    if fault.kind == "lro_stuck":
        operation.end = None
        return
    if fault.kind == "slow":
        operation.end = call.now + seconds
        return
    operation.error = {
        "code": fault.text("code", "OperationError"),
        "message": fault.text("message", "The operation ended with an error in the resource provider."),
    }
    if fault.kind == "lro_fail_then_succeed":
        operation.recover = fault.number("seconds", 60.0)


def is_bent(operation: Operation) -> bool:
    """Whether a fault makes this operation end otherwise than well, so that nobody may block on it."""
    return operation.end is None or operation.error is not None


def finish(cloud: Cloud, at: float, guid: str) -> None:
    """The moment at which an operation ends."""
    operation = cloud.world.operations.get(guid)
    if operation is None or operation.status:
        return
    operation.end = at
    operation.status = "Succeeded" if operation.error is None else "Failed"
    if operation.lane is not None and cloud.world.lanes.get(operation.lane) == guid:
        del cloud.world.lanes[operation.lane]
    EFFECTS[operation.effect](cloud, operation, at)
    if operation.recover is not None:
        cloud.world.schedule(at + operation.recover, "recovery", guid)


def recover(cloud: Cloud, at: float, guid: str) -> None:
    """A failed create that turns Succeeded by itself; the operation itself stays Failed."""
    operation = cloud.world.operations.get(guid)
    if operation is not None:
        error, operation.error = operation.error, None
        EFFECTS[operation.effect](cloud, operation, at)
        operation.error = error


def release(cloud: Cloud) -> None:
    """End what is stuck, now."""
    now = cloud.clock.now()
    for operation in cloud.world.operations.values():
        if operation.end is None and not operation.status:
            operation.end = now
            cloud.world.schedule(now, "operation", operation.guid)


EFFECTS: dict[str, Effect] = {}


# -- URLs


def url(cloud: Cloud, call: Call, operation: Operation, *, raw_location: bool = False) -> str:
    """The URL to poll. An account create leaves the spaces of the location as they were sent."""
    location = operation.location if raw_location else quote(operation.location)
    return f"{call.base}{_path(operation, location)}?{signed_query(cloud, operation, '')}"


def async_headers(cloud: Cloud, call: Call, operation: Operation) -> dict[str, str]:
    """Both headers, as updates and purges carry them."""
    path = call.base + _path(operation, quote(operation.location))
    return {
        "azure-asyncoperation": f"{path}?{signed_query(cloud, operation, '')}",
        "location": f"{path}?{signed_query(cloud, operation, LOCATION_MARK)}",
    }


def _path(operation: Operation, location: str) -> str:
    return (
        f"/subscriptions/{operation.subscription}/providers/Microsoft.CognitiveServices/locations/{location}"
        f"/operationResults/{operation.guid}"
    )


def signed_query(cloud: Cloud, operation: Operation, mark: str) -> str:
    plain = f"api-version={operation.version or POLL_VERSION}{mark}"
    if not cloud.settings.signed_operations:
        return plain
    ticks = int((operation.start + 62_135_596_800) * 10_000_000)
    key = f"{cloud.settings.seed}:operations".encode()
    signed = hmac.new(key, f"{operation.guid}:{plain}:{ticks}".encode(), hashlib.sha512).digest()
    return (
        f"{plain}&t={ticks}&c={_certificate(cloud.settings.seed)}&s={_text(signed, 256)}"
        f"&h={_text(hashlib.sha256(signed).digest(), 32)}"
    )


_certificates: dict[int, str] = {}


def _certificate(seed: int) -> str:
    if seed not in _certificates:
        _certificates[seed] = _text(hashlib.shake_256(f"certificate:{seed}".encode()).digest(2600), 2600)
    return _certificates[seed]


def _text(raw: bytes, size: int) -> str:
    stretched = hashlib.shake_256(raw).digest(size)
    return base64.urlsafe_b64encode(stretched).decode().rstrip("=")


# -- polling


def poll(cloud: Cloud, call: Call) -> Reply:
    """`…/locations/{location}/operationResults/{guid}`"""
    _, location, guid = call.names
    operation = cloud.world.operations.get(guid.lower())
    if operation is None or operation.location.replace(" ", "").lower() != location.replace(" ", "").lower():
        raise errors.ArmError(404, "NotFound", f"The operation result '{guid}' was not found.")
    by_location = call.raw_query == signed_query(cloud, operation, LOCATION_MARK)
    if not by_location and call.raw_query != signed_query(cloud, operation, ""):
        raise errors.gateway(
            400, "InvalidAsyncOperationSignature", "The signature of the asynchronous operation URL is not valid."
        )
    if by_location:
        return _poll_result(cloud, call, operation)
    body: Body = {
        "id": _path(operation, operation.location),
        "name": operation.guid,
        "status": operation.status or operation.verb,
        "startTime": iso(operation.start),
    }
    if operation.status:
        body["endTime"] = iso(operation.end or operation.start)
    if operation.status == "Failed":
        body["error"] = operation.error
    return Reply(200, encode(body))


def _poll_result(cloud: Cloud, call: Call, operation: Operation) -> Reply:
    if not operation.status:
        return Reply(202, headers=async_headers(cloud, call, operation))
    if operation.status == "Failed" and operation.error is not None:
        raise errors.bad_request(str(operation.error["message"]), str(operation.error["code"]))
    target = cloud.world.get(operation.target)
    if operation.verb == "Deleting" or target is None:
        return Reply(200)
    return Reply(200, target.render())
