"""Report: plan, outcomes and findings as text for a terminal. Pure; readable at 80 columns, with or without colour.

What is dangerous comes first, what needs nothing is only counted. A word longer than the line is left whole, so that an
id can be copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.model.finding import Finding, Severity
from reconciler.model.ids import Ref
from reconciler.model.outcome import CycleReport, Outcome, Result
from reconciler.model.plan import Action, Decision, DecisionState, FieldChange, Plan, Verb
from reconciler.model.text import plain
from reconciler.report.ahead import tell_ahead
from reconciler.report.mandate import tell_mandate
from reconciler.report.openings import join_ways, list_dangers, tell_exposure, tell_passage, tell_unreached
from reconciler.report.paint import Ink, Style, ink_of, ink_of_action
from reconciler.report.pools import tell_moving
from reconciler.report.rules import fold_rules, is_rule
from reconciler.report.spreads import list_moving, tell_shares, tell_spread
from reconciler.report.summary import cost_line, following_line, headline, merge_outcomes, result_line, summarise
from reconciler.report.words import (
    RESULT_ADVICE,
    RESULT_WORDS,
    SYMBOLS,
    count,
    document_of,
    group_blind,
    name_of,
    name_of_step,
    name_within,
    show_duration,
    symbol_of,
    tell_action,
    tell_converged,
    tell_field,
    tell_mark,
    tell_part,
    tell_reason,
    word_of,
)

_QUIET = (DecisionState.IN_SYNC, DecisionState.IGNORED)
_LEFT = (DecisionState.BLOCKED, DecisionState.IN_PROGRESS, DecisionState.DRIFTED)
_NAME = 26  # the column of names; a longer one pushes its reason to the next line
_SHOWN_DANGERS = 12  # more dangers than this are only counted: a new fleet opens a door at every account
_SHOWN_WAYS = 6  # of more than these, ways and who comes, the rest is only counted
_ENDED = 18  # room for how a step ended
_GLUE = "\u00a0"  # a space that a line is not broken at
_SHOWN_BLIND = 8  # more places hidden by one fault than this are only counted
_SHOWN_POOLS = 6  # more pools than this, all with room, are only counted
_SHOWN_ENDS = 8  # more models that retire than this, none of them within a month, are only counted
_SHOWN_DONE = 20  # more finished steps than this are only counted


def render_plan(plan: Plan, style: Style) -> str:
    """The whole plan: dangers, resources by document, what could not be read, findings, the summary."""
    blocks = [
        tell_heading(plan, style),
        _dangers(plan, style),
        *_documents(plan, style),
        _pools(plan, style),
        _quota(plan, style),
        _rights(plan, style),
        _lifecycle(plan, style),
        _blind(plan, style),
        _findings(plan, style),
        _closing(plan, style),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def render_findings(findings: Iterable[Finding], style: Style) -> str:
    """One finding after the other, in the order of their places, each with what would be right."""
    ordered = sorted(findings, key=lambda each: (each.origin is None, each.origin, each.code, each.message))
    return "".join(line + "\n" for finding in ordered for line in _finding(finding, style))


def render_run(reports: tuple[CycleReport, ...], style: Style) -> str:
    """What a run has done to a fleet: done, not done with the next step in words, left as it is, the sum."""
    first, last = reports[0], reports[-1]
    outcomes = merge_outcomes(reports)
    done = [outcome for outcome in outcomes if outcome.result is Result.DONE]
    undone = [outcome for outcome in outcomes if outcome.result is not Result.DONE]
    lines: list[str] = []
    if style.verbose or len(done) <= _SHOWN_DONE:
        lines += [line for outcome in done for line in _outcome(outcome, style)]
    lines += [line for outcome in undone for line in _outcome(outcome, style)]
    blocks = ["\n".join(lines), *(_left(last.plan, style) if outcomes else ())]
    blocks += ["\n".join(_sum(first, last, reports, style))]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _left(plan: Plan, style: Style) -> Iterator[str]:
    """What the last look says about everything that is not as declared and on which nothing was tried."""
    if any(decision.state in _LEFT for decision in plan.decisions):
        yield style.paint("Left as it is", Ink.BOLD)
    for ref, decisions in _group(plan).items():
        left = [decision for decision in decisions if decision.state in _LEFT]
        if left:
            yield "\n".join(
                (*_title(ref, decisions, style), *(line for each in left for line in _decision(each, style)))
            )
    yield _blind(plan, style)


def _sum(first: CycleReport, last: CycleReport, reports: tuple[CycleReport, ...], style: Style) -> Iterator[str]:
    requests = count(sum(report.requests for report in reports), "request")
    took = f"in {show_duration(last.ended - first.began)} with {requests}"
    fleet, said = f"Fleet {plain(last.plan.fleet)}", result_line(merge_outcomes(reports))
    if last.refused:
        yield from (style.paint(line, Ink.WARN) for line in _wrap(f"{fleet}: {plain(last.refused)}", "", "  ", style))
    end = f"{tell_converged(last.plan).capitalize()}." if last.plan.converged else ""
    # The last words stay together, so that whoever looks for them finds them.
    text = f"{fleet}: {said or 'nothing written'}, {took}. {end.replace(' ', _GLUE)}"
    ink = Ink.ADD if last.plan.converged else Ink.WARN
    yield from (style.paint(line, ink) for line in _wrap(text, "", "  ", style))


def tell_heading(plan: Plan, style: Style) -> str:
    subscriptions = sorted({decision.id.subscription for decision in plan.decisions})
    where = f"  subscription {', '.join(subscriptions)}" if subscriptions else ""
    return style.paint(f"Fleet {plain(plan.fleet)}", Ink.BOLD) + style.paint(plain(where), Ink.FAINT)


def _dangers(plan: Plan, style: Style) -> str:
    told = list_dangers(plan.decisions)
    if not told:
        return ""
    shown = told if style.verbose else told[:_SHOWN_DANGERS]
    lines = [style.paint("Read this first", Ink.BOLD)]
    for decision, sentence in shown:
        text = f"{tell_action(decision.action)} {name_of(decision)}: {sentence}"
        lines += [style.paint(line, Ink.WARN) for line in _wrap(text, "  ! ", "    ", style)]
    if len(told) > len(shown):
        lines.append(style.paint(f"  ! ... and {len(told) - len(shown)} more, marked below", Ink.WARN))
    return "\n".join(lines)


def _documents(plan: Plan, style: Style) -> Iterator[str]:
    for ref, decisions in _group(plan).items():
        told = [each for each in decisions if style.verbose or each.state not in _QUIET or each.short]
        if told:
            yield "\n".join(_document(ref, told, decisions, style))


def _group(plan: Plan) -> dict[Ref, list[Decision]]:
    """The decisions by the document that declares them."""
    groups: dict[Ref, list[Decision]] = {}
    for decision in plan.decisions:
        groups.setdefault(document_of(decision.ref), []).append(decision)
    return groups


def _document(ref: Ref, told: list[Decision], decisions: list[Decision], style: Style) -> Iterator[str]:
    yield from _title(ref, decisions, style)
    for decision in told:
        yield from _decision(decision, style)
    if len(decisions) > len(told):
        yield style.paint(f"  ... {len(decisions) - len(told)} more left alone", Ink.FAINT)


def _title(ref: Ref, decisions: list[Decision], style: Style) -> Iterator[str]:
    """Name, region and place of a document, also where only a child of its resource has news."""
    whole = next((each for each in decisions if each.ref == ref), decisions[0])
    location = whole.location or next((each.location for each in decisions if each.location), "")
    words = [plain(str(each)) for each in (ref, location, whole.origin) if each]
    lines = [words[0]]
    for word in words[1:]:
        fits = len(lines[-1]) + 2 + len(word) <= style.width
        lines = [*lines[:-1], f"{lines[-1]}  {word}"] if fits else [*lines, f"  {word}"]
    name = words[0]
    yield style.paint(name, Ink.BOLD) + style.paint(lines[0][len(name) :], Ink.FAINT)
    yield from (style.paint(line, Ink.FAINT) for line in lines[1:])


def _decision(decision: Decision, style: Style) -> Iterator[str]:
    head = f"{symbol_of(decision):>3} {word_of(decision):<7}  {name_within(decision.ref)}"
    reason = tell_reason(decision)
    column = 13 + _NAME
    ink = ink_of(decision)
    if len(head) < column and len(reason) <= style.width - column:
        yield style.paint(head.ljust(column), ink) + reason
    else:
        yield style.paint(head, ink)
        yield from _wrap(reason, "      ", "      ", style)
    # What could not be read is told at the end, with its next step, once for all that it hides.
    if decision.permit and decision.code != "unknown":
        yield from (
            style.paint(line, Ink.FAINT) for line in _wrap(plain(decision.permit), "      to permit: ", " " * 8, style)
        )
    if decision.acts:
        yield from _reach(decision, style)
    yield from _changes(decision, style)


def _reach(decision: Decision, style: Style) -> Iterator[str]:
    """Whom it lets in and whom it stops."""
    unreached = tell_unreached(decision)
    if unreached:
        yield from (style.paint(line, Ink.WARN) for line in _wrap(unreached, "      opens   ", " " * 14, style))
    most = 0 if style.verbose else _SHOWN_WAYS
    for word, ways, ink in (("opens ", decision.opened, Ink.WARN), ("closes", decision.closed, Ink.NONE)):
        passages = join_ways(ways)
        shown = passages[:most] if most else passages
        told = [tell_passage(each, most) for each in shown]
        more = len(passages) - len(shown)
        for text in [*told, *([f"... and {more} more; -v shows all"] if more else [])]:
            yield from (style.paint(line, ink) for line in _wrap(text, f"      {word}  ", " " * 14, style))


def _changes(decision: Decision, style: Style) -> Iterator[str]:
    changes = fold_rules(decision.changes)
    told = [change for change in changes if not _goes_without_saying(decision, change)]
    compact = [change for change in changes if change not in told and change.after is not None]
    if compact:
        # A field and its value stay on one line, where there is room for them.
        fields = [f"{plain(change.path)} {' '.join(tell_field(decision, change))}" for change in compact]
        room = style.width - 7
        text = ", ".join(field.replace(" ", _GLUE) if len(field) <= room else field for field in fields)
        yield from _wrap(text, "      ", "      ", style)
    column = min(max((len(plain(change.path)) for change in told), default=0), 40)
    for change in told:
        yield from _change(decision, change, column, style)


def _goes_without_saying(decision: Decision, change: FieldChange) -> bool:
    """The fields of something new are told in one paragraph, but what exposes it stands alone."""
    return decision.action is Action.CREATE and not change.opens and not is_rule(change.path)


def _change(decision: Decision, change: FieldChange, column: int, style: Style) -> Iterator[str]:
    path = plain(change.path).ljust(column)
    mark = tell_mark(decision, change)
    words = tell_field(decision, change)
    ink = Ink.WARN if change.opens else Ink.NONE
    one_line = "  ".join([f"      {path}", *words, *([mark] if mark else [])])
    if len(one_line) <= style.width:
        yield style.paint(one_line, ink)
        return
    yield style.paint("  ".join([f"      {path.rstrip()}", *([mark] if mark else [])]), ink)
    together = f"        {'  '.join(words)}"
    if len(together) <= style.width:
        yield style.paint(together, ink)
        return
    for word in words:
        yield from (style.paint(line, ink) for line in _wrap(word, "        ", "          ", style))


def _pools(plan: Plan, style: Style) -> str:
    """Where the tokens of pools of models are, and why not elsewhere, where that changes or something is missing."""
    told = plan.spreads if style.verbose else list_moving(plan)
    lines: list[str] = []
    for spread in told:
        ink = Ink.HOLD if spread.shortfall else Ink.NONE
        lines += [style.paint(line, ink) for line in _wrap(plain(tell_spread(spread)), "  ", "    ", style)]
        for text in tell_shares(spread):
            lines += _wrap(plain(text), "    ", "      ", style)
    return "\n".join([style.paint("Pools of models", Ink.BOLD), *lines]) if lines else ""


def _quota(plan: Plan, style: Style) -> str:
    """What the plan takes of which pool and what is left, where it changes that."""
    told = tell_moving(plan)
    if not told:
        return ""
    lines = [style.paint("Quota", Ink.BOLD)]
    shown = told if style.verbose else told[: max(_SHOWN_POOLS, sum(tight for tight, _ in told))]
    for tight, text in shown:
        ink = Ink.HOLD if tight else Ink.NONE
        lines += [style.paint(line, ink) for line in _wrap(plain(text), "  ", "    ", style)]
    if len(told) > len(shown):
        lines.append(style.paint(f"  ... and {len(told) - len(shown)} more, with more room; -v shows all", Ink.FAINT))
    return "\n".join(lines)


def _rights(plan: Plan, style: Style) -> str:
    """What whoever applies the plan has to be permitted, as far as this identity is not."""
    lines: list[str] = []
    for text, advice in tell_mandate(plan):
        lines += [style.paint(line, Ink.HOLD) for line in _wrap(plain(text), "  ", "    ", style)]
        if advice:
            lines += _wrap(plain(advice), "      next: ", "        ", style)
    return "\n".join((style.paint("Rights", Ink.BOLD), *lines)) if lines else ""


def _lifecycle(plan: Plan, style: Style) -> str:
    """What is retired soon, and what Azure does to deployments by itself."""
    told = tell_ahead(plan.outlook, plan.outlook.retirements if style.verbose else plan.outlook.near)
    if not told:
        return ""
    lines = [style.paint("Model lifecycle", Ink.BOLD)]
    shown = told if style.verbose else told[: max(_SHOWN_ENDS, sum(line.pressing for line in told))]
    for each in shown:
        mark, ink = ("  ! ", Ink.WARN) if each.pressing else ("  . ", Ink.NONE)
        lines += [style.paint(line, ink) for line in _wrap(plain(each.told), mark, "    ", style)]
        lines += _wrap(plain(each.advice), "      next: ", "        ", style) if each.advice else []
    if len(told) > len(shown):
        lines.append(style.paint(f"  ... and {len(told) - len(shown)} more; -v shows all", Ink.FAINT))
    return "\n".join(lines)


def _blind(plan: Plan, style: Style) -> str:
    if not plan.blind:
        return ""
    lines = [style.paint("Could not be read; nothing is assumed about it", Ink.BOLD)]
    for (told, advice), scopes in group_blind(plan).items():
        shown = scopes if style.verbose else scopes[:_SHOWN_BLIND]
        places = [*shown, *([f"... and {len(scopes) - len(shown)} more"] if len(scopes) > len(shown) else [])]
        for place in places:
            lines += [style.paint(line, Ink.HOLD) for line in _wrap(plain(place), "  ? ", "    ", style)]
        lines += [style.paint(line, Ink.HOLD) for line in _wrap(plain(told), "      ", "      ", style)]
        if advice:
            lines += _wrap(plain(advice), "      next: ", "        ", style)
    return "\n".join(lines)


def _findings(plan: Plan, style: Style) -> str:
    if not plan.findings:
        return ""
    return style.paint("Findings", Ink.BOLD) + "\n" + render_findings(plan.findings, style).rstrip("\n")


def _finding(finding: Finding, style: Style) -> Iterator[str]:
    ink = Ink.REMOVE if finding.severity is Severity.ERROR else Ink.CHANGE
    where = f"{plain(str(finding.origin))}: " if finding.origin else ""
    yield where + style.paint(finding.severity.value, ink) + f": {plain(finding.message)}"
    if finding.hint:
        yield from _wrap(plain(finding.hint), "    ", "    ", style)


def _closing(plan: Plan, style: Style) -> str:
    summary = summarise(plan)
    lines = [style.paint(line, Ink.BOLD) for line in _wrap(headline(summary), "", "  ", style)]
    for sentence, ink in zip(tell_exposure([plan]), (Ink.WARN, Ink.NONE), strict=True):
        lines += [style.paint(line, ink) for line in _wrap(f"{sentence}.", "", "  ", style) if sentence]
    lines += _wrap(following_line(plan), "", "  ", style)
    lines += _wrap(cost_line(summary), "", "  ", style)
    if plan.stopped:
        stopped = f"Stopped by a safety limit, nothing will be written: {plain(plan.stopped)}"
        lines += [style.paint(line, Ink.WARN) for line in _wrap(stopped, "", "  ", style)]
    elif plan.converged:
        lines.append(style.paint(f"Nothing to do: {tell_converged(plan)}.", Ink.ADD))
    return "\n".join(lines)


def _outcome(outcome: Outcome, style: Style) -> Iterator[str]:
    step = outcome.step
    head = f"{SYMBOLS[step.action]:>3} {step.action.value:<7}  {name_of_step(step)}{tell_part(step)}"
    ended = RESULT_WORDS[outcome.result]
    took = f" in {show_duration(outcome.ended - outcome.began)}" if outcome.ended > outcome.began else ""
    ink = ink_of_action(step.action) if outcome.result is Result.DONE else Ink.WARN
    if outcome.result in (Result.IN_PROGRESS, Result.NOT_STARTED):
        ink = Ink.WAIT
    tail = f"  {ended}{took}"
    column = min(style.width - _ENDED, style.width - len(tail))
    if len(head) <= column:
        yield style.paint(head.ljust(column), ink) + tail
    else:
        yield style.paint(head, ink)
        yield f"    {tail}"
    if outcome.result is Result.DONE and step.verb is not Verb.PURGE:
        return
    if outcome.because:
        yield from _wrap(plain(outcome.because), "      ", "      ", style)
    if not outcome.fault and outcome.result in RESULT_ADVICE:
        yield from _wrap(RESULT_ADVICE[outcome.result], "      next: ", "        ", style)
    if outcome.fault:
        told = plain(str(outcome.fault))
        if told not in plain(outcome.because):
            yield from _wrap(told, "      ", "      ", style)
        if outcome.fault.advice and outcome.fault.advice not in outcome.because:
            yield from _wrap(plain(outcome.fault.advice), "      next: ", "        ", style)
        if outcome.fault.request_id:
            yield style.paint(f"      request id: {plain(outcome.fault.request_id)}", Ink.FAINT)


def _wrap(text: str, first: str, rest: str, style: Style) -> list[str]:
    return [line.replace(_GLUE, " ") for line in style.wrap(text, first, rest)]
