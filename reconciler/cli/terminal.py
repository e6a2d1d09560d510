"""Where a command speaks: results on stdout, everything else on stderr; colour and width only where a person looks."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TextIO

from reconciler.report.paint import Style
from reconciler.settings import Color

_WIDEST: Final = 120
_YES: Final = "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """The streams of one command. `color` is what the settings say; the environment decides where they say auto."""

    source: TextIO
    out: TextIO
    err: TextIO
    color: Color
    environment: Mapping[str, str]
    verbose: bool = False
    quiet: bool = False

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to be asked."""
        return self.source.isatty() and self.err.isatty()

    @property
    def live(self) -> bool:
        """Whether lines on stderr may be drawn anew."""
        return self.err.isatty() and self.environment.get("TERM") != "dumb"

    def style(self, stream: TextIO) -> Style:
        width = 80
        if stream.isatty():
            width = min(shutil.get_terminal_size((80, 24)).columns, _WIDEST)
        return Style(width=max(width, 40), color=self._colored(stream), verbose=self.verbose)

    def _colored(self, stream: TextIO) -> bool:
        if self.color is not Color.AUTO:
            return self.color is Color.ALWAYS
        if self.environment.get("NO_COLOR"):
            return False
        if self.environment.get("FORCE_COLOR"):
            return True
        return stream.isatty() and self.environment.get("TERM") != "dumb"

    def say(self, text: str) -> None:
        """A result."""
        self.out.write(text)
        self.out.flush()

    def tell(self, text: str) -> None:
        """Something beside the result; nothing when it should be quiet."""
        if not self.quiet:
            self.complain(text)

    def complain(self, text: str) -> None:
        """What must be read even when it should be quiet."""
        self.err.write(text)
        self.err.flush()

    async def ask(self, question: str) -> bool:
        """Whether somebody wrote `yes`. Waits in the loop, not in a read that a signal could miss."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        self.complain(f"{question} Only '{_YES}' is taken for a yes: ")
        loop.add_reader(self.source.fileno(), readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self.source.fileno())
        return self.source.readline().strip() == _YES
