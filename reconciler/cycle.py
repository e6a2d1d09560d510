"""One cycle over one fleet: observe, plan, apply; and `converge`, the same cycle until there is nothing left to do.

Dry run is not a flag in here: a dry run leaves out the budget, and its cloud refuses to write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from reconciler.apply import RETURN_PATIENCE, Budget, run_plan
from reconciler.model.finding import Fault, FaultClass
from reconciler.model.ids import ArmId, fold_location
from reconciler.model.lifecycle import ManagePolicy
from reconciler.model.memory import NOTHING, Memory
from reconciler.model.outcome import CycleReport, Outcome, Result
from reconciler.model.plan import DecisionState, Plan, Verb
from reconciler.model.ports import World
from reconciler.model.quota import Ledger, ModelKey, QuotaScope
from reconciler.model.resource import Activity, Actor, Blind, Fleet, Live, Scope, Snapshot
from reconciler.plan import (
    approve,
    count_pools,
    find_asked,
    find_closer,
    find_growing,
    find_lingering,
    find_lists,
    find_places,
    find_regions,
    find_strangers,
    find_unexplained,
    find_unplaced,
    find_watched,
    forgive,
    live_ways,
    make_plan,
    offer_of,
    shun,
    tell_authors,
)

Consent = Callable[[Plan], Awaitable[str]]
_FRUITLESS = 3  # cycles that may do nothing before a run gives up: a plan can be overtaken by somebody else's change
# How far back the activity log is asked, in seconds. A drift is nearly always younger: a fleet is looked at more often
# than once a day. Azure keeps 90 days, but a busy subscription's would take hundreds of requests.
_WINDOW = 24 * 3600.0
_ASK_AGAIN, _LAG = 60.0, 1800.0  # seconds; the log lags by minutes
_RECENT = 300.0  # seconds after a write for which a list may still tell what was there before it
# A plan of thousands is seconds of computing, and a lease is renewed on the loop meanwhile. One plan at a time: several
# would only take turns.
_PLANNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="plan")
_UNLISTED = Fault(
    cls=FaultClass.TRANSIENT,
    code="not_listed",
    message="Azure's lists lag behind: what it lies in was seen only after them",
)
_LISTS = 3600.0  # seconds; which pool a model draws on changes by the week


@dataclass(slots=True)
class Hearing:
    """What the activity log said in one run, so that a later cycle asks only where something new has come up."""

    said: Activity | None = None
    at: float = 0.0

    async def ask(self, world: World, ids: frozenset[ArmId], wonder: frozenset[ArmId]) -> Activity | None:
        """What it says about all of them; about those in `wonder` it may say more a minute later."""
        now, ids = world.clock.monotonic(), ids | wonder
        if not ids:
            self.said = None
        elif self.said is None or not ids <= self.said.asked:
            self.said, self.at = await world.cloud.who(ids, _WINDOW), now
            return self.said
        elif wonder and now - self.at >= _ASK_AGAIN:
            more = await world.cloud.who(ids, min(now - self.at + _LAG, _WINDOW))
            last, others = {**self.said.last, **more.last}, {**self.said.others, **more.others}
            self.said, self.at = replace(more, last=last, others=others), now
            return self.said
        else:
            # What is as it should be by now would have another author the next time.
            self.said = replace(self.said, asked=ids, requests=0)
        return self.said


@dataclass(slots=True)
class Gauge:
    """How full a fleet's pools are, from cycle to cycle: each region is asked about anew after `age` seconds, at a
    moment of its own, so that no quiet cycle asks about all of them."""

    age: float
    due: dict[str, float] = field(default_factory=dict)

    async def read(self, world: World, fleet: Fleet, seen: tuple[Snapshot, Plan]) -> tuple[Ledger | None, int]:
        """The pools of the regions that are due and that the plan did not ask about, and what it took to ask."""
        snapshot, plan = seen
        now = world.clock.monotonic()
        known = {pool.location for pool in plan.ledger.pools} if plan.ledger else set[str]()
        self.due |= dict.fromkeys(known, now + self.age)
        late = [each for each in sorted(find_regions(fleet, snapshot)) if self.due.get(each, now) <= now]
        if not late:
            return None, 0
        # Those that are due together are not the next time. One that cannot be read is no reason to ask sooner.
        self.due |= {each: now + self.age * place / len(late) for place, each in enumerate(late, 1)}
        scope = QuotaScope(subscription=fleet.subscription, locations=frozenset(late), model_age=_LISTS)
        quotas = await world.cloud.measure(scope)
        measured = replace(snapshot, quotas=quotas)
        ledger = await asyncio.get_running_loop().run_in_executor(_PLANNER, count_pools, fleet, measured)
        return ledger, quotas.requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """Regions to tell the quota of: these, folded, or if none is named, all in which a fleet has or wants accounts."""

    named: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRequest:
    """What one cycle is asked for. Without `budget` nothing is written. `chosen` limits who may be acted upon.

    `consent` is asked about each plan that would write and answers "" or why not. Cycles of one run share `hearing`.
    `ways`: the report shall say who reaches which account before anything is done. `regions` are those whose quota
    shall be told whatever the plan does, and of whoever holds it. `memory` is what the cycle before this one left.
    `gauge` is there where somebody wants to know how full pools are even when the plan does not.
    `wonder` are resources of which somebody still wants to know who changed them, whether or not they are as declared.
    """

    chosen: frozenset[ArmId] | None = None
    budget: Budget | None = None
    consent: Consent | None = None
    hearing: Hearing = field(default_factory=Hearing)
    ways: bool = False
    regions: Regions | None = None
    memory: Memory = NOTHING
    wonder: frozenset[ArmId] = frozenset()
    gauge: Gauge | None = None


def scope_of(fleet: Fleet) -> Scope:
    """What must be looked at for this fleet: every managed or observed resource and the group it lives in."""
    ids: dict[ArmId, None] = {}
    subdomains: dict[ArmId, tuple[str, str]] = {}
    for id, desired in fleet.desired.items():
        if desired.lifecycle.policy is ManagePolicy.DETACH:
            continue
        if id.group:
            ids[ArmId(subscription=id.subscription, group=id.group)] = None
        ids[id] = None
        subdomain = desired.fields.get("customSubDomainName")
        if isinstance(subdomain, str):
            subdomains[id] = (subdomain, str(desired.fields.get("kind") or "OpenAI"))
    return Scope(
        subscription=fleet.subscription,
        fleet=fleet.name,
        ids=tuple(sorted(ids)),
        subdomains=subdomains,
        offers=frozenset(each.throughput.offer for each in fleet.desired.values() if each.throughput),
        prune=fleet.policy.prune,
    )


async def run_cycle(world: World, fleet: Fleet, request: CycleRequest) -> CycleReport:
    """Look, decide, act where a budget allows it, and say what became of it."""
    with world.tracer.span("fleet", {"reconciler.fleet": fleet.name}):
        return await _run_cycle(world, fleet, request)


async def _run_cycle(world: World, fleet: Fleet, request: CycleRequest) -> CycleReport:
    began = world.clock.now()
    snapshot, plan = await _look(world, fleet, request)
    world.watcher.planned(plan)
    refused = await request.consent(plan) if request.consent and request.budget and plan.applicable else ""
    outcomes = await run_plan(plan, world, request.budget) if request.budget and not refused else ()
    ledger, spent = None, 0
    if request.gauge and plan.complete and not outcomes:
        ledger, spent = await request.gauge.read(world, fleet, (snapshot, plan))
    return CycleReport(
        plan=plan,
        outcomes=outcomes,
        refused=refused,
        began=began,
        ended=world.clock.now(),
        requests=snapshot.requests + spent + sum(outcome.requests for outcome in outcomes),
        ways=live_ways(fleet, snapshot) if request.ways else (),
        heard=_heard(snapshot, request),
        memory=_remember(world, (fleet, snapshot), request.memory, outcomes, began),
        ledger=ledger,
        regions=find_regions(fleet, snapshot) if request.gauge and plan.complete else frozenset(),
    )


def _remember(
    world: World, seen: tuple[Fleet, Snapshot], memory: Memory, outcomes: tuple[Outcome, ...], began: float
) -> Memory:
    """What the next cycle shall know of what was purged, and of what Azure has hardware for, and what not."""
    took = world.clock.now() - began
    memory = _remember_purges(memory, seen[1], took, outcomes)
    memory = _remember_writes(memory, outcomes, began)
    asked = [(each, offer) for each in outcomes if (offer := offer_of(each.step, *seen))]
    memory = forgive(memory, (offer for each, offer in asked if each.result is Result.DONE))
    refused = [offer for each, offer in asked if _lacks_hardware(each)]
    return shun(memory, refused, seen[1].taken_at + took, world.chance.uniform(0.8, 1.2)) if refused else memory


def _lacks_hardware(outcome: Outcome) -> bool:
    return outcome.fault is not None and outcome.fault.cls is FaultClass.CAPACITY


def _remember_purges(memory: Memory, snapshot: Snapshot, took: float, outcomes: tuple[Outcome, ...]) -> Memory:
    """What was purged, and where what a purge gave back has not been seen yet."""
    now = snapshot.taken_at + took
    purges = [each for each in outcomes if each.step.verb is Verb.PURGE]
    purged = [each.step.id for each in purges if each.result in (Result.DONE, Result.IN_PROGRESS)]
    waited = {result: [each.step for each in purges if each.result is result and each.step.awaits] for result in Result}
    returning = {fold_location(step.location): now + RETURN_PATIENCE for step in waited[Result.IN_PROGRESS]}
    lingering = dict.fromkeys(find_lingering(snapshot), snapshot.taken_at + RETURN_PATIENCE)
    over = {fold_location(step.location): now for step in waited[Result.DONE]}
    return replace(
        memory,
        purged=tuple(dict.fromkeys((*memory.purged, *purged))),
        returning={**memory.returning, **returning},
        lingering={**lingering, **memory.lingering, **over},
    )


def _remember_writes(memory: Memory, outcomes: tuple[Outcome, ...], now: float) -> Memory:
    written = {each.step.id: each.ended for each in outcomes if each.result is not Result.NOT_STARTED}
    recent = {id: at for id, at in memory.written.items() if now - at < _RECENT}
    return replace(memory, written={**recent, **written})


def _heard(snapshot: Snapshot, request: CycleRequest) -> Mapping[ArmId, Actor]:
    others = snapshot.activity.others if snapshot.activity else {}
    return {id: others[id] for id in sorted(request.wonder) if id in others}


async def _look(world: World, fleet: Fleet, request: CycleRequest) -> tuple[Snapshot, Plan]:
    """What there is and what to do about it; who is behind it is asked only where something is not as it should be."""
    seen_at = world.clock.now()
    snapshot = replace(await world.cloud.observe(scope_of(fleet)), seen_at=seen_at)
    snapshot = await _browse(world, fleet, snapshot)
    plan = await _plan(fleet, snapshot, request)
    snapshot, plan = await _look_again(world, fleet, request, (snapshot, plan))
    # Where pools of models go is known only with quota, and what may be written only when that is known.
    snapshot, plan = await _weigh(world, fleet, request, (snapshot, plan))
    snapshot, plan = await _ask_leave(world, fleet, request, (snapshot, plan))
    activity = await request.hearing.ask(world, find_unexplained(plan.decisions, snapshot), request.wonder)
    if activity is None:
        return snapshot, plan
    snapshot = replace(snapshot, activity=activity, requests=snapshot.requests + activity.requests)
    # What is to be done does not hang on it, so only the reasons are told anew.
    told = tell_authors(plan.decisions, snapshot)
    return snapshot, replace(plan, decisions=told, requests_spent=snapshot.requests)


async def _look_again(
    world: World, fleet: Fleet, request: CycleRequest, seen: tuple[Snapshot, Plan]
) -> tuple[Snapshot, Plan]:
    """The plan once what we wrote lately, and what a list shows otherwise, has been asked for by name: a list that lags
    would look as if somebody had undone it. What could not be read is left at that."""
    snapshot, plan = seen
    lately = {id for id, at in request.memory.written.items() if snapshot.seen_at - at < _RECENT}
    odd = (each.id for each in plan.decisions if each.id in lately and (each.missing or each.changes))
    doubtful = sorted(id for id in odd if snapshot.hidden(id) is None)
    if not doubtful:
        return seen
    async with asyncio.TaskGroup() as group:
        reads = [group.create_task(world.cloud.read(id)) for id in doubtful]
    told = {found.id: found for each in reads if isinstance(found := each.result(), Live)}
    fresh = {id: _inherit(live, snapshot) for id, live in told.items() if _differs(live, snapshot.live.get(id))}
    snapshot = replace(snapshot, requests=snapshot.requests + len(doubtful))
    if not fresh:
        return snapshot, replace(plan, requests_spent=snapshot.requests)
    live, blind = {**snapshot.live, **fresh}, (*snapshot.blind, *_unlisted(fresh, seen))
    snapshot = replace(snapshot, live={id: live[id] for id in sorted(live)}, blind=blind)
    return snapshot, await _plan(fleet, snapshot, request)


def _unlisted(fresh: Mapping[ArmId, Live], seen: tuple[Snapshot, Plan]) -> Iterator[Blind]:
    """What nobody has listed, since what it lies in was not there for the list that came before it."""
    snapshot, plan = seen
    for id in fresh:
        if id not in snapshot.live:
            below = {each.id.type for each in plan.decisions if each.id.parent == id}
            yield from (Blind(scope=id, type=type, fault=_UNLISTED) for type in sorted(below))


def _differs(live: Live, listed: Live | None) -> bool:
    return listed is None or live.wire != listed.wire


def _inherit(live: Live, snapshot: Snapshot) -> Live:
    """What carries no tags is whose its parent is."""
    above = snapshot.live.get(live.id.parent) if live.id.parent else None
    return replace(live, owner=live.owner or (above.owner if above else None))


async def _plan(fleet: Fleet, snapshot: Snapshot, request: CycleRequest) -> Plan:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_PLANNER, make_plan, fleet, snapshot, request.chosen, request.memory)


async def _ask_leave(
    world: World, fleet: Fleet, request: CycleRequest, seen: tuple[Snapshot, Plan]
) -> tuple[Snapshot, Plan]:
    """The plan held against what Azure permits, read where it writes at all. Whoever only looks is often not the one to
    write: then what is missing is told, and nothing more is asked about it."""
    snapshot, plan = seen
    scope = find_places(plan, snapshot)
    if scope is None:
        return seen
    rights = await world.cloud.rights(scope)
    rights = replace(rights, binding=request.budget is not None)
    snapshot = replace(snapshot, rights=rights, requests=snapshot.requests + rights.requests)
    closer = find_closer(plan, snapshot) if rights.binding else frozenset()
    if closer:
        more = await world.cloud.rights(replace(scope, places=closer, namespaces=frozenset()))
        rights = replace(rights, grants={**rights.grants, **more.grants}, unread={**rights.unread, **more.unread})
        snapshot = replace(snapshot, rights=rights, requests=snapshot.requests + more.requests)
    return snapshot, approve(plan, snapshot) or await _plan(fleet, snapshot, request)


async def _browse(world: World, fleet: Fleet, snapshot: Snapshot) -> Snapshot:
    """The snapshot with the model lists that tell when what is deployed retires: few regions' stand for all."""
    lists = find_lists(fleet, snapshot)
    if not lists:
        return snapshot
    catalogue = await world.cloud.browse(fleet.subscription, lists)
    return replace(snapshot, catalogue=catalogue, requests=snapshot.requests + catalogue.requests)


