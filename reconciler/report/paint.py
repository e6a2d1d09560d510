"""Report: colour, when it is wanted. A painted text is as wide as the plain one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from textwrap import TextWrapper

from reconciler.model.plan import Action, Decision, DecisionState


class Ink(StrEnum):
    """Terminal colours by what they are for; the value is the SGR code."""

    NONE = ""
    BOLD = "1"
    FAINT = "2"
    ADD = "32"
    CHANGE = "33"
    REMOVE = "31"
    WARN = "1;31"
    HOLD = "35"
    WAIT = "36"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a text is laid out; `verbose` also lists what needs nothing."""

    width: int = 80
    color: bool = False
    verbose: bool = False

    def paint(self, text: str, ink: Ink) -> str:
        if not self.color or not ink or not text:
            return text
        return f"\x1b[{ink.value}m{text}\x1b[0m"

    def wrap(self, text: str, first: str = "", rest: str = "") -> list[str]:
        """The lines of a text, the first behind `first` and the others behind `rest`; no word is cut."""
        wrapper = TextWrapper(
            width=self.width,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return wrapper.wrap(text)


_ACTION_INK = {
    Action.CREATE: Ink.ADD,
    Action.RESTORE: Ink.ADD,
    Action.ADOPT: Ink.ADD,
    Action.UPDATE: Ink.CHANGE,
    Action.REPLACE: Ink.REMOVE,
    Action.DELETE: Ink.REMOVE,
    Action.PURGE: Ink.REMOVE,
}

_STATE_INK = {
    DecisionState.ACT: Ink.CHANGE,
    DecisionState.IN_SYNC: Ink.FAINT,
    DecisionState.IGNORED: Ink.FAINT,
    DecisionState.IN_PROGRESS: Ink.WAIT,
    DecisionState.BLOCKED: Ink.HOLD,
    DecisionState.DRIFTED: Ink.HOLD,
}


def ink_of_action(action: Action) -> Ink:
    return _ACTION_INK[action]


def ink_of(decision: Decision) -> Ink:
    if decision.acts and decision.action:
        return _ACTION_INK[decision.action]
    return _STATE_INK[decision.state]
