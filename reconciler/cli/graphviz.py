"""Runs Graphviz: a drawing in its language in, SVG out. Knows nothing of what is drawn."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from typing import Final

_SECONDS: Final = 120
# What a program needs to run and to find its fonts; nothing that could be a secret.
_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "FONTCONFIG_FILE", "FONTCONFIG_PATH")


class GraphvizError(Exception):
    """There is no SVG; the message says why and what would help."""


def find_graphviz(environment: Mapping[str, str]) -> str:
    """Where `dot` is."""
    found = shutil.which("dot", path=environment.get("PATH"))
    if found is None:
        raise GraphvizError(
            "--format svg needs Graphviz's dot, which is not in PATH; install graphviz, or use --format mermaid"
        )
    return found


def make_svg(program: str, drawing: str, environment: Mapping[str, str]) -> str:
    """`drawing` laid out by `program`."""
    known = {name: environment[name] for name in _VARIABLES if name in environment}
    try:
        done = subprocess.run(  # noqa: S603 - fixed words; what is drawn goes to its stdin
            [program, "-Tsvg"], input=drawing.encode(), capture_output=True, env=known, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise GraphvizError(
            f"Graphviz was not done within {_SECONDS} s; choose less with --target or -l, or use --format mermaid"
        ) from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise GraphvizError(f"Graphviz could not draw it: {said}")
    return done.stdout.decode()
