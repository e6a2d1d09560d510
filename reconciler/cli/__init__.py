"""The door: words in, exit code out. Loads what a command needs only when there is one, so that help is instant."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from reconciler.cli.parser import Exit, parse


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its escape, not a traceback.
        stream.reconfigure(errors="backslashreplace") if hasattr(stream, "reconfigure") else None
    try:
        options = parse(sys.argv[1:] if words is None else words)
        from reconciler.cli.dispatch import run  # noqa: PLC0415 - half a second of imports that help does not need

        code = run(options, os.environ)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has left. What is buffered must go nowhere, or the interpreter complains at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return Exit.INTERRUPTED
    return code
