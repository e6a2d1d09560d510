"""The API server of the tests, asked by a client that nobody here wrote: what it refuses, and in which words."""

from __future__ import annotations

import itertools
import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightkube import ApiError, Client, KubeConfig
from lightkube.config.models import Cluster, Context, User
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import ConfigMap
from lightkube.types import PatchType

from tests.support.kubernetes import NAMESPACE, ApiServer, Document, Fault, served_apart

TIME = "2026-11-28T15:00:00.000000Z"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with served_apart(ApiServer(history=50)) as started:
        yield started


@pytest.fixture
def folder(server: ApiServer, tmp_path: Path) -> Path:
    server.client("tester", tmp_path)
    return tmp_path


@pytest.fixture
def client(server: ApiServer, folder: Path) -> Iterator[Client]:
    config = KubeConfig(
        clusters={"here": Cluster(server=server.url, certificate_auth=str(folder / "ca.crt"))},
        users={"tester": User(token=server.token("tester"))},
        contexts={"here": Context(cluster="here", user="tester", namespace=NAMESPACE)},
        current_context="here",
    )
    opened = Client(config=config, trust_env=False)
    yield opened
    opened.close()


_NAMES = itertools.count(1)


@pytest.fixture
def name() -> str:
    return f"thing-{next(_NAMES)}"


