"""A simulated Azure of its own for every test, in the test's own loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from armsim.settings import Settings
from tests.laws.stage import Stage, stage


@pytest.fixture(scope="session")
def ca_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One certificate authority for the session: making keys is not what is tested."""
    return tmp_path_factory.mktemp("ca")


@pytest.fixture
async def azure(ca_dir: Path, settings: Settings) -> AsyncIterator[Stage]:
    async with stage(settings, ca_dir) as opened:
        yield opened
