"""Report: what differs although nobody changed its document. Pure; one look at one fleet against what is remembered.

A difference is a drift where Azure had been as the document says, and it still says the same; or, of what nothing is
remembered, where Azure names somebody else as its last author. What could not be read is neither there nor over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final

from reconciler.kinds.catalog import type_of
from reconciler.model.alert import Journal
from reconciler.model.drift import UNKNOWN_YET, Correction, Drift, Edit, Ending, Gravity, name_drift
from reconciler.model.finding import Severity
from reconciler.model.ids import ArmId
from reconciler.model.memory import Held
from reconciler.model.moment import read_time
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Decision, DecisionState, FieldChange, Plan, Verb
from reconciler.model.resource import Actor
from reconciler.model.text import plain
from reconciler.model.wire import Json, canonical_bytes
from reconciler.report.pending import LOST, UNREAD, is_clear, is_pending, leave_pending, note_pending, noted_at
from reconciler.report.words import MASK, count, show_value

# Seconds. The activity log is said to lag by minutes, rarely more than these. The slack is for lists that lag, and for
# parts of Azure whose clocks differ.
ASKED_FOR: Final = 15 * 60.0
_SLACK = 60.0
_REST: Final = 6 * 3600.0  # how long somebody who undoes us is left alone
_GRUDGE = 24 * 3600.0  # how long that is remembered: then one more round is enough
_REMEMBERED = 24 * 3600.0
_MOST_PAST = 300
_MOST_UNDONE = 10
_MOST_EDITS = 20
_MOST_BYTES = 400  # of one value

_FAILED = (Result.FAILED, Result.BLOCKED, Result.NOT_CONVERGING)
_GUARDS = (
    "disablelocalauth",
    "identity",
    "raipolicy",
    "encryption",
    "outbound",
    "allowedfqdn",
    "tags.reconciler-fleet",
)
_GUARDIANS = ("microsoft.authorization/", "raipolicies", "webapplicationfirewall", "networksecuritygroups")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """How often somebody may undo us within `seconds` before we stop."""

    most: int = 3
    seconds: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a fleet at `now`. `outcomes` are those of the plan's steps, none before they ran; `refused` says why
    none will. `heard` is who else wrote last, of those somebody wondered about."""

    plan: Plan
    now: float
    outcomes: tuple[Outcome, ...] = ()
    refused: str = ""
    heard: Mapping[ArmId, Actor] = field(default_factory=dict)
    rounds: Rounds = Rounds()


class _Stand(Enum):
    FINE = auto()
    UNREAD = auto()
    LEFT = auto()
    DIFFERS = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """A look, what was remembered before it, and what became of each resource's steps."""

    look: Look
    journal: Journal
    outcomes: Mapping[ArmId, list[Outcome]]


def follow_drifts(journal: Journal, look: Look) -> Journal:
    """The journal after one look: drifts that appeared, changed, came back and ended. The same look told twice, before
    and after its steps ran, counts once."""
    fleet, now = look.plan.fleet, look.now
    scene = _Scene(look=look, journal=journal, outcomes=_group(look.outcomes))
    drifts = {key: each for key, each in journal.drifts.items() if each.fleet != fleet}
    past = {each.key: each for each in journal.past if now - (each.ended or now) < _REMEMBERED}
    settled = _keep_settled(journal, look.plan)
    followed = _vanished(journal, look)
    for decision in look.plan.decisions:
        key = name_drift(fleet, decision.id)
        drift = _follow(decision, journal.drifts.get(key), past.get(key), scene)
        _remember(settled, decision, scene)
        if drift is not None:
            followed[key] = drift
    for key, drift in followed.items():
        past.pop(key, None)
        (drifts if drift.ending is None else past)[key] = drift
    return replace(
        journal,
        drifts=_lay_within(drifts, journal.drifts),
        past=tuple(_hear(each, look) for each in [*past.values()][-_MOST_PAST:]),
        settled=settled,
        looked={**journal.looked, fleet: look.plan.looked_at},
    )


