"""Offers that Azure had quota for and no hardware: how long they are left alone, and what is said meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.kinds import deployment
from reconciler.model.memory import Memory, Shunned
from reconciler.model.moment import show_time
from reconciler.model.plan import Action, Step
from reconciler.model.quota import Offer
from reconciler.model.resource import Fleet, Snapshot
from reconciler.model.wire import Json
from reconciler.plan.draft import Draft, Drafts
from reconciler.plan.guards import stop_dependents
from reconciler.plan.quota import region_of

_FIRST, _LONGEST = 300.0, 7200.0  # seconds; each refusal in a row doubles the pause


def shun(memory: Memory, offers: Iterable[Offer], now: float, stretch: float) -> Memory:
    """What is remembered once Azure has refused these offers for want of hardware. `stretch` is the jitter of the
    pause, around 1."""
    shunned = dict(memory.shunned)
    for offer in offers:
        times = shunned[offer].times + 1 if offer in shunned else 1
        pause = min(_LONGEST, _FIRST * 2.0 ** min(times - 1, 10)) * stretch
        shunned[offer] = Shunned(at=now, until=now + pause, times=times)
    return replace(memory, shunned=shunned)


def forgive(memory: Memory, offers: Iterable[Offer]) -> Memory:
    """What is remembered once Azure has had hardware for these offers after all."""
    had = frozenset(offers)
    return replace(memory, shunned={offer: each for offer, each in memory.shunned.items() if offer not in had})


def offer_of(step: Step, fleet: Fleet, snapshot: Snapshot) -> Offer | None:
    """What a write asks more of, None where it asks for nothing more."""
    if step.id.type.lower() != deployment.TYPE.arm_type.lower() or "sku.capacity" not in step.fields:
        return None
    live = snapshot.live.get(step.id)
    values: dict[str, Json] = {**(deployment.read_held(live) if live else {}), **step.fields}
    return deployment.make_holding(step.id, values, region_of(fleet, snapshot, step.id, declared=True)).offer


def tell_shunned(offer: Offer, snapshot: Snapshot, memory: Memory) -> str:
    """Why an offer is not asked for now, "" where it may be."""
    found = memory.shunned.get(offer)
    if found is None or found.until <= snapshot.taken_at:
        return ""
    what = f"{offer.model} as {offer.sku} in {offer.location}"
    return f"Azure had no hardware for {what} at {show_time(found.at)}, not asked again before {show_time(found.until)}"


def hold_back(drafts: Drafts, fleet: Fleet, snapshot: Snapshot, memory: Memory) -> Drafts:
    """The drafts less those that ask for what Azure had no hardware for just now, and what stands on them."""
    if not memory.shunned:
        return drafts
    return stop_dependents({id: _hold_back(draft, fleet, snapshot, memory) for id, draft in drafts.items()})


def _hold_back(draft: Draft, fleet: Fleet, snapshot: Snapshot, memory: Memory) -> Draft:
    if draft.type is not deployment.TYPE or not draft.acts or draft.desired is None or not _asks_more(draft):
        return draft
    values: Mapping[str, Json] = {**(deployment.read_held(draft.live) if draft.live else {}), **draft.desired.fields}
    offer = deployment.make_holding(draft.id, values, region_of(fleet, snapshot, draft.id, declared=True)).offer
    told = tell_shunned(offer, snapshot, memory)
    advice = "wait, or declare another region or deployment type; a ModelPool looks for one by itself"
    return draft.blocked("no_hardware", told, advice) if told else draft


def _asks_more(draft: Draft) -> bool:
    if draft.action in (Action.CREATE, Action.REPLACE):
        return True
    return any(change.path == "sku.capacity" and not change.cuts for change in draft.decision.changes)