async def _weigh(
    world: World, fleet: Fleet, request: CycleRequest, seen: tuple[Snapshot, Plan]
) -> tuple[Snapshot, Plan]:
    """The plan held against the quota that there is. It is read where the plan changes what deployments hold or a
    document speaks of it, and who else holds it only where a pool turns out too small, or where somebody asked: a quiet
    look costs nothing."""
    snapshot, plan = seen
    both, watched = find_watched(fleet, request.chosen)
    regions = find_asked(plan, fleet, snapshot) | find_unplaced(fleet, snapshot, request.chosen) | both
    surveys: frozenset[str] = frozenset()
    if request.regions:
        surveys = request.regions.named or find_regions(fleet, snapshot)
        regions |= surveys
    if not regions and not watched:
        return seen
    scope = QuotaScope(subscription=fleet.subscription, locations=regions, watched=watched, surveys=surveys)
    measured = await _measure(world, fleet, snapshot, scope)
    plan = await _plan(fleet, measured, request)
    assert plan.ledger is not None
    tight = _find_tight(plan, plan.ledger) - surveys
    if tight:
        scope = QuotaScope(subscription=fleet.subscription, surveys=tight)
        measured = await _measure(world, fleet, measured, scope)
        plan = await _plan(fleet, measured, request)
    models = find_growing(fleet, plan)
    if models:
        measured = await _ask_hardware(world, fleet, measured, models)
        plan = await _plan(fleet, measured, request)
    return measured, plan


