"""Report: plans as Markdown for a pull-request comment. Pure; never longer than it was allowed to be.

Whatever is not ours stands in code spans or code blocks, where Markdown, HTML and mentions have no meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from reconciler.model.finding import Finding
from reconciler.model.ids import Ref
from reconciler.model.outcome import CycleReport, Outcome
from reconciler.model.plan import Decision, DecisionState, Plan
from reconciler.model.text import plain
from reconciler.report.ahead import Line, tell_ahead
from reconciler.report.mandate import tell_mandate
from reconciler.report.openings import (
    Passage,
    join_ways,
    list_dangers,
    tell_exposure,
    tell_how,
    tell_unreached,
    tell_who,
)
from reconciler.report.pools import tell_moving
from reconciler.report.rules import fold_rules
from reconciler.report.spreads import list_moving, tell_shares, tell_spread
from reconciler.report.summary import cost_line, following_line, headline, merge_outcomes, result_line, summarise
from reconciler.report.words import (
    RESULT_WORDS,
    count,
    document_of,
    group_blind,
    name_of,
    name_within,
    shorten,
    show_duration,
    symbol_of,
    tell_action,
    tell_converged,
    tell_field,
    tell_mark,
    tell_reason,
    tell_step,
    word_of,
)

LONGEST: Final = 60_000  # a comment may hold 65,536 characters; somebody adds a heading to ours
_REASON: Final = 200
_PLACES: Final = 8
_SOURCES: Final = 12
_POOLS: Final = 20
_ENDS: Final = 20
_MARKUP: Final = "&<>@`"
_QUIET = (DecisionState.IN_SYNC, DecisionState.IGNORED)


def render_markdown(plans: Iterable[Plan], findings: tuple[Finding, ...] = (), longest: int = LONGEST) -> str:
    """All fleets' plans: per fleet the sum, the dangers, a table, and the fields folded away."""
    parts = [part for plan in plans for part in _plan(plan)]
    parts += [_findings(findings)] if findings else []
    return bound(parts or ["No fleet is declared."], longest)


def render_markdown_runs(runs: Iterable[tuple[CycleReport, ...]], longest: int = LONGEST) -> str:
    """What became of each fleet's plan, and what is left."""
    parts: list[str] = []
    for reports in runs:
        parts += _run(reports)
        parts += list(_plan(reports[-1].plan))
    return bound(parts or ["No fleet is declared."], longest)


