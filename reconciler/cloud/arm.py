"""Keeps the `Cloud` port for Azure Resource Manager: single reads, writes, and looks at running operations.

Promises one request per call, never a second one for a write. What it takes to list a subscription is in `observe`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set

from reconciler.cloud.activity import Witness
from reconciler.cloud.budget import Urgency, retry_after
from reconciler.cloud.faults import own_fault, read_operation_fault
from reconciler.cloud.gateway import Gateway, Reply
from reconciler.cloud.live import text_at, to_deleted, to_live
from reconciler.cloud.models import BELIEVED, ModelLists
from reconciler.cloud.observe import Observer
from reconciler.cloud.patience import Patience
from reconciler.cloud.quota import Appraiser
from reconciler.cloud.rights import Registrar
from reconciler.kinds.base import ResourceType
from reconciler.kinds.catalog import type_of
from reconciler.model.finding import Fault, FaultClass
from reconciler.model.ids import ArmId
from reconciler.model.plan import Verb
from reconciler.model.ports import Answer, Chance, Clock, Operation, Poll, Progress, Write
from reconciler.model.quota import Catalogue, Quotas, QuotaScope, Usage
from reconciler.model.resource import Activity, DeletedAccount, Live, LiveState, Scope, Snapshot
from reconciler.model.rights import Rights, RightsScope

# Not URLs: what is polled where Azure gave none is the resource itself, until it is settled or until it is gone.
_UNTIL_SETTLED = "settled:"
_UNTIL_GONE = "gone:"


class ArmCloud:
    """Azure through one gateway. `requests` counts everything that has left, tokens excepted."""

    def __init__(self, gateway: Gateway, clock: Clock, chance: Chance, model_age: float = BELIEVED) -> None:
        self._gateway = gateway
        self._patience = Patience(clock, chance)
        self._models = ModelLists(gateway, clock, self._patience, model_age)
        self._observer = Observer(gateway, clock, self._patience, self._models)
        self._appraiser = Appraiser(gateway, self._models, self._patience)
        self._registrar = Registrar(gateway, clock, self._patience)
        self._witness = Witness(gateway, clock)

    @property
    def requests(self) -> int:
        return self._gateway.requests

    async def observe(self, scope: Scope) -> Snapshot:
        snapshot = await self._observer.observe(scope)
        self._witness.known.learn(snapshot.live)
        return snapshot

    async def who(self, ids: Collection[ArmId], seconds: float) -> Activity:
        return await self._witness.who(ids, seconds)

    async def measure(self, scope: QuotaScope) -> Quotas:
        return await self._appraiser.measure(scope)

    async def rights(self, scope: RightsScope) -> Rights:
        return await self._registrar.rights(scope)

    async def browse(self, subscription: str, locations: Set[str]) -> Catalogue:
        return await self._models.browse(subscription, locations)

    async def read(self, id: ArmId) -> Live | Fault:
        return await self._look(id, Urgency.STEP)

    async def read_deleted(self, id: ArmId, location: str) -> DeletedAccount | Fault:
        type_ = _table(id)
        reply = await self._patience.through_cuts(lambda: self._gateway.get_deleted(type_.binding, id, location))
        if isinstance(reply, Fault):
            return reply
        try:
            return to_deleted(type_, reply.body if isinstance(reply.body, dict) else {})
        except ValueError as error:
            return own_fault("unreadable_answer", str(error), request_id=reply.request_id)

    async def read_usages(self, subscription: str, location: str) -> Mapping[str, Usage] | Fault:
        return await self._appraiser.read_usages(subscription, location)

    async def write(self, write: Write) -> Answer:
        type_ = _table(write.id)
        reply = await self._gateway.send(type_.binding, write)
        removes = write.verb in (Verb.DELETE, Verb.PURGE)
        if isinstance(reply, Fault):
            if removes and reply.cls is FaultClass.ABSENT:
                return Answer(request_id=reply.request_id)
            return Answer(fault=reply, request_id=reply.request_id)
        live = None if removes else _live_in(type_, reply)
        operation = _started(write, live, reply)
        return Answer(live=live, operation=operation, request_id=reply.request_id)

    async def poll(self, operation: Operation) -> Poll:
        if operation.url.startswith((_UNTIL_SETTLED, _UNTIL_GONE)):
            return await self._poll_resource(operation)
        reply = await self._gateway.follow(operation.url)
        if isinstance(reply, Reply):
            return _progress(reply)
        if reply.status in (403, 404, 410):
            # Azure has forgotten the operation, or does not let us see it; the resource itself still tells.
            return await self._poll_resource(operation)
        if reply.cls.retryable and reply.status != 409:
            return Poll(progress=Progress.RUNNING, pause=reply.retry_after, fault=reply)
        if reply.cls is FaultClass.FORBIDDEN:
            return Poll(progress=Progress.RUNNING, fault=reply)
        # A location URL tells of a failed operation by answering with its error.
        return Poll(progress=Progress.FAILED, fault=reply)

    async def _look(self, id: ArmId, urgency: Urgency) -> Live | Fault:
        type_ = _table(id)
        reply = await self._patience.through_cuts(lambda: self._gateway.get(type_.binding, id, urgency))
        if isinstance(reply, Fault):
            return reply
        live = _live_in(type_, reply)
        return live or own_fault("unreadable_answer", f"The answer is not {id}", request_id=reply.request_id)

    async def _poll_resource(self, operation: Operation) -> Poll:
        found = await self._look(operation.id, Urgency.WAITED_FOR)
        gone = operation.url.startswith(_UNTIL_GONE)
        if isinstance(found, Fault):
            if found.cls is not FaultClass.ABSENT:
                return Poll(progress=Progress.RUNNING, pause=found.retry_after, fault=found)
            # A fresh resource may not be visible yet; one that is being deleted is what we wait to see vanish.
            settled = operation.url.startswith(_UNTIL_SETTLED)
            return Poll(progress=Progress.RUNNING if settled else Progress.SUCCEEDED)
        if found.state is LiveState.FAILED:
            return Poll(progress=Progress.FAILED, fault=_failure(found))
        if gone or found.state in (LiveState.IN_PROGRESS, LiveState.DELETING):
            return Poll(progress=Progress.RUNNING)
        return Poll(progress=Progress.SUCCEEDED)


def _live_in(type_: ResourceType, reply: Reply) -> Live | None:
    if not isinstance(reply.body, dict) or not text_at(reply.body, "id"):
        return None
    try:
        return to_live(type_, reply.body)
    except ValueError:
        return None


def _started(write: Write, live: Live | None, reply: Reply) -> Operation | None:
    """The operation that an accepted write has begun, if any. Azure's own status URL is the better one of the two."""
    pause = retry_after(reply.headers)
    url = reply.headers.get("azure-asyncoperation", "") or reply.headers.get("operation-location", "")
    if not url and reply.status == 202:
        url = reply.headers.get("location", "")
    if url:
        return Operation(id=write.id, url=url, pause=pause)
    if write.verb in (Verb.DELETE, Verb.PURGE):
        return Operation(id=write.id, url=f"{_UNTIL_GONE}{write.id}", pause=pause) if reply.status == 202 else None
    unsettled = live is not None and live.state in (LiveState.IN_PROGRESS, LiveState.DELETING)
    if unsettled or reply.status == 202:
        return Operation(id=write.id, url=f"{_UNTIL_SETTLED}{write.id}", pause=pause)
    return None


def _progress(reply: Reply) -> Poll:
    """What a 2xx of an operation URL says; of a location URL every answer but 202 is the end."""
    pause = retry_after(reply.headers)
    word = text_at(reply.body, "status").lower() if isinstance(reply.body, dict) else ""
    if word in ("failed", "canceled", "cancelled") and isinstance(reply.body, dict):
        fault = read_operation_fault(reply.body, reply.headers, f"provisioning_{word[:8]}")
        return Poll(progress=Progress.FAILED, pause=pause, fault=fault)
    if word == "succeeded" or (not word and reply.status != 202):
        return Poll(progress=Progress.SUCCEEDED, pause=pause)
    return Poll(progress=Progress.RUNNING, pause=pause)


def _failure(live: Live) -> Fault:
    word = live.provisioning_state.lower()
    message = f"{live.id.name} is in the state {live.provisioning_state}"
    return own_fault("provisioning_canceled" if word.startswith("cancel") else "provisioning_failed", message)


def _table(id: ArmId) -> ResourceType:
    type_ = type_of(id.type)
    if type_ is None:
        raise LookupError(f"no kind knows the ARM type {id.type}")
    return type_
