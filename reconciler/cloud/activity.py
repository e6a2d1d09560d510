"""Who did it, by Azure's activity log: the last write or delete of each resource, out of one list per subscription.

Promises to name only whom the log names, and to say where it could not be read. Asks once: nothing hangs on the answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from reconciler.cloud.gateway import Gateway
from reconciler.cloud.live import text_at
from reconciler.kinds.catalog import type_of
from reconciler.model.finding import Fault
from reconciler.model.ids import ArmId
from reconciler.model.moment import show_time
from reconciler.model.ports import Clock
from reconciler.model.resource import Activity, Actor, Live
from reconciler.model.wire import JsonObject

_log = structlog.get_logger("reconciler")

_TELLING = ("/write", "/delete")
# How tags are edited on their own: as an extension of the resource that carries them.
_TAGS = "/providers/microsoft.resources/tags/"
_CONNECTION = "/privateendpointconnections"
_ENDPOINT = "microsoft.network/privateendpoints"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """One write or delete that came to pass."""

    id: ArmId
    at: datetime
    actor: Actor


@dataclass(slots=True)
class _Trace:
    """The newest event that is about a resource itself, and the newest write to what it lies in; and the same of all
    that was not ours."""

    own: _Event | None = None
    above: _Event | None = None
    other: _Event | None = None
    other_above: _Event | None = None

    def note(self, event: _Event, ours: str, *, own: bool) -> None:
        foreign = event.actor.name.lower() != ours
        if own:
            self.own, self.other = event, event if foreign else self.other
        else:
            self.above, self.other_above = event, event if foreign else self.other_above

    @property
    def stranger(self) -> Actor | None:
        event = self.other or self.other_above
        return event.actor if event else None

    def last(self, ours: str) -> Actor | None:
        """A write above may have left this resource as it was: it counts only where nothing else explains a change."""
        own, above = self.own, self.above
        if own is None or above is None:
            event = own or above
            return event.actor if event else None
        by_us, by_us_above = (each.actor.name.lower() == ours for each in (own, above))
        explains = above.at > own.at and by_us and not by_us_above
        return above.actor if explains else own.actor


@dataclass(slots=True)
class Endpoints:
    """The private endpoints that have been seen, and whose each connection of an account is."""

    ids: set[ArmId] = field(default_factory=set)
    behind: dict[ArmId, ArmId] = field(default_factory=dict)

    def learn(self, found: Mapping[ArmId, Live]) -> None:
        """What a look at Azure tells; what is gone by now is not forgotten, since the log may tell of its end."""
        for id, live in found.items():
            if id.type.lower() == _ENDPOINT:
                self.ids.add(id)
            elif id.type.lower().endswith(_CONNECTION):
                with suppress(ValueError):
                    self.behind[id] = ArmId.parse(text_at(live.wire, "properties", "privateEndpoint", "id"))

    def of(self, connection: ArmId, asked: Iterable[ArmId]) -> ArmId | None:
        """The endpoint of a connection. Azure names one after its endpoint and a number: where nothing else is known of
        it the name tells, unless there are several endpoints of that name."""
        if connection in self.behind:
            return self.behind[connection]
        name = connection.name.partition(".")[0].lower()
        seen = {*self.ids, *self.behind.values(), *(id for id in asked if id.type.lower() == _ENDPOINT)}
        named = [id for id in seen if id.name.lower() == name]
        return named[0] if len(named) == 1 else None


@dataclass(slots=True)
class Witness:
    """Reads the activity log through `gateway`; warns once about a log that it cannot read."""

    gateway: Gateway
    clock: Clock
    known: Endpoints = field(default_factory=Endpoints, init=False)
    _warned: bool = field(default=False, init=False)

    async def who(self, ids: Collection[ArmId], seconds: float) -> Activity:
        before = self.gateway.requests
        ours = await self.gateway.principal()
        last: dict[ArmId, Actor] = {}
        others: dict[ArmId, Actor] = {}
        unread: dict[str, Fault] = {}
        for subscription, some in _by_subscription(ids).items():
            page = await self.gateway.list_events(subscription, self._terms(some, seconds))
            traces = _trace(some, page.items, ours if isinstance(ours, str) else "", self.known)
            found = _pick_last(some, traces, ours if isinstance(ours, str) else "")
            last.update(found)
            others.update({id: who for id in some if (each := traces.get(id)) and (who := each.stranger)})
            if page.fault is not None and len(found) < len(some):
                unread[subscription] = page.fault
        for fault in unread.values():
            self._warn(fault)
        requests = self.gateway.requests - before
        return Activity(asked=frozenset(ids), last=last, others=others, unread=unread, requests=requests)

    def _terms(self, ids: Iterable[ArmId], seconds: float) -> str:
        """One of the few filters that the log takes. Counted on Azure's clock: a machine's own may be wrong."""
        now = self.gateway.now or self.clock.now()
        terms = f"eventTimestamp ge '{show_time(now - seconds)}' and eventTimestamp le '{show_time(now)}'"
        groups = {id.group.lower(): id.group for id in ids}
        (group, *others) = groups.values()
        return f"{terms} and resourceGroupName eq '{group}'" if group and not others else terms

    def _warn(self, fault: Fault) -> None:
        if not self._warned:
            _log.warning("activity.unread", code=fault.code, message=fault.message)
        self._warned = True


def find_last(
    ids: Collection[ArmId], items: Iterable[JsonObject], ours: str, known: Endpoints | None = None
) -> dict[ArmId, Actor]:
    """Who did last what to each of `ids`, as far as `items`, entries of the log in any order, tell."""
    return _pick_last(ids, _trace(ids, items, ours, known), ours)


def _pick_last(ids: Iterable[ArmId], traces: Mapping[ArmId, _Trace], ours: str) -> dict[ArmId, Actor]:
    found = ((id, traces[id].last(ours.lower())) for id in ids if id in traces)
    return {id: actor for id, actor in found if actor}


def _trace(
    ids: Collection[ArmId], items: Iterable[JsonObject], ours: str, known: Endpoints | None
) -> Mapping[ArmId, _Trace]:
    traces: defaultdict[ArmId, _Trace] = defaultdict(_Trace)
    below = _group_below(ids)
    endpoints, folded = known or Endpoints(), ours.lower()
    for event in sorted(_read_events(items), key=lambda each: each.at):
        for id in _owners(event):
            traces[id].note(event, folded, own=True)
        # What is done to a connection of an account is done to the endpoint at its other end.
        if event.id.type.lower().endswith(_CONNECTION) and (endpoint := endpoints.of(event.id, ids)):
            traces[endpoint].note(event, folded, own=True)
        for id in below.get(event.id, ()):
            if event.actor.removed or event.id.segments:
                traces[id].note(event, folded, own=event.actor.removed)
    return traces


def _owners(event: _Event) -> Iterator[ArmId]:
    """The resources whose own change an event is: a child that no kind knows, such as a security rule, is a part."""
    id: ArmId | None = event.id
    while id is not None:
        yield id
        id = id.parent if id.segments[1:] and type_of(id.type) is None else None


def _group_below(ids: Collection[ArmId]) -> dict[ArmId, list[ArmId]]:
    below: dict[ArmId, list[ArmId]] = {}
    for id in ids:
        above = id.parent
        while above is not None:
            below.setdefault(above, []).append(id)
            above = above.parent
    return below


def _read_events(items: Iterable[JsonObject]) -> Iterator[_Event]:
    """The writes and deletes that came to pass. Of one operation the log holds its begin and its end."""
    known = list(items)
    failed = {text_at(each, "operationId") for each in known if _status(each) == "failed"} - {""}
    for item in known:
        operation = text_at(item, "operationName", "value")
        settled = _status(item) in ("succeeded", "accepted") and text_at(item, "operationId") not in failed
        if not settled or not operation.lower().endswith(_TELLING):
            continue
        text, at, name = text_at(item, "resourceId"), text_at(item, "eventTimestamp"), _name(item)
        place = text[:found] if (found := text.lower().find(_TAGS)) > 0 else text
        try:
            id, moment = ArmId.parse(place), datetime.fromisoformat(at)
        except ValueError:
            continue
        # What is laid on top of a resource, such as a lock, is none of its own.
        own = all(kind.lower() != "providers" for kind, _ in id.segments)
        if name and own and moment.tzinfo:
            yield _Event(id=id, at=moment, actor=Actor(name=name, at=at, operation=operation))


def _status(item: JsonObject) -> str:
    return text_at(item, "status", "value").lower()


def _name(item: JsonObject) -> str:
    """A person by their name; an application by its client id, as systemData has it, though the log may give the id of
    its object."""
    caller = text_at(item, "caller")
    return caller if "@" in caller or not caller else text_at(item, "claims", "appid") or caller


def _by_subscription(ids: Iterable[ArmId]) -> dict[str, list[ArmId]]:
    grouped: dict[str, list[ArmId]] = {}
    for id in sorted(ids):
        grouped.setdefault(id.subscription.lower(), []).append(id)
    return grouped
