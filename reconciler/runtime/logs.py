"""The log: events with fields, as JSON lines or for a console, on stderr. Promises that no secret gets into it.

stdout stays free for results. Whatever the packages we use log by themselves is an event too, and left out below a
warning; what the Azure packages say about sign-in is left out altogether: it reaches people as a fault with advice.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from reconciler.model.text import plain, plain_lines

HIDDEN = "[hidden]"

# A field is a secret by its name. Names of secrets (`secret_variable`) and ids are none.
_SECRET_NAMES = re.compile(
    r"authorization|password|passwd|credential|cookie|assertion|private_?key|connection_?string|sas|signature"
    r"|(^|[^a-z])(secret|token|key|key1|key2|api_?key)s?$|(client|access|refresh|id)_?(secret|token)|access_?key",
    re.IGNORECASE,
)
# A secret by its look, wherever it stands: a bearer token, a signed URL's signature, a key in a query or a form.
_SECRET_LOOKS = (
    (re.compile(r"(?i)\b(bearer)\s+[A-Za-z0-9\-._~+/]{8,}=*"), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*"), HIDDEN),
    (re.compile(r"(?i)([?&](?:sig|s|h|c|t|code|client_secret|client_assertion)=)[^&\s\"']{16,}"), rf"\1{HIDDEN}"),
    (
        re.compile(r"(?i)\b(client_secret|client_assertion|api[-_]?key|password)(\s*[=:]\s*)[^&\s\"',}]+"),
        rf"\1\2{HIDDEN}",
    ),
)

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEAD = len("sha256:") + 12

# What the renderer writes without quotes, whatever is in it.
_AS_THEY_ARE = ("event", "exception", "stack")

_QUIET = ("azure", "msal", "aiohttp", "urllib3", "apscheduler")

Form = Literal["json", "console"]


def configure_logs(form: Form = "console", level: str = "info", stream: TextIO | None = None) -> None:
    """Set the log up for the process; a later call replaces an earlier one."""
    target = stream or sys.stderr
    threshold = logging.getLevelNamesMapping()[level.upper()]
    render: list[Processor] = [structlog.processors.JSONRenderer(ensure_ascii=False)]
    if form == "console":
        lines = structlog.dev.ConsoleRenderer(
            colors=target.isatty(), pad_event_to=20, sort_keys=False, timestamp_key="at"
        )
        render = [leave_out, make_visible, lines]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            name_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            hide_secrets,
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    logging.root.handlers = [each for each in logging.root.handlers if not isinstance(each, _Adopter)] + [_Adopter()]
    for name in _QUIET:
        quiet = logging.getLogger(name)
        quiet.setLevel(logging.CRITICAL if name == "azure" else logging.WARNING)


class _Adopter(logging.Handler):
    """Makes what other packages log one of our events: on one line, and without what looks like a secret."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # its values do not fit its words
            message = str(record.msg)
        log = structlog.get_logger("reconciler")
        log.log(record.levelno, "package.warned", package=record.name, message=message, exc_info=record.exc_info)


def name_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The event with the trace that it is part of, where there is one: whoever traces has loaded what knows it."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is not None and (context := trace.get_current_span().get_span_context()).is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
        event["span_id"] = f"{context.span_id:016x}"
    return event


def leave_out(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The event for people: nothing that is empty, one name of a resource, times to the second, the heads of digests.
    Numbers that are 0 stay."""
    named = "step" in event
    kept = {name: each for name, each in event.items() if _tells(each) and not (named and name == "id")}
    return {name: _shorten(each) if isinstance(each, str) else each for name, each in kept.items()}


def _tells(value: object) -> bool:
    return value not in (None, "", [], {})


def _shorten(value: str) -> str:
    if _MOMENT.fullmatch(value):
        return f"{value[:19]}Z"
    return value[:_HEAD] if _DIGEST.fullmatch(value) else value


def make_visible(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The event without a character that could steer a terminal. The renderer itself writes a value with a space, or
    one that is no text, as Python would."""
    return {name: _visible(name, each) if isinstance(each, str) else each for name, each in event.items()}


def _visible(name: str, value: str) -> str:
    if name in _AS_THEY_ARE:
        return plain_lines(value)
    return value if " " in value else plain(value)


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The event without what is a secret by its name or by its look, however deep it stands."""
    return {name: HIDDEN if _is_secret(name) else _cleaned(value) for name, value in event.items()}


def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, (dict, MutableMapping)):
        return {str(name): HIDDEN if _is_secret(str(name)) else _cleaned(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(each) for each in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _clean_text(str(value))


def _clean_text(text: str) -> str:
    for pattern, instead in _SECRET_LOOKS:
        text = pattern.sub(instead, text)
    return text
