"""The log as values, from information upwards, with what was bound to the context."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

Event = dict[str, Any]


@contextmanager
def logged() -> Iterator[list[Event]]:
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    try:
        with capture_logs(processors=[merge_contextvars]) as captured:
            yield captured  # type: ignore[misc]  # events are mappings that may be changed
    finally:
        structlog.configure(wrapper_class=before)


def told(logs: list[Event], name: str) -> list[Event]:
    return [each for each in logs if each["event"] == name]
