"""The real clock, which alone may look at the wall."""

from __future__ import annotations

import time

import pytest

from reconciler.runtime.clock import SystemClock


def test_now_is_the_wall_s_time() -> None:
    assert SystemClock().now() == pytest.approx(time.time(), abs=1)


def test_monotonic_time_grows() -> None:
    clock = SystemClock()
    assert clock.monotonic() <= clock.monotonic()


async def test_a_faster_clock_sleeps_shorter_and_counts_longer() -> None:
    clock, began = SystemClock(rate=1000.0), time.monotonic()
    now, before = clock.now(), clock.monotonic()
    await clock.sleep(20)
    assert time.monotonic() - began < 5
    assert clock.monotonic() - before >= 20
    assert clock.now() - now >= 20


async def test_a_sleep_into_the_past_is_none() -> None:
    began = time.monotonic()
    await SystemClock().sleep(-3)
    assert time.monotonic() - began < 1


def test_time_does_not_stand_still_or_run_backwards() -> None:
    for rate in (0, -1.0):
        with pytest.raises(ValueError, match="above zero"):
            SystemClock(rate=rate)
