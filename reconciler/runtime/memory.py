"""Memory that a pass took and needs no more, back to the system: a process that waits shall not hold what it had.

The C library of most Linux systems keeps what lies between things that are still in use, unless it is asked.
"""

from __future__ import annotations

import ctypes
from typing import Final

_TRIM: Final = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Milliseconds; nothing where the C library has no word for it."""
    if _TRIM is not None:
        _TRIM(0)
