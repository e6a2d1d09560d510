"""A real browser, Debian's chromium without a window, spoken to over its own protocol.

`browser(folder)` gives a `Browser`; `open` shows a page as a screen of some width has it, light or dark. What the page
was refused by its policy, and what it complains of, is in `complaints`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from shutil import which
from typing import Any

import aiohttp
import pytest

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--remote-debugging-port=0",
)
_PATIENCE = 60.0
_HEARD = ("Log.entryAdded", "Audits.issueAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")


def find_chromium() -> str:
    """The program; a test that has none is skipped, and says what would bring it."""
    found = which("chromium")
    if found is None:
        pytest.skip("needs a browser: apt-get install --no-install-recommends chromium fonts-dejavu-core")
    return found


@dataclass
class Tab:
    """One page."""

    browser: Browser
    session: str
    complaints: list[dict[str, Any]] = field(default_factory=list)
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    complained: asyncio.Event = field(default_factory=asyncio.Event)

    async def evaluate(self, expression: str) -> Any:
        """What an expression is worth in the page, which itself may run nothing."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        return await self.browser.call(method, self.session, **parameters)


class Browser:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._tabs: dict[str, Tab] = {}

    async def open(self, url: str, width: int = 1280, scheme: str = "light") -> Tab:
        """A page that has been loaded whole."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab = Tab(self, attached["sessionId"])
        self._tabs[tab.session] = tab
        for domain in ("Page", "Log", "Runtime", "Audits"):
            await tab.call(f"{domain}.enable")
        await tab.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=width < 600
        )
        await tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await tab.call("Page.navigate", url=url)
        await asyncio.wait_for(tab.loaded.wait(), _PATIENCE)
        return tab

    async def call(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json({**message, "sessionId": session} if session else message)
        return await asyncio.wait_for(answer, _PATIENCE)

    async def listen(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if waiting := self._waiting.pop(told.get("id", 0), None):
                assert "error" not in told, told
                waiting.set_result(told["result"])
            elif tab := self._tabs.get(told.get("sessionId", "")):
                if told["method"] == "Page.loadEventFired":
                    tab.loaded.set()
                elif told["method"] in _HEARD:
                    tab.complaints.append(told)
                    tab.complained.set()


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Browser]:
    """A browser with a profile of its own in `folder`, gone when the block ends."""
    program = find_chromium()
    process = await asyncio.create_subprocess_exec(
        program,
        *_FLAGS,
        f"--user-data-dir={folder}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(await _await_address(process.stderr), max_msg_size=0) as socket,
            asyncio.TaskGroup() as group,
        ):
            opened = Browser(socket)
            tasks = [group.create_task(opened.listen()), group.create_task(process.stderr.read())]
            yield opened
            for task in tasks:
                task.cancel()
    finally:
        process.terminate()
        await process.wait()


async def _await_address(stream: asyncio.StreamReader) -> str:
    """Where it listens, once it says so."""
    async with asyncio.timeout(_PATIENCE):
        async for line in stream:
            _, found, address = line.decode(errors="replace").partition("DevTools listening on ")
            if found:
                return address.strip()
    raise RuntimeError("the browser did not start")
