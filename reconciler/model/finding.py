"""What is wrong: with what somebody wrote (`Finding`), and with what we asked of Azure (`Fault`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Origin:
    """A place in a desired-state file; `line` and `column` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing wrong with a document: `message` says what, `hint` what would be right, `origin` where."""

    severity: Severity = Severity.ERROR
    code: str
    message: str
    hint: str = ""
    origin: Origin | None = None

    def __str__(self) -> str:
        where = f"{self.origin}: " if self.origin else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{self.severity}: {self.message}{hint}"


class FaultClass(StrEnum):
    """What can be done about a fault. The first three heal by waiting and are retried inside a step."""

    TRANSIENT = "transient"
    THROTTLED = "throttled"
    CONFLICT = "conflict"
    QUOTA = "quota"
    CAPACITY = "capacity"
    FORBIDDEN = "forbidden"
    SOFT_DELETED = "soft_deleted"
    INVALID = "invalid"
    ABSENT = "absent"
    UNKNOWN = "unknown"

    @property
    def retryable(self) -> bool:
        return self in (FaultClass.TRANSIENT, FaultClass.THROTTLED, FaultClass.CONFLICT)

    @property
    def blocking(self) -> bool:
        """A state of the world with a sentence, not an error of ours: it is reported as blocked."""
        return self in (FaultClass.QUOTA, FaultClass.CAPACITY, FaultClass.FORBIDDEN, FaultClass.SOFT_DELETED)


LEASE_LOST: Final = "lease_lost"  # the code of a write that did not leave because nothing may be written any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An answer of Azure (or its silence) that is not what we asked for.

    `code` is ARM's error code, or one of ours in lower case where there was no answer; `advice` is the next step in
    words; `retry_after` is in seconds; `applied` is False only where the request certainly had no effect.
    """

    cls: FaultClass
    code: str
    message: str
    advice: str = ""
    status: int | None = None
    retry_after: float | None = None
    request_id: str | None = None
    applied: bool = True

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
