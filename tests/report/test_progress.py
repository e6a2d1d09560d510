"""Progress on stderr: lines where nobody watches, a block that moves where somebody does, or events."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import structlog

from reconciler.model.outcome import Result
from reconciler.report.events import Events
from reconciler.report.paint import Style
from reconciler.report.progress import Progress, Quiet
from tests.report.samples import CONVERGED, CREATE_STEP, DELETE_STEP, FORBIDDEN, MIXED, UPDATE_STEP, WAITING, outcome


@dataclass
class StoppedClock:
    """A clock that moves when the test says so."""

    seconds: float = 0.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


def _progress(clock: StoppedClock, *, live: bool) -> tuple[Progress, io.StringIO]:
    stream = io.StringIO()
    return Progress(stream=stream, clock=clock, style=Style(width=60), live=live), stream


def test_without_a_terminal_every_event_is_a_line(clock: StoppedClock) -> None:
    progress, stream = _progress(clock, live=False)
    progress.planned(MIXED)
    progress.started(DELETE_STEP)
    clock.seconds = 5
    progress.waiting(DELETE_STEP, "Azure is working on it", 5)
    progress.finished(outcome(DELETE_STEP, Result.DONE))
    progress.finished(outcome(CREATE_STEP, Result.FAILED, fault=FORBIDDEN))
    assert stream.getvalue() == (
        "Fleet prod: 3 writes to make\n"
        "[0/3] - delete Account/aoai-old ...\n"
        "[0/3] - delete Account/aoai-old Azure is working on it (after 5 s)\n"
        "[1/3] - delete Account/aoai-old done in 41 s\n"
        "[2/3] + create Account/aoai-swc/deployments/gpt-4o failed in 41 s: "
        "AuthorizationFailed: The client has no permission\n"
    )


def test_an_unchanged_wait_is_told_once_a_minute(clock: StoppedClock) -> None:
    progress, stream = _progress(clock, live=False)
    progress.started(DELETE_STEP)
    for _ in range(20):
        progress.waiting(DELETE_STEP, "Azure is working on it", 10)
        clock.seconds += 10
    assert stream.getvalue().count("working on it") == 4


def test_on_a_terminal_the_running_block_is_drawn_anew(clock: StoppedClock) -> None:
    progress, stream = _progress(clock, live=True)
    progress.planned(MIXED)
    progress.started(DELETE_STEP)
    progress.started(UPDATE_STEP)
    before = len(stream.getvalue())
    clock.seconds = 7
    progress.waiting(UPDATE_STEP, "Azure is working on it", 5)
    assert stream.getvalue()[before:] == (
        "\x1b[2A\x1b[J  > - delete Account/aoai-old  7 s\n  > ~ update Account/aoai-swc  7 s  Azure is working on it\n"
    )


def test_a_line_of_the_block_never_wraps(clock: StoppedClock) -> None:
    progress, stream = _progress(clock, live=True)
    progress.waiting(UPDATE_STEP, "a very long reason " * 10, 5)
    assert max(len(line) for line in stream.getvalue().splitlines()) == 59


def test_more_than_a_few_running_steps_are_counted(clock: StoppedClock) -> None:
    progress, stream = _progress(clock, live=True)
    for number in range(11):
        progress.started(replace(UPDATE_STEP, name=f"s{number}"))
    assert stream.getvalue().endswith("        ... and 3 more\n")


def test_waiting_without_writes_is_told(clock: StoppedClock) -> None:
    progress, stream = _progress(clock, live=False)
    progress.planned(replace(CONVERGED, decisions=(WAITING,)))
    progress.planned(CONVERGED)
    assert stream.getvalue() == "Fleet prod: waits for 1 resource that Azure is working on\n"


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    watcher = Quiet()
    watcher.planned(MIXED)
    watcher.started(DELETE_STEP)
    watcher.waiting(DELETE_STEP, "x", 1)
    watcher.finished(outcome(DELETE_STEP, Result.DONE))
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def every_level() -> Iterator[None]:
    """Events of every level, which tests do not show otherwise."""
    quiet = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(0))
    yield
    structlog.configure(wrapper_class=quiet)


@pytest.mark.usefixtures("every_level")
def test_events_have_names_and_fields_and_failures_are_warnings() -> None:
    with structlog.testing.capture_logs() as logs:
        watcher = Events()
        watcher.planned(MIXED)
        watcher.started(DELETE_STEP)
        watcher.waiting(DELETE_STEP, "x", 1.234)
        watcher.finished(outcome(DELETE_STEP, Result.DONE))
        watcher.finished(outcome(CREATE_STEP, Result.FAILED, fault=FORBIDDEN, because="no"))
    assert [(each["event"], each["log_level"]) for each in logs] == [
        ("cycle.planned", "info"),
        ("step.started", "info"),
        ("step.waiting", "info"),
        ("step.finished", "info"),
        ("step.finished", "warning"),
    ]
    assert logs[0]["digest"] == MIXED.digest
    assert (logs[4]["result"], logs[4]["fault"], logs[4]["request_id"]) == ("failed", "AuthorizationFailed", "req-1")


@pytest.mark.usefixtures("every_level")
def test_what_is_as_it_was_told_before_is_for_debugging() -> None:
    watcher = Events()
    with structlog.testing.capture_logs() as logs:
        watcher.planned(CONVERGED)
        watcher.planned(CONVERGED)
        watcher.planned(replace(CONVERGED, decisions=(WAITING,)))
        watcher.planned(MIXED)
        watcher.planned(MIXED)
        watcher.planned(replace(CONVERGED, fleet="another"))
    assert [each["log_level"] for each in logs] == ["info", "debug", "info", "info", "info", "info"]
    with structlog.testing.capture_logs() as logs:
        watcher.waiting(DELETE_STEP, "Azure is working on it", 5)
        watcher.waiting(DELETE_STEP, "Azure is working on it", 10)
        watcher.waiting(DELETE_STEP, "Azure throttles", 10)
        watcher.finished(outcome(DELETE_STEP, Result.DONE))
        watcher.waiting(DELETE_STEP, "Azure throttles", 5)
    assert [each["log_level"] for each in logs] == ["info", "debug", "info", "info", "info"]
