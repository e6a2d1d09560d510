"""Law: nor does anybody get into a subnet in passing, account or no account behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.laws.test_never_more_open import Found, check, follow
from tests.support.direct import DirectStage, run


@pytest.mark.parametrize("block", range(2))
def test_whatever_changes_nobody_gets_into_a_subnet_in_passing(block: int, tmp_path: Path) -> None:
    async def law(seed: int) -> Found:
        return await follow(DirectStage(tmp_path), seed, subnets=True)

    check(sum((run(law(seed)) for seed in range(block * 20, block * 20 + 20)), Found()))