def forget_fleet(journal: Journal, fleet: str, now: float) -> Journal:
    """The journal once no document declares the fleet any more."""
    mine = [each for each in journal.drifts.values() if each.fleet == fleet]
    ended = [replace(each, ending=Ending.DOCUMENT, ended=now) for each in mine]
    return replace(
        journal,
        drifts={key: each for key, each in journal.drifts.items() if each.fleet != fleet},
        past=(*journal.past, *ended)[-_MOST_PAST:],
        settled={key: wants for key, wants in journal.settled.items() if not key.startswith(_mark(fleet))},
        looked={name: at for name, at in journal.looked.items() if name != fleet},
    )


def find_wondered(journal: Journal, fleet: str, now: float) -> frozenset[ArmId]:
    """The resources of which it is still worth asking who changed them."""
    mine = (each for each in (*journal.past, *journal.drifts.values()) if each.fleet == fleet)
    return frozenset(each.id for each in mine if not each.explained and now - each.first_seen <= ASKED_FOR)


def hold_fights(journal: Journal, fleet: str, now: float, rounds: Rounds) -> dict[ArmId, Held]:
    """What is not put right, or will not be should it differ once more, because somebody undoes it each time."""
    held: dict[ArmId, Held] = {}
    for each in (*journal.past, *journal.drifts.values()):
        until = _rests_until(each, now, rounds)
        if each.fleet == fleet and until > now:
            held[each.id] = _hold(each, until, now, rounds)
    return held


def _rests_until(drift: Drift, now: float, rounds: Rounds) -> float:
    if drift.correction is Correction.GIVEN_UP and drift.ending is None:
        return (drift.yielded or now) + _REST
    bears_grudge = drift.yielded is not None and now - drift.yielded < _GRUDGE
    undone = len(_recent(drift, now, rounds))
    armed = drift.correction is Correction.DONE and (bears_grudge or undone >= rounds.most - 1)
    return now + _REST if armed else 0.0


def _recent(drift: Drift, now: float, rounds: Rounds) -> list[float]:
    return [each for each in drift.undone if now - each < rounds.seconds]


def _hold(drift: Drift, until: float, now: float, rounds: Rounds) -> Held:
    who = drift.actor if drift.explained else "somebody (unknown yet)"
    given_up = drift.correction is Correction.GIVEN_UP
    # The round that was one too many is among them once it is given up.
    undone = _recent(drift, drift.yielded or now, rounds) if given_up else [*_recent(drift, now, rounds), now]
    times = max(1, len(undone))
    return Held(
        until=until,
        times=times,
        reason=f"{who} undid it {count(times, 'time')}, so it is left as it is",
        advice="agree with them, or change its document: that is tried at once",
        wants=drift.wants,
        paths=frozenset() if drift.omitted else frozenset(drift.contested or drift.paths),
    )


def _group(outcomes: Iterable[Outcome]) -> Mapping[ArmId, list[Outcome]]:
    grouped: dict[ArmId, list[Outcome]] = {}
    for outcome in outcomes:
        grouped.setdefault(outcome.step.id, []).append(outcome)
    return grouped


def _follow(decision: Decision, known: Drift | None, past: Drift | None, scene: _Scene) -> Drift | None:
    """The drift of one resource after this look, ended or not; None where there is none."""
    look = scene.look
    stand = _stand(decision, look.plan)
    if known is not None and stand is _Stand.DIFFERS and (own := _outlive(known, decision)):
        known, decision = replace(known, wants=decision.wants), own
    if _waits(decision, scene):
        decision = leave_pending(decision, _before(decision, scene))
        stand = _Stand.FINE if stand is _Stand.DIFFERS and is_clear(decision) else stand
    if known is None:
        drifted = stand is _Stand.DIFFERS and _is_drift(decision, scene)
        return _amend(_open(decision, past, scene), decision, scene) if drifted else None
    if stand is _Stand.UNREAD:
        return _hear(known, look)
    if stand is _Stand.LEFT or decision.wants != known.wants:
        return _end(known, Ending.DOCUMENT, look)
    if stand is _Stand.FINE:
        return _end(known, _ending(known), look)
    return _amend(known, decision, scene)


def _end(drift: Drift, ending: Ending, look: Look) -> Drift:
    return _hear(replace(drift, ending=ending, ended=look.now, until=look.plan.looked_at), look)


