"""Replicas and one long converge: whatever becomes of the one that leads, another goes on and never beside it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.runtime.lease import Terms
from tests.support.kubernetes import ApiServer, Fault, served_apart
from tests.support.replicas import Replicas, replicas, told
from tests.support.simulated import azure

pytestmark = pytest.mark.e2e

FLEET = """
apiVersion: reconciler/v1
kind: Fleet
metadata: {name: pair}
spec:
  subscription: ${AZURE_SUBSCRIPTION_ID}
  tenant: ${AZURE_TENANT_ID}
  credential: {type: clientSecret, clientId: "${AZURE_CLIENT_ID}", secretVariable: AZURE_CLIENT_SECRET}
  resourceGroup: rg-pair
---
apiVersion: reconciler/v1
kind: ResourceGroup
metadata: {name: rg-pair}
spec: {location: swedencentral}
"""

ACCOUNT = """---
apiVersion: reconciler/v1
kind: Account
metadata: {{name: pair-{number:02}}}
spec:
  location: {location}
  customSubDomainName: pair-{number:02}
  disableLocalAuth: true
  publicNetworkAccess: Enabled
  networkAcls: {{defaultAction: Deny, ipRules: [203.0.113.{number}]}}
  deployments:
"""

DEPLOYMENT = """\
    - name: mini-{number:02}
      model: {{name: gpt-4o-mini, version: 2024-07-18}}
      sku: {{name: GlobalStandard, capacity: 1}}
