"""Times as Azure writes them, and as numbers."""

from __future__ import annotations

from datetime import UTC, datetime


def read_time(text: str) -> float | None:
    """Epoch seconds of a time as Azure writes it, None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def show_time(seconds: float) -> str:
    """`2025-10-01T00:00:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def show_moment(seconds: float) -> str:
    """`2025-10-01T00:00:00.000Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
