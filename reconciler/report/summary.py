"""Report: a plan and its outcomes counted. Pure; the numbers that every renderer agrees on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.kinds.catalog import type_of
from reconciler.model.ids import ArmId
from reconciler.model.outcome import CycleReport, Outcome, Result
from reconciler.model.plan import Action, Decision, DecisionState, Plan, Step, Verb
from reconciler.report.words import RESULT_WORDS, count, join_words, name_of, show_duration, tell_action

_ALWAYS = (
    (Action.CREATE, "to add"),
    (Action.UPDATE, "to change"),
    (Action.DELETE, "to destroy"),
    (Action.PURGE, "to purge"),
)
_SOMETIMES = ((Action.REPLACE, "to replace"), (Action.RESTORE, "to restore"), (Action.ADOPT, "to adopt"))
# Networks ask to be looked at after 10 s and then every 20 s, but for DNS zones; everything else is looked at at a pace
# of our own. What takes no longer than this is done when Azure answers.
_NETWORK, _ZONES, _AT_ONCE = "microsoft.network/", "microsoft.network/privatednszones", 5
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
    """How many resources go which way; `seconds` is the longest chain of writes that must follow each other, and
    `taken` how many of what is destroyed goes with what it lies in."""

    actions: Mapping[Action, int]
    states: Mapping[DecisionState, int]
    requests: int
    requests_spent: int
    seconds: float
    writes: int
    taken: int = 0

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
        # Once all is written it is looked at again, as it was for this plan.
        requests=sum(estimate_requests(step) for step in plan.steps) + (plan.requests_spent if plan.steps else 0),
        requests_spent=plan.requests_spent,
        seconds=estimate_seconds(plan),
        writes=len(plan.steps),
        taken=_count_taken(acting),
    )


def _count_taken(acting: list[Decision]) -> int:
    going = {each.id for each in acting if each.action in (Action.DELETE, Action.REPLACE)}
    return sum(each.action is Action.DELETE and each.id.parent in going for each in acting)


def list_following(plan: Plan) -> tuple[Decision, ...]:
    """What is not done yet, because it waits for something, and shall be by the same run."""
    return tuple(each for each in plan.decisions if each.state is DecisionState.IN_PROGRESS and each.action)


def estimate_seconds(plan: Plan) -> float:
    """When the last write would end if each took its usual time: serial within a lane, parallel across lanes."""
    ended: dict[str, float] = {}
    free: dict[str, float] = {}
    for step in plan.steps:
        begins = max([*(free.get(lane, 0.0) for lane in step.lanes), *(ended.get(name, 0.0) for name in step.after)])
        ended[step.name] = begins + _estimate(step)[1]
        free |= dict.fromkeys(step.lanes, ended[step.name])
    return max(ended.values(), default=0.0)


def estimate_requests(step: Step) -> int:
    """A read before the write and one after it, and a look every now and then while Azure works on it."""
    return _estimate(step)[0]


def estimate_costs(plan: Plan) -> Mapping[str, int]:
    """The requests that each resource takes, by its name."""
    costs: Counter[str] = Counter()
    for step in plan.steps:
        costs[step.name.rpartition("#")[0]] += estimate_requests(step)
    return costs


def _estimate(step: Step) -> tuple[int, float]:
    """Requests and seconds of a write. It is over when somebody looks, not when Azure is done."""
    usual, around = _usual_seconds(step), 1 if step.verb is Verb.PURGE else 3
    type_ = step.id.type.lower()
    slow = type_.startswith(_NETWORK) and not type_.startswith(_ZONES)
    if usual <= _AT_ONCE and not slow:
        return around, float(usual)
    seconds, looks = 0.0, 0
    while seconds < usual or not looks:
        seconds += (10.0, 20.0)[min(looks, 1)] if slow else min(5.0 + 2.5 * looks, 15.0)
        looks += 1
    return around + looks, seconds + 1.0


def _usual_seconds(step: Step) -> int:
    type_ = type_of(step.id.type)
    if type_ is None:
        return 0
    births = step.verb is Verb.RESTORE or (step.verb is Verb.PUT and step.action in (Action.CREATE, Action.REPLACE))
    return type_.patience.usual_create if births else type_.patience.usual_update


def headline(summary: Summary) -> str:
    """`Plan: 3 to add, 1 to change, 0 to destroy, 1 to purge; 2 blocked; 40 in sync`."""
    parts = [f"{summary.actions[action]} {word}{_tell_taken(summary, action)}" for action, word in _ALWAYS]
    parts += [f"{summary.actions[action]} {word}" for action, word in _SOMETIMES if summary.actions[action]]
    states = [f"{summary.states[state]} {word}" for state, word in _STATES if summary.states[state]]
    return "; ".join((f"Plan: {', '.join(parts)}", *states))


def _tell_taken(summary: Summary, action: Action) -> str:
    if not summary.taken or action is not Action.DELETE:
        return ""
    return f" ({summary.taken} with what {'it lies' if summary.taken == 1 else 'they lie'} in)"


def following_line(plan: Plan) -> str:
    """What this run does later, which no step of the plan does yet; "" for nothing."""
    following = [f"{tell_action(each.action)} {name_of(each)}" for each in list_following(plan)]
    return f"{count_following(len(following))}: {join_words(following)}." if following else ""


def count_following(number: int) -> str:
    return f"{number} more when what {'it waits' if number == 1 else 'they wait'} for is done"


def cost_line(summary: Summary) -> str:
    """What the plan has cost so far and what applying it would."""
    read = f"{count(summary.requests_spent, 'request')} spent on reading"
    if not summary.writes:
        return f"{read}; nothing to write."
    took = show_duration(summary.seconds)
    return f"{read}; about {summary.requests} more to apply and check, in about {took}."


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