def code(text: str) -> str:
    """`text` as a code span that nothing in it can end."""
    shown = plain(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    edge = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{edge}{shown}{edge}{fence}" if shown else ""


def cell(text: str) -> str:
    """A code span for a table, where a bar would begin the next cell even inside of code."""
    return code(text).replace("|", "\\|")


def _run(reports: tuple[CycleReport, ...]) -> Iterator[str]:
    outcomes = merge_outcomes(reports)
    took = show_duration(reports[-1].ended - reports[0].began)
    yield f"### Fleet {code(reports[-1].plan.fleet)}: {result_line(outcomes) or 'nothing written'}, in {took}"
    if reports[-1].refused:
        yield f"> **Not carried out:** {code(reports[-1].refused)}"
    if outcomes:
        rows = [
            f"| {cell(tell_step(each.step))} | {RESULT_WORDS[each.result]} | {cell(_because(each))} |"
            for each in outcomes
        ]
        yield "\n".join(("| write | result | why |", "|---|---|---|", *rows))


def _because(outcome: Outcome) -> str:
    advice = outcome.fault.advice if outcome.fault else ""
    return " ".join(part for part in (outcome.because, advice) if part)


def _plan(plan: Plan) -> Iterator[str]:
    summary = summarise(plan)
    exposure = "".join(f"{code(sentence)}\n\n" for sentence in tell_exposure([plan]) if sentence)
    following = following_line(plan)
    later = f"{code(following)}\n\n" if following else ""
    yield f"### Fleet {code(plan.fleet)}\n\n**{headline(summary)}**\n\n{exposure}{later}{cost_line(summary)}"
    if plan.stopped:
        yield f"> **Stopped by a safety limit, nothing will be written:** {code(plan.stopped)}"
    dangers = [_danger(decision, sentence) for decision, sentence in list_dangers(plan.decisions)]
    if dangers:
        yield "**Read this first**\n\n" + "\n".join(dangers)
    yield from _reach(plan)
    if plan.blind:
        blind = [_blind(*each) for each in group_blind(plan).items()]
        yield "**Could not be read; nothing is assumed about it**\n\n" + "\n".join(blind)
    for spread in list_moving(plan):
        yield "\n".join((f"**{code(tell_spread(spread))}**\n", *(f"- {code(text)}" for text in tell_shares(spread))))
    quota = tell_moving(plan)
    if quota:
        # The tight ones come first: what does not fit into a comment has room.
        more = f"\n- … {count(len(quota) - _POOLS, 'more pool')}" if len(quota) > _POOLS else ""
        yield "**Quota**\n\n" + "\n".join(f"- {code(text)}" for _, text in quota[:_POOLS]) + more
    rights = [f"- {code(text)}" + (f" — next: {code(advice)}" if advice else "") for text, advice in tell_mandate(plan)]
    if rights:
        yield "**Rights**\n\n" + "\n".join(rights)
    ahead = tell_ahead(plan.outlook, plan.outlook.near)
    if ahead:
        # What is soonest comes first.
        more = f"\n- … {count(len(ahead) - _ENDS, 'more line')}" if len(ahead) > _ENDS else ""
        yield "**Model lifecycle**\n\n" + "\n".join(_end(each) for each in ahead[:_ENDS]) + more
    if plan.findings:
        yield _findings(plan.findings)
    told = [decision for decision in plan.decisions if decision.state not in _QUIET or decision.short]
    if told:
        yield "\n".join(("| | action | resource | why |", "|---|---|---|---|", *(_row(each) for each in told)))
        yield from _details(told)
    elif plan.converged:
        yield f"Nothing to do: {tell_converged(plan)}."


def _reach(plan: Plan) -> Iterator[str]:
    """Whom the changes let in and whom they stop, those who are let in first."""
    acting = [decision for decision in plan.decisions if decision.acts]
    rows = [_way("**opens**", passage, each) for each in acting for passage in join_ways(each.opened)]
    rows += [_way("closes", passage, each) for each in acting for passage in join_ways(each.closed)]
    if rows:
        yield "**Who gets through to which account**"
        yield "\n".join(("| | account | who | how | by |", "|---|---|---|---|---|", *rows))


def _way(word: str, passage: Passage, decision: Decision) -> str:
    who = cell(tell_who(passage, _SOURCES))
    how = cell(tell_how(passage.ports, passage.path))
    by = f"{tell_action(decision.action)} {cell(name_of(decision))}"
    return f"| {word} | {cell(shorten(passage.target))} | {who} | {how} | {by} |"


def _blind(fault: tuple[str, str], scopes: list[str]) -> str:
    told, advice = fault
    more = f" and {len(scopes) - _PLACES} more" if len(scopes) > _PLACES else ""
    places = ", ".join(code(scope) for scope in scopes[:_PLACES])
    return f"- {places}{more}: {code(told)}" + (f" — next: {code(advice)}" if advice else "")


def _end(line: Line) -> str:
    mark = ":warning: " if line.pressing else ""
    return f"- {mark}{code(line.told)}" + (f" — next: {code(line.advice)}" if line.advice else "")


def _danger(decision: Decision, sentence: str) -> str:
    return f"- :warning: {tell_action(decision.action)} {code(name_of(decision))}: {code(sentence)}"


def _row(decision: Decision) -> str:
    reason = tell_reason(decision)
    reason = reason if len(reason) <= _REASON else reason[: _REASON - 1] + "…"
    permit = f" — to permit: {cell(decision.permit)}" if decision.permit and decision.code != "unknown" else ""
    return f"| {cell(symbol_of(decision))} | {word_of(decision)} | {cell(str(decision.ref))} | {cell(reason)}{permit} |"


def _details(decisions: list[Decision]) -> Iterator[str]:
    groups: dict[Ref, list[Decision]] = {}
    for decision in decisions:
        if decision.changes:
            groups.setdefault(document_of(decision.ref), []).append(decision)
    for ref, members in groups.items():
        lines = [line for member in members for line in _fields(member)]
        number = sum(len(fold_rules(member.changes)) for member in members)
        # Up to the blank line this is HTML, where a code span means nothing: what could be a tag is escaped.
        name = "".join(f"&#{ord(each)};" if each in _MARKUP else each for each in plain(str(ref)))
        title = f"<summary><code>{name}</code> — {count(number, 'field')}</summary>"
        yield f"<details>{title}\n\n{_block(lines)}\n\n</details>"


def _fields(decision: Decision) -> Iterator[str]:
    yield f"{symbol_of(decision)} {word_of(decision)} {name_within(decision.ref)}"
    unreached = tell_unreached(decision)
    if unreached:
        yield f"    opens {unreached}"
    changes = fold_rules(decision.changes)
    width = max(len(plain(change.path)) for change in changes)
    for change in changes:
        mark = tell_mark(decision, change)
        words = [*tell_field(decision, change), *([mark] if mark else [])]
        yield f"    {plain(change.path).ljust(width)}  {'  '.join(words)}"


def _findings(findings: Iterable[Finding]) -> str:
    return "**Findings**\n\n" + "\n".join(f"- {code(str(finding))}" for finding in findings)


def _block(lines: list[str]) -> str:
    text = "\n".join(lines)
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence}text\n{text}\n{fence}"


def bound(parts: list[str], longest: int) -> str:
    """As many whole parts as fit; a part is a table or a block, never torn so that its end would be missing."""
    room = longest - 200
    kept: list[str] = []
    left_out = 0
    for part in parts:
        fitting = part if len(part) <= room else _shorten_table(part, room)
        if not fitting:
            left_out += 1
            continue
        kept.append(fitting)
        room -= len(fitting) + 2
    if left_out:
        kept.append(f"_{count(left_out, 'section')} left out for length; the whole plan is in the job's output._")
    return "\n\n".join(kept) + "\n"


def _shorten_table(part: str, room: int) -> str:
    lines = part.split("\n")
    if not part.startswith("|"):
        return ""
    kept = lines[:2]
    size = sum(len(line) + 1 for line in kept) + 60
    for line in lines[2:]:
        if size + len(line) + 1 > room:
            break
        kept.append(line)
        size += len(line) + 1
    missing = len(lines) - len(kept)
    return "\n".join((*kept, f"| … {count(missing, 'more row')} |")) if len(kept) > 2 else ""
