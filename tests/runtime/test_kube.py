"""Three verbs on a Kubernetes API server: what an answer means, and that no silence lasts longer than it may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.wire import JsonObject
from reconciler.runtime.kube import Kube, Resource, find_place
from tests.support import kubernetes
from tests.support.kubernetes import NAMESPACE, ApiServer, served
from tests.support.virtual_time import passed

pytestmark = pytest.mark.virtual_time

JOURNAL: JsonObject = {"metadata": {"name": "journal"}, "data": {"open": "[]"}}


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with served(ApiServer()) as started:
        yield started


@pytest.fixture
async def kube(server: ApiServer, tmp_path: Path) -> AsyncIterator[Kube]:
    environment = server.client("pod", tmp_path)
    async with Kube.open(find_place(environment, str(tmp_path), "")) as opened:
        yield opened


def fault(answer: JsonObject | Fault) -> Fault:
    assert isinstance(answer, Fault)
    return answer


async def test_what_is_made_is_read_and_replaced(kube: Kube) -> None:
    made = await kube.create(Resource.CONFIG_MAPS, JOURNAL)
    assert not isinstance(made, Fault)
    assert await kube.get(Resource.CONFIG_MAPS, "journal") == made
    replaced = await kube.replace(Resource.CONFIG_MAPS, "journal", {**made, "data": {"open": "[1]"}})
    assert not isinstance(replaced, Fault)
    again = await kube.replace(Resource.CONFIG_MAPS, "journal", {**made, "data": {"open": "[2]"}})
    assert (fault(again).cls, fault(again).code, fault(again).status) == (FaultClass.CONFLICT, "Conflict", 409)


async def test_an_event_is_made(kube: Kube) -> None:
    body: JsonObject = {
        "metadata": {"generateName": "reconciler."},
        "eventTime": "2026-11-28T15:00:00.000000Z",
        "reportingController": "reconciler",
        "reportingInstance": "pod",
        "action": "Converge",
        "reason": "Drifted",
        "type": "Normal",
    }
    made = await kube.create(Resource.EVENTS, body)
    assert not isinstance(made, Fault)


async def test_every_refusal_is_a_fault_with_the_server_s_own_reason(kube: Kube, server: ApiServer) -> None:
    gone = fault(await kube.get(Resource.LEASES, "nothing"))
    assert (gone.cls, gone.code, gone.applied) == (FaultClass.ABSENT, "NotFound", False)
    wrong = fault(await kube.create(Resource.LEASES, {"metadata": {"name": "NO"}}))
    assert (wrong.cls, wrong.code) == (FaultClass.INVALID, "Invalid")
    for status, cls in ((500, FaultClass.TRANSIENT), (429, FaultClass.THROTTLED), (403, FaultClass.FORBIDDEN)):
        server.faults["pod"] = kubernetes.Fault("status", status, retry_after=3)
        refused = fault(await kube.get(Resource.LEASES, "nothing"))
        assert (refused.cls, refused.status, refused.retry_after) == (cls, status, 3.0)


async def test_a_silent_server_is_waited_for_as_long_as_was_said(kube: Kube, server: ApiServer) -> None:
    server.faults["pod"] = kubernetes.Fault("hang")
    silent = fault(await kube.get(Resource.LEASES, "nothing", seconds=3.0))
    assert (silent.cls, str(silent)) == (FaultClass.TRANSIENT, "no_answer: no answer within 3.0 s")
    assert passed() == pytest.approx(3.0, abs=0.5)


async def test_a_cut_connection_may_have_done_something_and_a_refused_one_has_not(
    kube: Kube, server: ApiServer
) -> None:
    server.faults["pod"] = kubernetes.Fault("abort")
    cut = fault(await kube.create(Resource.CONFIG_MAPS, JOURNAL))
    assert (cut.code, cut.applied) == ("no_connection", True)
    nowhere = find_place({"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "9"}, _folder(kube), "")
    async with Kube.open(nowhere) as lost:
        refused = fault(await lost.get(Resource.LEASES, "nothing"))
    assert (refused.code, refused.applied) == ("no_connection", False)


async def test_an_answer_that_is_no_object_is_a_fault(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiohttp import web

    monkeypatch.setattr(kubernetes, "_json", lambda status, body: web.Response(text="<html>", status=200))
    assert fault(await kube.get(Resource.LEASES, "nothing")).code == "unreadable_answer"


async def test_token_and_authority_are_read_anew(kube: Kube, server: ApiServer, tmp_path: Path) -> None:
    await kube.create(Resource.CONFIG_MAPS, JOURNAL)
    server.rotate("pod")
    assert not isinstance(await kube.get(Resource.CONFIG_MAPS, "journal"), Fault)
    (tmp_path / "token").unlink()
    unread = fault(await kube.get(Resource.CONFIG_MAPS, "journal"))
    assert (unread.cls, unread.applied) == (FaultClass.TRANSIENT, False)
    assert "No such file or directory" in unread.message


@pytest.mark.parametrize("token", [b"half\nof it", b"\xff\xfe", "schlüssel".encode("utf-16")])
async def test_a_token_that_cannot_be_sent_is_a_fault_and_is_not_told(kube: Kube, tmp_path: Path, token: bytes) -> None:
    (tmp_path / "token").write_bytes(token)
    found = fault(await kube.get(Resource.LEASES, "lease"))
    assert (found.cls, found.code, found.applied) == (FaultClass.TRANSIENT, "no_connection", False)
    assert "half" not in str(found)


async def test_an_authority_that_comes_to_the_file_later_is_believed(server: ApiServer, tmp_path: Path) -> None:
    environment = server.client("pod", tmp_path)
    right = (tmp_path / "ca.crt").read_bytes()
    ApiServer().authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    async with Kube.open(find_place(environment, str(tmp_path), "")) as kube:
        assert "certificate verify failed" in fault(await kube.get(Resource.LEASES, "nothing")).message
        (tmp_path / "ca.crt").write_bytes(right)
        assert fault(await kube.get(Resource.LEASES, "nothing")).code == "NotFound"


def test_where_the_cluster_is(tmp_path: Path) -> None:
    for name in ("ca.crt", "token"):
        (tmp_path / name).write_text("x")
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1"}
    place = find_place(environment, str(tmp_path), "elsewhere")
    assert (place.url, place.namespace) == ("https://[fd00::1]:443", "elsewhere")
    (tmp_path / "namespace").write_text("own\n")
    assert find_place(environment, str(tmp_path), "").namespace == "own"


def test_what_is_missing_off_the_cluster_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^this is no pod of a Kubernetes cluster: KUBERNETES_SERVICE_HOST is not se"):
        find_place({}, "", "")
    environment = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    with pytest.raises(ValueError, match=r"holds no ca.crt; is a service account mounted there\?$"):
        find_place(environment, str(tmp_path), "")
    for name in ("ca.crt", "token"):
        (tmp_path / name).write_text("x")
    with pytest.raises(ValueError, match=r"^no namespace is named, and .*/namespace: No such file or directory$"):
        find_place(environment, str(tmp_path), "")


def _folder(kube: Kube) -> str:
    return str(kube._place.folder)


async def test_nothing_is_asked_elsewhere_than_in_the_namespace(kube: Kube, server: ApiServer) -> None:
    await kube.create(Resource.CONFIG_MAPS, JOURNAL)
    assert kube.namespace == NAMESPACE
    assert server.find(kubernetes.CONFIG_MAPS, "journal") is not None
    assert [(seen.verb, seen.resource, seen.name) for seen in server.seen] == [("POST", "configmaps", "")]
