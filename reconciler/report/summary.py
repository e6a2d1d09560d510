"""Report: a plan and its outcomes counted. Pure; the numbers that every renderer agrees on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.kinds.catalog import type_of
from reconciler.model.ids import ArmId
from reconciler.model.outcome import CycleReport, Outcome, Result
from reconciler.model.plan import Action, Decision, DecisionState, Plan, Step, Verb
from reconciler.report.words import RESULT_WORDS, count, show_duration

_ALWAYS = (
    (Action.CREATE, "to add"),
    (Action.UPDATE, "to change"),
    (Action.DELETE, "to destroy"),
    (Action.PURGE, "to purge"),
)
_SOMETIMES = ((Action.REPLACE, "to replace"), (Action.RESTORE, "to restore"), (Action.ADOPT, "to adopt"))
_QUIET = (DecisionState.IN_SYNC, DecisionState.IGNORED)
_STATES = (
    (DecisionState.BLOCKED, "blocked"),
    (DecisionState.IN_PROGRESS, "in progress"),
    (DecisionState.DRIFTED, "drifted"),
    (DecisionState.IGNORED, "ignored"),
    (DecisionState.IN_SYNC, "in sync"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How many resources go which way; `seconds` is the longest chain of writes that must follow each other."""

    actions: Mapping[Action, int]
    states: Mapping[DecisionState, int]
    requests: int
    requests_spent: int
    seconds: float
    writes: int

    @property
    def changes(self) -> int:
        return sum(self.actions.values())


def summarise(plan: Plan) -> Summary:
    acting = [decision for decision in plan.decisions if decision.acts]
    actions = Counter(decision.action for decision in acting if decision.action)
    states = Counter(decision.state for decision in plan.decisions)
    return Summary(
        actions={action: actions[action] for action in Action},
        states={state: states[state] for state in DecisionState},
        requests=sum(decision.requests for decision in acting),
        requests_spent=plan.requests_spent,
        seconds=estimate_seconds(plan),
        writes=len(plan.steps),
    )


def list_following(plan: Plan) -> tuple[Decision, ...]:
    """What is not done yet, because it waits for something, and shall be by the same run."""
    return tuple(each for each in plan.decisions if each.state is DecisionState.IN_PROGRESS and each.action)


def estimate_seconds(plan: Plan) -> float:
    """When the last write would end if each took its usual time: serial within a lane, parallel across lanes."""
    ended: dict[str, float] = {}
    free: dict[str, float] = {}
    for step in plan.steps:
        begins = max([*(free.get(lane, 0.0) for lane in step.lanes), *(ended.get(name, 0.0) for name in step.after)])
        ended[step.name] = begins + _usual_seconds(step)
        free |= dict.fromkeys(step.lanes, ended[step.name])
    return max(ended.values(), default=0.0)


def _usual_seconds(step: Step) -> int:
    type_ = type_of(step.id.type)
    if type_ is None:
        return 0
    births = step.verb is Verb.RESTORE or (step.verb is Verb.PUT and step.action in (Action.CREATE, Action.REPLACE))
    return type_.patience.usual_create if births else type_.patience.usual_update


def headline(summary: Summary) -> str:
    """`Plan: 3 to add, 1 to change, 0 to destroy, 1 to purge; 2 blocked; 40 in sync`."""
    parts = [f"{summary.actions[action]} {word}" for action, word in _ALWAYS]
    parts += [f"{summary.actions[action]} {word}" for action, word in _SOMETIMES if summary.actions[action]]
    states = [f"{summary.states[state]} {word}" for state, word in _STATES if summary.states[state]]
    return "; ".join((f"Plan: {', '.join(parts)}", *states))


def cost_line(summary: Summary) -> str:
    """What the plan has cost so far and what applying it would."""
    read = f"{count(summary.requests_spent, 'request')} spent on reading"
    if not summary.writes:
        return f"{read}; nothing to write."
    return f"{read}; about {summary.requests} more to apply, in about {show_duration(summary.seconds)}."


def merge_outcomes(reports: tuple[CycleReport, ...]) -> tuple[Outcome, ...]:
    """What became of each resource over all cycles of a run: what was done, and of the rest only how it ended."""
    last: dict[ArmId, int] = {}
    for number, report in enumerate(reports):
        last.update({outcome.step.id: number for outcome in report.outcomes})
    quiet = {decision.id for decision in reports[-1].plan.decisions if decision.state in _QUIET} if reports else set()
    merged = []
    for number, report in enumerate(reports):
        for outcome in report.outcomes:
            overtaken = last[outcome.step.id] != number or (outcome.step.id in quiet and not reports[-1].outcomes)
            if outcome.result is Result.DONE or not overtaken:
                merged.append(outcome)
    return tuple(merged)


def result_line(outcomes: tuple[Outcome, ...]) -> str:
    """`14 done, 1 failed, 2 not started`."""
    results = Counter(outcome.result for outcome in outcomes)
    return ", ".join(f"{results[result]} {RESULT_WORDS[result]}" for result in Result if results[result])
