"""Report: the daemon's health as one HTML page, for somebody who was woken by it. Pure.

From top to bottom: is anything wrong, what, since when, by whom, what is being done; then all the rest. It needs no
script, no picture and nothing from elsewhere; a thousand resources that are as declared are a line each, on demand.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import accumulate
from typing import Final
from urllib.parse import quote

from reconciler.model.alert import Level
from reconciler.model.drift import Drift
from reconciler.model.health import FleetHealth, Health, PassRecord, PassResult
from reconciler.model.moment import show_time
from reconciler.model.outlook import Nearness, Retirement, show_day
from reconciler.model.pause import Pause
from reconciler.model.plan import Decision, DecisionState
from reconciler.model.quota import Pool
from reconciler.model.text import plain
from reconciler.report.conditions import INVALID
from reconciler.report.look import STYLE
from reconciler.report.markup import NONE, Html, facts, fold, join, moment, name, section, table, tag, text, title, when
from reconciler.report.overview import Concern, Hold, Mood, Overview, Wait, judge_ready, survey
from reconciler.report.pools import tell_asked, tell_holders, tell_pace, tell_unknown, tightest_first
from reconciler.report.words import (
    HELPS,
    STATE_WORDS,
    count,
    document_of,
    shorten,
    show_duration,
    show_value,
    tell_reason,
    tell_scope,
)

STYLE_DIGEST: Final = "sha256-" + b64encode(sha256(STYLE.encode()).digest()).decode()
# Nothing from anywhere; the one picture, the mark of its tab, is part of the page.
POLICY: Final = (
    f"default-src 'none'; style-src '{STYLE_DIGEST}'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_CARDS, _LINES, _ROWS, _POOLS, _PASSES = 8, 8, 40, 6, 8  # that are shown at once
_MANY = 3  # fleets, above which the quota of each is a line
_MOODS: Final = {
    Mood.CALM: "all is well",
    Mood.BUSY: "at work",
    Mood.NOTICE: "worth a look",
    Mood.TROUBLE: "needs attention",
    Mood.ALARM: "act now",
    Mood.STANDBY: "standing by",
    Mood.UNKNOWN: "not known yet",
}
_MARKS: Final = {Mood.CALM: "#1c6b40", Mood.BUSY: "#1d5a90", Mood.TROUBLE: "#c07a00", Mood.ALARM: "#c01c28"}
_GOOD: Final = (DecisionState.IN_SYNC, DecisionState.IGNORED)
_LOOKS: Final = {
    DecisionState.BLOCKED: "warn",
    DecisionState.DRIFTED: "warn",
    DecisionState.ACT: "wait",
    DecisionState.IN_PROGRESS: "wait",
}
_RESULTS: Final = {PassResult.OK: "good", PassResult.PARTIAL: "warn", PassResult.FAILED: "bad"}
_NEAR: Final = (Nearness.RETIRED, Nearness.CRITICAL, Nearness.URGENT)


def render_page(health: Health) -> str:
    """The whole page. It must be served with `POLICY`, and works with nothing less strict."""
    overview = survey(health)
    body = join(
        [
            _verdict(health, overview),
            _concerns(overview, health.taken_at),
            _waits(overview.waits),
            _pauses(health.pauses, health.taken_at),
            _holds(overview.holds),
            _fleets(health),
            _quota(health.fleets, health.taken_at),
            _retirements(health.fleets),
            _passes(health),
            _process(health),
        ]
    )
    label = text(f"{overview.verdict} - reconciler")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{label}</title>'
        f'<link rel="icon" href="{_mark(overview.mood)}"><style>{STYLE}</style></head><body>'
        f"{_head(health)}<main>{body}</main>{_foot(health)}</body></html>\n"
    )


def _mark(mood: Mood) -> str:
    colour = _MARKS.get(mood, "#6b7280")
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="{colour}"/></svg>'
    )
    return f"data:image/svg+xml,{quote(svg)}"


def _head(health: Health) -> Html:
    stamp = show_time(health.taken_at)
    told = f'Seen at <time datetime="{stamp}">{stamp.replace("T", " ").replace("Z", " UTC")}</time>'
    return Html(f'<header><strong>reconciler</strong><span>{told} &middot; <a href="/">Look again</a></span></header>')


def _foot(health: Health) -> Html:
    words = f"reconciler {health.version}. This page changes nothing; the same for programs: "
    return Html(
        f'<footer>{text(words)}<a href="/status">status</a>, <a href="/metrics">metrics</a>. '
        'To have it looked at again by itself: <a href="/?every=30">every 30 s</a>.</footer>'
    )


def _verdict(health: Health, overview: Overview) -> Html:
    decisions = [each for fleet in health.fleets if fleet.report for each in fleet.report.plan.decisions]
    good = sum(each.state in _GOOD for each in decisions)
    last = health.passes[0] if health.passes else None
    next_ = last.began + health.interval if last else None
    told = [
        ("Last pass", when(last.ended, health.taken_at) if last else NONE),
        ("Under way since", when(health.passing_since, health.taken_at)),
        ("Next", when(next_, health.taken_at) if next_ and next_ > health.taken_at and health.leads else NONE),
        ("Fleets", text(_count_fleets(health.fleets))),
        ("As declared", text(f"{good:,} of {count(len(decisions), 'resource')}") if decisions else NONE),
        ("Role", text("leads" if health.leads else "stands by")),
        ("Writes", text("never: it only observes") if health.observes else NONE),
    ]
    unready = judge_ready(health)
    parts = [
        tag("span", text(_MOODS[overview.mood]), "mood"),
        tag("h1", text(overview.verdict)),
        tag("p", text(f"Not ready: {unready}")) if unready else NONE,
        facts(told),
    ]
    look = overview.mood.value
    return Html(f'<div class="verdict {look}" role="status">{join(parts)}</div>')


def _count_fleets(fleets: Sequence[FleetHealth]) -> str:
    """What is not seen is in no other number."""
    seen = sum(each.report is not None and each.fault is None for each in fleets)
    if seen == len(fleets):
        return str(seen) if fleets else ""
    return f"{seen} of {len(fleets)} seen"


def _concerns(overview: Overview, now: float) -> Html:
    most = _CARDS if len(overview.concerns) <= _CARDS else _CARDS // 2
    shown, rest = overview.concerns[:most], overview.concerns[most:]
    cards = [_card(each, now) for each in shown]
    rows = [
        (text(each.what, 300), text(each.level), when(each.since, now), name(each.who), text(each.doing, 200))
        for each in rest
    ]
    more = table("What else is wrong, the most urgent first", ("What", "Level", "Since", "Who", "What is done"), rows)
    return section("What is wrong", *cards, fold(text(f"{len(rest)} more"), more))


def _card(concern: Concern, now: float) -> Html:
    drift = concern.drift
    told = [
        ("Since", moment(concern.since, now)),
        ("Who", name(concern.who)),
        _doing(concern),
        ("Came back", text(count(drift.returns, "time")) if drift and drift.returns else NONE),
        ("Where", tag("code", text(str(drift.id))) if drift else NONE),
    ]
    where = f"{concern.name}{f', fleet {plain(concern.fleet)}' if concern.fleet else ''}"
    gravity = f"{drift.gravity.value}, " if drift else ""
    parts = [
        tag("span", text(concern.level.value), "tag"),
        tag("span", text(gravity + where, 200), "note"),
        tag("h3", title(concern.what, 240)),
        facts(told),
        _edits(drift) if drift else NONE,
        _tell_lines(concern),
    ]
    look = {Level.CRITICAL: "card critical", Level.WARNING: "card warning", Level.INFO: "card"}[concern.level]
    return Html(f'<article class="{look}">{join(parts)}</article>')


def _tell_lines(concern: Concern) -> Html:
    """All there is to say: what is wrong with documents at once, because nobody can do anything without it."""
    if concern.drift or len(concern.lines) < 2:
        return NONE
    most = _LINES if concern.name == INVALID else 0
    rest = _list(concern.lines[most:])
    return join([_list(concern.lines[:most]), fold(text("More" if most else "All there is to say"), rest)])


def _doing(concern: Concern) -> tuple[str, Html]:
    if concern.doing.startswith(HELPS):
        return "What helps", text(concern.doing.removeprefix(HELPS), 400)
    return "What is done", text(concern.doing, 400)


def _edits(drift: Drift) -> Html:
    rows = [
        (name(each.path), text(show_value(each.before), 200), text(show_value(each.after), 200))
        for each in drift.changes
    ]
    more = tag("p", text(f"and {count(drift.omitted, 'more field')}"), "note") if drift.omitted else NONE
    return join([table("What differs", ("Field", "Declared", "Found"), rows, "diff stack"), more])


def _list(lines: Iterable[str]) -> Html:
    items = join(tag("li", text(line.removeprefix("- "))) for line in lines if line)
    return Html(f"<ul>{items}</ul>") if items else NONE


def _waits(waits: Sequence[Wait]) -> Html:
    going = [each for each in waits if not each.done]
    done = [each for each in waits if each.done]
    heads = ("Resource", "Fleet", "What")
    return section(
        "Under way",
        _capped("What is waited for", heads, [_wait(each) for each in going]),
        _capped("Written by the last pass", heads, [_wait(each) for each in done]),
    )


def _wait(wait: Wait) -> tuple[Html, ...]:
    return name(wait.ref), name(wait.fleet), text(wait.why, 300)


def _capped(caption: str, heads: Sequence[str], rows: Sequence[tuple[Html, ...]]) -> Html:
    shown, rest = rows[:_ROWS], rows[_ROWS:]
    return join([table(caption, heads, shown), fold(text(f"{len(rest):,} more"), table(caption, heads, rest))])


def _pauses(pauses: Sequence[Pause], now: float) -> Html:
    rows = [
        (
            name(tell_scope(each)),
            moment(each.until, now) or text("until somebody looks"),
            name(each.by) or text("nobody said"),
            text(each.reason, 300),
        )
        for each in pauses
    ]
    return section("Paused", table("What is not written before its time", ("What", "Ends", "By", "Why"), rows))


def _holds(holds: Sequence[Hold]) -> Html:
    rows = [
        (_refs(each.refs), name(each.fleet), tag("span", text(each.code, 24), "tag warn"), text(each.why))
        for each in holds
    ]
    return section("Left alone", _capped("What is not written, and why", ("Resources", "Fleet", "Code", "Why"), rows))


def _refs(refs: Sequence[str]) -> Html:
    if len(refs) <= 3:
        return join((name(each) for each in refs), "<br>")
    return fold(text(count(len(refs), "resource")), _list(refs))


def _quota(fleets: Sequence[FleetHealth], now: float) -> Html:
    known = [each for each in fleets if each.ledger is not None]
    parts = [_fleet_quota(each, now, _POOLS if len(known) <= _MANY else 0) for each in known]
    if not any(parts):
        return NONE
    return section("Quota", _PATTERNS, _LEGEND, *parts)


def _fleet_quota(fleet: FleetHealth, now: float, most: int) -> Html:
    ledger = fleet.ledger
    assert ledger is not None
    pools = sorted((each for each in ledger.pools if each.touched), key=tightest_first)
    short = sum(bool(each.short) for each in pools)  # these come first
    most = max(most, min(short, _POOLS))
    rest = pools[most:]
    unknown = [tag("p", text(told), "note") for told in tell_unknown(ledger)]
    if not (pools or unknown):
        return NONE
    head = Html(f'<p class="note">Fleet {name(fleet.name)}; the tightest first.</p>')
    bars = [_pool(each, when(fleet.measured.get(each.location), now)) for each in pools]
    more = fold(text(_tell_rest(rest)), join(bars[most:])) if rest else NONE
    return join([head, *unknown, *bars[:most], more])


def _tell_rest(pools: Sequence[Pool]) -> str:
    first = pools[0]
    left = f"{max(0, first.left):,} of {first.limit:,} left of {first.usage} in {first.location}"
    return f"{count(len(pools), 'roomier pool')}, the tightest with {left}"


def _pool(pool: Pool, asked: Html) -> Html:
    pace = tell_pace(pool, max(0, pool.left))
    left = f"{pool.used:,} of {pool.limit:,} used, {pool.left:,} left{f': {pace}' if pace else ''}"
    head = Html(f"<p><strong>{name(pool.location)}</strong> {name(pool.usage)}</p>")
    more = [tell_holders(pool), tell_asked(pool)]
    told = join([*(text(each) for each in more if each), Html(f"asked {asked}")], "; ")
    return Html(f'<div class="pool">{head}{_bar(pool, left)}<p>{text(left)}</p><p class="note">{told}</p></div>')


def _bar(pool: Pool, told: str) -> Html:
    asked = max(0, min(pool.asked, pool.left))
    parts = (("ours", pool.ours), ("others", pool.others), ("held", pool.residue), ("asked", asked))
    whole = max(1, pool.limit, sum(number for _, number in parts))
    ends = [*accumulate(number for _, number in parts)]
    drawn = join(
        _piece(look, 100 * (end - number) / whole, 100 * number / whole)
        for (look, number), end in zip(parts, ends, strict=True)
        if number > 0
    )
    return Html(f'<svg class="bar" role="img" aria-label="{text(told)}">{drawn}</svg>')


def _piece(look: str, begin: float, width: float) -> Html:
    return Html(f'<rect x="{begin:.2f}%" width="{width:.2f}%" height="100%" class="{look}"/>')


def _pattern(look: str, drawing: str) -> str:
    size = 'width="6" height="6" patternUnits="userSpaceOnUse"'
    return f'<pattern id="{look}" {size}><rect width="6" height="6" class="b-{look}"/>{drawing}</pattern>'


_PATTERNS: Final = Html(
    '<svg class="defs" aria-hidden="true"><defs>'
    + _pattern("others", '<path d="M0 6L6 0" stroke-width="1.5" class="p-others"/>')
    + _pattern("held", '<circle cx="3" cy="3" r="1.4" class="p-held"/>')
    + _pattern("asked", '<path d="M3 0V6" stroke-width="2" class="p-asked"/>')
    + "</defs></svg>"
)
_LEGEND: Final = Html(
    '<p class="legend">'
    + "".join(
        f'<span><svg aria-hidden="true"><rect width="100%" height="100%" class="{look}"/></svg>{words}</span>'
        for look, words in (
            ("ours", "ours"),
            ("others", "others&#39;"),
            ("held", "held by nobody alive, at most"),
            ("asked", "asked by the plan"),
        )
    )
    + '<span><svg aria-hidden="true"></svg>left</span></p>'
)


def _retirements(fleets: Sequence[FleetHealth]) -> Html:
    found = [(fleet.name, each) for fleet in fleets if fleet.report for each in fleet.report.plan.outlook.retirements]
    found.sort(key=lambda pair: (pair[1].at, pair[0], pair[1].model))
    near = [_retirement(*pair) for pair in found if pair[1].nearness is not Nearness.FAR]
    far = [_retirement(*pair) for pair in found if pair[1].nearness is Nearness.FAR]
    heads = ("Model", "Retires", "Where", "What helps")
    later = (
        fold(text(f"{len(far)} later than in 90 days"), table("Models that retire later", heads, far)) if far else NONE
    )
    return section("Models that retire", table("Models that retire within 90 days", heads, near), later)


def _retirement(fleet: str, found: Retirement) -> tuple[Html, ...]:
    look = "tag bad" if found.nearness in _NEAR else "tag warn"
    days = f"{count(-found.days, 'day')} ago" if found.days < 0 else f"in {count(found.days, 'day')}"
    word = join([tag("span", text(found.nearness.value), look), text(f"{show_day(found.at)}, {days}")])
    refs = _refs([shorten(each) for each in found.deployments])
    where = join([name(f"fleet {fleet}, {found.offer.location}, {found.offer.sku}"), refs], "<br>")
    return name(f"{found.model} {found.version}".strip()), word, where, text(found.advice, 300)


def _fleets(health: Health) -> Html:
    return section("Fleets", *(_fleet(each, health) for each in health.fleets))


def _fleet(fleet: FleetHealth, health: Health) -> Html:
    plan = fleet.report.plan if fleet.report else None
    told = [
        ("Seen", when(fleet.looked_at, health.taken_at) or text("not yet")),
        ("Under way", text("it takes longer than a pass") if fleet.under_way else NONE),
        ("Wholly as declared", when(fleet.in_sync_at, health.taken_at) or text("never yet")),
        ("Stopped", text(plan.stopped) if plan else NONE),
        ("Who we are", name(plan.principal) if plan else NONE),
    ]
    head = join([tag("h3", Html(f"Fleet {name(fleet.name)}")), facts(told)])
    if plan is None:
        return tag("article", head, "card plain")
    states = Counter(each.state for each in plan.decisions)
    counts = join(
        (Html(f"<b>{number:,}</b> {text(STATE_WORDS[state])}") for state, number in sorted(states.items())),
        " &middot; ",
    )
    differing = [each for each in plan.decisions if each.state not in _GOOD]
    rows = [_resource(each) for each in differing]
    other = _capped("Not as declared, or not left so", ("Resource", "State", "Why"), rows)
    parts = [head, tag("p", counts, "counts"), other, *_good(plan.decisions)]
    return tag("article", join(parts), "card plain")


def _resource(decision: Decision) -> tuple[Html, ...]:
    look = f"tag {_LOOKS.get(decision.state, 'wait')}"
    action = decision.action.value if decision.acts and decision.action else STATE_WORDS[decision.state]
    return name(str(decision.ref)), tag("span", text(action), look), text(tell_reason(decision), 300)


def _good(decisions: Iterable[Decision]) -> list[Html]:
    """What is as declared: a line for each document, by kind, on demand."""
    kinds: dict[str, Counter[str]] = {}
    for decision in decisions:
        if decision.state in _GOOD:
            document = document_of(decision.ref)
            kinds.setdefault(document.kind, Counter())[document.name] += 1
    folds = []
    for kind, documents in sorted(kinds.items()):
        rows = [(name(each), text(str(number))) for each, number in sorted(documents.items())]
        total = sum(documents.values())
        besides = f", {count(total, 'resource')} in all" if total > len(documents) else ""
        told = text(f"{kind}: {len(documents):,} as declared{besides}")
        folds.append(fold(told, table(f"{kind} documents that are as declared", (kind, "Resources"), rows)))
    return folds


def _passes(health: Health) -> Html:
    rows = [_pass(each, health.taken_at) for each in health.passes[:_PASSES]]
    older = [_pass(each, health.taken_at) for each in health.passes[_PASSES:]]
    heads = ("Ended", "Trigger", "Took", "Went", "Writes", "Requests")
    return section(
        "Last passes",
        table("One line for each pass over all fleets", heads, rows, "passes"),
        fold(text(f"{len(older)} before"), table("Passes before these", heads, older, "passes")) if older else NONE,
    )


def _pass(record: PassRecord, now: float) -> tuple[Html, ...]:
    writes = [f"{record.writes:,} done"] if record.writes else []
    writes += [f"{record.failed:,} failed"] if record.failed else []
    writes += [f"{record.waits:,} go on"] if record.waits else []
    went = tag("span", text(record.result.value), f"tag {_RESULTS[record.result]}")
    return (
        when(record.ended, now),
        text(record.trigger, 10),
        text(show_duration(record.ended - record.began)),
        join([went, text(record.why, 200)], "<br>"),
        text(", ".join(writes) or "none"),
        text(f"{record.requests:,}"),
    )


def _process(health: Health) -> Html:
    journal, tallies = health.journal, health.tallies
    requests = "; ".join(f"{code}: {number:,}" for code, number in sorted(tallies.requests.items()))
    left = ", ".join(f"{left:,.0f} {toll}" for toll, left in sorted(health.allowances.items()))
    oldest = min((each.written for each in journal.letters), default=0.0)
    waits = f"{count(len(journal.letters), 'message')} on the way for up to {show_duration(health.taken_at - oldest)}"
    outbox = waits if journal.letters else ""
    lost = f"{journal.dead + journal.dropped:,} given up" if journal.dead + journal.dropped else ""
    open_ = sum(each.open for each in journal.alerts.values())
    return section(
        "This process",
        facts(
            [
                ("Began", when(health.began_at, health.taken_at)),
                ("Passes", text(f"{tallies.durations.number:,}")),
                ("Answers from Azure, by status", text(requests)),
                ("Requests Azure grants now", text(left)),
                ("Open alerts", text(str(open_))),
                ("Alert messages", text(", ".join(each for each in (outbox, lost) if each) or "all arrived")),
            ]
        ),
    )