def ask(server: ApiServer, folder: Path, method: str, path: str, body: object = None) -> tuple[int, Document]:
    """What no client with types can be made to say."""
    request = urllib.request.Request(
        server.url + path,
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={"Authorization": f"Bearer {server.token('tester')}", "Content-Type": "application/json"},
    )
    try:
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        with urllib.request.urlopen(request, context=context, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
EVENTS = f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"
CONFIG_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"


def lease(name: str, **spec: Any) -> Lease:
    return Lease(metadata=ObjectMeta(name=name), spec=LeaseSpec(**spec))


def refusal(failed: pytest.ExceptionInfo[ApiError]) -> tuple[int | None, str | None]:
    return failed.value.status.code, failed.value.status.reason


def test_an_object_gets_what_only_the_server_gives(client: Client, name: str) -> None:
    made = client.create(lease(name, holderIdentity="a", leaseDurationSeconds=15))
    assert made.metadata is not None
    assert made.metadata.uid
    assert made.metadata.creationTimestamp
    assert client.get(Lease, name).metadata == made.metadata
    with pytest.raises(ApiError) as failed:
        client.create(lease(name))
    assert refusal(failed) == (409, "AlreadyExists")


def test_what_is_not_there_is_not_found(client: Client, name: str) -> None:
    with pytest.raises(ApiError) as failed:
        client.get(Lease, name)
    assert refusal(failed) == (404, "NotFound")
    assert failed.value.status.message == f'leases.coordination.k8s.io "{name}" not found'


def test_an_old_version_is_a_conflict_and_the_same_again_is_no_new_one(client: Client, name: str) -> None:
    first = client.create(lease(name, holderIdentity="a"))
    assert first.spec is not None
    same = client.replace(first)
    assert same.metadata == first.metadata
    first.spec.holderIdentity = "b"
    second = client.replace(first)
    assert first.metadata is not None
    assert second.metadata is not None
    assert int(second.metadata.resourceVersion or 0) > int(first.metadata.resourceVersion or 0)
    first.spec.holderIdentity = "c"
    with pytest.raises(ApiError) as failed:
        client.replace(first)
    assert refusal(failed) == (409, "Conflict")


def test_a_lease_is_never_replaced_without_saying_which(client: Client, name: str) -> None:
    client.create(lease(name, holderIdentity="a"))
    with pytest.raises(ApiError) as failed:
        client.replace(lease(name, holderIdentity="b"))
    assert refusal(failed) == (422, "Invalid")
    assert "must be specified for an update" in (failed.value.status.message or "")


def test_a_lease_that_is_not_there_is_made_by_replacing_it(client: Client, server: ApiServer, folder: Path) -> None:
    body = {"metadata": {"name": "made"}, "spec": {"holderIdentity": "a"}}
    assert ask(server, folder, "PUT", f"{LEASES}/made", body)[0] == 201
    body["metadata"]["uid"] = "another"
    assert ask(server, folder, "PUT", f"{LEASES}/made", body)[0] == 409
    assert ask(server, folder, "PUT", f"{CONFIG_MAPS}/never", {"data": {}})[0] == 404


@pytest.mark.parametrize(
    ("spec", "status", "words"),
    [
        ({"renewTime": "2026-11-28T15:00:00Z"}, 400, 'cannot parse "Z" as ".000000"'),
        ({"renewTime": "2026-11-28T15:00:00.123Z"}, 400, "cannot parse"),
        ({"acquireTime": "2026-11-28T15:00:00.123456"}, 400, "cannot parse"),
        ({"leaseDurationSeconds": 0}, 422, "must be greater than 0"),
        ({"leaseTransitions": -1}, 422, "must be greater than or equal to 0"),
        ({"leaseDurationSeconds": 1.5}, 400, "cannot unmarshal float"),
        ({"leaseDurationSeconds": "15"}, 400, "cannot unmarshal str"),
        ({"leaseDurationSecs": 15}, 400, 'unknown field "Lease.spec.leaseDurationSecs"'),
    ],
)
def test_what_a_lease_may_not_say(
    server: ApiServer, folder: Path, name: str, spec: Document, status: int, words: str
) -> None:
    found, body = ask(server, folder, "POST", LEASES, {"metadata": {"name": name}, "spec": spec})
    assert (found, body["kind"], body["code"]) == (status, "Status", status)
    assert words in body["message"]


def test_names_and_places_must_be_those_of_the_url(server: ApiServer, folder: Path) -> None:
    assert ask(server, folder, "PUT", f"{LEASES}/one", {"metadata": {"name": "two"}})[0] == 400
    assert ask(server, folder, "POST", LEASES, {"metadata": {"name": "x", "namespace": "elsewhere"}})[0] == 400
    assert ask(server, folder, "POST", LEASES, {"metadata": {"name": "X"}})[0] == 422
    assert ask(server, folder, "POST", LEASES, {"metadata": {"name": "x", "resourceVersion": "7"}})[0] == 400
    assert ask(server, folder, "POST", LEASES, {"kind": "ConfigMap", "metadata": {"name": "x"}})[0] == 400


def test_a_config_map_is_strings_and_not_too_many(client: Client, server: ApiServer, folder: Path, name: str) -> None:
    made = client.create(ConfigMap(metadata=ObjectMeta(name=name), data={"alerts": "{}"}))
    # Unlike a Lease it may be replaced whatever it is by now.
    replaced = client.replace(ConfigMap(metadata=ObjectMeta(name=name), data={"alerts": "[]"}))
    assert made.metadata is not None
    assert replaced.metadata is not None
    assert replaced.metadata.uid == made.metadata.uid
    body: Document = {"metadata": {"name": name}, "data": {"alerts": 3}}
    assert ask(server, folder, "PUT", f"{CONFIG_MAPS}/{name}", body)[0] == 400
    body["data"] = {"no such key": "x"}
    assert ask(server, folder, "PUT", f"{CONFIG_MAPS}/{name}", body)[0] == 422
    body["data"] = {"alerts": "x" * (1024 * 1024 + 1)}
    found, told = ask(server, folder, "PUT", f"{CONFIG_MAPS}/{name}", body)
    assert (found, "may not be more than 1048576 bytes" in told["message"]) == (422, True)


def event(name: str, **changes: object) -> Document:
    return {
        "metadata": {"name": name},
        "eventTime": TIME,
        "reportingController": "reconciler.io/daemon",
        "reportingInstance": "pod-a",
        "action": "Converge",
        "reason": "Drifted",
        "regarding": {"kind": "Pod", "namespace": NAMESPACE, "name": "pod-a"},
        "note": "Account/a: publicNetworkAccess",
        "type": "Warning",
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({}, 201, ""),
        ({"eventTime": "2026-11-28T15:00:00Z"}, 400, "cannot parse"),
        ({"eventTime": None}, 422, "eventTime"),
        ({"type": "Error"}, 422, "Normal"),
        ({"reason": ""}, 422, "reason"),
        ({"action": "x" * 129}, 422, "action"),
        ({"note": "x" * 1025}, 422, "at most 1024 characters"),
        ({"reportingController": "no name!"}, 422, "reportingController"),
        ({"regarding": {"kind": "Pod", "namespace": "elsewhere", "name": "p"}}, 422, "does not match"),
        ({"deprecatedCount": 3}, 422, "needs to be unset"),
        ({"series": {"count": 1, "lastObservedTime": TIME}}, 422, "at least 2"),
    ],
)
def test_what_an_event_must_say(
    server: ApiServer, folder: Path, name: str, changes: Document, status: int, words: str
) -> None:
    found, body = ask(server, folder, "POST", EVENTS, event(name, **changes))
    assert found == status
    assert words in body.get("message", "")


def test_of_an_event_only_the_series_changes(server: ApiServer, folder: Path, name: str) -> None:
    ask(server, folder, "POST", EVENTS, event(name))
    series = {"count": 2, "lastObservedTime": TIME}
    assert ask(server, folder, "PUT", f"{EVENTS}/{name}", event(name, series=series))[0] == 200
    found, body = ask(server, folder, "PUT", f"{EVENTS}/{name}", event(name, note="another"))
    assert (found, "note: Invalid value: field is immutable" in body["message"]) == (422, True)


