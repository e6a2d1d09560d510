"""One writes at a time: `once` takes the lease that is configured, and says whose it is where it is not to be had."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.fleets import account, reconcile_bare, write_fleet
from tests.support.kubernetes import LEASES, ApiServer, Document, served_apart
from tests.support.simulated import Azure, Finished, reconcile

TERMS = {"RECONCILER_LEASE_DURATION": "2", "RECONCILER_LEASE_DEADLINE": "1.2", "RECONCILER_LEASE_RETRY": "0.3"}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with served_apart(ApiServer()) as started:
        yield started


def in_cluster(server: ApiServer, folder: Path) -> dict[str, str]:
    place = folder / "account"
    return {
        **server.client("pod", place),
        "RECONCILER_SERVICE_ACCOUNT": str(place),
        "RECONCILER_LEASE": "kubernetes",
    }


def once(live: Azure, environment: dict[str, str], *words: str) -> Finished:
    return reconcile(live, "once", *words, environment=environment)


def test_two_on_one_machine_do_not_meet(live: Azure, tmp_path: Path) -> None:
    home, lock = write_fleet(tmp_path, "locked", account("aoai-locked")), tmp_path / "lock"
    words = ("--yes", "--lease", "file", "--lease-file", str(lock), home)
    live.forget_requests()
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("somewhere_1f2e3d4c, process 7\n")
        held.flush()
        done = once(live, {}, *words)
        assert done.code == 4
        assert f"Waiting for the lease {lock}, which is held by somewhere_1f2e3d4c, process 7.\n" in done.err
        refused = f"the lease {lock} is held by somewhere_1f2e3d4c, process 7; nothing was written\n"
        assert done.err.endswith(f"reconciler once: {refused}")
        assert live.requests() == []
        # A plan alone writes nothing, so it waits for nobody.
        assert once(live, {}, "--dry-run", *words[1:]).code == 2
    done = once(live, {}, *words)
    assert (done.code, "Waiting" in done.err) == (0, False), done.err


def test_once_takes_the_lease_of_the_cluster_and_gives_it_back(live: Azure, server: ApiServer, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "leased", account("aoai-leased"))
    environment = {**in_cluster(server, tmp_path), "RECONCILER_LEASE_IDENTITY": "pipeline"}
    done = once(live, environment, "--yes", home)
    assert done.code == 0, done.err
    lease = server.find(LEASES, "reconciler")
    assert lease is not None
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("", 0)
    held = [seen.body["spec"]["holderIdentity"] for seen in server.seen if seen.verb in ("POST", "PUT") and seen.body]
    assert held[0].startswith("pipeline_")
    assert held[-1] == ""


def test_once_does_not_write_beside_a_daemon(live: Azure, server: ApiServer, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "beside", account("aoai-beside"))
    environment = {**in_cluster(server, tmp_path), **TERMS}
    assert once(live, environment, "--yes", write_fleet(tmp_path, "before", account("aoai-before"))).code == 0
    over, count = threading.Event(), iter(range(1_000_000))

    def renew(lease: Document) -> None:
        lease["spec"] |= {"holderIdentity": "pod-a", "renewTime": f"2026-11-28T15:00:00.{next(count):06}Z"}

    def keep() -> None:
        while not over.wait(0.2):
            server.put(LEASES, "reconciler", renew)

    keeper = threading.Thread(target=keep)
    keeper.start()
    time.sleep(0.5)
    live.forget_requests()
    try:
        done = once(live, environment, "--yes", home)
    finally:
        over.set()
        keeper.join()
    assert done.code == 4
    assert done.err.endswith("the lease reconciler/reconciler is held by pod-a; nothing was written\n")
    assert live.requests() == []
    # What is left behind is taken over.
    assert once(live, environment, "--yes", home).code == 0


def test_a_lease_that_cannot_be_asked_for_is_told_with_the_reason(
    live: Azure, server: ApiServer, tmp_path: Path
) -> None:
    home = write_fleet(tmp_path, "denied", account("aoai-denied"))
    environment = {**in_cluster(server, tmp_path), **TERMS}
    (tmp_path / "account" / "token").write_text("forged")
    done = once(live, environment, "--yes", home)
    assert done.code == 4
    assert done.err.endswith(
        "the lease reconciler/reconciler cannot be had: Unauthorized: Unauthorized; nothing was written\n"
    )


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"RECONCILER_LEASE": "file"}, "lease is file, but leaseFile names none; add --lease-file FILE"),
        (
            {"RECONCILER_LEASE": "kubernetes"},
            "this is no pod of a Kubernetes cluster: KUBERNETES_SERVICE_HOST is not set",
        ),
        (
            {"RECONCILER_LEASE_DURATION": "10"},
            "a lease lasts longer than its deadline, and that longer than 1.2 retries, not 10 s, 10 s, 2 s",
        ),
        ({"RECONCILER_LEASE": "maybe"}, "one of off, kubernetes, file"),
        ({"RECONCILER_LEASE_NAME": "Mine"}, "a name of Kubernetes has lower-case letters, digits, - and . only"),
    ],
)
def test_a_lease_that_makes_no_sense_is_refused_before_anything_else(
    tmp_path: Path, environment: dict[str, str], words: str
) -> None:
    home = write_fleet(tmp_path, "wrong", account("aoai-wrong"))
    for command in (("once", "--yes"), ("run",)):
        done = reconcile_bare(
            *command, home, environment={"AZURE_SUBSCRIPTION_ID": "s", "AZURE_TENANT_ID": "t", **environment}
        )
        assert done.code == 64, done.err
        assert words in done.err


def test_a_lock_that_cannot_be_opened_is_an_error(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "nowhere", account("aoai-nowhere"))
    done = once(live, {}, "--yes", "--lease", "file", "--lease-file", str(tmp_path / "no" / "lock"), home)
    assert done.code == 1
    assert "No such file or directory" in done.err
