"""`graph`: a picture of the desired state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reconciler.app import plan_fleets
from reconciler.cli.call import Call, choose, complete, is_broken, load, wire_up, write_whole
from reconciler.cli.graphviz import find_graphviz, make_svg
from reconciler.cli.parser import Exit
from reconciler.cycle import CycleRequest
from reconciler.model.plan import Plan
from reconciler.model.reach import Way
from reconciler.model.resource import Fleet
from reconciler.model.text import plain
from reconciler.plan import declared_ways
from reconciler.report.document import Envelope, Selection
from reconciler.report.graph import Graph, make_graph, render_graph
from reconciler.report.picture import render_dot, render_mermaid, tell_too_large
from reconciler.report.progress import Quiet
from reconciler.report.text import render_findings
from reconciler.settings import Output


def graph(call: Call) -> Exit:
    """A picture of the desired state, or its nodes and edges; with --live also of how everything stands in Azure."""
    options, terminal = call.options, call.terminal
    program = find_graphviz(call.environment) if options.format == "svg" else ""
    estate = load(call)
    terminal.complain(render_findings(estate.findings, terminal.style(terminal.err)))
    selection = Selection(targets=tuple(options.targets), selector=options.selector)
    as_data = call.json and not options.format
    if is_broken(estate):
        terminal.complain("The desired state is wrong, so there is no picture of it.\n")
        if as_data:
            envelope = Envelope(exit_code=Exit.ERROR, findings=estate.findings, selection=selection)
            terminal.say(render_graph(Graph(), envelope))
        return Exit.ERROR
    chosen = choose(estate, selection)
    plans: tuple[Plan, ...] = ()
    ways: tuple[Way, ...] = ()
    if options.live:
        request = CycleRequest(chosen=chosen, ways=options.reach)
        reports = complete(call, plan_fleets(estate.fleets, wire_up(call, Quiet()), request))
        plans = tuple(report.plan for report in reports)
        ways = tuple(way for report in reports for way in report.ways)
    elif options.reach:
        ways = _declared_ways(estate.fleets)
    for plan in plans:
        terminal.complain("".join(plain(f"{scope} could not be read: {fault}") + "\n" for scope, fault in plan.blind))
        if plan.stopped:
            terminal.tell(plain(f"Fleet {plan.fleet}: stopped by a safety limit: {plan.stopped}") + "\n")
    code = Exit.OK if all(plan.complete for plan in plans) else Exit.ERROR
    drawn = make_graph(estate.fleets, plans, chosen, live=options.live, ways=ways)
    if as_data:
        text = render_graph(drawn, Envelope(exit_code=code, findings=estate.findings, selection=selection))
    else:
        text = _draw(call, drawn, program)
    if options.out:
        write_whole(Path(options.out), text)
    else:
        terminal.say(text)
    return code


def _declared_ways(fleets: tuple[Fleet, ...]) -> tuple[Way, ...]:
    """Who reaches what once all is as declared; the private endpoint to an account may be another fleet's."""
    everything = {id: desired for fleet in fleets for id, desired in fleet.desired.items()}
    return declared_ways(replace(fleets[0], desired=everything)) if fleets else ()


def _draw(call: Call, drawn: Graph, program: str) -> str:
    match call.options.format:
        case "svg":
            return make_svg(program, render_dot(drawn), call.environment)
        case "dot":
            return render_dot(drawn)
    picture = render_mermaid(drawn)
    excess = tell_too_large(picture)
    if excess:
        call.terminal.tell(f"reconciler graph: {excess}\n")
    return f"```mermaid\n{picture}```\n" if call.settings.output is Output.MARKDOWN else picture
