"""Report: soft-deleted accounts as text, as Markdown and as JSON, and what became of a purge by hand. Pure.

"At most" is never left out: what one account holds Azure does not tell, only what all of a region hold together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from reconciler.model.burial import Burial, Graveyard
from reconciler.model.ids import fold_location
from reconciler.model.outcome import Outcome, Result
from reconciler.model.quota import Pool
from reconciler.model.text import plain
from reconciler.model.wire import Json, JsonObject
from reconciler.report.document import FORMAT_VERSION, Envelope, render_json, tell_fault, tell_finding
from reconciler.report.markdown import LONGEST, bound, cell, code
from reconciler.report.paint import Ink, Style
from reconciler.report.pools import tell_pace
from reconciler.report.words import RESULT_ADVICE, RESULT_WORDS, count, join_words, show_duration, tell_step

_DAY: Final = 86_400
_FOOT: Final = (
    "What one account holds Azure does not tell: each of a region may hold all that is told there, or nothing. It "
    "stays held until that account is purged or expires: reconciler purge NAME."
)
_BILLED: Final = "Provisioned units of a soft-deleted account are billed until it is purged."
_LOST: Final = "Its fine-tuned models and uploaded files are lost for good, and it cannot be restored any more."


def render_deleted(graveyards: Iterable[Graveyard], style: Style) -> str:
    """Every subscription's accounts by region, the one deleted first before the others."""
    blocks: list[str] = []
    shown: list[Burial] = []
    for graveyard in graveyards:
        shown += graveyard.burials
        blocks.append(_heading(graveyard, style))
        for region in _regions(graveyard.burials):
            here = [each for each in graveyard.burials if fold_location(each.deleted.location) == region]
            blocks.append("\n".join(_region(region, here, style)))
        if not graveyard.burials:
            told = plain(_tell_unlisted(graveyard)) or "No account is deleted softly here."
            blocks.append("\n".join(style.wrap(told, "", "")))
    if any(burial.pools for burial in shown):
        billed = any(pool.billed for burial in shown for pool in burial.pools or ())
        foot = (_FOOT, _BILLED) if billed else (_FOOT,)
        blocks.append("\n".join(style.paint(line, Ink.FAINT) for text in foot for line in style.wrap(text, "", "")))
    return "\n\n".join(blocks) + "\n"


def _tell_unlisted(graveyard: Graveyard) -> str:
    """That nobody knows which accounts there are, "" where all of them were listed."""
    what = next((what for what, _ in graveyard.unread if "/deletedaccounts " in what.lower()), "")
    return f"What is deleted softly here is not known: {what} could not be read." if what else ""


def _heading(graveyard: Graveyard, style: Style) -> str:
    fleets = f"  of {count(len(graveyard.fleets), 'fleet')}: {join_words(graveyard.fleets)}" if graveyard.fleets else ""
    head = style.paint(f"Subscription {plain(graveyard.subscription)}", Ink.BOLD)
    return head + style.paint(plain(fleets), Ink.FAINT)


def _regions(burials: Iterable[Burial]) -> list[str]:
    return sorted({fold_location(each.deleted.location) for each in burials})


def _region(region: str, burials: list[Burial], style: Style) -> Iterator[str]:
    yield style.paint(plain(region), Ink.BOLD)
    yield from style.wrap(f"{_tell_region(burials)}.", "  ", "    ")
    for burial in burials:
        deleted = burial.deleted
        yield f"  {plain(deleted.id.name)} in {plain(deleted.id.group)}, {plain(_kind(burial))}"
        for text in (tell_age(burial), burial.fate):
            yield from style.wrap(plain(text), "      ", "      ")


def _tell_region(burials: list[Burial]) -> str:
    """What the accounts of a region hold, all of them together."""
    if any(burial.pools is None for burial in burials):
        return "what they hold is not known: the quota of this region could not be read"
    pools = next((burial.pools for burial in burials if burial.pools), ())
    if not pools:
        return "holds no quota" if len(burials) == 1 else "they hold no quota"
    told = ", ".join(_tell_pool(pool) for pool in pools or ())
    return f"holds at most {told}" if len(burials) == 1 else f"together they hold at most {told}"


def _tell_pool(pool: Pool) -> str:
    pace = tell_pace(pool, pool.residue)
    return f"{pool.residue:,} of {plain(pool.usage)}" + (f" ({pace})" if pace else "")


def tell_age(burial: Burial) -> str:
    """`deleted 5 h ago, gone by itself in 1 d 19 h; of fleet prod`."""
    deleted = burial.deleted
    parts = ["deleted at an unknown time" if burial.age is None else f"deleted {_long(burial.age)} ago"]
    if burial.left is not None and burial.left < 0:
        parts.append(f"should have been gone {_long(-burial.left)} ago: Azure is overdue with it")
    elif burial.left is not None:
        parts.append(f"gone by itself in {_long(burial.left)}")
    owner = f"of fleet {deleted.owner}" if deleted.owner else "of no fleet"
    return f"{', '.join(parts)}; {owner}"


def _long(seconds: float) -> str:
    days, rest = divmod(max(0, round(seconds)), _DAY)
    if not days:
        return show_duration(rest)
    return f"{days} d {rest // 3600} h" if rest >= 3600 else f"{days} d"


