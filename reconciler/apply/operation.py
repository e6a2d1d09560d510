"""One step: look again, send, wait, verify.

Everything Azure can answer is a value here. A step ends in exactly one `Outcome`; what it could not finish it leaves in
a state from which the next look at Azure goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.apply.patience import Backoff, next_pause
from reconciler.apply.returning import Returning
from reconciler.kinds.base import ResourceType, compose, compose_patch, find_users, project
from reconciler.kinds.catalog import type_of
from reconciler.kinds.diff import compare
from reconciler.model.finding import LEASE_LOST, Fault, FaultClass
from reconciler.model.ids import ArmId
from reconciler.model.moment import read_time
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Step, Verb, Warrant
from reconciler.model.ports import Answer, Operation, Progress, World, Write
from reconciler.model.resource import Actor, Live, LiveState, Scope
from reconciler.model.wire import Json, JsonObject

_HEAL_SECONDS = 90.0  # a create that ended Failed may turn Succeeded by itself
_ROUNDED = 1.0
_UNCOVERED = "the lease does not cover a write any more; whoever leads goes on"
_REMOVALS = (Verb.DELETE, Verb.PURGE)


@dataclass(slots=True, kw_only=True)
class StepRun:
    """The run of one step. `deadline` is on the monotonic clock: after it nothing is waited for."""

    step: Step
    world: World
    deadline: float
    warrant: Warrant
    backoff: Backoff = field(init=False)
    began: float = field(init=False)
    requests: int = field(init=False, default=0)
    returning: Returning = field(init=False)

    def __post_init__(self) -> None:
        self.returning = Returning(step=self.step, world=self.world)
        self.backoff = Backoff(self.world.chance)
        self.began = self.world.clock.now()

    async def run(self) -> Outcome:
        """Do the step, repeating what is retryable until the deadline."""
        attempt = 0
        while True:
            outcome = await self._attempt()
            fault = outcome.fault
            if outcome.result is not Result.FAILED or fault is None or not fault.cls.retryable:
                return outcome
            pause = self.backoff.pause(attempt, fault)
            if self.world.clock.monotonic() + pause >= self.deadline:
                return replace(outcome, result=Result.IN_PROGRESS, because=f"gave up waiting: {fault}")
            attempt += 1
            why = fault.message if fault.code.lower().startswith(("in_use", "inuse")) else f"{fault.code}, again"
            self.world.watcher.waiting(self.step, why, pause)
            await self.world.clock.sleep(pause)

    def cut(self) -> Outcome:
        """What to say of a step that nobody waits for any more."""
        return self._ended(Result.IN_PROGRESS, f"not waited for any longer: {self.world.halt.because}")

    async def _attempt(self) -> Outcome:
        if self.step.verb is Verb.PURGE:
            return await self._purge()
        if self.step.leads is not None and (kept := await self._ask_above(self.step.leads)) is not None:
            return kept
        live = await self._look()
        if isinstance(live, Fault) and live.cls is not FaultClass.ABSENT:
            return self._failed(live)
        present = live if isinstance(live, Live) else None
        early = self._already(present)
        if early is not None:
            return early
        if present is not None and present.state in (LiveState.IN_PROGRESS, LiveState.DELETING):
            waited = await self._settle(present)
            return waited if waited is not None else await self._attempt_settled()
        return await self._send(present)

    async def _purge(self) -> Outcome:
        """What was deleted again meanwhile is not what the plan was made for, and may have been wanted for a while."""
        early = await self._look_deleted()
        if early is not None and early.result is not Result.DONE:
            return early
        if self.step.awaits and not self.returning.began:
            told = await self.returning.begin()
            if isinstance(told, Fault):
                return self._failed(told)
            if told:
                return self._ended(Result.STALE, f"{told}; the next plan decides")
        if early is None:
            early = await self._send_purge()
        if early.result is not Result.DONE or not self.step.awaits:
            return early
        result, because = await self.returning.wait(self.deadline)
        return self._ended(result, "; ".join(each for each in (early.because, because) if each))

    async def _look_deleted(self) -> Outcome | None:
        """What is to be purged as it stands now; what this very plan has deleted was never seen before."""
        if not self.step.deleted_at:
            return None
        self.requests += 1
        deleted = await self.world.cloud.read_deleted(self.step.id, self.step.location)
        if isinstance(deleted, Fault):
            absent = deleted.cls is FaultClass.ABSENT
            return self._ended(Result.DONE, "was already gone") if absent else self._failed(deleted)
        if read_time(deleted.deleted_at) == read_time(self.step.deleted_at):
            return None
        return self._ended(Result.STALE, f"it was deleted again at {deleted.deleted_at}, after the plan; it is kept")

    async def _send_purge(self) -> Outcome:
        self.requests += 1
        answer = await self.world.cloud.write(self._write(None))
        if answer.fault is not None:
            return self._refused(answer.fault)
        return await self._follow(answer) or self._ended(Result.DONE)

    async def _attempt_settled(self) -> Outcome:
        live = await self._look()
        if isinstance(live, Fault) and live.cls is not FaultClass.ABSENT:
            return self._failed(live)
        present = live if isinstance(live, Live) else None
        return self._already(present) or await self._send(present)

    async def _look(self) -> Live | Fault:
        """A fresh read."""
        self.requests += 1
        return await self.world.cloud.read(self.step.id)

    def _already(self, live: Live | None) -> Outcome | None:
        """The outcome where nothing is left to send: somebody did it, or the world is not the one planned for."""
        step = self.step
        if step.verb in _REMOVALS:
            return self._removal_state(live)
        if step.verb is Verb.RESTORE:
            return self._restored_state(live)
        if live is None:
            return None if step.expects is None else self._ended(Result.STALE, "it is gone; the next plan decides")
        return self._present_state(live, step.expects)

    def _present_state(self, live: Live, expects: Mapping[str, Json] | None) -> Outcome | None:
        if live.state in (LiveState.IN_PROGRESS, LiveState.DELETING):
            return None
        if live.state is LiveState.SETTLED and not self._differences(live):
            return self._ended(Result.DONE, "was already so")
        if expects is None:
            return self._ended(Result.STALE, "it exists by now and differs; the next plan decides")
        if moved := self._moved(live, expects):
            return self._ended(Result.STALE, f"{moved} changed since the plan")
        if other := self._find_other_author(live):
            return self._ended(Result.STALE, f"{other} wrote to it since the plan; the next plan decides")
        return None

    def _find_other_author(self, live: Live) -> str:
        """Who else has written since the plan was made, or "": after our own write nobody could tell any more."""
        author, before = live.author, self.step.author
        if author is None or not self.warrant.principal or author.name.lower() == self.warrant.principal.lower():
            return ""
        return "" if before is not None and _is_same(author, before) else author.name

    def _restored_state(self, live: Live | None) -> Outcome | None:
        """A restore is never sent to what lives: Azure would take it for a PUT that leaves everything out."""
        if live is None or live.state in (LiveState.IN_PROGRESS, LiveState.DELETING):
            return None
        moved = self._moved(live, self.step.expects or {})
        if moved:
            return self._ended(Result.STALE, f"it exists by now with another {moved}; the next plan decides")
        return self._ended(Result.DONE, "was already so")

    def _removal_state(self, live: Live | None) -> Outcome | None:
        if live is None:
            return self._ended(Result.DONE, "was already gone")
        moved = self._moved(live, self.step.expects or {})
        return self._ended(Result.STALE, f"{moved} changed since the plan; it is kept") if moved else None

    def _moved(self, live: Live, expects: Mapping[str, Json]) -> str:
        """The paths that are no longer what the plan was made from, for a sentence; "" when all still are."""
        values = project(self.type, live.wire, expects)
        return ", ".join(path for path, value in values.items() if value != expects[path])

    async def _find_newcomers(self) -> Outcome | None:
        """A delete takes along what lies below: what has come there since the plan was never asked about."""
        if self.step.verb is not Verb.DELETE or not self.type.soft_deletes:
            return None
        scope = Scope(subscription=self.step.id.subscription, fleet="", ids=(self.step.id, *self.step.takes))
        snapshot = await self.world.cloud.observe(scope)
        self.requests += snapshot.requests
        if snapshot.blind:
            return self._failed(snapshot.blind[0].fault)
        below = (id for id in snapshot.live if id != self.step.id and self.step.id.covers(id))
        new = [id.name for id in below if id not in self.step.takes and not _reserved(id)]
        if not new:
            return None
        return self._ended(Result.STALE, f"{', '.join(new)} appeared below it since the plan; it is kept")

    async def _ask_above(self, removal: Step) -> Outcome | None:
        """What makes way for something stays as long as that would not go."""
        above = StepRun(step=removal, world=self.world, deadline=self.deadline, warrant=self.warrant)
        kept = await above.find_keeper()
        self.requests += above.requests
        return replace(kept, step=self.step, began=self.began, requests=self.requests) if kept else None

    async def find_keeper(self) -> Outcome | None:
        """Why this removal would not be sent now; None where it would, or where nothing is left to remove."""
        live = await self._look()
        if isinstance(live, Fault):
            return None if live.cls is FaultClass.ABSENT else self._failed(live)
        return self._removal_state(live) or self._find_users(live) or await self._find_newcomers()

    def _find_users(self, live: Live | None) -> Outcome | None:
        """What somebody has a hand on does not go: Azure would refuse, so nothing is sent until they let go."""
        users = find_users(self.type, live.wire) if live is not None and self.step.verb is Verb.DELETE else ""
        if not users:
            return None
        advice = "What is being deleted lets go after a while; delete or move what else uses it."
        return self._failed(Fault(cls=FaultClass.CONFLICT, code="in_use", message=f"used by {users}", advice=advice))

    async def _send(self, live: Live | None) -> Outcome:
        if (used := self._find_users(live)) is not None:
            return used
        newcomers = await self._find_newcomers()
        if newcomers is not None:
            return newcomers
        if (withheld := self._withheld()) is not None:
            return withheld
        self.requests += 1
        answer = await self._write_down(self._write(live))
        if answer.fault is not None:
            return self._refused(answer.fault)
        waited = await self._follow(answer)
        return waited if waited is not None else await self._verify()

    def _withheld(self) -> Outcome | None:
        """What becomes of a write that must not leave any more."""
        if self.world.halt.because:
            return self._ended(Result.NOT_STARTED, self.world.halt.because)
        return self._ended(Result.NOT_STARTED, _UNCOVERED) if self.world.lease.remaining() <= 0 else None

    async def _write_down(self, write: Write) -> Answer:
        """Send it, with a word before and after."""
        auditor, answer = self.world.auditor, None
        auditor.sending(self.warrant, self.step)
        try:
            answer = await self.world.cloud.write(write)
        finally:
            auditor.answered(self.warrant, self.step, answer)
        return answer

    def _write(self, live: Live | None) -> Write:
        step = self.step
        body: JsonObject | None = None
        if step.verb is Verb.PUT:
            body = compose(self.type, step.fields, live.wire if live else None)
        elif step.verb is Verb.PATCH:
            body = compose_patch(self.type, step.fields, live.wire if live else {})
        elif step.verb is Verb.RESTORE:
            body = {"location": step.location, "properties": {"restore": True}}
        return Write(verb=step.verb, id=step.id, body=body, location=step.location)

    def _refused(self, fault: Fault) -> Outcome:
        if fault.cls is FaultClass.ABSENT and self.step.verb in _REMOVALS:
            return self._ended(Result.DONE, "was already gone")
        if fault.code == LEASE_LOST:
            return self._ended(Result.NOT_STARTED, self.world.halt.because or _UNCOVERED)
        return self._failed(fault)

    async def _follow(self, answer: Answer) -> Outcome | None:
        """Wait for what Azure accepted; None when it ended well or when only a look at the resource can tell."""
        operation = answer.operation
        looks = 0
        while operation is not None:
            pause = next_pause(operation.pause, looks)
            if self.world.clock.monotonic() + pause >= self.deadline:
                return self._ended(Result.IN_PROGRESS, "Azure is still working on it")
            self.world.watcher.waiting(self.step, "Azure is working on it", pause)
            await self.world.clock.sleep(pause)
            operation, failed = await self._poll(operation)
            if failed is not None:
                return await self._heal(failed)
            looks += 1
        return None

    async def _poll(self, operation: Operation) -> tuple[Operation | None, Fault | None]:
        self.requests += 1
        poll = await self.world.cloud.poll(operation)
        if poll.progress is Progress.SUCCEEDED:
            return None, None
        if poll.progress is Progress.FAILED:
            unexplained = Fault(cls=FaultClass.UNKNOWN, code="operation_failed", message="Azure gave no reason")
            return None, poll.fault or unexplained
        if poll.fault is not None and poll.fault.cls is FaultClass.ABSENT:
            return None, None  # Azure forgot the operation: the resource itself tells how it ended
        pause = poll.fault.retry_after if poll.fault else poll.pause
        return replace(operation, pause=pause), None

    async def _heal(self, fault: Fault) -> Outcome | None:
        """A failed operation is believed only after the resource agrees: some turn Succeeded by themselves."""
        if self.step.verb in _REMOVALS:
            return self._failed(fault)
        until = min(self.deadline, self.world.clock.monotonic() + _HEAL_SECONDS)
        looks = 0
        while True:
            live = await self._look()
            if isinstance(live, Live) and live.state is LiveState.SETTLED:
                return None
            pause = next_pause(None, looks)
            if self.world.clock.monotonic() + pause >= until:
                return self._failed(fault)
            await self.world.clock.sleep(pause)
            looks += 1

    async def _settle(self, live: Live) -> Outcome | None:
        """Wait while Azure works on something that was not started by this step; None when it has come to rest."""
        looks = 0
        while live.state in (LiveState.IN_PROGRESS, LiveState.DELETING):
            pause = next_pause(None, looks)
            if self.world.clock.monotonic() + pause >= self.deadline:
                return self._ended(Result.IN_PROGRESS, f"Azure is still working on it ({live.provisioning_state})")
            self.world.watcher.waiting(self.step, f"Azure says {live.provisioning_state}", pause)
            await self.world.clock.sleep(pause)
            looked = await self._look()
            if isinstance(looked, Fault):
                return None if looked.cls is FaultClass.ABSENT else self._failed(looked)
            live = looked
            looks += 1
        return None

    async def _verify(self) -> Outcome:
        """Read back and compare: a write that Azure took and did not do is an error with a name."""
        live = await self._look_back()
        if self.step.verb is Verb.DELETE:
            return self._verify_gone(live)
        if isinstance(live, Live) and live.state in (LiveState.IN_PROGRESS, LiveState.DELETING):
            waited = await self._settle(live)
            if waited is not None:
                return waited
            live = await self._look_back()
        if isinstance(live, Fault):
            return self._failed(live)
        left = self._differences(live)
        if left:
            reason = "Azure took the write but did not do it: " + ", ".join(left)
            return self._ended(Result.NOT_CONVERGING, reason)
        return self._ended(Result.DONE)

    async def _look_back(self) -> Live | Fault:
        """The read after a write; retried by itself, so that a failing read never repeats the write before it."""
        attempt = 0
        while True:
            self.requests += 1
            live = await self.world.cloud.read(self.step.id)
            absent = isinstance(live, Fault) and live.cls is FaultClass.ABSENT and self.step.verb is not Verb.DELETE
            if isinstance(live, Live) or not (live.cls.retryable or absent):
                return live
            # A resource can be 404 for a few seconds after the write that made it.
            pause = self.backoff.pause(attempt, live)
            if attempt >= 8 or self.world.clock.monotonic() + pause >= self.deadline:
                return live
            await self.world.clock.sleep(pause)
            attempt += 1

    def _verify_gone(self, live: Live | Fault) -> Outcome:
        if isinstance(live, Fault):
            return self._ended(Result.DONE) if live.cls is FaultClass.ABSENT else self._failed(live)
        if live.state is LiveState.DELETING:
            return self._ended(Result.IN_PROGRESS, "Azure is still deleting it")
        return self._ended(Result.NOT_CONVERGING, "Azure took the delete but the resource is still there")

    def _differences(self, live: Live) -> list[str]:
        wanted: Mapping[str, Json] = self.step.fields
        return [change.path for change in compare(self.type, wanted, live.wire)]

    @property
    def type(self) -> ResourceType:
        type_ = type_of(self.step.id.type)
        assert type_ is not None, self.step.id.type
        return type_

    def _failed(self, fault: Fault) -> Outcome:
        result = Result.BLOCKED if fault.cls.blocking else Result.FAILED
        return replace(self._ended(result, str(fault)), fault=fault)

    def _ended(self, result: Result, because: str = "") -> Outcome:
        return Outcome(
            step=self.step,
            result=result,
            because=because,
            began=self.began,
            ended=self.world.clock.now(),
            requests=self.requests + self.returning.requests,
        )


def _is_same(author: Actor, before: Actor) -> bool:
    """Whether both stand for the same write; a list may round its time."""
    now, then = read_time(author.at), read_time(before.at)
    near = now == then or (now is not None and then is not None and abs(now - then) < _ROUNDED)
    return near and author.name.lower() == before.name.lower()


def _reserved(id: ArmId) -> bool:
    """What Azure puts there itself."""
    type_ = type_of(id.type)
    return type_ is None or type_.reserves(id.name)
