"""Polling of Microsoft.Network: `operations` for the status, `operationResults` for what came of it."""

from armsim import errors
from armsim.cloud import Call, Cloud, Reply
from armsim.rp.network import RETRY_AFTER, both_urls, outcome, require_operation
from armsim.wire import encode


def poll_status(cloud: Cloud, call: Call) -> Reply:
    """200 always; the pause grows from ten to twenty seconds."""
    operation = require_operation(cloud, call)
    headers = {}
    if not operation.status:
        pause = RETRY_AFTER if call.now - operation.start < RETRY_AFTER - 1 else 2 * RETRY_AFTER
        headers["retry-after"] = str(pause)
    return Reply(200, encode(outcome(operation)), headers)


def poll_result(cloud: Cloud, call: Call) -> Reply:
    """202 while it runs; then the resource, or after a delete 204 with both headers again."""
    operation = require_operation(cloud, call)
    urls = both_urls(cloud, call, operation)
    if not operation.status:
        return Reply(202, headers={**urls, "retry-after": str(RETRY_AFTER)})
    if operation.status == "Failed" and operation.error is not None:
        raise errors.network(str(operation.error["code"]), str(operation.error["message"]))
    found = cloud.world.get(operation.target.lower())
    if operation.verb.startswith("Delete") or found is None:
        return Reply(204, headers={**urls, "content-type": "application/json; charset=utf-8"})
    return Reply(200, found.render())