async def _ask_hardware(world: World, fleet: Fleet, snapshot: Snapshot, models: frozenset[ModelKey]) -> Snapshot:
    """The snapshot with what there is hardware for: quota that cannot be used is not counted on."""
    assert snapshot.quotas is not None
    found = await world.cloud.measure(QuotaScope(subscription=fleet.subscription, models=models))
    quotas = replace(snapshot.quotas, hardware=found.hardware, unsure=found.unsure)
    return replace(snapshot, quotas=quotas, requests=snapshot.requests + found.requests)


def _find_tight(plan: Plan, ledger: Ledger) -> frozenset[str]:
    """The regions in which it matters who holds what: something goes without, or a purge might help what has less."""
    refused = any(decision.code == "insufficient_quota" for decision in plan.decisions)
    return frozenset(pool.location for pool in ledger.pools if pool.short and (refused or pool.deleted))


async def _measure(world: World, fleet: Fleet, snapshot: Snapshot, scope: QuotaScope) -> Snapshot:
    """The snapshot with the lists that `scope` names, and with everybody's deployments in the regions it surveys."""
    found = await world.cloud.measure(replace(scope, accounts=find_strangers(fleet, snapshot, scope.surveys)))
    requests = snapshot.requests + found.requests
    if snapshot.quotas is not None:
        surveyed = snapshot.quotas.surveyed | scope.surveys
        found = replace(snapshot.quotas, strangers=found.strangers, unseen=found.unseen, surveyed=surveyed)
    return replace(snapshot, quotas=found, requests=requests)


