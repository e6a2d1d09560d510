"""An event loop whose time jumps: hours pass in milliseconds while real sockets and real TLS stay what they are.

How to use it: mark a test (or a module, `pytestmark = pytest.mark.virtual_time`) and ask for the fixtures of
`tests/conftest.py`: `sim` is an `armsim.server.Simulator` in the same loop, `clock` keeps the product's `Clock` port on
the loop's time, `passed()` tells how many virtual seconds a test took. Without pytest: `run(coroutine)`.

How it works: when no callback is ready, no socket has anything to say for a millisecond of real time, and no thread of
the loop's executor is busy, the clock jumps to the next timer. Computing takes no virtual time. Both ends of every
connection must live in this loop; a server in another process would be left behind, so use a pace there instead.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# Loopback delivers within a send; the rest is for a machine that is busy with something else.
GRACE = 0.001
# Where a loop begins, so that a time of 0 is not mistaken for "never".
START = 1000.0

_Ready = list[tuple[selectors.SelectorKey, int]]


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for sockets in real time, and tells the loop to jump where it would have waited for a timer."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> _Ready:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None or self.loop.threads:
            # Only a socket or a thread can wake us; a thread does so through the loop's own pipe.
            return super().select(None)
        ready = super().select(GRACE)
        if not ready:
            self.loop.jump(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module. `threads` is how many calls are under way in the executor."""

    def __init__(self) -> None:
        self._now = START
        self.threads = 0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        """To the next timer exactly: adding up differences would miss it by a rounding error and need a second jump."""
        timers = self._scheduled  # type: ignore[attr-defined]  # the heap of timers, in BaseEventLoop since ever
        target = self._now + seconds
        self._now = min(timers[0].when(), target) if timers else target

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self.threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self.threads -= 1


class LoopClock:
    """The product's `Clock` port on the time of the running loop, virtual or not."""

    def __init__(self, epoch: float) -> None:
        self._epoch = epoch
        self._began = asyncio.get_running_loop().time()

    def now(self) -> float:
        return self._epoch + asyncio.get_running_loop().time() - self._began

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def passed() -> float:
    """Virtual seconds since the running loop was made."""
    return asyncio.get_running_loop().time() - START


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