"""

ACCOUNTS = 4
DEPLOYMENTS = 24
FEWER_DEPLOYMENTS = 9
PACE = 60.0
TERMS = Terms(duration=3.0, deadline=2.0, retry=0.4)
# What is said in docs/daemon.md, and a little for a machine that has other things to do.
TAKEOVER = TERMS.duration + 2 * TERMS.retry + 1.0
HANDOVER = 2.0


@pytest.fixture
def deployments() -> int:
    """Of each account: they make the converge longer than what happens in it."""
    return DEPLOYMENTS


@pytest.fixture
def pair(tmp_path: Path, deployments: int) -> Iterator[Replicas]:
    locations = ("swedencentral", "eastus2", "francecentral", "australiaeast")
    accounts = (ACCOUNT.format(number=number, location=locations[number % 4]) for number in range(1, ACCOUNTS + 1))
    below = "".join(DEPLOYMENT.format(number=number) for number in range(1, deployments + 1))
    (tmp_path / "fleet.yaml").write_text(FLEET + "".join(account + below for account in accounts))
    with azure(tmp_path, PACE) as sim, served_apart(ApiServer()) as server:
        # Some requests outlive the lease that they were sent under.
        sim.control("PUT", "settings", {"account_create": [300.0, 300.0], "deployment_write": [30.0, 300.0]})
        with replicas(Replicas(sim, server, tmp_path, TERMS)) as started:
            yield started


def await_writing(pair: Replicas, who: str, within: float = 20.0) -> None:
    """Wait until `who` writes."""
    began = time.monotonic()
    while not any(sent.who == who and sent.at >= began for sent in pair.writes()):
        assert time.monotonic() < began + within, f"{who} leads and does not write"
        time.sleep(0.1)


def await_told(pair: Replicas, who: str, why: str, within: float = 20.0) -> None:
    """Wait until `who` says why it stands by, which it does when something rings."""
    end = time.monotonic() + within
    pair.signal(who, signal.SIGHUP)
    while not any(why in each["why"] for each in told(pair.log(who), "leader.awaited")):
        assert time.monotonic() < end, f"{who} does not say that the lease {why}"
        time.sleep(0.1)


def await_converged(pair: Replicas, deployments: int, within: float = 180.0) -> None:
    end = time.monotonic() + within
    while not _converged(pair, deployments):
        assert time.monotonic() < end, "it does not converge"
        time.sleep(0.5)


def _converged(pair: Replicas, deployments: int) -> bool:
    found = {id.lower(): body for id, body in pair.azure.resources().items() if "/pair-" in id.lower()}
    opened = [body for id, body in found.items() if id.count("/") == 8]
    return len(found) == ACCOUNTS * (1 + deployments) and all(
        body["properties"]["publicNetworkAccess"] == "Enabled"
        and body["properties"]["provisioningState"] == "Succeeded"
        for body in opened
    )


def test_whatever_becomes_of_a_leader_the_other_goes_on_and_never_beside_it(pair: Replicas) -> None:
    pair.start("a", skewed_by=2.0)
    pair.await_leader(within=15)
    pair.start("b", skewed_by=-30.0)
    pair.await_standing("b")

    def fails(fault: Callable[[str], None], within: float) -> str:
        leader = pair.leader()
        await_writing(pair, leader)
        fault(leader)
        pair.await_leader(but=leader, within=within)
        await_writing(pair, pair.leader())
        return leader

    killed = fails(lambda leader: pair.signal(leader, signal.SIGKILL), TAKEOVER)
    pair.running.pop(killed).wait(10)
    pair.start(killed)
    pair.await_standing(killed)

    def breaks(fault: Fault) -> Callable[[str], None]:
        return lambda leader: pair.kubernetes.faults.update({leader: fault})

    for fault in (Fault("abort"), Fault("hang"), Fault("status", 500), Fault("lost")):
        cut = fails(breaks(fault), TAKEOVER + (TERMS.deadline if fault.kind == "lost" else 0.0))
        assert "could not be renewed in time" in told(pair.log(cut), "lease.lost")[-1]["because"]
        pair.kubernetes.faults.clear()

    stopped = fails(lambda leader: pair.signal(leader, signal.SIGSTOP), TAKEOVER)
    pair.signal(stopped, signal.SIGCONT)
    time.sleep(1)

    for name in ("a", "b"):
        pair.kubernetes.rotate(name)
    leader = pair.leader()
    time.sleep(TERMS.duration)
    assert pair.leader() == leader
    await_writing(pair, leader)

    term = pair.term()
    pair.kubernetes.faults.update(a=Fault("status", 503), b=Fault("status", 503))
    time.sleep(TERMS.duration + 2)
    pair.kubernetes.faults.clear()
    pair.await_term(after=term, within=TAKEOVER)
    await_writing(pair, pair.leader())

    leader = pair.leader()
    assert pair.end(leader, signal.SIGTERM) == 0
    assert pair.leader() != leader  # it has given the lease back before it ended
    assert pair.await_leader(but=leader, within=HANDOVER) <= HANDOVER
    pair.start(leader)
    await_converged(pair, DEPLOYMENTS)
    _check_everything(pair, DEPLOYMENTS, "a", "b")


@pytest.mark.parametrize("deployments", [FEWER_DEPLOYMENTS])
def test_a_third_one_goes_on_while_the_second_hangs_and_no_clock_on_any_wall_matters(pair: Replicas) -> None:
    """Their wall clocks are hours off and jump within each lease, and so is that of the API server."""
    pair.kubernetes.skew = 7 * 3600.0
    for name, hours in (("a", 2.0), ("b", -30.0), ("c", 5.0)):
        pair.start(name, skewed_by=hours)
    pair.await_leader(within=15)
    for name in ("a", "b", "c"):
        pair.await_standing(name)
    leader = pair.leader()
    hanging, standing = sorted({"a", "b", "c"} - {leader})
    await_writing(pair, leader)
    await_told(pair, standing, f"is held by {leader}_")

    pair.signal(hanging, signal.SIGSTOP)
    pair.signal(leader, signal.SIGKILL)
    pair.await_leader(but=leader, within=TAKEOVER)
    assert pair.leader() == standing
    await_writing(pair, standing)
    pair.signal(hanging, signal.SIGCONT)
    pair.running.pop(leader).wait(10)
    pair.start(leader, skewed_by=-4.0)
    pair.await_standing(leader)

    pair.kubernetes.faults[standing] = Fault("hang")
    pair.signal(hanging, signal.SIGSTOP)
    pair.await_leader(but=standing, within=TAKEOVER)
    assert pair.leader() == leader
    pair.kubernetes.faults.clear()
    pair.signal(hanging, signal.SIGCONT)
    await_writing(pair, leader)

    pair.signal(leader, signal.SIGSTOP)
    pair.await_leader(but=leader, within=TAKEOVER)
    pair.signal(leader, signal.SIGCONT)
    await_converged(pair, FEWER_DEPLOYMENTS)
    _check_everything(pair, FEWER_DEPLOYMENTS, leader, standing)


def _check_everything(pair: Replicas, deployments: int, *writers: str) -> None:
    pair.check()
    writes = pair.writes()
    assert {sent.who for sent in writes} >= {*writers}
    bodies: dict[tuple[str, str], set[str]] = {}
    for sent in writes:
        bodies.setdefault((sent.method, sent.path), set()).add(sent.body)
    # The group; then each account closed, its deployments one after the other, the account opened.
    assert len(bodies) == 1 + ACCOUNTS * (2 + deployments)
    assert {len(each) for each in bodies.values()} == {1}, "a write was repeated with another body"
    states = {body["properties"].get("provisioningState") for body in pair.azure.resources().values()}
    assert states == {"Succeeded"}
    for name in pair.running:
        assert not told(pair.log(name), "cycle.crashed")