async def converge(world: World, fleet: Fleet, request: CycleRequest) -> tuple[CycleReport, ...]:
    """Cycles until all is as declared, or blocked, or the budget's time is over. The last report is the state."""
    assert request.budget is not None
    end = world.clock.monotonic() + request.budget.seconds
    reports: list[CycleReport] = []
    hearing, memory = Hearing(), request.memory
    fruitless = pauses = 0
    done: frozenset[str] = frozenset()
    while True:
        left = Budget(seconds=end - world.clock.monotonic(), parallel=request.budget.parallel)
        cycle = replace(request, budget=left, hearing=hearing, memory=memory)
        report = await run_cycle(world, fleet, cycle)
        reports.append(report)
        memory = report.memory
        # What is done over and over again is no progress: Azure takes it each time and does not do it yet.
        # A pool of a model that was refused hardware turns to the next place, and to each place only once.
        done, moved = _done(report), bool(_done(report) - done) or any(map(_lacks_hardware, report.outcomes))
        fruitless = 0 if moved else fruitless + 1
        if _finished(report) or world.halt.because or (report.outcomes and fruitless >= _FRUITLESS):
            return tuple(reports)
        pause = 0.0 if moved else min(5.0 + 2.5 * pauses, 15.0)
        if world.clock.monotonic() + pause >= end:
            return tuple(reports)
        pauses = 0 if moved else pauses + 1
        await world.clock.sleep(pause)


def _done(report: CycleReport) -> frozenset[str]:
    return frozenset(outcome.step.name for outcome in report.outcomes if outcome.result is Result.DONE)


def _finished(report: CycleReport) -> bool:
    """Whether another look could change anything: something acted, is stale, or Azure is still working."""
    if report.refused or report.plan.stopped:
        return True
    if any(map(_lacks_hardware, report.outcomes)):
        return False
    worth = (Result.DONE, Result.STALE, Result.IN_PROGRESS)
    waiting = any(decision.state is DecisionState.IN_PROGRESS for decision in report.plan.decisions)
    return not waiting and not any(outcome.result in worth for outcome in report.outcomes)
