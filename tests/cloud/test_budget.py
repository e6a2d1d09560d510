"""The request budget: nothing leaves that Azure would refuse, and nobody undercuts what Azure asked for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping

import pytest

from armsim.settings import Settings
from reconciler.cloud.budget import Budgets, Gate, GateClosedError, Toll, Urgency
from reconciler.model.finding import Fault, FaultClass
from reconciler.model.ids import ArmId
from reconciler.model.plan import Verb
from reconciler.model.ports import Cloud, Write
from reconciler.model.resource import Live, Scope
from tests.cloud.conftest import Azure, number
from tests.support.virtual_time import LoopClock, passed

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def gate() -> Gate:
    return Gate(Toll.WRITES, LoopClock(0.0), random.Random(1))


async def pass_through(
    gate: Gate,
    urgency: Urgency = Urgency.STEP,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    takes: float = 0.0,
) -> float:
    """One request; when it was let through."""
    async with gate.admit(urgency) as passage:
        at = passed()
        if takes:
            await asyncio.sleep(takes)
        gate.learn(passage, status, headers or {})
    return at


async def many(gate: Gate, count: int, takes: float = 0.0) -> list[float]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(pass_through(gate, takes=takes)) for _ in range(count)]
    return sorted(task.result() for task in tasks)


def left(tokens: int, toll: str = "writes") -> dict[str, str]:
    return {f"x-ms-ratelimit-remaining-subscription-{toll}": str(tokens)}


@pytest.mark.parametrize(
    ("method", "toll"),
    [
        ("GET", "reads"),
        ("HEAD", "reads"),
        ("PUT", "writes"),
        ("PATCH", "writes"),
        ("POST", "writes"),
        ("DELETE", "deletes"),
    ],
)
def test_requests_are_counted_as_azure_counts_them(method: str, toll: str) -> None:
    assert Toll.of(method) == toll


async def test_a_burst_leaves_at_once_and_the_rest_at_the_rate_of_the_refill(gate: Gate) -> None:
    times = await many(gate, 280)
    assert times[179] == 0.0
    assert times[180] > 0.0
    assert times[-1] == pytest.approx(10.0, abs=0.5)


async def test_what_azure_says_is_left_goes_before_what_we_counted(gate: Gate) -> None:
    await pass_through(gate, headers=left(25))
    times = await many(gate, 20)
    assert times[4] == 0.0
    assert times[-1] == pytest.approx(1.5, abs=0.2)


async def test_an_old_answer_is_corrected_by_what_left_after_its_request(gate: Gate) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(pass_through(gate, headers=left(199), takes=10.0))
        await asyncio.sleep(0)
        rest = group.create_task(many(gate, 100))
    assert rest.result()[-1] == 0.0
    # 199 less the 100 that left meanwhile, plus ten seconds of refill: nobody waits.
    assert (await many(gate, 100))[-1] == 10.0


async def test_a_common_limit_of_all_principals_counts_too(gate: Gate) -> None:
    await pass_through(gate, headers={"x-ms-ratelimit-remaining-subscription-global-writes": "20"})
    assert (await many(gate, 10))[-1] == pytest.approx(1.0, abs=0.2)


async def test_a_larger_bucket_is_believed_and_refills_faster(gate: Gate) -> None:
    await pass_through(gate, headers=left(799))
    times = await many(gate, 1000)
    assert times[600] == 0.0
    assert times[-1] < 10.0


async def test_a_retry_after_closes_the_gate_for_everybody(gate: Gate) -> None:
    await pass_through(gate, status=429, headers={"retry-after": "30"})
    times = await many(gate, 5)
    assert times[0] >= 30.0
    assert times[-1] < 35.0


async def test_a_refusal_without_a_retry_after_empties_the_bucket(gate: Gate) -> None:
    await pass_through(gate, status=429)
    assert 2.0 <= (await many(gate, 1))[0] < 3.0


async def test_a_pause_too_long_to_wait_for_is_an_error_and_sends_nothing(gate: Gate) -> None:
    await pass_through(gate, status=429, headers={"retry-after": "3600"})
    with pytest.raises(GateClosedError) as caught:
        await pass_through(gate)
    assert caught.value.seconds >= 3600
    assert passed() == 0.0


async def test_what_somebody_waits_for_goes_before_lists() -> None:
    gate = Gate(Toll.READS, LoopClock(0.0), random.Random(1))
    order: list[str] = []

    async def ask(name: str, urgency: Urgency) -> None:
        async with gate.admit(urgency):
            order.append(name)
            await asyncio.sleep(1)

    async with asyncio.TaskGroup() as group:
        for name in range(16):
            group.create_task(ask(f"first{name}", Urgency.LIST))
        await asyncio.sleep(0.5)
        group.create_task(ask("list", Urgency.LIST))
        group.create_task(ask("step", Urgency.STEP))
        group.create_task(ask("poll", Urgency.WAITED_FOR))
    assert order[16:] == ["poll", "step", "list"]


async def test_no_more_reads_are_under_way_than_is_polite() -> None:
    gate = Gate(Toll.READS, LoopClock(0.0), random.Random(1))
    times = await many(gate, 64, takes=1.0)
    assert [times.count(float(second)) for second in range(4)] == [16] * 4


async def test_whoever_gives_up_waiting_holds_up_nobody(gate: Gate) -> None:
    await many(gate, 180)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await pass_through(gate)
    assert (await many(gate, 3))[-1] < 0.5


async def test_a_common_principal_shares_its_gates() -> None:
    budgets, clock, chance = Budgets(), LoopClock(0.0), random.Random(1)
    one = budgets.gate(("https://arm", "s", "p"), Toll.READS, clock, chance)
    assert budgets.gate(("https://arm", "s", "p"), Toll.READS, clock, chance) is one
    assert budgets.gate(("https://arm", "s", "p"), Toll.WRITES, clock, chance) is not one
    assert budgets.gate(("https://arm", "s", "q"), Toll.READS, clock, chance) is not one


# -- against the simulation's own buckets


async def test_a_thousand_reads_at_full_speed_are_never_refused(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(cloud.read(azure.account())) for _ in range(1000)]
    assert all(isinstance(task.result(), Live) for task in tasks)
    assert await refused(azure) == 0
    # Azure's own buckets would let the last one through at 30 s.
    assert passed() == pytest.approx(31.0, abs=0.5)


async def test_two_clouds_of_one_principal_share_one_budget(azure: Azure) -> None:
    await azure.seed_accounts("aoai")
    async with azure.open() as one, azure.open() as two, asyncio.TaskGroup() as group:
        for cloud in (one, two):
            for _ in range(300):
                group.create_task(cloud.read(azure.account()))
    assert await refused(azure) == 0


async def test_writes_across_accounts_run_side_by_side_and_are_never_refused(azure: Azure, cloud: Cloud) -> None:
    groups = [ArmId(subscription=azure.sim.subscription_id, group=f"rg{number}") for number in range(400)]
    async with asyncio.TaskGroup() as tasks:
        for id in groups:
            tasks.create_task(cloud.write(Write(verb=Verb.PUT, id=id, body={"location": "swedencentral"})))
    assert await refused(azure) == 0
    assert passed() == pytest.approx(22.0, abs=1.0)


async def test_another_process_with_the_same_identity_is_noticed(azure: Azure) -> None:
    """The stranger has a budget of its own and takes half of the tokens."""
    await azure.seed_accounts("aoai")
    async with azure.open() as ours:
        azure.settings = type(azure.settings)(
            environment=azure.settings.environment, ca_bundle=azure.settings.ca_bundle, budgets=Budgets()
        )
        async with azure.open() as stranger, asyncio.TaskGroup() as group:
            for cloud in (ours, stranger):
                for _ in range(300):
                    group.create_task(cloud.read(azure.account()))
    # Each notices the other only by the answers, so what is under way when the bucket runs dry may still be refused.
    assert await refused(azure) <= 32


async def test_a_throttled_write_comes_back_as_a_fault_and_everybody_waits(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts()
    await azure.fault(kind="throttle", match={"method": "PUT"}, retry_after=60, count=1)
    body = Write(verb=Verb.PUT, id=azure.group, body={"location": "swedencentral"})
    answer = await cloud.write(body)
    assert answer.fault is not None
    assert (answer.fault.cls, answer.fault.retry_after) == (FaultClass.THROTTLED, 60.0)
    assert (await cloud.write(body)).fault is None
    puts = [each for each in await azure.requests() if each["method"] == "PUT"]
    assert len(puts) == 2
    assert number(puts[1]["at"]) - number(puts[0]["at"]) >= 60
    assert isinstance(await cloud.read(azure.group), Live)


async def test_an_endless_pause_blinds_instead_of_blocking(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai")
    await azure.fault(kind="throttle", match={"method": "GET"}, retry_after=7200, count=1)
    fault = await cloud.read(azure.account())
    assert isinstance(fault, Fault)
    snapshot = await cloud.observe(Scope(subscription=azure.sim.subscription_id, fleet="prod", ids=(azure.account(),)))
    assert snapshot.live == {}
    assert {blind.fault.cls for blind in snapshot.blind} == {FaultClass.THROTTLED}
    assert len(await azure.requests()) == 1


async def refused(azure: Azure) -> int:
    return sum(1 for each in await azure.requests() if each["status"] == 429)


class TestSmallBuckets:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(reads=(100.0, 5.0))

    async def test_a_bucket_smaller_than_documented_is_found_out_in_time(self, azure: Azure, cloud: Cloud) -> None:
        """Only the first look can overshoot; the headers tell the rest."""
        await azure.seed_accounts("aoai")
        for _ in range(300):
            await cloud.read(azure.account())
        assert await refused(azure) == 0
