"""Running a peer's commands and judging what they print. Knows no peer."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Judge = Callable[[Any], bool]


class FailedError(Exception):
    """A peer's command failed or said something else than it should have."""


class Steps:
    """Commands of one program, with one environment, each named by what it shows."""

    def __init__(self, program: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._program = list(program)
        self._environment = dict(environment)
        self._folder = folder
        self.count = 0

    def run(self, what: str, *arguments: str, expect: Judge = lambda _: True, code: int = 0) -> Any:
        """The command's output as JSON (or text), once it has been judged."""
        started = time.monotonic()
        done = subprocess.run(
            [*self._program, *arguments],
            env=self._environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        took = time.monotonic() - started
        printed = _read(done.stdout)
        if done.returncode != code or not expect(printed if done.returncode == 0 else done.stderr):
            shown = f"{' '.join(arguments)}\nexit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            raise FailedError(f"{what}: {shown}")
        self.count += 1
        sys.stdout.write(f"ok  {took:5.1f} s  {what}\n")
        sys.stdout.flush()
        return printed


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def install(python: Path, *packages: str) -> None:
    """Packages into a virtual environment of their own, made if it is not there."""
    folder = python.parent.parent
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
