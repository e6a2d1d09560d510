"""What is made of the looks after a purge, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, cast

import pytest

from reconciler.apply.returning import Returning
from reconciler.model.finding import Fault
from reconciler.model.outcome import Result
from reconciler.model.plan import Action, Phase, Step, Verb
from reconciler.model.ports import Cloud, World
from reconciler.model.quota import Usage
from reconciler.report.progress import Quiet
from tests.support.builders import account_id, fault_of

STEP = Step(
    name="DeletedAccount/old#purge",
    id=account_id("old"),
    verb=Verb.PURGE,
    action=Action.PURGE,
    phase=Phase.RELEASE,
    location="Sweden Central",
    awaits={"pool": 0, "other": 0},
)


@dataclass
class Looks:
    """A cloud that answers one look after the other, and a clock that passes with them. The last answer stays."""

    answers: list[Fault | dict[str, int]]
    asked: list[str] = field(default_factory=list)
    passed: float = 0.0

    async def read_usages(self, _subscription: str, location: str) -> Mapping[str, Usage] | Fault:
        self.asked.append(location)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Fault):
            return answer
        return {name: Usage(name=name.title(), used=used, limit=500) for name, used in answer.items()}

    def now(self) -> float:
        return self.passed

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds


async def wait(*answers: Fault | dict[str, int], deadline: float = 7200.0, step: Step = STEP) -> tuple[Result, str]:
    looks: Any = Looks([*answers])
    world = World(cloud=cast(Cloud, looks), clock=looks, chance=Random(1), watcher=Quiet())
    returning = Returning(step=step, world=world)
    assert await returning.begin() == ""
    assert looks.asked == ["swedencentral"]
    return await returning.wait(deadline)


FULL = {"pool": 100, "other": 50, "accountcount": 4}


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ([{**FULL, "pool": 40}], "gave back 60 of Pool after 10 s"),
        ([FULL, {**FULL, "pool": 40}, {"pool": 40, "other": 20}], "gave back 60 of Pool, 30 of Other after 25 s"),
        ([{**FULL, "pool": 40}, {**FULL, "pool": 30}], "gave back 70 of Pool after 10 s"),
        # Somebody takes 60 while 20 come back: held against the fullest look, the 20 are seen.
        ([{**FULL, "pool": 160}, {**FULL, "pool": 140}], "gave back 20 of Pool after 25 s"),
        # What fell and rose again is nothing that would be there to take.
        ([{**FULL, "pool": 90}, FULL, {**FULL, "pool": 60}], "gave back 40 of Pool after 45 s"),
        ([fault_of(), {**FULL, "pool": 40}], "gave back 60 of Pool after 25 s"),
        (
            [{**FULL, "accountcount": 3}],
            "gave back its place among the accounts of the region, and nothing of Pool, Other",
        ),
        ([FULL], "nothing of Pool, Other was seen to come back within 10 min"),
    ],
)
async def test_what_came_back_is_what_stays_away(looks: list[Fault | dict[str, int]], said: str) -> None:
    assert await wait(FULL, *looks) == (Result.DONE, said)


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        # 60 are what others of the plan give back, who come at the same time.
        ([{**FULL, "pool": 40}, {**FULL, "pool": 40}, {**FULL, "pool": 10}], "gave back 30 of Pool after 45 s"),
        ([{**FULL, "pool": 40}], "nothing of Pool was seen to come back within 10 min"),
        ([{**FULL, "pool": 20}], "gave back 20 of Pool after 10 s"),
    ],
)
async def test_what_others_of_the_plan_give_back_did_not_come_from_the_purge(
    looks: list[Fault | dict[str, int]], said: str
) -> None:
    assert await wait(FULL, *looks, step=replace(STEP, awaits={"pool": 40})) == (Result.DONE, said)


async def test_what_is_not_over_at_the_deadline_goes_on_without_us() -> None:
    assert await wait(FULL, FULL, deadline=60.0) == (
        Result.IN_PROGRESS,
        "purged; usages do not show yet what it gave back of Pool, Other",
    )


async def test_a_first_look_that_fails_is_told() -> None:
    looks: Any = Looks([fault_of()])
    returning = Returning(step=STEP, world=World(cloud=looks, clock=looks, chance=Random(1), watcher=Quiet()))
    assert await returning.begin() == fault_of()
    assert not returning.began