def _outlive(known: Drift, decision: Decision) -> Decision | None:
    """The part of a decision about which a document that has changed still says what it said when the drift began."""
    still = tuple(each for each in decision.changes if _edit(each) in known.changes)
    gone = known.gone and decision.missing
    if decision.wants == known.wants or known.correction is Correction.GIVEN_UP or not (still or gone):
        return None
    return replace(decision, changes=still, missing=gone)


def _before(decision: Decision, scene: _Scene) -> str:
    return scene.journal.settled.get(_name_settled(scene.look.plan.fleet, decision.id), "")


def _waits(decision: Decision, scene: _Scene) -> bool:
    """Whether Azure has yet to follow what the document of a resource has been saying for a while."""
    return is_pending(_before(decision, scene), _short(decision.wants))


def _stand(decision: Decision, plan: Plan) -> _Stand:
    if not decision.wants and _is_incomplete(plan):
        return _Stand.UNREAD
    if decision.state is DecisionState.IGNORED or not decision.wants:
        return _Stand.LEFT
    if decision.state is DecisionState.IN_SYNC:
        return _Stand.FINE
    if decision.code in UNREAD:
        return _Stand.UNREAD
    odd = decision.missing or decision.changes or decision.action or decision.code in LOST
    return _Stand.DIFFERS if odd else _Stand.UNREAD


def _is_incomplete(plan: Plan) -> bool:
    """Whether a document that cannot be read may have something to say about what no other one declares."""
    return any(finding.severity is Severity.ERROR for finding in plan.findings)


def _is_drift(decision: Decision, scene: _Scene) -> bool:
    if _comes_back(decision):
        return False
    plan, author = scene.look.plan, decision.author
    before = scene.journal.settled.get(_name_settled(plan.fleet, decision.id))
    if before is not None and not _waits(decision, scene):
        return before == _short(decision.wants)
    if author is None or not plan.principal or _is_ours(author, plan):
        return False
    if decision.missing:
        return author.removed
    if before is not None:
        return not is_clear(decision) and (read_time(author.at) or 0.0) >= noted_at(before) - _SLACK
    return decision.action is not Action.ADOPT and decision.code not in LOST


def _comes_back(decision: Decision) -> bool:
    """Whether it is there, and goes by our own hand because what it lies in is made anew."""
    return decision.acts and decision.action is Action.CREATE and not decision.missing


def _open(decision: Decision, past: Drift | None, scene: _Scene) -> Drift:
    """A drift that is new, or comes back: whoever brings it back does so after it was over."""
    look, fleet = scene.look, scene.look.plan.fleet
    looked, over = scene.journal.looked.get(fleet, 0.0), (past.until or 0.0) if past else 0.0
    fresh = Drift(
        key=name_drift(fleet, decision.id),
        fleet=fleet,
        id=decision.id,
        ref=decision.ref,
        first_seen=look.now,
        last_seen=look.now,
        after=max(looked, over + _SLACK),
        wants=decision.wants,
    )
    if past is None or past.wants != decision.wants:
        return fresh
    back = replace(fresh, returns=past.returns + 1, undone=past.undone, contested=past.contested, yielded=past.yielded)
    return back if past.ending is Ending.SOMEBODY else _contest(back, past, decision, look.now)


def _contest(drift: Drift, before: Drift, decision: Decision, now: float) -> Drift:
    """The drift with one more round of a fight where it is about the same fields again; else another one may begin."""
    differs = {""} if decision.missing or not decision.changes else {each.path for each in decision.changes}
    again = differs & {*before.paths}
    same = again & {*before.contested}
    rounds = (*before.undone, now)[-_MOST_UNDONE:] if same else (now,) if again else ()
    return replace(drift, undone=rounds, contested=tuple(sorted(same or again)))


def _amend(drift: Drift, decision: Decision, scene: _Scene) -> Drift:
    """The drift as this look finds it."""
    look = scene.look
    if drift.correction is Correction.DONE and drift.last_seen < look.now:
        drift = _return(drift, decision, scene)
    edits = () if decision.missing else tuple(_edit(each) for each in decision.changes)
    drift = replace(
        drift,
        ref=decision.ref,
        labels=decision.labels,
        gravity=_weigh(decision),
        changes=edits[:_MOST_EDITS],
        omitted=max(0, len(edits) - _MOST_EDITS),
        gone=decision.missing,
        last_seen=look.now,
    )
    return _correct(_hear(_witness(drift, decision, look.plan), look), decision, scene)


