"""Report: what is so and worth telling people: drifts, and what a look at a fleet or at documents finds wrong. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler.kinds.catalog import type_of
from reconciler.model.alert import Journal, Level
from reconciler.model.drift import Correction, Drift, Gravity, name_drift
from reconciler.model.finding import FaultClass, Finding, Severity
from reconciler.model.ids import ArmId
from reconciler.model.moment import read_time, show_time
from reconciler.model.outcome import CycleReport, Outcome, Result
from reconciler.model.outlook import Nearness, Retirement, show_day
from reconciler.model.plan import Decision, DecisionState, Plan
from reconciler.model.spread import Spread
from reconciler.model.text import plain
from reconciler.model.wire import Json, digest
from reconciler.report.words import HELPS, count, shorten, show_duration, show_value

DRIFT: Final = "ReconcilerDrift"
FIGHT: Final = "ReconcilerFight"
BLOCKED: Final = "ReconcilerBlocked"
QUOTA: Final = "ReconcilerQuota"
RETIREMENT: Final = "ReconcilerRetirement"
STUCK: Final = "ReconcilerStuck"
INVALID: Final = "ReconcilerInvalidDesiredState"
THROTTLED: Final = "ReconcilerThrottled"
CREDENTIALS: Final = "ReconcilerCredentials"
UNSEEN: Final = "ReconcilerFleetUnseen"
JOURNAL: Final = "ReconcilerJournal"

LEVELS: Final[Mapping[Gravity, Level]] = {
    Gravity.EXPOSURE: Level.CRITICAL,
    Gravity.CAPACITY: Level.WARNING,
    Gravity.SECURITY: Level.WARNING,
    Gravity.COSMETIC: Level.INFO,
}
_NEARNESS: Final[Mapping[Nearness, Level]] = {
    Nearness.FAR: Level.INFO,
    Nearness.NOTICE: Level.INFO,
    Nearness.WARNING: Level.WARNING,
    Nearness.URGENT: Level.WARNING,
    Nearness.CRITICAL: Level.CRITICAL,
    Nearness.RETIRED: Level.CRITICAL,
}
_COSTS: Final[Mapping[Gravity, str]] = {
    Gravity.EXPOSURE: "more can get in than declared",
    Gravity.CAPACITY: "less can be served than declared",
    Gravity.SECURITY: "less is guarded than declared",
    Gravity.COSMETIC: "neither access nor capacity changes by it",
}

# Seconds that something must last before it is told: most of it ends by itself.
_BLOCKED_AFTER = 120.0
_TRIES: Final = re.compile(r"^failed (?:once|\d+ times): |; tried again at \S+$")
_STUCK_AFTER, _STUCK_TIMES = 900.0, 3
# Seconds between two messages about the same thing, unless it gets worse: reasons often name numbers that move.
_QUIET = 900.0
LISTED = 20
_DETAILED = 6
# Blocked by what is told elsewhere, or by people who know of it.
_SILENT = frozenset({"needs", "unknown", "not_selected", "paused", "maintenance", "given_up", "circle", "incomplete"})
# One cause, however many resources it is.
_EMPTIED: Final = "empty_fleet"
_UNREADABLE: Final = "pauses_unreadable"
_QUOTAS = frozenset({"insufficient_quota", "too_many_accounts", "too_many_deployments"})
_STANDINGS: Final[Mapping[Correction, str]] = {
    Correction.DUE: "It is being put right",
    Correction.DONE: "It was put right just now",
    Correction.BLOCKED: "It is not put right",
    Correction.OBSERVED: "It is not put right",
    Correction.GIVEN_UP: "It is not put right any more",
}
AGREE: Final = "Either of the two has to stop: agree on one of them."
_STANDING = (Correction.BLOCKED, Correction.OBSERVED, Correction.GIVEN_UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that is so, and is told once it has been so for `after` seconds. `essence` names what must change to
    be worth another message, and `quiet` how long that waits at least. After `critical_after` seconds it is critical.
    """

    key: str
    name: str
    level: Level
    labels: Mapping[str, str]
    summary: str
    description: str
    essence: str
    actors: tuple[str, ...] = ()
    details: Mapping[str, Json] = field(default_factory=dict)
    after: float = 0.0
    critical_after: float | None = None
    quiet: float = _QUIET

    def lasting(self, seconds: float) -> Condition:
        """The same after so many seconds."""
        grown = self.critical_after is not None and seconds >= self.critical_after
        return replace(self, level=Level.CRITICAL) if grown else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Finds:
    """What one look at a fleet finds to be so, and the keys of which it could not see whether they are."""

    fleet: str
    conditions: Mapping[str, Condition]
    unseen: frozenset[str] = frozenset()
    blind: bool = False  # nothing of the fleet was seen


