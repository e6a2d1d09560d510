"""Report: what differs because a document has changed and Azure has yet to follow. Pure.

Kept as one short text for each such resource, so that what somebody changes meanwhile is told apart from it: that may
take days, where a pause, a window or a missing permission keeps the document from being followed.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final

from reconciler.model.plan import Decision, FieldChange
from reconciler.model.wire import canonical_bytes

LOST: Final = frozenset({"not_owned", "rejected"})  # blocked without a changed field, and somebody's doing
UNREAD: Final = frozenset({"unknown"})
_SIGN, _LENGTH = "~", 6
_ABSENT = "absent"


def note_pending(decision: Decision, wants: str, at: float, own: Decision | None = None) -> str:
    """What a decision finds at a time, in epoch seconds, that is not as its document says now, which `wants` names; but
    for `own`, which somebody did before. "" where it does not see it."""
    parts = {} if decision.code in UNREAD else _parts(decision)
    names = sorted(parts.keys() - (_parts(own).keys() if own else set()))
    return f"{_SIGN}{wants}@{at:.0f}:{''.join(names)}" if parts else ""


def is_pending(text: str, wants: str) -> bool:
    """Whether `text` was noted of what the document still says."""
    return text.startswith(f"{_SIGN}{wants}@")


def noted_at(text: str) -> float:
    try:
        return float(text.partition("@")[2].partition(":")[0])
    except ValueError:
        return 0.0


def leave_pending(decision: Decision, text: str) -> Decision:
    """The decision less what was noted."""
    noted = text.partition(":")[2]
    known = {noted[start : start + _LENGTH] for start in range(0, len(noted), _LENGTH)}
    left = {name: change for name, change in _parts(decision).items() if name not in known}
    changes = tuple(change for change in left.values() if change is not None)
    code = decision.code if decision.code not in LOST or _short(decision.code) in left else ""
    return replace(decision, changes=changes, missing=_ABSENT in left, code=code)


def is_clear(decision: Decision) -> bool:
    """Whether nothing is left of it."""
    return not (decision.changes or decision.missing or decision.code in LOST)


def _parts(decision: Decision) -> dict[str, FieldChange | None]:
    """What differs, each under a short name that is another one as soon as Azure has something else there."""
    parts: dict[str, FieldChange | None] = {_name(each): each for each in decision.changes}
    if decision.missing:
        parts[_ABSENT] = None
    if decision.code in LOST:
        parts[_short(decision.code)] = None
    return parts


def _name(change: FieldChange) -> str:
    found = None if change.sensitive else change.before
    return _short(canonical_bytes([change.path, found]).decode(errors="replace"))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]