def _return(drift: Drift, decision: Decision, scene: _Scene) -> Drift:
    """A drift that is there again after it was put right: who did that did it after we had last looked, so nobody of
    whom we knew then."""
    back = replace(
        drift,
        first_seen=scene.look.now,
        returns=drift.returns + 1,
        actor=UNKNOWN_YET,
        since="",
        after=scene.journal.looked.get(drift.fleet, 0.0) + _SLACK,
    )
    return _contest(back, drift, decision, scene.look.now)


def _correct(drift: Drift, decision: Decision, scene: _Scene) -> Drift:
    correction, because = _tell_correction(decision, scene)
    began = correction is Correction.GIVEN_UP and drift.correction is not Correction.GIVEN_UP
    yielded = scene.look.now if began else drift.yielded
    return replace(drift, correction=correction, because=plain(because), yielded=yielded)


def _tell_correction(decision: Decision, scene: _Scene) -> tuple[Correction, str]:
    reason = decision.reason.removesuffix(decision.who)
    if decision.state is DecisionState.DRIFTED:
        return Correction.OBSERVED, "it is only observed"
    if decision.state is DecisionState.BLOCKED:
        given_up = decision.code == Correction.GIVEN_UP.value
        return (Correction.GIVEN_UP if given_up else Correction.BLOCKED), reason
    if decision.state is not DecisionState.ACT:
        return Correction.DUE, reason
    if scene.look.refused:
        return Correction.OBSERVED, scene.look.refused
    if scene.look.plan.stopped:
        return Correction.BLOCKED, scene.look.plan.stopped
    return _tell_outcomes(scene.outcomes.get(decision.id, []))


def _tell_outcomes(outcomes: list[Outcome]) -> tuple[Correction, str]:
    open_ = next((each for each in outcomes if each.result is not Result.DONE), None)
    if open_ is None:
        return (Correction.DONE if outcomes else Correction.DUE), ""
    because = open_.because or (str(open_.fault) if open_.fault else "")
    return (Correction.BLOCKED if open_.result in _FAILED else Correction.DUE), because


def _keep_settled(journal: Journal, plan: Plan) -> dict[str, str]:
    """What Azure was like, less what no document of the fleet declares any more: that is others' to change."""
    if _is_incomplete(plan) or _unread(plan):
        return dict(journal.settled)
    mine, here = _mark(plan.fleet), {_name_settled(plan.fleet, each.id) for each in plan.decisions}
    return {key: wants for key, wants in journal.settled.items() if key in here or not key.startswith(mine)}


def _remember(settled: dict[str, str], decision: Decision, scene: _Scene) -> None:
    """Keep what Azure was last seen to be like; whatever is half done is like nothing."""
    if not decision.wants and _is_incomplete(scene.look.plan):
        return
    key, wants = _name_settled(scene.look.plan.fleet, decision.id), _short(decision.wants)
    mine = scene.outcomes.get(decision.id, [])
    done = bool(mine) and all(each.result is Result.DONE for each in mine)
    made = done and decision.acts and decision.action is not Action.DELETE
    if decision.wants and (decision.state is DecisionState.IN_SYNC or made):
        settled[key] = wants
        return
    # What was taken away and not made again is gone by our own hand, also where whoever began that is gone too.
    goes = _comes_back(decision) or (decision.acts and decision.action is Action.REPLACE)
    removed = goes or any(each.step.verb is Verb.DELETE for each in mine)
    if decision.state is DecisionState.IGNORED:
        settled.pop(key, None)
    elif removed:
        settled[key] = ""
    elif settled.get(key, wants) != wants and not is_pending(settled[key], wants):
        drift = scene.journal.drifts.get(name_drift(scene.look.plan.fleet, decision.id))
        own = _outlive(drift, decision) if drift else None
        settled[key] = note_pending(decision, wants, scene.look.plan.looked_at, own)


def _vanished(journal: Journal, look: Look) -> dict[str, Drift]:
    """What drifted and is in no document any more; while documents are broken nobody knows which, nor of connections
    while their account is unread."""
    here = {name_drift(look.plan.fleet, each.id) for each in look.plan.decisions}
    lost = {key: each for key, each in journal.drifts.items() if each.fleet == look.plan.fleet and key not in here}
    if _is_incomplete(look.plan):
        return lost
    unread = _unread(look.plan)
    over = {key: each for key, each in lost.items() if unread.isdisjoint(_above(each.id))}
    return lost | {key: _end(each, Ending.DOCUMENT, look) for key, each in over.items()}