def find_conditions(journal: Journal, plan: Plan, report: CycleReport | None = None) -> Finds:
    """What is so in a fleet: its open drifts, and what a plan and, once they ran, its steps say."""
    found = [*find_drifts(journal, plan.fleet)]
    outcomes = _first_failures(report.outcomes if report else ())
    drifting = {each.id for each in journal.drifts.values()}
    for decision in plan.decisions:
        found += _standing(plan.fleet, decision, outcomes.get(decision.id), drifted=decision.id in drifting)
    if plan.stopped:
        found.append(_stopped(plan))
    if emptied := [each for each in plan.decisions if each.code == _EMPTIED]:
        found.append(_emptied(plan.fleet, emptied))
    found += [_shut(plan.fleet, each) for each in plan.decisions if each.code == _UNREADABLE][:1]
    found += [_retirement(plan.fleet, each) for each in plan.outlook.near]
    found += [_unplaced(plan.fleet, each) for each in plan.spreads if each.shortfall]
    done = _find_done(report.outcomes if report else ())
    # Of what is being done about a resource it has yet to turn out what becomes.
    unread = [each.id for each in plan.decisions if each.code == "unknown" or (each.acts and each.id not in done)]
    unseen = frozenset(f"{word}:{_short(plan.fleet, id)}" for id in unread for word in ("blocked", "quota", "stuck"))
    unseen |= {
        each.key
        for each in journal.alerts.values()
        if each.name == RETIREMENT and each.labels.get("region") in plan.outlook.unread
    }
    return Finds(fleet=plan.fleet, conditions={each.key: each for each in found}, unseen=unseen)


def find_invalid(findings: Sequence[Finding]) -> Finds:
    """What is wrong with documents, whichever fleet's they are. Where there is no fleet at all nobody looks at any."""
    errors = sorted({str(each) for each in findings if each.severity is Severity.ERROR})
    if not errors:
        return Finds(fleet="", conditions={})
    listed = [f"- {plain(each)}" for each in errors[:LISTED]]
    more = [f"- and {len(errors) - LISTED} more"] if len(errors) > LISTED else []
    nothing = any(each.code == "nothing_declared" for each in findings)
    condition = Condition(
        key="invalid",
        name=INVALID,
        level=Level.CRITICAL if nothing else Level.WARNING,
        labels={},
        summary=f"{count(len(errors), 'error')} in the desired state: {plain(errors[0])}",
        description="\n".join(
            ["What has errors, and what needs it, is not written; nothing is pruned meanwhile.", *listed, *more]
        ),
        essence=make_essence([*errors]),
        quiet=0.0,
    )
    return Finds(fleet="", conditions={condition.key: condition})


def find_drifts(journal: Journal, fleet: str) -> Iterator[Condition]:
    """The open drifts of a fleet, as it was last seen."""
    below = Counter(drift.within for drift in journal.drifts.values())
    for drift in journal.drifts.values():
        if drift.fleet != fleet or drift.within:
            continue
        yield _drift(drift, below[drift.key] if drift.gone else 0)
        if drift.correction is Correction.GIVEN_UP:
            yield _fight(drift)


