"""After a purge: wait until usages show what came back, because only that tells what the account held.

Azure tells nobody how late usages are. What is waited for is a fall of one of the pools that somebody needs; whoever
grows in the same pool meanwhile may hide some of it and never all, since every look is held against the fullest one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.model.finding import Fault
from reconciler.model.ids import fold_location
from reconciler.model.outcome import Result
from reconciler.model.plan import Step
from reconciler.model.ports import World
from reconciler.model.quota import Usage

RETURN_PATIENCE = 600.0  # seconds after which nothing more is expected to come back
_FIRST_LOOK, _LATER, _SLOWEST = 10.0, 5.0, 30.0
_PLACES = "accountcount"  # how many accounts there are; a soft-deleted one has its place until it is purged
_LOOKS_AFTER_PLACE = 2  # once its place is free, what else it held comes no later than this


@dataclass(slots=True, kw_only=True)
class Returning:
    """The pools of one region as a purge finds them, and what is seen of them later. `requests` counts the looks."""

    step: Step
    world: World
    requests: int = 0
    _most: dict[str, int] = field(default_factory=dict)
    _owed: dict[str, int] = field(default_factory=dict)  # what others of the plan have yet to give back
    _known: Mapping[str, Usage] = field(default_factory=dict)

    @property
    def began(self) -> bool:
        return bool(self._known)

    async def begin(self) -> Fault | str:
        """Note how full the pools are. A sentence says why the purge is not needed as it was planned, "" if it is."""
        fault = await self._look()
        if fault is not None:
            return fault
        awaits = self.step.awaits.items()
        self._owed = {name: max(0, self._used(name) - used) for name, used in awaits if used}
        fell = [name for name, used in awaits if self._used(name) < used]
        return f"less of {self._spell(fell)} is used than when the plan was made" if fell else ""

    async def wait(self, deadline: float) -> tuple[Result, str]:
        """How it ended: what came back, or that nothing was seen to. `deadline` is on the monotonic clock."""
        clock = self.world.clock
        began, looks, since_place = clock.monotonic(), 0, 0
        before: dict[str, int] = {}
        names = self._spell(self.step.awaits)
        seen = ""
        while True:
            pause = min(_FIRST_LOOK + _LATER * looks, _SLOWEST)
            if clock.monotonic() + pause >= deadline:
                return Result.IN_PROGRESS, f"purged; usages do not show yet what it gave back of {names}"
            if clock.monotonic() + pause > began + RETURN_PATIENCE:
                return Result.DONE, f"nothing of {names} was seen to come back within {RETURN_PATIENCE / 60:.0f} min"
            self.world.watcher.waiting(
                self.step, f"purged; waits for usages to show what it gave back of {names}", pause
            )
            await clock.sleep(pause)
            looks += 1
            if await self._look() is not None:
                continue
            back = {name: units for name in self.step.awaits if (units := self._fell(name)) > 0}
            seen = (seen or f"after {clock.monotonic() - began:.0f} s") if back else ""
            if back and all(before.get(name, 0) >= units for name, units in back.items()):
                told = ", ".join(f"{units:,} of {self._spell([name])}" for name, units in back.items())
                return Result.DONE, f"gave back {told} {seen}"
            before = back
            since_place += self._most.get(_PLACES, 0) > self._used(_PLACES)
            if not back and since_place > _LOOKS_AFTER_PLACE:
                return Result.DONE, f"gave back its place among the accounts of the region, and nothing of {names}"

    async def _look(self) -> Fault | None:
        self.requests += 1
        found = await self.world.cloud.read_usages(self.step.id.subscription, fold_location(self.step.location))
        if isinstance(found, Fault):
            return found
        self._known = found
        for name in (*self.step.awaits, _PLACES):
            self._most[name] = max(self._most.get(name, 0), self._used(name))
        return None

    def _fell(self, name: str) -> int:
        return self._most[name] - self._used(name) - self._owed.get(name, 0)

    def _used(self, name: str) -> int:
        return self._known[name].used if name in self._known else 0

    def _spell(self, names: Iterable[str]) -> str:
        return ", ".join(self._known[name].name if name in self._known else name for name in names)
