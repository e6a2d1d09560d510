"""A desired state that breaks under the daemon: the rest goes on, nothing is deleted, and an alert says where it is."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs

from reconciler.daemon.library import Library
from reconciler.desired.tree import Tree
from reconciler.model.resource import Estate
from tests.daemon.running import sign_in
from tests.daemon.test_alerts import Watch, watching
from tests.daemon.test_loop import open_up, quiet
from tests.laws.stage import Document, Stage, account_document, account_id, deployment, fleet_document, group_document

pytestmark = pytest.mark.virtual_time

INVALID = "ReconcilerInvalidDesiredState"
NAMES = ("aoai-a", "aoai-b", "aoai-c")


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    with capture_logs():
        yield


def write(path: Path, *documents: Document) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")


def write_tree(home: Path) -> None:
    """A fleet that may delete whatever is not declared any more, with each account in a file of its own."""
    prune = {"accounts": True, "deployments": True, "raiPolicies": True}
    write(home / "fleet.yaml", fleet_document(prune=prune), group_document())
    for name in NAMES:
        write(home / "accounts" / f"{name}.yaml", account_document(name, deployments=[deployment("chat")]))


@asynccontextmanager
async def keeping(azure: Stage, home: Path) -> AsyncIterator[Watch]:
    """A daemon over the documents of a directory, read as `run` reads them."""
    write_tree(home)
    library = Library(look=Tree([home]).digest, read=lambda: sign_in(azure, azure._read(home)), clock=azure.clock)

    async def load() -> Estate:
        return await library.load()

    async with watching(azure, azure._read(home)) as watch:
        watch.daemon.source = load
        await watch.daemon.until(quiet)
        await azure.forget()
        yield watch


def place_of(home: Path, name: str = "aoai-b") -> Path:
    return home / "accounts" / f"{name}.yaml"


def break_syntax(home: Path) -> None:
    text = "apiVersion: reconciler/v1\nkind: Account\nmetadata: {name: aoai-b\nspec: [\n"
    place_of(home).write_text(text, encoding="utf-8")


def leave_conflict(home: Path) -> None:
    text = place_of(home).read_text(encoding="utf-8")
    place_of(home).write_text(f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> x\n", encoding="utf-8")


def misspell_kind(home: Path) -> None:
    write(place_of(home), {"apiVersion": "reconciler/v1", "kind": "Acount", "metadata": {"name": "aoai-b"}})


def misspell_field(home: Path) -> None:
    write(place_of(home), account_document("aoai-b", publicNetworkAcces="Disabled"))


def declare_twice(home: Path) -> None:
    write(place_of(home, "again"), account_document("aoai-b", deployments=[deployment("chat", 20)]))


def cut_short(home: Path) -> None:
    place_of(home).write_text("", encoding="utf-8")


def lead_nowhere(home: Path) -> None:
    place_of(home).unlink()
    place_of(home).symlink_to("nowhere.yaml")


def lead_directory_nowhere(home: Path) -> None:
    (home / "accounts").rename(home.parent / "accounts.old")
    (home / "accounts").symlink_to(home.parent / "accounts.new")


def lose_accounts(home: Path) -> None:
    (home / "accounts").rename(home.parent / "accounts.old")


def lose_fleet(home: Path) -> None:
    (home / "fleet.yaml").unlink()


def break_fleet(home: Path) -> None:
    (home / "fleet.yaml").write_text("kind: Fleet\n  x: [\n", encoding="utf-8")


def empty_tree(home: Path) -> None:
    home.rename(home.parent / "before")
    home.mkdir()


def lose_tree(home: Path) -> None:
    home.rename(home.parent / "before")


# How it breaks, what the alert says is wrong, and where, and which accounts are still put right.
WAYS: list[tuple[Callable[[Path], None], str, set[str]]] = [
    (break_syntax, "accounts/aoai-b.yaml:3:11: error: the { that opens here is not closed", {"aoai-a"}),
    (leave_conflict, "accounts/aoai-b.yaml:2:11: error: a second colon or a deeper key follows a value", {"aoai-a"}),
    (misspell_kind, "accounts/aoai-b.yaml:2:7: error: unknown kind Acount (did you mean Account?)", {"aoai-a"}),
    (misspell_field, "accounts/aoai-b.yaml:7:3: error: unknown field publicNetworkAcces in spec", {"aoai-a"}),
    (declare_twice, "accounts/aoai-b.yaml:4:9: error: Account/aoai-b is declared twice", {"aoai-a"}),
    (cut_short, "accounts/aoai-b.yaml:1:1: error: the file holds no document", set()),
    (lead_nowhere, "accounts/aoai-b.yaml:1:1: error: cannot read ", set()),
    (lead_directory_nowhere, "accounts:1:1: error: cannot read ", set()),
    (lose_fleet, "accounts/aoai-a.yaml:1:1: error: there is no Fleet in the desired state", set()),
    (break_fleet, "fleet.yaml:2:4: error: a second colon or a deeper key follows a value", set()),
    (empty_tree, "error: there is no Fleet in the desired state", set()),
    (lose_tree, "desired:1:1: error: cannot read ", set()),
]


@pytest.mark.parametrize(("harm", "says", "kept"), WAYS, ids=[harm.__name__ for harm, _, _ in WAYS])
async def test_what_breaks_deletes_nothing_and_is_told_with_its_place_until_it_is_mended(
    azure: Stage, tmp_path: Path, harm: Callable[[Path], None], says: str, kept: set[str]
) -> None:
    home = tmp_path / "desired"
    async with keeping(azure, home) as watch:
        harm(home)
        for name in ("aoai-a", "aoai-b"):
            await open_up(azure, account_id(azure, name))
        for _ in range(5):
            await watch.interval()
        written = [(each["method"], each["path"].rpartition("/")[2]) for each in await azure.writes()]
        assert written == [("PATCH", name) for name in sorted(kept)]
        # What is wrong, and besides that only which fleet is missed.
        missed = (
            [("opened", "ReconcilerFleetUnseen")] if harm in (lose_fleet, break_fleet, empty_tree, lose_tree) else []
        )
        assert [each for each in watch.inbox.told() if each[1] != "ReconcilerDrift"] == [("opened", INVALID), *missed]
        told = next(each.alert for each in watch.inbox.letters if each.alert.name == INVALID)
        assert f"- {says if says.startswith('error') else f'{home.parent}/'}" in told.description
        assert says in told.description
        cost = "until then nothing beside or below it is looked after, for it may hold their Fleet"
        assert (cost in told.description) is (harm in (cut_short, lead_nowhere, break_fleet))
        for each in home.parent.glob("desired"):
            shutil.rmtree(each)
        write_tree(home)
        for _ in range(4):
            await watch.interval()
        assert watch.inbox.told(INVALID) == [("opened", INVALID), ("resolved", INVALID)]
        assert quiet(watch.daemon.passes[-1])
        states = [azure.resource(account_id(azure, name))["properties"]["publicNetworkAccess"] for name in NAMES]
        assert states == ["Disabled"] * 3
        assert not [each for each in await azure.writes() if each["method"] == "DELETE"]


async def test_a_fleet_whose_accounts_are_all_gone_is_not_emptied(azure: Stage, tmp_path: Path) -> None:
    """A directory that a bad sync has emptied is no wish to delete what it declared: that takes a word of its own."""
    home = tmp_path / "desired"
    async with keeping(azure, home) as watch:
        lose_accounts(home)
        for _ in range(5):
            await watch.interval()
        assert await azure.writes() == []
        (told,) = [each.alert for each in watch.inbox.letters]
        assert (told.name, told.labels) == ("ReconcilerBlocked", {"fleet": "law", "code": "empty_fleet"})
        assert told.summary.startswith(
            "fleet law: the fleet declares no account at all, which is more often an accident"
        )
        assert "- Account/aoai-c/deployments/chat" in told.description
        write_tree(home)
        await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerBlocked"), ("resolved", "ReconcilerBlocked")]
        assert quiet(watch.daemon.passes[-1])