def _unread(plan: Plan) -> frozenset[ArmId]:
    return frozenset(each.id for each in plan.decisions if each.code in UNREAD)


def _lay_within(drifts: Mapping[str, Drift], before: Mapping[str, Drift]) -> dict[str, Drift]:
    """The drifts; what has just gone together with what it lies in is a part of that."""
    gone = {(each.fleet, each.id): each.key for each in drifts.values() if each.gone}

    def lay(drift: Drift) -> Drift:
        if drift.key in before or not drift.gone:
            return drift
        within = next((gone[drift.fleet, id] for id in _above(drift.id) if (drift.fleet, id) in gone), "")
        return replace(drift, within=within)

    return {key: lay(each) for key, each in drifts.items()}


def _above(id: ArmId) -> Iterator[ArmId]:
    above = id.parent
    while above is not None:
        yield above
        above = above.parent


def _edit(change: FieldChange) -> Edit:
    """What a plan would change back: its `after` is what is declared."""
    if change.sensitive:
        before, after = (None if value is None else MASK for value in (change.after, change.before))
        return Edit(path=change.path, before=before, after=after)
    return Edit(path=change.path, before=_cut(change.after), after=_cut(change.before))


def _cut(value: Json) -> Json:
    if len(canonical_bytes(value)) <= _MOST_BYTES:
        return value
    text = show_value(value)
    return text if len(text) <= _MOST_BYTES else text[: _MOST_BYTES - 1] + "…"


def _weigh(decision: Decision) -> Gravity:
    kind = decision.id.type.lower()
    guardian = any(word in kind for word in _GUARDIANS)
    if decision.closed or any(change.closes for change in decision.changes):
        return Gravity.EXPOSURE
    if decision.missing:
        return Gravity.SECURITY if guardian else Gravity.CAPACITY
    # What takes a way from somebody who needs it serves less, too.
    if decision.opened or any(change.opens or _is_cut(decision.id, change) for change in decision.changes):
        return Gravity.CAPACITY
    guards = any(word in change.path.lower() for change in decision.changes for word in _GUARDS)
    return Gravity.SECURITY if guards or guardian or decision.code in LOST else Gravity.COSMETIC


def _is_cut(id: ArmId, change: FieldChange) -> bool:
    type_ = type_of(id.type)
    return type_ is not None and type_.lens(change.path).field.cuts(change.after, change.before)


def _witness(drift: Drift, decision: Decision, plan: Plan) -> Drift:
    """The drift with the author that its decision names, where that is somebody else."""
    author = decision.author
    return drift if author is None or _is_ours(author, plan) else _name(drift, author)


def _hear(drift: Drift, look: Look) -> Drift:
    actor = look.heard.get(drift.id)
    if drift.explained or actor is None or drift.fleet != look.plan.fleet:
        return drift
    return _name(drift, actor)


def _name(drift: Drift, actor: Actor) -> Drift:
    """Somebody who was there before it was last seen as declared, or came when it was over, had nothing to do with it;
    nor has whoever wrote to something taken it away."""
    at = read_time(actor.at) if actor.at else None
    if at is not None and not drift.after - _SLACK <= at <= (drift.until or at):
        return drift
    if drift.gone and not actor.removed:
        return drift
    return replace(drift, actor=plain(actor.name), since=actor.at)


def _is_ours(author: Actor, plan: Plan) -> bool:
    return author.name.lower() == plan.principal.lower()


def _ending(drift: Drift) -> Ending:
    if drift.correction is Correction.DONE:
        return Ending.US
    # A process that ended between its write and its report has left no word about it.
    return Ending.UNSEEN if drift.correction is Correction.DUE else Ending.SOMEBODY


def _name_settled(fleet: str, id: ArmId) -> str:
    return _mark(fleet) + _short(id.key)


def _mark(fleet: str) -> str:
    """With what the names of all that a fleet has begin."""
    return f"{_short(fleet)[:8]}:"


def _short(text: str) -> str:
    """Twelve digits that tell one name from another: there are thousands of them in one journal."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