def test_a_patch_merges_and_a_delete_asks_for_the_right_one(client: Client, name: str) -> None:
    client.create(lease(name, holderIdentity="a", leaseDurationSeconds=15))
    patched = client.patch(Lease, name, {"spec": {"holderIdentity": "b"}}, patch_type=PatchType.MERGE)
    assert patched.spec is not None
    assert (patched.spec.holderIdentity, patched.spec.leaseDurationSeconds) == ("b", 15)
    client.delete(Lease, name)
    assert name not in [each.metadata.name for each in client.list(Lease) if each.metadata]


def test_a_watch_tells_what_comes_after_what_was_seen(client: Client, name: str) -> None:
    first = client.create(lease(name, holderIdentity="a"))
    assert first.metadata is not None
    turns: list[tuple[str, str | None]] = []

    def watch() -> None:
        version = first.metadata.resourceVersion if first.metadata else None
        for turn, found in client.watch(Lease, fields={"metadata.name": name}, resource_version=version):
            turns.append((turn, found.spec.holderIdentity if found.spec else None))
            if turn == "DELETED":
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    client.patch(Lease, name, {"spec": {"holderIdentity": "b"}}, patch_type=PatchType.MERGE)
    client.delete(Lease, name)
    watcher.join(20)
    assert turns == [("MODIFIED", "b"), ("DELETED", "b")]


def test_a_watch_from_long_ago_has_expired(server: ApiServer, folder: Path, client: Client, name: str) -> None:
    client.create(lease(name))
    for number in range(server.history + 1):
        client.patch(Lease, name, {"spec": {"leaseTransitions": number}}, patch_type=PatchType.MERGE)
    path = f"{LEASES}?watch=1&resourceVersion=101&timeoutSeconds=1"
    _, body = ask(server, folder, "GET", path)
    assert (body["type"], body["object"]["reason"], body["object"]["code"]) == ("ERROR", "Expired", 410)


def test_a_quiet_watch_ends_with_a_bookmark(server: ApiServer, folder: Path) -> None:
    _, body = ask(server, folder, "GET", f"{LEASES}?watch=1&allowWatchBookmarks=true&timeoutSeconds=0.1")
    assert body["type"] == "BOOKMARK"
    assert body["object"]["metadata"]["resourceVersion"]


def test_a_token_that_was_rotated_away_is_unauthorized(client: Client, server: ApiServer, name: str) -> None:
    server.rotate("tester")
    with pytest.raises(ApiError) as failed:
        client.get(Lease, name)
    assert refusal(failed) == (401, "Unauthorized")


def test_faults_are_for_one_client_only(client: Client, server: ApiServer, folder: Path, name: str) -> None:
    client.create(lease(name))
    server.faults["tester"] = Fault("status", 503, retry_after=7)
    try:
        with pytest.raises(ApiError) as failed:
            client.get(Lease, name)
        assert refusal(failed) == (503, "InternalError")
        server.faults["tester"] = Fault("lost")
        with pytest.raises((OSError, urllib.error.URLError)):
            ask(server, folder, "DELETE", f"{LEASES}/{name}")
        server.client("other", folder / "other")
    finally:
        server.faults.clear()
    # What was asked has been done all the same.
    assert ask(server, folder, "GET", f"{LEASES}/{name}")[0] == 404


def test_a_role_grants_what_it_says_and_nothing_that_has_no_name(server: ApiServer, client: Client, name: str) -> None:
    rule: Document = {"apiGroups": [""], "resources": ["configmaps"]}
    granted = {**rule, "resourceNames": [name], "verbs": ["get", "update", "create", "list"]}
    server.roles["tester"] = [granted]
    try:
        with pytest.raises(ApiError, match=r"cannot create resource .configmaps. in API group .. in the namespace"):
            client.create(ConfigMap(metadata=ObjectMeta(name=name)))
        server.roles["tester"] = [granted, {**rule, "verbs": ["create"]}]
        created = client.create(ConfigMap(metadata=ObjectMeta(name=name)))
        assert client.get(ConfigMap, name=name).metadata == created.metadata
        client.replace(created)
        assert [each.metadata for each in client.list(ConfigMap, fields={"metadata.name": name})] == [created.metadata]
        for refused in (
            lambda: [*client.list(ConfigMap)],
            lambda: client.get(ConfigMap, name="another"),
            lambda: client.delete(ConfigMap, name=name),
            lambda: client.get(Lease, name=name),
        ):
            with pytest.raises(ApiError, match=r"is forbidden: User .system:serviceaccount:reconciler:tester. cannot"):
                refused()
    finally:
        del server.roles["tester"]
