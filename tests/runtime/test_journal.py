"""The one text that outlives a process: there as a whole or not at all, in a file or in a ConfigMap."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.ports import Alone, Lease
from reconciler.model.wire import JsonObject
from reconciler.runtime.journal import ConfigMapStore, FileStore, NoStore


async def test_a_file_that_was_never_written_holds_nothing_and_then_what_was_saved(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "deep" / "journal.json")
    assert await store.load() == ""
    assert await store.save("eins") == ""
    assert await store.save("zwei ü") == ""
    assert await store.load() == "zwei ü"
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["journal.json"]


async def test_a_file_that_cannot_be_read_or_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "journal.json").write_bytes(b"\xff\xfe")
    found = await FileStore(tmp_path / "journal.json").load()
    assert isinstance(found, Fault)
    assert found.code == "journal_unreadable"
    assert "journal.json" in found.message
    why = await FileStore(tmp_path / "journal.json" / "below").save("x")
    assert "Not a directory" in why or "File exists" in why


async def test_a_process_that_is_killed_while_it_writes_leaves_the_former_text_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    script = textwrap.dedent(
        f"""
        import asyncio, pathlib
        from reconciler.runtime.journal import FileStore
        async def main():
            store = FileStore(pathlib.Path({str(path)!r}))
            for number in range(10 ** 9):
                await store.save(str(number % 10) * 200_000)
        asyncio.run(main())
        """
    )
    for pause in (0.05, 0.11, 0.17):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
        while not path.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.02)
        await asyncio.sleep(pause)
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        text = path.read_text(encoding="utf-8")
        assert len(text) == 200_000
        assert len(set(text)) == 1


def test_what_a_killed_process_left_beside_the_journal_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "journal.json").write_text("whole")
    (tmp_path / ".journal.json.4711").write_text("hal")
    (tmp_path / ".journal.yaml.4711").write_text("somebody else's")
    assert asyncio.run(FileStore(tmp_path / "journal.json").load()) == "whole"
    assert sorted(each.name for each in tmp_path.iterdir()) == [".journal.yaml.4711", "journal.json"]


async def test_nowhere_keeps_nothing() -> None:
    store = NoStore()
    assert await store.save("x") == ""
    assert await store.load() == ""


@dataclass
class Cluster:
    """As much of an API server as a ConfigMap needs, its versions included."""

    namespace: str = "ai"
    held: JsonObject | None = None
    version: int = 0
    faults: list[Fault] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)

    async def get(self, _resource: object, name: str) -> JsonObject | Fault:
        self.verbs.append("get")
        if self.faults:
            return self.faults.pop(0)
        return self.held or Fault(cls=FaultClass.ABSENT, code="NotFound", message=f"{name} not found")

    async def create(self, _resource: object, body: JsonObject) -> JsonObject | Fault:
        self.verbs.append("create")
        if self.held:
            return Fault(cls=FaultClass.CONFLICT, code="AlreadyExists", message="it is there")
        return self.keep(body)

    async def replace(self, _resource: object, _name: str, body: JsonObject) -> JsonObject | Fault:
        self.verbs.append("replace")
        if self.held is None:
            return Fault(cls=FaultClass.ABSENT, code="NotFound", message="gone")
        metadata = body["metadata"]
        assert isinstance(metadata, dict)
        if metadata["resourceVersion"] != str(self.version):
            return Fault(cls=FaultClass.CONFLICT, code="Conflict", message="it moved")
        return self.keep(body)

    def keep(self, body: JsonObject) -> JsonObject:
        self.version += 1
        metadata = body["metadata"]
        assert isinstance(metadata, dict)
        self.held = {**body, "metadata": {**metadata, "resourceVersion": str(self.version)}}
        return self.held


def store_of(cluster: Cluster, lease: Lease = Alone()) -> ConfigMapStore:  # noqa: B008 - it never changes
    return ConfigMapStore(cluster, "journal", lease)  # type: ignore[arg-type]


async def test_a_config_map_is_made_and_then_replaced() -> None:
    cluster = Cluster()
    store = store_of(cluster)
    assert await store.load() == ""
    assert await store.save("one") == ""
    assert await store.save("two") == ""
    assert cluster.verbs == ["get", "create", "replace"]
    assert await store_of(cluster).load() == "two"
    assert cluster.held is not None
    assert cluster.held["kind"] == "ConfigMap"


async def test_what_a_former_leader_wrote_meanwhile_is_replaced() -> None:
    cluster = Cluster()
    mine, other = store_of(cluster), store_of(cluster)
    await mine.save("one")
    await other.load()
    await other.save("two")
    assert await mine.save("three") == ""
    assert await other.load() == "three"


class Lost(Alone):
    def remaining(self) -> float:
        return 0.0


async def test_what_a_successor_wrote_is_left_alone_by_whoever_has_lost_the_lease_meanwhile() -> None:
    """Its write had left in time, or it was stopped right after it: the answer is a conflict either way."""
    cluster = Cluster()
    former, successor = store_of(cluster, Lost()), store_of(cluster)
    await former.save("one")
    await successor.load()
    await successor.save("two")
    assert await former.save("one and a half") == "somebody else has written it, and leads by now"
    assert await successor.load() == "two"


async def test_one_that_somebody_deleted_is_made_again() -> None:
    cluster = Cluster()
    store = store_of(cluster)
    await store.save("one")
    cluster.held = None
    assert await store.save("two") == ""
    assert await store.load() == "two"


async def test_one_that_was_there_before_anybody_read_it_is_replaced() -> None:
    cluster = Cluster()
    await store_of(cluster).save("one")
    assert await store_of(cluster).save("two") == ""


async def test_a_cluster_that_says_no_is_told() -> None:
    forbidden = Fault(cls=FaultClass.FORBIDDEN, code="Forbidden", message="no")
    cluster = Cluster(faults=[forbidden])
    assert await store_of(cluster).load() == forbidden
    await store_of(cluster).save("one")
    cluster.faults = [forbidden]
    store = store_of(cluster)
    assert await store.save("two") == "Forbidden: no"


@pytest.mark.parametrize("data", [None, {}, {"journal.json": 7}, {"other": "x"}])
async def test_a_config_map_without_a_journal_holds_none(data: object) -> None:
    cluster = Cluster(held={"metadata": {"resourceVersion": "1"}, "data": data}, version=1)  # type: ignore[dict-item]
    assert await store_of(cluster).load() == ""