def _drift(drift: Drift, below: int) -> Condition:
    edits: list[Json] = [[each.path, each.before, each.after] for each in drift.changes]
    standing = drift.correction if drift.correction in _STANDING else ""
    return Condition(
        key=drift.key,
        name=DRIFT,
        level=LEVELS[drift.gravity],
        labels=_label(drift.fleet, drift.ref, drift.labels, gravity=drift.gravity.value),
        summary=f"{plain(str(drift.ref))}: {tell_difference(drift)}",
        description="\n".join(_describe(drift, below)),
        actors=(drift.actor,) if drift.explained else (),
        details=_detail(drift),
        essence=make_essence([drift.gravity, edits, drift.omitted, drift.gone, drift.actor, standing, drift.returns]),
        quiet=0.0,
    )


def _detail(drift: Drift) -> dict[str, Json]:
    """A drift for programs; of many fields the first ones."""
    changes: list[Json] = [
        {"path": each.path, "declared": each.before, "found": each.after} for each in drift.changes[:_DETAILED]
    ]
    return {
        "id": str(drift.id),
        "gravity": drift.gravity.value,
        "gone": drift.gone,
        "changes": changes,
        "omitted": drift.omitted + max(0, len(drift.changes) - _DETAILED),
        "actor": drift.actor,
        "since": drift.since,
        "correction": drift.correction.value,
        "returns": drift.returns,
    }


def tell_difference(drift: Drift) -> str:
    """The drift on one line: what is not as declared."""
    if drift.gone:
        return "does not exist any more"
    if not drift.changes:
        return "is not this fleet's any more"
    first = drift.changes[0]
    more = len(drift.changes) - 1 + drift.omitted
    rest = f" (and {count(more, 'more field')})" if more else ""
    return f"{plain(first.path)} is {_show(first.after)}, declared {_show(first.before)}{rest}"


def _show(value: Json) -> str:
    return plain(value) if isinstance(value, str) else show_value(value)


def _describe(drift: Drift, below: int) -> Iterator[str]:
    yield f"{capital(drift.gravity.value)}: {_COSTS[drift.gravity]}."
    yield tell_doer(drift.actor, drift.since if drift.explained else "")
    for edit in drift.changes:
        yield f"- {plain(edit.path)}: declared {_show(edit.before)}, found {_show(edit.after)}"
    if drift.omitted:
        yield f"- and {count(drift.omitted, 'more field')}"
    if below:
        yield f"With it went {count(below, 'resource')} below it."
    if drift.returns:
        yield f"It came back {count(drift.returns, 'time')}."
    yield f"Where: {plain(str(drift.id))}"
    yield tell_standing(drift)


def tell_doer(who: str, since: str = "") -> str:
    return f"By: {who}{f' at {_show_since(since)}' if since else ''}."


def _show_since(since: str) -> str:
    moment = read_time(since)
    return plain(since) if moment is None else show_time(moment)


def tell_standing(drift: Drift) -> str:
    acts = drift.correction in (Correction.DUE, Correction.DONE)
    why = f": {drift.because}" if drift.because and not acts else ""
    return f"{_STANDINGS[drift.correction]}{why}."


def leave_standing(description: str) -> str:
    """What a description says, but for what becomes of it and what would help: once it is over nobody needs that."""
    now = (*_STANDINGS.values(), AGREE, HELPS)
    return "\n".join(line for line in description.split("\n") if not line.startswith(now))


def _fight(drift: Drift) -> Condition:
    who = drift.actor if drift.explained else "somebody unknown yet"
    return Condition(
        key=f"fight:{drift.key}",
        name=FIGHT,
        level=Level.CRITICAL,
        labels=_label(drift.fleet, drift.ref, drift.labels),
        summary=f"{plain(str(drift.ref))}: {who} undoes each time what its document says",
        description="\n".join([*_describe(drift, 0), AGREE]),
        actors=(drift.actor,) if drift.explained else (),
        essence=make_essence([drift.actor]),
    )


def _label(fleet: str, ref: object, own: Mapping[str, str], **more: str) -> dict[str, str]:
    """Names and a few words; what documents are labelled with never takes the place of ours."""
    kind, _, name = str(ref).partition("/")
    ours = {"fleet": fleet, "kind": kind, "resource": name, **more}
    return {**own, **ours}


