"""Report: HTML out of text. Pure.

`Html` is text that may stand in a page as it is. Whatever somebody else wrote becomes one only by `text` or `name`,
which let nothing of it be markup, hide, turn the direction of what stands around it, or take the room of everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from math import isfinite
from typing import Final, NewType

from reconciler.model.moment import show_time
from reconciler.model.text import plain

Html = NewType("Html", str)

NONE: Final = Html("")
_LONGEST, _LONGEST_NAME = 600, 120  # characters
_DAY = 86_400.0


def text(words: str, most: int = _LONGEST) -> Html:
    return Html(escape(_cut(plain(words), most)))


def name(words: str) -> Html:
    """A name that stands for itself among other words; of a long one the middle is left out, and told on demand."""
    shown = plain(words)
    if not shown:
        return NONE
    if len(shown) <= _LONGEST_NAME:
        return Html(f"<bdi>{escape(shown)}</bdi>")
    half = _LONGEST_NAME // 2
    return Html(f'<bdi title="{escape(_cut(shown, _LONGEST))}">{escape(shown[:half])}…{escape(shown[-half:])}</bdi>')


def title(words: str, most: int) -> Html:
    """Words of which neither the beginning, what it is about, nor the end, what is wrong with it, may be missing."""
    shown, half = plain(words), most // 2
    return Html(escape(shown if len(shown) <= most else f"{shown[:half]}…{shown[-half:]}"))


def _cut(shown: str, most: int) -> str:
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def join(parts: Iterable[Html], between: str = "") -> Html:
    return Html(between.join(part for part in parts if part))


def tag(kind: str, inner: Html, look: str = "") -> Html:
    """`inner` in an element; `look` is the class, a word of ours."""
    return Html(f'<{kind} class="{look}">{inner}</{kind}>' if look else f"<{kind}>{inner}</{kind}>")


def section(title: str, *parts: Html) -> Html:
    """A part of the page, or nothing where there is nothing in it."""
    inner = join(parts)
    return Html(f"<section><h2>{text(title)}</h2>{inner}</section>") if inner else NONE


def fold(summary: Html, inner: Html) -> Html:
    """What is only shown on demand."""
    return Html(f"<details><summary>{summary}</summary>{inner}</details>") if inner else NONE


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[Html]], look: str = "stack") -> Html:
    """A table whose first column names the row; nothing where there are no rows. One that is to `stack` shows each cell
    on a line of its own, below the word for its column, where there is no room for columns; it is a table all the same.
    """
    if not rows:
        return NONE
    head = "".join(f'<th scope="col" role="columnheader">{text(each)}</th>' for each in heads)
    body = "".join(_row(heads, row) for row in rows)
    return Html(
        f'<table class="{look}" role="table"><caption>{text(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead><tbody role="rowgroup">{body}</tbody></table>'
    )


def _row(heads: Sequence[str], cells: Sequence[Html]) -> str:
    first, *rest = cells
    told = "".join(
        f'<td role="cell" data-word="{text(head)}">{cell}</td>' for head, cell in zip(heads[1:], rest, strict=True)
    )
    return f'<tr role="row"><th scope="row" role="rowheader">{first}</th>{told}</tr>'


def facts(pairs: Iterable[tuple[str, Html]]) -> Html:
    """Words and what they are, as a list of pairs; those that are nothing are left out."""
    told = [f"<div><dt>{text(word)}</dt><dd>{value}</dd></div>" for word, value in pairs if value]
    return Html(f"<dl>{''.join(told)}</dl>") if told else NONE


def when(moment: float | None, now: float) -> Html:
    """A time, as how long ago it was or how soon it will be; the whole of it is told on demand."""
    if moment is None or not isfinite(moment):
        return NONE
    stamp = show_time(moment)
    return Html(f'<time datetime="{stamp}" title="{stamp}">{escape(_tell_distance(now - moment))}</time>')


def moment(at: float | None, now: float) -> Html:
    """A time as `when` tells it, and by the clock: for where it is written down or compared with other logs."""
    if at is None or not isfinite(at):
        return NONE
    stamp = show_time(at)
    clock = stamp[11:19] if stamp[:10] == show_time(now)[:10] else f"{stamp[:10]} {stamp[11:19]}"
    return Html(f'{when(at, now)} <span class="note">{clock} UTC</span>')


def _tell_distance(seconds: float) -> str:
    if abs(seconds) < 1:
        return "now"
    told = _tell_length(abs(seconds))
    return f"{told} ago" if seconds > 0 else f"in {told}"


def _tell_length(seconds: float) -> str:
    """`41 s`, `12 min`, `5 h`, `3 days`: near enough to see what is new."""
    if seconds < 60:
        return f"{round(seconds)} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h" if seconds < 2 * _DAY else f"{round(seconds / _DAY)} days"