def _kind(burial: Burial) -> str:
    return str(burial.deleted.wire.get("kind") or "of unknown kind")


def render_deleted_markdown(graveyards: Iterable[Graveyard], longest: int = LONGEST) -> str:
    """A table per subscription."""
    parts: list[str] = []
    for graveyard in graveyards:
        parts.append(f"### Soft-deleted accounts of subscription {code(graveyard.subscription)}")
        rows = [_row(burial) for burial in graveyard.burials]
        unlisted = _tell_unlisted(graveyard)
        none = code(unlisted) if unlisted else "There is none."
        parts.append("\n".join((_HEAD, _RULE, *rows)) if rows else none)
        if any(burial.pools for burial in graveyard.burials):
            parts.append(_FOOT)
    return bound(parts or ["No fleet is declared."], longest)


_HEAD: Final = "| account | region | kind | deleted | holds at most | what becomes of it |"
_RULE: Final = "|---|---|---|---|---|---|"


def _row(burial: Burial) -> str:
    deleted = burial.deleted
    held = "?" if burial.pools is None else ", ".join(_tell_pool(pool) for pool in burial.pools)
    texts = (f"{deleted.id.group}/{deleted.id.name}", fold_location(deleted.location), _kind(burial), tell_age(burial))
    return f"| {' | '.join(cell(text) for text in (*texts, held, burial.fate))} |"


def render_deleted_json(graveyards: Iterable[Graveyard], envelope: Envelope) -> str:
    subscriptions: list[Json] = [
        {
            "subscription": graveyard.subscription,
            "fleets": [*graveyard.fleets],
            "accounts": [tell_burial(burial) for burial in graveyard.burials],
            "unread": [{"what": what, "fault": tell_fault(fault)} for what, fault in graveyard.unread],
        }
        for graveyard in graveyards
    ]
    return render_json(
        {
            "format_version": FORMAT_VERSION,
            "kind": "deleted",
            "subscriptions": subscriptions,
            "findings": [tell_finding(finding) for finding in envelope.findings],
            "exit_code": envelope.exit_code,
        }
    )


def tell_burial(burial: Burial) -> JsonObject:
    deleted = burial.deleted
    held: list[Json] = [
        {"usage": pool.usage, "at_most": pool.residue, "tokens_per_unit": [*pool.tokens], "billed": pool.billed}
        for pool in burial.pools or ()
    ]
    return {
        "id": str(deleted.id),
        "name": deleted.id.name,
        "resource_group": deleted.id.group,
        "location": fold_location(deleted.location),
        "account_kind": _kind(burial),
        "owner": deleted.owner,
        "deleted_at": deleted.deleted_at,
        "purge_date": deleted.purge_after,
        "age_seconds": None if burial.age is None else round(burial.age),
        "overdue": burial.left is not None and burial.left < 0,
        "may_hold": None if burial.pools is None else held,
        "fleet": burial.fleet,
        "fate": burial.fate,
    }


def render_burial(burial: Burial, style: Style) -> str:
    """What somebody is about to purge."""
    deleted = burial.deleted
    lines = [style.paint(f"{plain(burial.name)}: {plain(str(deleted.id))}", Ink.BOLD)]
    held = _tell_region([burial])
    if burial.pools:
        held += ", which all that is deleted softly in its region hold together"
    billed = [_BILLED] if any(pool.billed for pool in burial.pools or ()) else []
    fate = [burial.fate] if burial.fate else []
    for text in (f"{_kind(burial)} in {fold_location(deleted.location)}, {tell_age(burial)}", held, *billed, *fate):
        lines += style.wrap(plain(text), "  ", "    ")
    lines += [style.paint(line, Ink.WARN) for line in style.wrap(_LOST, "  ! ", "    ")]
    return "\n".join(lines) + "\n"


def render_purge(outcome: Outcome, style: Style) -> str:
    """How a purge by hand ended, and what to do where it did not end well."""
    took = f" in {show_duration(outcome.ended - outcome.began)}" if outcome.ended > outcome.began else ""
    because = f": {outcome.because}" if outcome.because else ""
    ink = Ink.ADD if outcome.result is Result.DONE else Ink.WARN
    text = f"{tell_step(outcome.step)} {RESULT_WORDS[outcome.result]}{took}{plain(because)}"
    lines = [style.paint(line, ink) for line in style.wrap(text, "", "  ")]
    advice = outcome.fault.advice if outcome.fault else RESULT_ADVICE.get(outcome.result, "")
    lines += style.wrap(plain(advice), "  next: ", "    ") if advice else []
    return "\n".join(lines) + "\n"


def render_purge_json(burial: Burial, outcome: Outcome | None, envelope: Envelope) -> str:
    """`outcome` is None where nobody agreed."""
    ended: JsonObject | None = None
    if outcome is not None:
        ended = {
            "result": outcome.result.value,
            "because": outcome.because,
            "fault": tell_fault(outcome.fault) if outcome.fault else None,
            "seconds": round(outcome.ended - outcome.began, 3),
            "requests": outcome.requests,
        }
    return render_json(
        {
            "format_version": FORMAT_VERSION,
            "kind": "purge",
            "account": tell_burial(burial),
            "outcome": ended,
            "exit_code": envelope.exit_code,
        }
    )
