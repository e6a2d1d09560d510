"""What this identity is granted, and which providers the subscription is registered to use.

Promises that a place is known whole or not at all. Both change by the day at most, and Azure itself is minutes behind:
what was read is believed for some minutes, but for a provider that may be registered at any moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from reconciler.cloud.faults import own_fault
from reconciler.cloud.gateway import Gateway, Page
from reconciler.cloud.live import text_at
from reconciler.cloud.patience import Patience
from reconciler.model.finding import Fault
from reconciler.model.ids import ArmId
from reconciler.model.ports import Clock
from reconciler.model.rights import Grant, Rights, RightsScope
from reconciler.model.wire import JsonObject

_BELIEVED = 600.0  # seconds
_REGISTERED = "Registered"


class Registrar:
    def __init__(self, gateway: Gateway, clock: Clock, patience: Patience) -> None:
        self._gateway = gateway
        self._clock = clock
        self._patience = patience
        self._granted: dict[ArmId, tuple[float, tuple[Grant, ...]]] = {}
        self._registered: dict[tuple[str, str], float] = {}

    async def rights(self, scope: RightsScope) -> Rights:
        before = self._gateway.requests
        async with asyncio.TaskGroup() as group:
            places = {place: group.create_task(self._grants(place)) for place in sorted(scope.places)}
            namespaces = sorted(scope.namespaces)
            standings = {each: group.create_task(self._standing(scope.subscription, each)) for each in namespaces}
        grants = {place: task.result() for place, task in places.items()}
        stands = {namespace.lower(): task.result() for namespace, task in standings.items()}
        return Rights(
            grants={place: found for place, found in grants.items() if not isinstance(found, Fault)},
            unread={place: found for place, found in grants.items() if isinstance(found, Fault)},
            unregistered={each: word for each, word in stands.items() if isinstance(word, str) and word != _REGISTERED},
            unsure={each: word for each, word in stands.items() if isinstance(word, Fault)},
            requests=self._gateway.requests - before,
        )

    async def _grants(self, place: ArmId) -> tuple[Grant, ...] | Fault:
        at, known = self._granted.get(place, (0.0, ()))
        if place in self._granted and self._clock.monotonic() - at < _BELIEVED:
            return known
        page = await self._patience.through_faults(lambda: self._gateway.list_permissions(place), _fault_of_page)
        if page.fault is not None:
            return page.fault
        try:
            found = tuple(_grant(wire) for wire in page.items)
        except ValueError as error:
            return own_fault("unreadable_answer", str(error))
        self._granted[place] = (self._clock.monotonic(), found)
        return found

    async def _standing(self, subscription: str, namespace: str) -> str | Fault:
        key = (subscription.lower(), namespace.lower())
        if key in self._registered and self._clock.monotonic() - self._registered[key] < _BELIEVED:
            return _REGISTERED
        reply = await self._patience.through_faults(lambda: self._gateway.get_provider(subscription, namespace), _fault)
        if isinstance(reply, Fault):
            return reply
        word = text_at(reply.body, "registrationState") if isinstance(reply.body, dict) else ""
        if not word:
            return own_fault("unreadable_answer", f"{namespace} came without its registration state")
        if word == _REGISTERED:
            self._registered[key] = self._clock.monotonic()
        return word


def _grant(wire: JsonObject) -> Grant:
    """One entry of the list; ValueError for what is none. What it says of data is not ours to know."""
    return Grant(actions=tuple(_words(wire, "actions")), not_actions=tuple(_words(wire, "notActions")))


def _words(wire: JsonObject, key: str) -> Iterator[str]:
    listed = wire.get(key) or []
    for each in listed if isinstance(listed, list) else [listed]:
        if not isinstance(each, str):
            raise ValueError(f"Not a list of actions in {key}: {wire!r:.200}")  # noqa: TRY004 — it is Azure's
        yield each


def _fault(answer: object) -> Fault | None:
    return answer if isinstance(answer, Fault) else None


def _fault_of_page(page: Page) -> Fault | None:
    return page.fault
