"""The desired state from pass to pass: what is read is one state of the tree, however it changes meanwhile."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.daemon.library import Library
from reconciler.desired.fleet import Endpoints, load_estate
from reconciler.desired.tree import Tree
from reconciler.model.resource import Estate
from tests.support.virtual_time import LoopClock

pytestmark = pytest.mark.virtual_time

FLEET = """\
apiVersion: reconciler/v1
kind: Fleet
metadata: {name: law}
spec: {subscription: 00000000-0000-0000-0000-000000000001, resourceGroup: rg-law, location: swedencentral}
"""
ACCOUNT = (
    "---\napiVersion: reconciler/v1\nkind: Account\nmetadata: {name: NAME}\nspec: {publicNetworkAccess: Disabled}\n"
)


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


class Sync:
    """What git-sync does in its root: a worktree for each commit, a link that is turned, and the last one removed."""

    def __init__(self, folder: Path) -> None:
        self.origin, self.root = folder / "origin", folder / "root"
        for each in (self.origin, self.root):
            each.mkdir()
            git(each, "init", "--quiet")
        self._worktree: Path | None = None

    def commit(self, **files: str) -> None:
        """These files and no others."""
        git(self.origin, "rm", "-rfq", "--ignore-unmatch", ".")
        (self.origin / "prod").mkdir(exist_ok=True)
        for name, text in files.items():
            (self.origin / "prod" / f"{name}.yaml").write_text(text)
        git(self.origin, "add", "--all")
        git(self.origin, "commit", "--quiet", "--message", "next")

    def publish(self) -> None:
        commit = git(self.origin, "rev-parse", "HEAD")
        git(self.root, "fetch", str(self.origin), commit, "--quiet", "--depth", "1", "--no-auto-gc")
        worktree = self.root / ".worktrees" / commit
        git(self.root, "worktree", "add", "--force", "--detach", str(worktree), commit, "--no-checkout")
        (worktree / ".git").write_text(f"gitdir: ../../.git/worktrees/{commit}\n")
        git(worktree, "reset", "--hard", "--quiet", commit, "--")
        (self.root / "tmp-link").symlink_to(f".worktrees/{commit}")
        (self.root / "tmp-link").rename(self.root / "current")
        if self._worktree is not None:
            git(self.root, "worktree", "remove", "--force", str(self._worktree))
        self._worktree = worktree


def names(estate: Estate) -> list[str]:
    assert [str(each) for each in estate.findings] == []
    return sorted(id.name for fleet in estate.fleets for id in fleet.desired)


def read(source: Path) -> Estate:
    return load_estate([source], {}, Endpoints(endpoint="https://a", authority="https://b"))


def library(source: Path, reading: Callable[[Path], Estate] = read) -> Library:
    return Library(look=Tree([source]).digest, read=lambda: reading(source), clock=LoopClock(0.0))


async def test_a_checkout_of_git_sync_is_read_and_read_again_when_it_is_swapped(tmp_path: Path) -> None:
    sync = Sync(tmp_path)
    sync.commit(fleet=FLEET, one=ACCOUNT.replace("NAME", "one"))
    sync.publish()
    kept = library(sync.root / "current" / "prod")
    first = await kept.load()
    assert names(first) == ["one"]
    assert await kept.load() is first
    sync.commit(fleet=FLEET, two=ACCOUNT.replace("NAME", "two"))
    sync.publish()
    assert names(await kept.load()) == ["two"]


async def test_what_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    """An account moves from one file to another: whoever reads the first file late and the second one early has lost
    it, and nothing would say so."""
    accounts = {name: ACCOUNT.replace("NAME", name) for name in ("one", "two", "zero")}
    early, late = tmp_path / "a.yaml", tmp_path / "b.yaml"
    (tmp_path / "fleet.yaml").write_text(FLEET)
    early.write_text(accounts["zero"])
    late.write_text(accounts["one"])
    read_so_far: list[list[str]] = []

    def reading(source: Path) -> Estate:
        if not read_so_far:
            late.write_text(accounts["two"])
        read_so_far.append(names(estate := read(source)))
        early.write_text(accounts["zero"] + accounts["one"])
        return estate

    assert names(await library(tmp_path, reading).load()) == ["one", "two", "zero"]
    assert read_so_far == [["two", "zero"], ["one", "two", "zero"]]
