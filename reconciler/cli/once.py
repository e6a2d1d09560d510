"""`once`: one cycle to the end, or its plan only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TextIO

import structlog

from reconciler.app import converge_fleets, plan_fleets
from reconciler.apply import Budget
from reconciler.cli.call import Call, UsageError, choose, complete, is_broken, load, open_progress, wire_up, write_whole
from reconciler.cli.consent import ask_about
from reconciler.cli.consultation import Consultation
from reconciler.cli.lease import choose_lease_to_write
from reconciler.cli.parser import Exit
from reconciler.cli.pauses import pauses_in_force
from reconciler.cli.terminal import Terminal
from reconciler.cli.verdict import judge_plans, judge_runs
from reconciler.cycle import CycleRequest
from reconciler.leading import LeaseChoice
from reconciler.model.ids import ArmId
from reconciler.model.plan import Plan
from reconciler.model.resource import Estate
from reconciler.report.document import Envelope, SavedPlan, Selection, read_plan, render_plans, render_runs, tell_stale
from reconciler.report.markdown import render_markdown, render_markdown_runs
from reconciler.report.progress import Quiet
from reconciler.report.text import render_findings, render_plan, render_run
from reconciler.settings import Output


def once(call: Call) -> Exit:
    """One cycle to the end, or its plan only."""
    options, terminal = call.options, call.terminal
    if not (options.dry_run or options.yes or options.plan or terminal.interactive):
        raise UsageError("there is no terminal to ask on; add --yes to write without being asked, or --dry-run")
    choice = LeaseChoice() if options.dry_run else choose_lease_to_write(call)
    saved = _read_saved(options.plan) if options.plan else None
    estate = load(call)
    if is_broken(estate):
        return _refuse_estate(call, estate)
    pauses = pauses_in_force(call)
    estate = replace(estate, fleets=tuple(replace(fleet, pauses=pauses) for fleet in estate.fleets))
    terminal.complain(render_findings(estate.findings, terminal.style(terminal.err)))
    selection = Selection(targets=tuple(options.targets), selector=options.selector)
    if saved:
        selection = saved.selection
    chosen = choose(estate, selection)
    if options.dry_run:
        return _dry_run(call, estate, selection, chosen)
    return _converge(call, estate, saved, chosen, choice)


def _dry_run(call: Call, estate: Estate, selection: Selection, chosen: frozenset[ArmId] | None) -> Exit:
    terminal = call.terminal
    wiring = wire_up(call, Quiet())
    reports = complete(call, plan_fleets(estate.fleets, wiring, CycleRequest(chosen=chosen)))
    plans = tuple(report.plan for report in reports)
    code = judge_plans(plans)
    envelope = Envelope(exit_code=code, findings=estate.findings, selection=selection)
    if call.options.out:
        write_whole(Path(call.options.out), render_plans(plans, envelope))
        terminal.tell(f"Plan saved; apply exactly this with: reconciler once --plan {call.options.out}\n")
    match call.settings.output:
        case Output.JSON:
            terminal.say(render_plans(plans, envelope))
        case Output.MARKDOWN:
            terminal.say(render_markdown(plans, estate.findings))
        case Output.TEXT:
            _show_plans(plans, terminal, terminal.out)
    return code


def _converge(
    call: Call, estate: Estate, saved: SavedPlan | None, chosen: frozenset[ArmId] | None, choice: LeaseChoice
) -> Exit:
    terminal = call.terminal
    consultation = Consultation(
        fleets=frozenset(fleet.name for fleet in estate.fleets),
        progress=open_progress(call),
        ask=lambda plans: _consult(call, saved, plans),
        beyond=call.options.yes and saved is None,
        tell=terminal.tell,
        renew=saved is None,
    )
    budget = Budget(seconds=call.settings.timeout, parallel=call.settings.parallelism)
    request = CycleRequest(chosen=chosen, budget=budget, consent=consultation.consent)
    wiring = replace(wire_up(call, consultation), choice=choice)
    with structlog.contextvars.bound_contextvars(trigger="once"):
        runs = complete(call, converge_fleets(estate.fleets, wiring, request, terminal.tell))
    first = tuple(reports[0].plan for reports in runs)
    moved = tell_stale(saved, first) if saved else ""
    code = Exit.STOPPED if moved else judge_runs(runs)
    match call.settings.output:
        case Output.JSON:
            terminal.say(render_runs(runs, Envelope(exit_code=code, findings=estate.findings)))
        case Output.MARKDOWN:
            terminal.say(render_markdown_runs(runs))
        case Output.TEXT:
            acted = [reports for reports in runs if any(report.plan.applicable for report in reports)]
            if not acted:
                _show_plans(first, terminal, terminal.out)
            told = [render_run(reports, terminal.style(terminal.out)) for reports in acted]
            terminal.say("\n".join(told))
    if moved:
        terminal.complain(f"{moved}\n")
    return code


async def _consult(call: Call, saved: SavedPlan | None, plans: tuple[Plan, ...]) -> str:
    """Show what would be done and find out whether it may be: "" or why not."""
    terminal = call.terminal
    asks = not (saved or call.options.yes)
    if call.settings.output is Output.TEXT:
        _show_plans(plans, terminal, terminal.out)
    elif asks:
        _show_plans(plans, terminal, terminal.err)
    if saved:
        return "the saved plan is stale; nothing was written" if tell_stale(saved, plans) else ""
    if not asks:
        return ""
    if await terminal.ask(f"\n{ask_about(plans)}"):
        return ""
    return "not agreed to; nothing was written"


def _show_plans(plans: tuple[Plan, ...], terminal: Terminal, stream: TextIO) -> None:
    stream.write("\n".join(render_plan(plan, terminal.style(stream)) for plan in plans))
    stream.flush()


def _read_saved(path: str) -> SavedPlan:
    try:
        return read_plan(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the plan {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not usable as a plan: {error}") from error


def _refuse_estate(call: Call, estate: Estate) -> Exit:
    """A wrong document stops a run before its first request; everything that is wrong is told."""
    terminal = call.terminal
    terminal.complain(render_findings(estate.findings, terminal.style(terminal.err)))
    terminal.complain("The desired state is wrong, so no request was sent.\n")
    if call.json:
        terminal.say(render_plans((), Envelope(exit_code=Exit.ERROR, findings=estate.findings)))
    elif call.settings.output is Output.MARKDOWN:
        terminal.say(render_markdown((), estate.findings))
    return Exit.ERROR
