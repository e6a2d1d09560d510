"""What fails again and again: how long it is left alone, and what is said meanwhile. Pure.

One that fails holds up nobody but itself and what needs it. What waiting may heal is tried again after a minute, then
after two, four and so on; what somebody has to put right is looked at now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reconciler.model.drift import Correction
from reconciler.model.finding import FaultClass
from reconciler.model.ids import ArmId
from reconciler.model.memory import Held, Memory
from reconciler.model.moment import show_time
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Decision, DecisionState, Plan
from reconciler.model.wire import digest, thaw
from reconciler.plan.draft import Draft

# Seconds: the first pause, which every failure in a row doubles, and the longest.
_HEALS = (60.0, 1800.0)
_STAYS = (900.0, 6 * 3600.0)
_TERMINAL = (FaultClass.INVALID, FaultClass.FORBIDDEN, FaultClass.SOFT_DELETED)
_FAILED = (Result.FAILED, Result.BLOCKED, Result.NOT_CONVERGING)


def remember_failures(
    memory: Memory, plan: Plan, outcomes: tuple[Outcome, ...], now: float, stretch: Callable[[], float]
) -> Memory:
    """What is remembered after a cycle: who failed is held back, who succeeded or has nothing to do any more is not.
    `stretch` draws the jitter of a pause, a factor around 1."""
    decisions = {each.id: each for each in plan.decisions}
    holds = {id: held for id, held in memory.holds.items() if id in decisions and _is_wanted(decisions[id])}
    failed: dict[ArmId, Outcome] = {}
    for outcome in outcomes:
        if outcome.result is Result.DONE:
            holds.pop(outcome.step.id, None)
        elif _has_failed(outcome) and outcome.step.id in decisions:
            failed.setdefault(outcome.step.id, outcome)
    for id, outcome in failed.items():
        holds[id] = _prolong(memory.holds.get(id), outcome, decisions[id], now, stretch())
    return replace(memory, holds=holds)


def hold(draft: Draft, memory: Memory, now: float) -> Draft:
    """The draft, blocked while it is left alone because it failed, or because somebody undoes it."""
    held = memory.holds.get(draft.id)
    if held is None or held.until <= now:
        return draft
    until = f"tried again at {show_time(held.until)}"
    if held.wants == draft.decision.wants != "" and _is_within(draft.decision, held):
        return draft.blocked(Correction.GIVEN_UP, f"{held.reason}; {until}", held.advice)
    if held.wants or held.wanted != name_wanted(draft.decision):
        return draft
    times = "once" if held.times == 1 else f"{held.times} times"
    reason = f"failed {times}: {held.reason}; {until}"
    return draft.blocked("held", reason, held.advice)


def _is_within(decision: Decision, held: Held) -> bool:
    """Whether nothing else differs than what is fought over: that must not keep a door open."""
    paths = set[str]() if decision.missing else {each.path for each in decision.changes}
    return not held.paths or (paths or {""}) <= held.paths


def name_wanted(decision: Decision) -> str:
    """A name for what a decision would bring about: another one as soon as its document says something else."""
    changes = [[change.path, change.after] for change in decision.changes]
    return digest(thaw([decision.action, changes]))


def _is_wanted(decision: Decision) -> bool:
    """Whether it is still not as it should be: what is kept from acting now says nothing about why it failed."""
    return decision.state in (DecisionState.ACT, DecisionState.BLOCKED, DecisionState.IN_PROGRESS)


def _has_failed(outcome: Outcome) -> bool:
    """Whether it went wrong by itself: what only takes long, waited for another, or was kept from writing has not."""
    gave_up = outcome.result is Result.IN_PROGRESS and outcome.fault is not None
    return gave_up or outcome.result in _FAILED


def _prolong(before: Held | None, outcome: Outcome, decision: Decision, now: float, stretch: float) -> Held:
    fault = outcome.fault
    first, longest = _STAYS if fault is not None and fault.cls in _TERMINAL else _HEALS
    wanted = name_wanted(decision)
    times = before.times + 1 if before is not None and before.wanted == wanted else 1
    return Held(
        until=now + min(longest, first * 2.0 ** min(times - 1, 20)) * stretch,
        times=times,
        reason=outcome.because or (str(fault) if fault else outcome.result.value),
        advice=fault.advice if fault else "",
        wanted=wanted,
    )
