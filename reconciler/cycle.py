"""One cycle over one fleet: observe, plan, apply; and `converge`, the same cycle until there is nothing left to do.

Dry run is not a flag in here: a dry run leaves out the budget, and its cloud refuses to write.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from reconciler.apply import Budget, run_plan
from reconciler.model.ids import ArmId
from reconciler.model.outcome import CycleReport, Result
from reconciler.model.plan import DecisionState, Plan
from reconciler.model.ports import World
from reconciler.model.resource import Fleet, ManagePolicy, Scope
from reconciler.plan import make_plan

Consent = Callable[[Plan], Awaitable[str]]
_FRUITLESS = 3  # cycles that may do nothing before a run gives up: a plan can be overtaken by somebody else's change


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRequest:
    """What one cycle is asked for. Without `budget` nothing is written. `chosen` limits who may be acted upon.

    `consent` is asked about each plan that would write and answers "" or why not.
    """

    chosen: frozenset[ArmId] | None = None
    budget: Budget | None = None
    consent: Consent | None = None


def scope_of(fleet: Fleet) -> Scope:
    """What must be looked at for this fleet: every managed or observed resource and the group it lives in."""
    ids: dict[ArmId, None] = {}
    subdomains: dict[ArmId, tuple[str, str]] = {}
    for id, desired in fleet.desired.items():
        if desired.lifecycle.policy is ManagePolicy.DETACH:
            continue
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
    began = world.clock.now()
    snapshot = await world.cloud.observe(scope_of(fleet))
    plan = make_plan(fleet, snapshot, request.chosen)
    world.watcher.planned(plan)
    refused = await request.consent(plan) if request.consent and request.budget and plan.applicable else ""
    outcomes = await run_plan(plan, world, request.budget) if request.budget and not refused else ()
    return CycleReport(
        plan=plan,
        outcomes=outcomes,
        refused=refused,
        began=began,
        ended=world.clock.now(),
        requests=snapshot.requests + sum(outcome.requests for outcome in outcomes),
    )


async def converge(world: World, fleet: Fleet, request: CycleRequest) -> tuple[CycleReport, ...]:
    """Cycles until all is as declared, or blocked, or the budget's time is over. The last report is the state."""
    assert request.budget is not None
    end = world.clock.monotonic() + request.budget.seconds
    reports: list[CycleReport] = []
    fruitless = pauses = 0
    while True:
        left = Budget(seconds=end - world.clock.monotonic(), parallel=request.budget.parallel)
        cycle = CycleRequest(chosen=request.chosen, budget=left, consent=request.consent)
        report = await run_cycle(world, fleet, cycle)
        reports.append(report)
        fruitless = 0 if _moved(report) else fruitless + 1
        if _finished(report) or (report.outcomes and fruitless >= _FRUITLESS):
            return tuple(reports)
        pause = 0.0 if _moved(report) else min(5.0 + 2.5 * pauses, 15.0)
        if world.clock.monotonic() + pause >= end:
            return tuple(reports)
        pauses = 0 if _moved(report) else pauses + 1
        await world.clock.sleep(pause)


def _moved(report: CycleReport) -> bool:
    return any(outcome.result is Result.DONE for outcome in report.outcomes)


def _finished(report: CycleReport) -> bool:
    """Whether another look could change anything: something acted, is stale, or Azure is still working."""
    if report.refused or report.plan.stopped:
        return True
    worth = (Result.DONE, Result.STALE, Result.IN_PROGRESS)
    waiting = any(decision.state is DecisionState.IN_PROGRESS for decision in report.plan.decisions)
    return not waiting and not any(outcome.result in worth for outcome in report.outcomes)
