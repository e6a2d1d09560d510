"""Asks once for all fleets: waits until each has its first plan, shows them together, remembers the answer.

Stands between the cycle and the progress display, because a plan is told as progress only once it was agreed to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from reconciler.cli.consent import agree_to, tell_excess, tell_surplus
from reconciler.model.outcome import Outcome
from reconciler.model.plan import Plan, Step
from reconciler.model.ports import Watcher
from reconciler.model.text import plain

Ask = Callable[[tuple[Plan, ...]], Awaitable[str]]


@dataclass(slots=True, kw_only=True)
class Consultation:
    """Keeps the `Watcher` port and answers the cycle's question for consent. `ask` gets the first plans of all fleets
    and gives "" or why not. With `beyond` a later plan may do what was not in the first, and `tell` says that it does.
    With `renew` the plan of a fleet that asked for nothing yet gives way to its next one, until somebody is asked."""

    fleets: frozenset[str]
    progress: Watcher
    ask: Ask
    beyond: bool
    tell: Callable[[str], None]
    renew: bool = True
    first: dict[str, Plan] = field(default_factory=dict)
    _complete: asyncio.Event = field(default_factory=asyncio.Event)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _answer: str | None = None
    _shown: bool = False

    async def consent(self, plan: Plan) -> str:
        await self._complete.wait()
        async with self._asking:
            if self._answer is None:
                self._shown = True
                self._answer = await self.ask(tuple(self.first[name] for name in sorted(self.first)))
        refusal = self._answer or self._check_later(plan)
        if not refusal:
            self.progress.planned(plan)
        return refusal

    def _check_later(self, plan: Plan) -> str:
        excess = agree_to(self.first[plan.fleet]).exceeded_by(plan)
        if excess and self.beyond:
            self.tell(f"Fleet {plain(plan.fleet)}: {tell_surplus(excess)}\n")
            return ""
        return tell_excess(excess) if excess else ""

    def planned(self, plan: Plan) -> None:
        if plan.fleet not in self.first or (self.renew and not self._shown):
            self.first[plan.fleet] = plan
        if self.fleets <= self.first.keys():
            self._complete.set()
        if not plan.applicable:
            self.progress.planned(plan)

    def started(self, step: Step) -> None:
        self.progress.started(step)

    def waiting(self, step: Step, why: str, seconds: float) -> None:
        self.progress.waiting(step, why, seconds)

    def finished(self, outcome: Outcome) -> None:
        self.progress.finished(outcome)
