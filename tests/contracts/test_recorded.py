"""The simulation answers as Azure did, exchange by exchange; what differs is listed in `armsim/FIDELITY.md`."""

from functools import cache

import pytest

from tests.contracts.recorded.accepted import Accepted, accepted
from tests.contracts.recorded.exchanges import load, recordings
from tests.contracts.recorded.replay import Found, replay
from tests.contracts.recorded.scenes import SCENES, Scene

pytestmark = pytest.mark.skipif(
    recordings() is None, reason="the recorded exchanges are not on this machine; see $RECONCILER_RECORDINGS"
)


@cache
def found_in(file: str) -> tuple[Found, ...]:
    scene = next(each for each in SCENES if each.file == file)
    return tuple(replay(scene))


def excuses(file: str, found: Found) -> list[Accepted]:
    return [row for row in accepted() if row.covers(file, found.number, found.difference)]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.file.removesuffix(".json"))
def test_the_simulation_answers_as_azure_did(scene: Scene) -> None:
    unexcused = [f"{each.number}: {each.difference}" for each in found_in(scene.file) if not excuses(scene.file, each)]
    assert not unexcused, "\n".join([f"{scene.file}: {len(unexcused)} differences", *unexcused])


def test_every_accepted_difference_still_occurs() -> None:
    every = [(scene.file, found) for scene in SCENES for found in found_in(scene.file)]
    unused = [
        f"FIDELITY.md:{row.line}: {row.file} {row.exchange} {row.path}"
        for row in accepted()
        if not any(row.covers(file, found.number, found.difference) for file, found in every)
    ]
    assert not unused, "\n".join(["accepted, but the simulation no longer differs:", *unused])


def test_every_exchange_is_replayed_or_left_out_with_a_reason() -> None:
    folder = recordings()
    assert folder is not None
    patterns = ("cog_*", "rg_*", "pdns_*", "err_*", "net_nsg_*", "net_vnet_*", "net_subnet_*", "net_private_*")
    ours = {path.name for pattern in patterns for path in folder.glob(f"{pattern}.json")}
    assert ours <= {scene.file for scene in SCENES}
    for scene in SCENES:
        assert set(scene.left_out) <= {each.number for each in load(scene.file)}
        assert all(scene.left_out.values())
