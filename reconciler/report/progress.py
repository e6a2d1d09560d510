"""Report: what the executor is doing, told on stderr while it does it. Keeps the `Watcher` port.

On a terminal a block of lines at the bottom is drawn anew at every event; elsewhere each event is a line. It has no
task of its own: nothing ticks while nothing happens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TextIO

from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import DecisionState, Plan, Step, Verb
from reconciler.model.ports import Clock
from reconciler.model.text import plain
from reconciler.report.paint import Ink, Style, ink_of_action
from reconciler.report.words import RESULT_WORDS, count, show_duration, tell_step

_LINES: Final = 8  # running steps drawn at once
_AGAIN: Final = 60.0  # seconds after which an unchanged wait is told again where there is no terminal


class Quiet:
    """A watcher that says nothing."""

    def planned(self, plan: Plan) -> None:
        del plan

    def started(self, step: Step) -> None:
        del step

    def waiting(self, step: Step, why: str, seconds: float) -> None:
        del step, why, seconds

    def finished(self, outcome: Outcome) -> None:
        del outcome


@dataclass(slots=True, kw_only=True)
class _Running:
    step: Step
    began: float
    why: str = ""
    told: float = 0.0


@dataclass(slots=True, kw_only=True)
class Progress:
    """Tells `stream` about every step. `live` draws a block that moves; otherwise each event is a line."""

    stream: TextIO
    clock: Clock
    style: Style
    live: bool
    _total: int = 0
    _ended: int = 0
    _drawn: int = 0
    _running: dict[str, _Running] = field(default_factory=dict)

    def planned(self, plan: Plan) -> None:
        self._total += len(plan.steps)
        busy = sum(decision.state is DecisionState.IN_PROGRESS for decision in plan.decisions)
        if plan.steps:
            self._tell(f"Fleet {plain(plan.fleet)}: {count(len(plan.steps), 'write')} to make")
        elif busy:
            self._tell(f"Fleet {plain(plan.fleet)}: waits for {count(busy, 'resource')} that Azure is working on")

    def started(self, step: Step) -> None:
        self._running[step.name] = _Running(step=step, began=self.clock.monotonic())
        if not self.live:
            self._write(f"{self._place()} {tell_step(step)} ...\n")
        self._draw()

    def waiting(self, step: Step, why: str, seconds: float) -> None:
        running = self._running.setdefault(step.name, _Running(step=step, began=self.clock.monotonic()))
        now = self.clock.monotonic()
        news = why != running.why or now - running.told >= _AGAIN
        running.why = why
        if not self.live and news and seconds >= 1:
            running.told = now
            elapsed = show_duration(now - running.began)
            self._write(f"{self._place()} {tell_step(step)} {plain(why)} (after {elapsed})\n")
        self._draw()

    def finished(self, outcome: Outcome) -> None:
        self._running.pop(outcome.step.name, None)
        self._ended += 1
        self._tell(f"{self._place()} {self._ending(outcome)}")
        self._draw()

    def _ending(self, outcome: Outcome) -> str:
        step = outcome.step
        took = f" in {show_duration(outcome.ended - outcome.began)}" if outcome.ended > outcome.began else ""
        if outcome.result is Result.DONE:
            told = f": {plain(outcome.because)}" if outcome.because and step.verb is Verb.PURGE else ""
            return f"{self.style.paint(tell_step(step), ink_of_action(step.action))} done{took}{told}"
        because = outcome.because or (str(outcome.fault) if outcome.fault else "")
        word = RESULT_WORDS[outcome.result]
        return self.style.paint(f"{tell_step(step)} {word}{took}{': ' if because else ''}{plain(because)}", Ink.WARN)

    def _place(self) -> str:
        digits = len(str(self._total))
        return f"[{self._ended:>{digits}}/{self._total}]"

    def _tell(self, line: str) -> None:
        """A line that stays."""
        self._write(self._erasure() + line + "\n")
        self._drawn = 0

    def _draw(self) -> None:
        if not self.live:
            return
        now = self.clock.monotonic()
        shown = list(self._running.values())[:_LINES]
        lines = [self._line(each, now) for each in shown]
        if len(self._running) > len(shown):
            lines.append(f"        ... and {len(self._running) - len(shown)} more")
        self._write(self._erasure() + "".join(line + "\n" for line in lines))
        self._drawn = len(lines)

    def _line(self, running: _Running, now: float) -> str:
        why = f"  {plain(running.why)}" if running.why else ""
        text = f"  > {tell_step(running.step)}  {show_duration(now - running.began)}{why}"
        # One character less than the width: a line that wraps could not be erased.
        return self.style.paint(text[: self.style.width - 1], Ink.WAIT)

    def _erasure(self) -> str:
        return f"\x1b[{self._drawn}A\x1b[J" if self.live and self._drawn else ""

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
