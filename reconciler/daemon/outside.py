"""Shows the daemon to those outside it: opens the front door and hangs up what there is to see.

Loads what it takes for that only where there is a door: no other command waits for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.model.ports import Clock

if TYPE_CHECKING:
    from reconciler.runtime.pulse import Pulse


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where the daemon is to be seen, and the token of those who may ask it for a pass; nobody may without one.
    Without a host there is no door."""

    host: str = ""
    port: int = 0
    token: str = ""


@asynccontextmanager
async def open_door(door: Door, pulse: Pulse, ring: Callable[[], None], clock: Clock) -> AsyncIterator[int]:
    """Be seen while the block runs; gives the port, 0 where there is no door. OSError where nobody can listen there."""
    if not door.host:
        yield 0
        return
    from reconciler.report.metrics import render_metrics  # noqa: PLC0415
    from reconciler.report.overview import judge_live, judge_ready  # noqa: PLC0415
    from reconciler.report.page import POLICY, render_page  # noqa: PLC0415
    from reconciler.report.status import render_status  # noqa: PLC0415
    from reconciler.runtime.server import Front, Place, Ringer, Views, open_front  # noqa: PLC0415

    views = Views(
        look=pulse.look,
        live=judge_live,
        ready=judge_ready,
        metrics=render_metrics,
        status=render_status,
        page=render_page,
        policy=POLICY,
    )
    front = Front(views, Ringer(door.token, ring, clock), clock)
    async with open_front(Place(host=door.host, port=door.port), front) as taken:
        yield taken.port
