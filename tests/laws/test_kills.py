"""Law: a process may end before or after any write. What it leaves is where the next one goes on, nothing twice.

Every single write of a network is the last one here, in virtual time; `tests/e2e` does the same to real processes.
"""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.cloud.arm import ArmCloud
from reconciler.model.ports import Answer, Write
from reconciler.model.resource import Fleet
from tests.e2e.test_kill_anywhere import BUILT, GUID, MOVED, NETWORK_FLEET
from tests.laws.stage import Stage, failures, told

pytestmark = pytest.mark.virtual_time

Sent = tuple[str, str, str | None]


class Killed(BaseException):
    """The end of the process."""


def kill_at(patch: pytest.MonkeyPatch, number: int, when: str) -> None:
    """Let the process end at its write of that number: before it leaves, or when its answer is there but not read."""
    write, seen = ArmCloud.write, 0

    async def end(cloud: ArmCloud, asked: Write) -> Answer:
        nonlocal seen
        seen += 1
        if seen == number + 1 and when == "before":
            raise Killed
        answer = await write(cloud, asked)
        if seen > number and when == "after":
            raise Killed
        return answer

    patch.setattr(ArmCloud, "write", end)


def load(azure: Stage, text: str) -> Fleet:
    return azure.load(f"{NETWORK_FLEET}---{text}")


async def converge(azure: Stage, fleet: Fleet) -> None:
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))


async def sent(azure: Stage) -> list[Sent]:
    return [(each["method"], each["path"].lower(), each["body_sha256"]) for each in await azure.writes()]


def shape(azure: Stage) -> dict[str, Any]:
    """What exists, without what no two worlds share."""
    return {
        GUID.sub("", id): (body.get("tags"), body["properties"].get("provisioningState"))
        for id, body in azure.resources().items()
    }


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("start", "goal", "writes"), [("", BUILT, 12), (BUILT, MOVED, 6)], ids=["create", "change"])
async def test_a_network_is_finished_by_the_next_process_wherever_the_last_one_ended(
    azure: Stage, monkeypatch: pytest.MonkeyPatch, start: str, goal: str, writes: int, when: str
) -> None:
    if start:
        await converge(azure, load(azure, start))
    began = await azure.sim.control("GET", "/_sim/state")
    fleet = load(azure, goal)
    await azure.forget()
    await converge(azure, fleet)
    allowed, wanted = await sent(azure), shape(azure)
    assert len(allowed) >= writes, allowed

    # A write that Azure was not ready for is sent again, and how often is chance.
    for number in range(len(set(allowed))):
        began["now"] = azure.sim.clock.now()
        await azure.sim.control("PUT", "/_sim/state", began)
        await azure.forget()
        with monkeypatch.context() as patch:
            kill_at(patch, number, when)
            with pytest.raises(BaseExceptionGroup) as ended:
                await azure.converge(fleet)
        assert ended.value.split(Killed)[1] is None
        await converge(azure, fleet)
        assert shape(azure) == wanted, f"killed {when} write {number}"
        assert set(await sent(azure)) <= set(allowed), f"killed {when} write {number}: a write that no quiet run sends"
        assert await azure.self_inflicted() == {"409": 0, "429": 0}, f"killed {when} write {number}"
        await azure.forget()
        assert told(await azure.dry_run(fleet)) == []
