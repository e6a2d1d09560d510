"""Who did it: every drift, and every resource that is gone, names its author in its reason as far as Azure says.

Decides nothing: what is done is settled before. Says what is not known, rather than naming whoever is at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from enum import Enum, auto

from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, Decision, DecisionState
from reconciler.model.resource import Activity, Actor, Snapshot

_STANDING = (DecisionState.ACT, DecisionState.BLOCKED, DecisionState.DRIFTED)
# What blocks without a changed field, and was somebody's doing.
_DOINGS = frozenset({"not_owned", "rejected"})
_FINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z")


class _Question(Enum):
    CHANGED = auto()
    GONE = auto()


def find_unexplained(decisions: Iterable[Decision], snapshot: Snapshot) -> frozenset[ArmId]:
    """The resources that are not as declared and do not say themselves who is behind it."""
    asked = ((each.id, _question(each, snapshot)) for each in decisions)
    return frozenset(id for id, question in asked if question and _witness(id, snapshot) is None)


def tell_authors(decisions: Iterable[Decision], snapshot: Snapshot) -> tuple[Decision, ...]:
    """The decisions with their authors at the end of their reasons, in place of what was told there before."""
    return tuple(_tell_author(each, snapshot) for each in decisions)


def _tell_author(decision: Decision, snapshot: Snapshot) -> Decision:
    question = _question(decision, snapshot)
    if question is None:
        return decision
    id = decision.id
    author = _witness(id, snapshot) or _logged(id, snapshot.activity)
    if question is _Question.GONE and author and not _touched(id, author):
        author = None
    words = _tell_loss(author, snapshot) if question is _Question.GONE else _tell_change(decision, author, snapshot)
    who = f"; {words}" if words else ""
    return replace(decision, reason=decision.reason.removesuffix(decision.who) + who, author=author, who=who)


def _question(decision: Decision, snapshot: Snapshot) -> _Question | None:
    put_off = decision.state is DecisionState.IN_PROGRESS and decision.action is not None
    if decision.origin is None or not (put_off or decision.state in _STANDING):
        return None
    if decision.told_only or decision.action is Action.PURGE:
        return None
    if decision.id not in snapshot.live:
        return None if snapshot.hidden(decision.id) else _Question.GONE
    if decision.action in (Action.CREATE, Action.ADOPT) and decision.acts:
        return None
    asks = decision.changes or decision.action is Action.REPLACE or decision.code in _DOINGS
    return _Question.CHANGED if asks else None


def _witness(id: ArmId, snapshot: Snapshot) -> Actor | None:
    """Who the resource itself says it was."""
    live = snapshot.live.get(id)
    return live.author if live else None


def _logged(id: ArmId, activity: Activity | None) -> Actor | None:
    return activity.last.get(id) if activity else None


def _tell_change(decision: Decision, author: Actor | None, snapshot: Snapshot) -> str:
    if author is None:
        return _tell_silence(decision.id, snapshot.activity)
    if not _is_ours(author, snapshot):
        return f"last changed in Azure by {author.name}{_when(author)}"
    if not author.operation:
        return "the last change in Azure was ours"
    ours = f"the last change in Azure's activity log was ours{_when(author)}"
    if decision.code in _DOINGS:
        return f"{ours}, and the log does not say yet who changed it since"
    return f"{ours}: the document changed since, or the log does not say yet who changed it"


def _tell_silence(id: ArmId, activity: Activity | None) -> str:
    if activity is None or id not in activity.asked:
        return "Azure does not say who changed it last"
    if fault := activity.unread.get(id.subscription.lower()):
        return f"Azure's activity log could not be read, so who changed it is not known: {fault.code}"
    return "Azure's activity log does not say yet who changed it"


def _tell_loss(author: Actor | None, snapshot: Snapshot) -> str:
    """Nobody is asked after what may never have been: only what the log has seen can be gone."""
    if author is None:
        return ""
    name = "us" if _is_ours(author, snapshot) else author.name
    if author.removed:
        return f"deleted by {name}{_when(author)}"
    return f"it was last written by {name}{_when(author)}, and Azure's activity log does not say yet who deleted it"


def _touched(id: ArmId, author: Actor) -> bool:
    """Whether what the log tells was done to the resource itself, so that it has been there, or took it away."""
    above, written = id.parent, author.operation.lower().removesuffix("/write")
    while above is not None and above.type.lower() != written:
        above = above.parent
    return author.removed or above is None


def _is_ours(author: Actor, snapshot: Snapshot) -> bool:
    return bool(snapshot.principal) and author.name.lower() == str(snapshot.principal).lower()


def _when(author: Actor) -> str:
    at = _FINE.sub(r"\1Z", author.at)
    return f" at {at}" if at else ""