def _standing(fleet: str, decision: Decision, failed: Outcome | None, *, drifted: bool) -> Iterator[Condition]:
    """What a decision, and the first of its steps that failed, say about a resource."""
    if decision.state is DecisionState.IN_PROGRESS and decision.action is None:
        yield _stuck(fleet, decision)
    if failed is not None and failed.fault is not None and failed.fault.cls is FaultClass.QUOTA:
        yield _quota(fleet, decision, failed.because or str(failed.fault), failed.fault.advice)
    elif decision.state is DecisionState.BLOCKED and decision.code in _QUOTAS:
        yield _quota(fleet, decision, decision.reason.removesuffix(decision.who), decision.permit)
    elif drifted:
        return  # the drift says why it is not put right
    elif failed is not None:
        why = failed.because or (str(failed.fault) if failed.fault else failed.result.value)
        yield _blocked(fleet, decision, "failed", (why, failed.fault.advice if failed.fault else ""))
    elif decision.state is DecisionState.BLOCKED and decision.code not in (*_SILENT, _EMPTIED, _UNREADABLE):
        reason = decision.reason.removesuffix(decision.who)
        yield _blocked(fleet, decision, decision.code or "blocked", (reason, decision.permit))


def _stuck(fleet: str, decision: Decision) -> Condition:
    type_ = type_of(decision.id.type)
    usual = max(type_.patience.usual_create, type_.patience.usual_update) if type_ else 0
    patience = max(_STUCK_AFTER, float(_STUCK_TIMES * usual))
    return Condition(
        key=f"stuck:{_short(fleet, decision.id)}",
        name=STUCK,
        level=Level.WARNING,
        labels=_label(fleet, decision.ref, decision.labels),
        summary=f"{plain(str(decision.ref))}: Azure has been working on it for more than {show_duration(patience)}",
        description=f"{plain(decision.reason)}. Usually this takes {show_duration(usual)}.",
        essence="",
        after=patience,
    )


def _quota(fleet: str, decision: Decision, reason: str, advice: str) -> Condition:
    return Condition(
        key=f"quota:{_short(fleet, decision.id)}",
        name=QUOTA,
        level=Level.WARNING,
        labels=_label(fleet, decision.ref, decision.labels),
        summary=f"{plain(str(decision.ref))}: blocked by quota",
        description=_tell_why(reason, advice),
        essence=make_essence([reason]),
        after=_BLOCKED_AFTER,
    )


def _unplaced(fleet: str, spread: Spread) -> Condition:
    reasons = [f"- {share.location}: {plain(share.reason)}" for share in spread.shares if share.reason]
    lacks = f"{spread.shortfall:,} of {spread.wanted:,} tokens per minute of {spread.model}"
    return Condition(
        key=f"pool:{fleet}:{spread.ref}".lower(),
        name=QUOTA,
        level=Level.WARNING,
        labels=_label(fleet, spread.ref, {}),
        summary=plain(f"{spread.ref}: {lacks} have no place"),
        description="\n".join([*([plain(spread.reason)] if spread.reason else []), *reasons[:LISTED]]),
        essence=make_essence([spread.shortfall]),
        after=_BLOCKED_AFTER,
    )


def _blocked(fleet: str, decision: Decision, code: str, why: tuple[str, str]) -> Condition:
    reason, advice = why
    fails = code in ("failed", "held")
    # How often it failed and when it is tried again moves all the time, and is no news.
    cause = _TRIES.sub("", reason) if fails else reason
    return Condition(
        key=f"blocked:{_short(fleet, decision.id)}",
        name=BLOCKED,
        level=Level.WARNING,
        labels=_label(fleet, decision.ref, decision.labels, code="failed" if fails else code),
        summary=f"{plain(str(decision.ref))}: {'failed' if fails else 'blocked'}: {plain(cause)}",
        description=_tell_why(reason, advice),
        essence=make_essence([cause]),
        after=_BLOCKED_AFTER,
    )


