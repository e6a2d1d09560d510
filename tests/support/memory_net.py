"""Virtual time without a kernel: both ends of every connection are in this loop, and bytes go from one to the other.

Clients and servers are the real ones, aiohttp with all that is above it; left out are TLS, sockets and threads, which
cost more than everything else where a week is to pass. What an executor would run runs at once. A port in `closed`
refuses whoever comes; `break_off` ends what is connected to it.

    with asyncio.Runner(loop_factory=MemoryLoop) as runner:
        runner.run(main())
"""

from __future__ import annotations

import asyncio
import errno
import heapq
import itertools
import socket
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, TypeVarTuple

from tests.support.direct import DirectLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Factory = Callable[[], asyncio.BaseProtocol]


class _Name:
    """What a listening socket is asked for."""

    family = socket.AF_INET

    def __init__(self, port: int) -> None:
        self._port = port

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", self._port


class _Listener:
    """What `create_server` gives, as much of it as is used."""

    def __init__(self, loop: MemoryLoop, port: int, factory: Factory, context: object) -> None:
        self.loop = loop
        self.port = port
        self.factory = factory
        self.context = context
        self.pipes: set[_Pipe] = set()

    @property
    def sockets(self) -> tuple[_Name, ...]:
        return (_Name(self.port),)

    def is_serving(self) -> bool:
        return self.loop.listeners.get(self.port) is self

    def close(self) -> None:
        if self.is_serving():
            del self.loop.listeners[self.port]

    async def wait_closed(self) -> None: ...


class _Pipe(asyncio.Transport):
    """One end. What is written here arrives at `peer` in the loop's next round, and so does the end."""

    peer: _Pipe

    def __init__(self, loop: MemoryLoop, protocol: asyncio.BaseProtocol, extra: dict[str, object]) -> None:
        super().__init__(extra)
        self._loop = loop
        self._protocol: Any = protocol
        self._closing = self._lost = self._paused = False
        self._waiting: list[bytes] = []
        self.on_lost: Callable[[], object] = lambda: None

    def write(self, data: Any) -> None:
        if data and not self._closing:
            self._loop.call_soon(self.peer._arrive, bytes(data))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol  # type: ignore[no-any-return]

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self._arrive(data)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._lose, None)
            self._loop.call_soon(self.peer._end)

    def abort(self) -> None:
        self.close()

    def _arrive(self, data: bytes) -> None:
        if self._closing:
            return
        if self._paused:
            self._waiting.append(data)
        else:
            self._protocol.data_received(data)

    def _end(self) -> None:
        if not self._closing:
            self._protocol.eof_received()
            self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._protocol.connection_lost(error)
            self.on_lost()


class MemoryLoop(DirectLoop):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: dict[int, _Listener] = {}
        self.closed: set[int] = set()
        self._ports = itertools.count(50_000)
        self._called: dict[int, int] = {}

    def break_off(self, port: int) -> None:
        """End all that is connected to `port`."""
        for pipe in [*self.listeners[port].pipes]:
            pipe.abort()

    def drop_cancelled(self) -> None:
        """Let go of timers that were cancelled, which a loop keeps until there are many, or their time has come."""
        timers: list[Any] = self._scheduled  # type: ignore[attr-defined]  # the heap of timers, in BaseEventLoop
        for each in timers:
            each._scheduled = not each.cancelled()
        timers[:] = [each for each in timers if not each.cancelled()]
        heapq.heapify(timers)
        self._timer_cancelled_count = 0

    async def create_server(  # type: ignore[override]  # of its many ways, the one that is used here
        self, protocol_factory: Factory, host: str | None = None, port: int = 0, *, ssl: object = None, **_: object
    ) -> _Listener:
        del host
        port = port or next(self._ports)
        if port in self.listeners:
            raise OSError(errno.EADDRINUSE, f"port {port} is taken")
        self.listeners[port] = _Listener(self, port, protocol_factory, ssl)
        return self.listeners[port]

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        port = address[1]
        if port not in self.listeners or port in self.closed:
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens on port {port}")
        self._called[sock.fileno()] = port

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Factory, host: str | None = None, port: int = 0, *, sock: Any = None, **_: object
    ) -> tuple[_Pipe, asyncio.BaseProtocol]:
        """Where a socket comes along it stays open as long as the connection, so that one that leaks is seen."""
        del host
        if sock is None:
            sock = socket.socket()
            await self.sock_connect(sock, ("127.0.0.1", port))
        listener = self.listeners[self._called.pop(sock.fileno())]
        server_end, client_end = listener.factory(), protocol_factory()
        names: dict[str, object] = {"sockname": ("127.0.0.1", listener.port), "peername": ("127.0.0.1", 1)}
        server = _Pipe(self, server_end, {**names, "sslcontext": listener.context})
        client = _Pipe(self, client_end, {"peername": ("127.0.0.1", listener.port), "sockname": ("127.0.0.1", 1)})
        server.peer, client.peer = client, server
        listener.pipes.add(server)
        server.on_lost = lambda: listener.pipes.discard(server)
        client.on_lost = sock.close
        server_end.connection_made(server)
        client_end.connection_made(client)
        return client, client_end

    def run_in_executor(self, executor: object, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        del executor
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is for whoever awaits it
            future.set_exception(error)
        return future
