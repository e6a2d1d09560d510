"""One leader: electors over a strict API server, in time that jumps. What goes wrong goes wrong for one client only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random

import kubernetes_validate
import pytest

from reconciler.model.finding import Fault as KubeFault
from reconciler.model.wire import JsonObject
from reconciler.runtime.journal import ConfigMapStore
from reconciler.runtime.kube import Kube, Resource
from reconciler.runtime.lease import Elector, Terms
from tests.support.kubernetes import CONFIG_MAPS, LEASES, NAMESPACE, ApiServer, Document, Fault, served
from tests.support.standing import NAME, Electorate
from tests.support.virtual_time import LoopClock

pytestmark = pytest.mark.virtual_time

TERMS = Terms()
JOURNAL = "journal"
# A rival has seen the last renewal at the latest one look later, and looks again at the latest one look after the end.
TAKEOVER = TERMS.duration + 2 * TERMS.retry


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[Electorate]:
    async with served(ApiServer()) as server:
        electorate = Electorate(server, tmp_path, TERMS)
        async with electorate.group:
            yield electorate
            for replica in electorate.replicas.values():
                await replica.stop()
        electorate.check()


async def test_the_first_one_leads_at_once_and_the_second_stands_by(nodes: Electorate) -> None:
    await nodes.start("a")
    assert await nodes.led_by("a", within=0.5) < 0.5
    second = await nodes.start("b")
    await asyncio.sleep(120)
    assert {mark.who for mark in nodes.marks} == {"a"}
    assert second.elector.holder == "a"
    assert second.elector.look().told == f"the lease {second.elector.name} is held by a"
    assert second.elector.remaining() == 0
    lease = nodes.find()
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 0
    assert lease["spec"]["leaseDurationSeconds"] == 15


async def test_a_clean_stop_hands_over_within_two_seconds(nodes: Electorate) -> None:
    first = await nodes.start("a")
    await nodes.start("b")
    await nodes.led_by("a", within=1)
    await asyncio.sleep(30)
    first.unwinding = 0.0
    await first.stop()
    lease = nodes.find()
    assert lease is not None
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseDurationSeconds"]) == ("", 1)
    assert await nodes.led_by("b", within=2) <= 2
    assert nodes.replicas["b"].elector.term == 1


async def test_the_lease_is_given_back_only_when_the_work_has_ended(nodes: Electorate) -> None:
    first = await nodes.start("a")
    await nodes.led_by("a", within=1)
    ended = asyncio.Event()

    async def request_under_way() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            lease = nodes.find()
            assert lease is not None
            assert lease["spec"]["holderIdentity"] == "a"
            ended.set()

    first._write = request_under_way  # type: ignore[method-assign]
    await asyncio.sleep(1)
    first.log.append("next")  # ends the writing; the next round is the request
    await asyncio.sleep(1)
    await first.stop()
    assert ended.is_set()
    lease = nodes.find()
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""


async def test_work_that_crashes_gives_the_lease_back(nodes: Electorate) -> None:
    first = await nodes.start("a")
    await nodes.start("b")
    await nodes.led_by("a", within=1)
    first.crash.set()
    assert await nodes.led_by("b", within=2) <= 2
    assert first.log == ["", "crashed"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("abort"),
        Fault("hang"),
        Fault("status", 500),
        Fault("status", 503),
        Fault("status", 429, retry_after=30),
        Fault("status", 403),
        Fault("slow", seconds=6.0),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
async def test_a_leader_that_cannot_renew_ends_before_another_begins(nodes: Electorate, fault: Fault) -> None:
    first = await nodes.start("a")
    await nodes.start("b")
    await nodes.led_by("a", within=1)
    await asyncio.sleep(30)
    nodes.server.faults["a"] = fault
    assert await nodes.led_by("b", within=TAKEOVER) <= TAKEOVER
    last = max(mark.at for mark in nodes.marks if mark.who == "a")
    begun = min(mark.at for mark in nodes.marks if mark.who == "b")
    # The rest of the lease is for requests that had left.
    assert begun - last >= TERMS.duration - TERMS.deadline
    assert first.log[-1].startswith(f"the lease {NAMESPACE}/{NAME} could not be renewed in time: ")


async def test_renewals_that_arrive_but_are_not_answered_end_a_term_too(nodes: Electorate) -> None:
    await nodes.start("a")
    await nodes.start("b")
    await nodes.led_by("a", within=1)
    nodes.server.faults["a"] = Fault("lost")
    # The last one to arrive may be one that was sent just before the end.
    assert await nodes.led_by("b", within=TERMS.deadline + TAKEOVER) <= TERMS.deadline + TAKEOVER


async def test_what_is_wrong_for_a_while_is_lived_through(nodes: Electorate) -> None:
    first = await nodes.start("a")
    await nodes.start("b")
    await nodes.led_by("a", within=1)
    for fault in (Fault("hang"), Fault("abort"), Fault("status", 500), Fault("lost"), Fault("slow", seconds=1.0)):
        nodes.server.faults["a"] = fault
        await asyncio.sleep(3.0)
        del nodes.server.faults["a"]
        await asyncio.sleep(10)
    assert {mark.who for mark in nodes.marks} == {"a"}
    assert first.log == [""]


async def test_an_api_server_that_is_down_for_a_while_costs_a_term_and_no_more(tmp_path: Path) -> None:
    server = ApiServer()
    nodes = Electorate(server, tmp_path, TERMS)
    async with nodes.group:
        async with served(server):
            port = int(server.url.rpartition(":")[2])
            await nodes.start("a")
            await nodes.start("b")
            await nodes.led_by("a", within=1)
            await asyncio.sleep(10)
        down = asyncio.get_running_loop().time()
        await asyncio.sleep(60)
        assert max(mark.at for mark in nodes.marks) <= down + TERMS.deadline
        async with served(server, port):
            # Whoever led last knows the lease to be its own; a rival has to wait and see.
            assert await nodes.led_by("a", "b", within=TERMS.retry) <= TERMS.retry
            await asyncio.sleep(30)
            for replica in nodes.replicas.values():
                await replica.stop()
    nodes.check()


async def test_wall_clocks_decide_nothing(nodes: Electorate) -> None:
    """Each of them an hour or a year off: by timestamps every lease would have run out, or none ever would."""
    first = await nodes.start("a", skew=-365 * 24 * 3600.0)
    await nodes.start("b", skew=3600.0)
    await nodes.start("c", skew=-3600.0)
    await nodes.led_by("a", within=1)
    await asyncio.sleep(120)
    assert {mark.who for mark in nodes.marks} == {"a"}
    nodes.server.faults["a"] = Fault("abort")
    assert await nodes.led_by("b", "c", within=TAKEOVER) <= TAKEOVER
    assert first.elector.remaining() == 0


async def test_a_clock_that_stands_still_still_renews(nodes: Electorate, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await nodes.start("a")
    await nodes.start("b")
    monkeypatch.setattr(first.elector._clock, "now", lambda: 1.8e9)
    await asyncio.sleep(60)
    assert {mark.who for mark in nodes.marks} == {"a"}
    lease = nodes.find()
    assert lease is not None
    assert lease["spec"]["renewTime"].startswith("2027-01-15T08:00:00.00000")


async def test_who_leads_since_when_and_by_which_term_is_there_for_everybody_to_see(nodes: Electorate) -> None:
    first, second = await nodes.start("a"), await nodes.start("b")
    await nodes.led_by("a", within=1)
    await asyncio.sleep(60)
    for replica in (first, second):
        seen = replica.elector.look()
        assert (seen.name, seen.identity, seen.holder) == (f"{NAMESPACE}/{NAME}", replica.name, "a")
        assert (seen.term, seen.why) == (0, "is held by a")
        assert seen.renewed_at is not None
        assert 0 <= replica.elector._clock.now() - seen.renewed_at <= 2 * TERMS.retry
        assert seen.silence <= 2 * TERMS.retry < seen.patience


async def test_before_anybody_has_looked_nobody_is_known_to_lead(tmp_path: Path) -> None:
    async with served(ApiServer()) as server:
        nodes = Electorate(server, tmp_path, TERMS)
        async with nodes.kube("a") as kube:
            elector = Elector(kube, NAME, identity="a", terms=TERMS, clock=LoopClock(1.8e9), chance=Random(1))
            assert (elector.look().holder, elector.look().term, elector.look().renewed_at) == ("", None, None)


async def test_what_is_wrong_with_the_lease_is_there_to_see_and_no_sign_of_death(nodes: Electorate) -> None:
    first = await nodes.start("a")
    await nodes.led_by("a", within=1)
    nodes.server.faults["a"] = Fault("hang")
    for _ in range(120):
        await asyncio.sleep(1)
        assert first.elector.look().silence < first.elector.look().patience
    assert "no answer within" in first.elector.look().why


async def test_a_keeper_that_does_not_come_round_is_silent_for_as_long(nodes: Electorate) -> None:
    """Its request never ends, although it was to."""
    first = await nodes.start("a")
    await nodes.led_by("a", within=1)
    first.elector._kube.replace = lambda *_: asyncio.Event().wait()  # type: ignore[method-assign, assignment]
    await asyncio.sleep(60)
    assert first.elector.look().silence > first.elector.look().patience
    del first.elector._kube.replace


async def test_work_that_takes_long_to_end_is_not_taken_for_a_dead_keeper(nodes: Electorate) -> None:
    first = await nodes.start("a")
    first.unwinding = 120.0
    await nodes.led_by("a", within=1)
    nodes.server.faults["a"] = Fault("abort")
    await asyncio.sleep(60)
    assert first.log[-1] != ""
    assert first.elector.look().silence == 0


async def test_a_rotated_token_is_read_anew(nodes: Electorate) -> None:
    first = await nodes.start("a")
    await nodes.start("b")
    await nodes.led_by("a", within=1)
    for _ in range(5):
        nodes.server.rotate("a")
        await asyncio.sleep(30)
    assert first.log == [""]
    assert {seen.status for seen in nodes.server.seen} <= {200, 201, 404, 409}


async def test_a_token_that_is_no_good_any_more_ends_a_term(nodes: Electorate) -> None:
    first = await nodes.start("a")
    await nodes.start("b")
    await nodes.led_by("a", within=1)
    (nodes.folder / "a" / "token").write_text("forged")
    assert await nodes.led_by("b", within=TAKEOVER) <= TAKEOVER
    assert first.log[-1].endswith("Unauthorized: Unauthorized")


async def test_a_lease_that_somebody_deletes_leads_to_no_second_leader(nodes: Electorate) -> None:
    await nodes.start("a")
    await nodes.start("b")
    await nodes.led_by("a", within=1)
    await asyncio.sleep(10)
    for _ in range(20):
        nodes.server.remove(LEASES, NAME)
        await asyncio.sleep(7.3)
    assert {mark.who for mark in nodes.marks} == {"a"}


async def test_a_lease_that_is_taken_by_hand_is_believed(nodes: Electorate) -> None:
    def take(lease: Document) -> None:
        lease["spec"]["holderIdentity"] = "somebody"

    first = await nodes.start("a")
    await nodes.led_by("a", within=1)
    nodes.server.put(LEASES, NAME, take)
    await asyncio.sleep(TERMS.retry + 0.1)
    assert first.log == ["", f"the lease {NAMESPACE}/{NAME} is held by somebody now"]
    assert await nodes.led_by("a", within=TAKEOVER) <= TAKEOVER


async def test_nothing_of_an_old_term_goes_on_in_a_new_one(nodes: Electorate) -> None:
    """A pass that takes long to unwind holds up only its own process, and only from leading again."""
    first = await nodes.start("a")
    first.unwinding = 100.0
    await nodes.led_by("a", within=1)
    nodes.server.faults["a"] = Fault("abort")
    await asyncio.sleep(20)
    del nodes.server.faults["a"]
    await asyncio.sleep(60)
    assert first.log[1:] == [first.log[1]]
    await asyncio.sleep(60)
    assert first.log[2:] == [""]


async def test_a_lease_that_says_nonsense_is_taken_over(nodes: Electorate) -> None:
    first = await nodes.start("a")
    await nodes.led_by("a", within=1)
    await first.stop()
    nodes.server.put(LEASES, NAME, lambda lease: lease.update(spec={"holderIdentity": "ghost"}))
    await nodes.start("b")
    assert await nodes.led_by("b", within=TAKEOVER) >= TERMS.duration


async def test_a_rival_s_longer_lease_is_respected(nodes: Electorate) -> None:
    first = await nodes.start("a")
    await nodes.led_by("a", within=1)
    await first.stop()
    spec = {"holderIdentity": "patient", "leaseDurationSeconds": 60}
    nodes.server.put(LEASES, NAME, lambda lease: lease.update(spec=spec))
    await nodes.start("b")
    assert await nodes.led_by("b", within=60 + 2 * TERMS.retry) >= 60


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_goes_wrong_for_whomever_there_is_never_a_second_one(nodes: Electorate, seed: int) -> None:
    chance = Random(seed)
    names = ["a", "b", "c"]
    for name in names:
        await nodes.start(name, skew=chance.uniform(-1e6, 1e6))
    kinds = [Fault("abort"), Fault("hang"), Fault("lost"), Fault("status", 500), Fault("slow", seconds=3.0)]
    await nodes.led_by(*names, within=1)
    for _ in range(25):
        # Above all for whoever leads.
        name = chance.choice([*names, nodes.marks[-1].who, nodes.marks[-1].who])
        match chance.randrange(6):
            case 0 | 1 | 2:
                nodes.server.faults[name] = chance.choice(kinds)
            case 3:
                nodes.server.faults.pop(name, None)
            case 4:
                nodes.server.rotate(name)
            case 5:
                nodes.replicas[name].unwinding = chance.choice([0.0, 1.0, 20.0])
        await asyncio.sleep(chance.expovariate(1 / 8.0))
    nodes.server.faults.clear()
    await nodes.led_by(*names, within=TAKEOVER + 20.0)
    assert len({mark.term for mark in nodes.marks}) > 1


async def test_what_is_sent_is_a_lease_by_the_schemas_of_kubernetes(nodes: Electorate) -> None:
    first = await nodes.start("a")
    await nodes.led_by("a", within=1)
    await asyncio.sleep(5)
    await first.stop()
    sent = [seen.body for seen in nodes.server.seen if seen.body is not None]
    assert [body["spec"]["holderIdentity"] for body in (sent[0], sent[-1])] == ["a", ""]
    for body in sent:
        kubernetes_validate.validate(body, "1.32", strict=True)


def test_terms_leave_room_for_each_other() -> None:
    assert Terms(duration=2, deadline=1.2, retry=0.3).retry == 0.3
    for wrong in ((10, 10, 2), (15, 2, 2), (15, 10, 0)):
        with pytest.raises(ValueError, match=r"^a lease lasts longer than its deadline, and that longer than 1.2 retr"):
            Terms(duration=wrong[0], deadline=wrong[1], retry=wrong[2])
    with pytest.raises(ValueError, match=r"^a lease lasts whole seconds and at least one, not 1.5 s$"):
        Terms(duration=1.5, deadline=1.0, retry=0.2)


# -- the journal, which whoever leads writes


async def test_a_leader_writes_its_journal_over_what_somebody_else_did_to_it(nodes: Electorate) -> None:
    replica = await nodes.start("a")
    await nodes.led_by("a", within=1)
    async with nodes.kube("journal-of-a") as kube:
        store = ConfigMapStore(kube, JOURNAL, replica.elector)
        assert await store.save("one") == ""
        nodes.server.put(CONFIG_MAPS, JOURNAL, lambda body: body.update(data={"journal.json": "edited"}))
        assert await store.save("two") == ""
        nodes.server.remove(CONFIG_MAPS, JOURNAL)
        assert await store.save("three") == ""
        assert await store.load() == "three"


class Stopped:
    """An API server's client in a process that stands still before it reads, for as long as `meanwhile` takes."""

    def __init__(self, kube: Kube, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self.create, self.replace = kube.create, kube.replace
        self._kube, self._meanwhile = kube, meanwhile

    async def get(self, resource: Resource, name: str) -> JsonObject | KubeFault:
        await self._meanwhile()
        return await self._kube.get(resource, name)


@pytest.mark.parametrize("returns", [False, True])
async def test_a_process_that_stood_still_within_a_conflict_leaves_its_successor_s_journal(
    nodes: Electorate, returns: bool
) -> None:
    first = await nodes.start("a")
    await nodes.led_by("a", within=1)
    async with nodes.kube("journal-of-a") as mine, nodes.kube("journal-of-b") as theirs:

        async def lose() -> None:
            nodes.server.faults["a"] = Fault("abort")
            second = await nodes.start("b")
            await nodes.led_by("b", within=TAKEOVER)
            successor = ConfigMapStore(theirs, JOURNAL, second.elector)
            await successor.load()
            assert await successor.save("b's") == ""
            if returns:
                del nodes.server.faults["a"]
                await second.stop()
                await nodes.led_by("a", within=TAKEOVER)

        store = ConfigMapStore(Stopped(mine, lose), JOURNAL, first.elector)  # type: ignore[arg-type]
        assert await store.save("a's") == ""
        nodes.server.put(CONFIG_MAPS, JOURNAL, lambda body: body.update(data={"journal.json": "edited"}))
        assert await store.save("a's, late") == "somebody else has written it, and leads by now"
        found = nodes.server.find(CONFIG_MAPS, JOURNAL)
        assert found is not None
        assert found["data"] == {"journal.json": "b's"}