def _stopped(plan: Plan) -> Condition:
    told = "A safety limit forbids the whole plan: nothing is written."
    return _of_fleet(plan.fleet, "stopped", "stopped", plan.stopped, told, essence=make_essence([plan.stopped]))


def _emptied(fleet: str, decisions: Sequence[Decision]) -> Condition:
    first = decisions[0]
    listed = [f"- {plain(str(each.ref))}" for each in decisions[:LISTED]]
    told = "\n".join([f"Nothing of it is deleted. {HELPS}{plain(first.permit)}", *listed])
    return _of_fleet(fleet, "emptied", _EMPTIED, first.reason, told)


def _shut(fleet: str, decision: Decision) -> Condition:
    """Pauses that nobody can read stop everything of a fleet; any decision says where they are kept."""
    reason = decision.reason.removesuffix(decision.who)
    told = _tell_why("Nothing is written.", decision.permit)
    return _of_fleet(fleet, "pauses", _UNREADABLE, reason, told, essence=make_essence([reason]))


def _of_fleet(fleet: str, word: str, code: str, reason: str, told: str, *, essence: str = "") -> Condition:
    """What holds up a whole fleet; its key begins with `word`."""
    return Condition(
        key=f"{word}:{fleet}",
        name=BLOCKED,
        level=Level.WARNING,
        labels={"fleet": fleet, "code": code},
        summary=f"fleet {plain(fleet)}: {plain(reason)}",
        description=told,
        essence=essence,
        after=_BLOCKED_AFTER,
    )


def _retirement(fleet: str, retirement: Retirement) -> Condition:
    offer = retirement.offer
    names = {
        "region": offer.location,
        "model": retirement.model,
        "version": retirement.version,
        "sku": _spell_sku(retirement),
    }
    day, when = show_day(retirement.at), "was retired" if retirement.nearness is Nearness.RETIRED else "retires"
    return Condition(
        key=f"retirement:{fleet}:{':'.join(names.values())}".lower(),
        name=RETIREMENT,
        level=_NEARNESS[retirement.nearness],
        labels={"fleet": fleet, **names},
        summary=plain(f"{retirement.model} {retirement.version} {when} on {day} as {names['sku']} in {offer.location}"),
        description="\n".join(
            [
                *([plain(retirement.told)] if retirement.told else []),
                *([f"{HELPS}{plain(retirement.advice)}"] if retirement.advice else []),
                *(f"- {shorten(id)}" for id in retirement.deployments[:LISTED]),
            ]
        ),
        essence=make_essence([retirement.nearness, day]),
        quiet=0.0,
    )


def _spell_sku(retirement: Retirement) -> str:
    """The type of deployment as Azure spells it in the name of the pool that it counts in."""
    folded = retirement.offer.sku
    return next((part for part in retirement.usage.split(".") if part.lower() == folded), folded)


def _tell_why(reason: str, advice: str) -> str:
    return plain(reason) + (f"\n{HELPS}{plain(advice)}" if advice else "")


def _first_failures(outcomes: Iterable[Outcome]) -> dict[ArmId, Outcome]:
    failed: dict[ArmId, Outcome] = {}
    for outcome in outcomes:
        if outcome.result in (Result.FAILED, Result.BLOCKED, Result.NOT_CONVERGING):
            failed.setdefault(outcome.step.id, outcome)
    return failed


def _find_done(outcomes: Sequence[Outcome]) -> frozenset[ArmId]:
    """The resources all of whose steps went well."""
    tried = {outcome.step.id for outcome in outcomes}
    return frozenset(tried - {outcome.step.id for outcome in outcomes if outcome.result is not Result.DONE})


def _short(fleet: str, id: ArmId) -> str:
    return name_drift(fleet, id).removeprefix("drift-")


def make_essence(parts: Sequence[Json]) -> str:
    """A short name for what a message says."""
    return digest([*parts]).removeprefix("sha256:")[:16]


def capital(words: str) -> str:
    """The words with which a sentence begins."""
    return words[:1].upper() + words[1:]
