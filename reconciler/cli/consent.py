"""What somebody has agreed to. Pure: says whether a plan stays within a plan that was agreed to before.

A run repeats its cycle until nothing is left, and only its first plan was shown. A later one may do less or go on where
the first was stopped, never something that nobody has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.kinds.addresses import ANY, within_ports
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, Decision, DecisionState, FieldChange, Plan
from reconciler.model.reach import Way
from reconciler.model.text import plain
from reconciler.model.wire import Json, canonical_bytes
from reconciler.report.openings import join_ways, tell_exposure, tell_passage
from reconciler.report.summary import count_following, list_following, summarise
from reconciler.report.words import count, join_words

_DESTROYS = (Action.DELETE, Action.REPLACE, Action.PURGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The decisions that were agreed to, those that act and those that shall as soon as what they wait for is done, and
    the ways that all of it opens: what one write did not open yet, another one may. What would destroy something is
    agreed to only where it acts. Whoever agrees to a pool of a model agrees to its deployments in all the `places` that
    it was said to have: which of them Azure has hardware for is often known only by trying."""

    decisions: Mapping[ArmId, Decision] = field(default_factory=dict)
    opened: tuple[Way, ...] = ()
    places: frozenset[ArmId] = frozenset()

    def exceeded_by(self, plan: Plan) -> tuple[Decision, ...]:
        """What `plan` would do that was not agreed to."""
        return tuple(decision for decision in plan.decisions if decision.acts and not self._covers(decision))

    def _covers(self, decision: Decision) -> bool:
        takes = decision.action in _DESTROYS or any(change.cuts for change in decision.changes)
        if decision.id in self.places and not takes:
            return True
        agreed = self.decisions.get(decision.id)
        if agreed is None:
            return False
        if decision.action in _DESTROYS and decision.action is not agreed.action:
            return False
        wanted = {change.path: _spell(change.after) for change in agreed.changes}
        told = all(
            wanted.get(change.path) == _spell(change.after) or _grows_within(change, agreed)
            for change in decision.changes
        )
        return told and all(self._has_opened(way) for way in decision.opened)

    def _has_opened(self, way: Way) -> bool:
        """Whether what was agreed to lets them through as well: the same words, or all the addresses."""
        agreed = [
            each
            for each in self.opened
            if (each.target, each.path) == (way.target, way.path) and within_ports(_ports(way), _ports(each))
        ]
        if any(each.source == way.source for each in agreed):
            return True
        spans = sorted(span for each in agreed if each.numeric for span in each.addresses)
        return way.numeric and all(_covers_span(spans, span) for span in way.addresses)


def _grows_within(change: FieldChange, agreed: Decision) -> bool:
    """Whether a capacity that took what there was gets some of the rest of what it wants."""
    first = next((each.after for each in agreed.changes if each.path == change.path), change.before)
    if change.path != "sku.capacity" or not isinstance(first, int) or not isinstance(change.after, int):
        return False
    return first <= change.after <= first + agreed.short


def _ports(way: Way) -> list[str]:
    return [ANY if port == "any" else port for port in way.ports.split(", ")]


def _covers_span(spans: Iterable[tuple[int, int]], span: tuple[int, int]) -> bool:
    """Whether every address of `span` is in one of `spans`, which ascend."""
    missing = span[0]
    for first, last in spans:
        if first <= missing <= last:
            missing = last + 1
    return missing > span[1]


def agree_to(plan: Plan) -> Agreement:
    acting = [decision for decision in plan.decisions if decision.acts]
    waiting = (each for each in plan.decisions if each.state is DecisionState.IN_PROGRESS and each.action)
    # A purge is only said to follow where it is said what for, and only if those before it give back too little.
    unasked = (Action.DELETE, Action.REPLACE)
    following = [each for each in (*list_following(plan), *waiting) if each.action not in unasked]
    return Agreement(
        decisions={decision.id: decision for decision in (*following, *acting)},
        opened=tuple(way for decision in acting for way in decision.opened),
        places=frozenset(member.id for spread in plan.spreads for share in spread.shares for member in share.members),
    )


def ask_about(plans: Iterable[Plan]) -> str:
    """The question to somebody who has read `plans`; what opens is said again, for whoever has not."""
    asked = [plan for plan in plans if plan.applicable or (list_following(plan) and not plan.stopped)]
    changes = sum(summarise(plan).changes for plan in asked)
    later = sum(len(list_following(plan)) for plan in asked)
    opening, _ = tell_exposure(asked)
    more = f", and {count_following(later)}" if later else ""
    question = f"Make {count(changes, 'change')} to {join_words(plan.fleet for plan in asked)}{more}?"
    return f"{question} {opening}." if opening else question


def tell_excess(decisions: Iterable[Decision]) -> str:
    """Why a later plan is not carried out."""
    names = _tell_names(decisions)
    return f"Azure moved while this ran, and this was not in the plan that was agreed to: {names}; run it again"


def tell_surplus(decisions: Iterable[Decision]) -> str:
    """What a later plan does beyond what was shown, to whoever agreed to whatever it takes."""
    return f"Azure moved while this ran; done as well, because --yes agrees to it: {_tell_names(decisions)}"


def _tell_names(decisions: Iterable[Decision]) -> str:
    return ", ".join(f"{decision.action} {plain(str(decision.ref))}{_tell_opened(decision)}" for decision in decisions)


def _tell_opened(decision: Decision) -> str:
    told = "; ".join(tell_passage(each) for each in join_ways(decision.opened))
    return f" (opens {told})" if told else ""


def _spell(value: Json) -> bytes:
    return canonical_bytes(value)
