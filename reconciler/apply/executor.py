"""Walks the steps of a plan: serial in a lane, parallel across lanes, bounded in number and in time.

A failed step marks what waited for it *not started* and says because of whom; its siblings go on. Every task lives in
one TaskGroup that is waited for. Cancelling stops our waiting, never a request that has left.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass

from reconciler.apply.operation import StepRun
from reconciler.kinds.base import Patience
from reconciler.kinds.catalog import type_of
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Plan, Step, Verb, Warrant
from reconciler.model.ports import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run may spend: seconds until nothing more is waited for, and steps under way at once."""

    seconds: float = 3600.0
    parallel: int = 100


async def run_plan(plan: Plan, world: World, budget: Budget) -> tuple[Outcome, ...]:
    """An outcome for every step, in the order of the plan. Never raises for what Azure answers."""
    if not plan.applicable:
        return ()
    walk = _Walk(plan, world, budget)
    await walk.run()
    return tuple(walk.outcomes[step.name] for step in plan.steps)


class _Walk:
    """One walk over one plan. Positions in the plan decide who is first among those that may start."""

    def __init__(self, plan: Plan, world: World, budget: Budget) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._steps = plan.steps
        self._digest = plan.digest
        self._reasons = {decision.id: decision.reason for decision in plan.decisions}
        self._plan = plan
        self._world = world
        self._budget = budget
        self._end = world.clock.monotonic() + budget.seconds
        self._position = {step.name: position for position, step in enumerate(plan.steps)}
        self._blockers = {step.name: {name for name in step.after if name in self._position} for step in plan.steps}
        self._dependents: dict[str, list[str]] = {step.name: [] for step in plan.steps}
        for name, blockers in self._blockers.items():
            for blocker in blockers:
                self._dependents[blocker].append(name)
        self._ready = [self._position[name] for name, blockers in self._blockers.items() if not blockers]
        heapq.heapify(self._ready)
        self._parked: dict[str, list[int]] = {}  # ready, but that lane is taken
        self._busy: set[str] = set()
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut = False
        self._done: asyncio.Queue[Outcome] = asyncio.Queue()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            warden = tasks.create_task(self._heed_halt(), name="halt")
            while len(self.outcomes) < len(self._steps):
                self._start(tasks)
                if self._running:
                    self._close(await self._done.get())
            warden.cancel()

    async def _heed_halt(self) -> None:
        """End the waiting of every step once the run is cut; a write that has left is awaited all the same."""
        await self._world.halt.cut()
        self._cut = True
        for task in self._tasks:
            task.cancel()

    def _start(self, tasks: asyncio.TaskGroup) -> None:
        while self._ready and self._running < self._budget.parallel:
            position = heapq.heappop(self._ready)
            step = self._steps[position]
            if self._world.halt.because:
                self._abandon(step, self._world.halt.because)
            elif self._world.clock.monotonic() >= self._end:
                self._abandon(step, "the time for this run is over")
            elif taken := step.lanes & self._busy:
                self._parked.setdefault(min(taken), []).append(position)
            else:
                self._busy |= step.lanes
                self._running += 1
                task = tasks.create_task(self._run_step(step), name=step.name)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _run_step(self, step: Step) -> None:
        self._world.watcher.started(step)
        deadline = min(self._end, self._world.clock.monotonic() + _patience(step))
        run = StepRun(step=step, world=self._world, deadline=deadline, warrant=self._warrant(step))
        facts = {"reconciler.step": step.name, "reconciler.id": str(step.id), "reconciler.action": step.action.value}
        try:
            with self._world.tracer.span("step", facts):
                outcome = await run.run()
        except asyncio.CancelledError:
            if not self._cut:
                raise
            outcome = run.cut()
        self._done.put_nowait(outcome)

    def _warrant(self, step: Step) -> Warrant:
        plan, reason = self._plan, self._reasons.get(step.id, "")
        return Warrant(fleet=plan.fleet, plan=self._digest, reason=reason, principal=plan.principal)

    def _close(self, outcome: Outcome) -> None:
        self._running -= 1
        self._busy -= outcome.step.lanes
        # All of them, because the first may still have to wait for another of its lanes.
        for lane in outcome.step.lanes:
            for position in self._parked.pop(lane, ()):
                heapq.heappush(self._ready, position)
        self._record(outcome)
        for name in self._dependents[outcome.step.name]:
            self._blockers[name].discard(outcome.step.name)
            if outcome.result is not Result.DONE:
                self._abandon(self._steps[self._position[name]], f"{outcome.step.name} is {outcome.result.value}")
            elif not self._blockers[name] and name not in self.outcomes:
                heapq.heappush(self._ready, self._position[name])

    def _abandon(self, step: Step, because: str) -> None:
        """Close a step that cannot start any more, and all that waited for it, naming the root cause."""
        if step.name in self.outcomes:
            return
        now = self._world.clock.now()
        self._record(Outcome(step=step, result=Result.NOT_STARTED, because=because, began=now, ended=now))
        for name in self._dependents[step.name]:
            self._abandon(self._steps[self._position[name]], because)

    def _record(self, outcome: Outcome) -> None:
        self.outcomes[outcome.step.name] = outcome
        self._world.watcher.finished(outcome)


def _patience(step: Step) -> float:
    type_ = type_of(step.id.type)
    patience = type_.patience if type_ else Patience()
    if step.verb in (Verb.DELETE, Verb.PURGE):
        return patience.delete
    births = step.action in (Action.CREATE, Action.RESTORE, Action.REPLACE)
    return patience.create if births else patience.update
