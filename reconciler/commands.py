"""One function per command: from options to an exit code. Loaded only when there is a command to run."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TextIO, TypeVar

import structlog

from reconciler.app import (
    Duty,
    Telling,
    Wiring,
    carry_out,
    converge_fleets,
    look,
    plan_fleets,
    serve,
    survey_fleets,
    wire,
)
from reconciler.apply import Budget
from reconciler.consent import ask_about
from reconciler.consultation import Consultation
from reconciler.cycle import CycleRequest, Regions
from reconciler.desired import load_estate
from reconciler.desired.explain import UnknownTopicError, explain, make_schema
from reconciler.desired.fleet import CLOUDS, Endpoints
from reconciler.desired.schema import SPECS
from reconciler.desired.tree import Tree
from reconciler.desired.writer import write_documents
from reconciler.graphviz import GraphvizError, find_graphviz, make_svg
from reconciler.importing import Choice, describe_live
from reconciler.leading import LeaseChoice, LeaseHeldError
from reconciler.library import Library
from reconciler.model.alert import SinkKind
from reconciler.model.burial import Burial, Graveyard
from reconciler.model.finding import Origin, Severity
from reconciler.model.ids import ArmId, fold_location
from reconciler.model.outcome import Outcome
from reconciler.model.pause import Pause
from reconciler.model.plan import Plan
from reconciler.model.ports import Pauses, Watcher
from reconciler.model.quota import Pool
from reconciler.model.reach import Way
from reconciler.model.resource import CloudTarget, Estate, Fleet, Scope
from reconciler.model.wire import Json, JsonObject
from reconciler.outside import Door
from reconciler.parser import Exit, Options
from reconciler.pausing import add_pause, end_pauses, read_until, tell_document, tell_scope
from reconciler.plan import (
    NothingSelectedError,
    declared_ways,
    find_burials,
    merge,
    plan_one,
    select,
    tell_pause,
)
from reconciler.report.alerts import Storm
from reconciler.report.deleted import (
    render_burial,
    render_deleted,
    render_deleted_json,
    render_deleted_markdown,
    render_purge,
    render_purge_json,
)
from reconciler.report.document import (
    FORMAT_VERSION,
    Envelope,
    SavedPlan,
    Selection,
    read_plan,
    render_json,
    render_plans,
    render_runs,
    tell_finding,
    tell_stale,
)
from reconciler.report.drift import Rounds
from reconciler.report.events import Events
from reconciler.report.graph import Graph, make_graph, render_graph
from reconciler.report.markdown import render_markdown, render_markdown_runs
from reconciler.report.paint import Style
from reconciler.report.picture import render_dot, render_mermaid, tell_too_large
from reconciler.report.progress import Progress, Quiet
from reconciler.report.quota import Filter, render_quota, render_quota_json, render_quota_markdown
from reconciler.report.text import render_findings, render_plan, render_run
from reconciler.report.words import count, join_words, plain, shorten
from reconciler.routes import check_variables
from reconciler.runtime.clock import SystemClock
from reconciler.runtime.halt import Brake
from reconciler.runtime.kube import find_place
from reconciler.runtime.lease import Terms
from reconciler.runtime.logs import configure_logs
from reconciler.runtime.pauses import PauseFile, PauseMap
from reconciler.runtime.sinks import Regarding
from reconciler.runtime.traces import check_traces
from reconciler.runtime.trigger import Bell, Timing
from reconciler.settings import (
    OFF,
    LeaseForm,
    LogFormat,
    LogLevel,
    Output,
    Settings,
    Source,
    load_settings,
    read_place,
    tell_settings,
)
from reconciler.simulate import Simulation, SimulationError, SimulationRequest, run_simulation
from reconciler.terminal import Terminal
from reconciler.verdict import judge_outcome, judge_plans, judge_runs

Result = TypeVar("Result")
_SHORTEST_TOKEN = 16  # characters
_SHORTEST_BUDGET = 30.0  # seconds; a write alone may take longer than an interval of a few


class UsageError(Exception):
    """What was asked for cannot be done as it was asked; the message says what would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One command line at work: what was said, what the settings are, where to speak, where Azure is."""

    options: Options
    settings: Settings
    terminal: Terminal
    environment: Mapping[str, str]
    simulation: Simulation | None = None

    @property
    def json(self) -> bool:
        return self.settings.output is Output.JSON

    @property
    def clock(self) -> SystemClock:
        return SystemClock(self.simulation.pace if self.simulation else self.settings.clock_rate)


def run(options: Options, environment: Mapping[str, str]) -> Exit:
    """Run the command that `options` name."""
    settings, findings = load_settings(options.flags, environment, options.config)
    if settings is None:
        sys.stderr.write(render_findings(findings, Style()))
        return Exit.USAGE
    terminal = Terminal(
        source=sys.stdin,
        out=sys.stdout,
        err=sys.stderr,
        color=settings.color,
        environment=environment,
        verbose=options.verbose > 0,
        # Lines of our own would tear a stream of JSON events.
        quiet=options.quiet or settings.log_format is LogFormat.JSON,
    )
    call = Call(options=options, settings=settings, terminal=terminal, environment=environment)
    try:
        if options.show_config:
            return show_config(call)
        configure_logs(settings.log_format.value, _log_level(call).value)
        with _simulated(call) as simulated:
            return COMMANDS[options.command](simulated)
    except (UsageError, NothingSelectedError) as error:
        terminal.complain(f"reconciler {options.command}: {error}\n")
        return Exit.USAGE
    except LeaseHeldError as error:
        terminal.complain(f"reconciler {options.command}: {error}\n")
        return Exit.STOPPED
    except (SimulationError, GraphvizError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        terminal.complain(f"reconciler {options.command}: {error}\n")
        return Exit.ERROR


def show_config(call: Call) -> Exit:
    """Every setting, its value, and where it came from."""
    told = tell_settings(call.settings)
    if call.json:
        entries: JsonObject = {name: {"value": value, "source": place} for name, value, place in told}
        call.terminal.say(render_json({"format_version": FORMAT_VERSION, "kind": "settings", "settings": entries}))
        return Exit.OK
    widths = [max(len(row[column]) for row in told) for column in (0, 1)]
    for name, value, place in told:
        call.terminal.say(f"{name:<{widths[0]}}  {value or '-':<{widths[1]}}  {place}\n")
    return Exit.OK


def once(call: Call) -> Exit:
    """One cycle to the end, or its plan only."""
    options, terminal = call.options, call.terminal
    if not (options.dry_run or options.yes or options.plan or terminal.interactive):
        raise UsageError("there is no terminal to ask on; add --yes to write without being asked, or --dry-run")
    choice = LeaseChoice() if options.dry_run else choose_lease(call)
    saved = _read_saved(options.plan) if options.plan else None
    estate = _load(call)
    if _broken(estate):
        return _refuse_estate(call, estate)
    pauses = _pauses_in_force(call)
    estate = replace(estate, fleets=tuple(replace(fleet, pauses=pauses) for fleet in estate.fleets))
    terminal.complain(render_findings(estate.findings, terminal.style(terminal.err)))
    selection = Selection(targets=tuple(options.targets), selector=options.selector)
    if saved:
        selection = saved.selection
    chosen = _choose(estate, selection)
    if options.dry_run:
        return _dry_run(call, estate, selection, chosen)
    return _converge(call, estate, saved, chosen, choice)


def _dry_run(call: Call, estate: Estate, selection: Selection, chosen: frozenset[ArmId] | None) -> Exit:
    terminal = call.terminal
    wiring = _wire(call, Quiet())
    reports = _complete(call, plan_fleets(estate.fleets, wiring, CycleRequest(chosen=chosen)))
    plans = tuple(report.plan for report in reports)
    code = judge_plans(plans)
    envelope = Envelope(exit_code=code, findings=estate.findings, selection=selection)
    if call.options.out:
        _write_whole(Path(call.options.out), render_plans(plans, envelope))
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
        progress=_open_progress(call),
        ask=lambda plans: _consult(call, saved, plans),
        beyond=call.options.yes and saved is None,
        tell=terminal.tell,
        renew=saved is None,
    )
    budget = Budget(seconds=call.settings.timeout, parallel=call.settings.parallelism)
    request = CycleRequest(chosen=chosen, budget=budget, consent=consultation.consent)
    wiring = replace(_wire(call, consultation), choice=choice)
    with structlog.contextvars.bound_contextvars(trigger="once"):
        runs = _complete(call, converge_fleets(estate.fleets, wiring, request, terminal.tell))
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


def keep(call: Call) -> Exit:
    """Passes for ever. What is wrong with documents is told and spoils only what needs them."""
    settings, clock = call.settings, call.clock
    missing = check_variables(settings.alerts, call.environment)
    if missing:
        call.terminal.complain(render_findings(missing, call.terminal.style(call.terminal.err)))
        return Exit.USAGE
    budget = Budget(seconds=max(0.75 * settings.interval, _SHORTEST_BUDGET), parallel=settings.parallelism)
    if "-" in settings.sources:
        raise UsageError("standard input can be read only once; name the files or directories of the desired state")
    _check_sources(settings)
    tree = Tree(Path(source) for source in settings.sources)
    duty = Duty(
        library=Library(look=tree.digest, read=lambda: _read(call), clock=clock),
        timing=Timing(
            interval=settings.interval,
            jitter=settings.jitter,
            cron=settings.cron,
            zone=settings.time_zone,
            pace=clock.rate,
        ),
        pauses=_find_pauses(call),
        budget=None if settings.observe_only else budget,
        telling=_choose_telling(call),
        door=_choose_door(call),
        traced=_choose_tracing(call),
    )
    asyncio.run(_keep(call, duty, replace(_wire(call, Events()), clock=clock, choice=choose_lease(call))))
    return Exit.OK


def _choose_tracing(call: Call) -> bool:
    if call.settings.tracing:
        try:
            check_traces()
        except ValueError as error:
            raise UsageError(str(error)) from error
    return call.settings.tracing


def _choose_door(call: Call) -> Door:
    """Where the daemon is to be seen, with a token that nobody guesses, or none."""
    variable = call.settings.token_variable
    token = call.environment.get(variable, "") if variable else ""
    if variable and len(token) < _SHORTEST_TOKEN:
        why = f"is {len(token)} characters long" if token else "is not set"
        raise UsageError(f"tokenVariable names {variable}, which {why}; a token has at least {_SHORTEST_TOKEN}")
    if call.settings.listen == OFF:
        return Door()
    host, port = read_place(call.settings.listen)
    return Door(host=host, port=port, token=token)


def _choose_telling(call: Call) -> Telling:
    """Whom the settings want to be told, and where that is remembered."""
    settings, environment = call.settings, call.environment
    if settings.journal_file and settings.journal_map:
        raise UsageError("the journal is kept in one place: leave out journalFile or journalMap")
    place = None
    if settings.journal_map or any(route.sink is SinkKind.EVENTS for route in settings.alerts):
        try:
            place = find_place(environment, settings.service_account, settings.lease_namespace)
        except ValueError as error:
            raise UsageError(f"{'journalMap' if settings.journal_map else 'sink: events'}: {error}") from error
    pod = settings.lease_identity or environment.get("HOSTNAME", "") or "reconciler"
    return Telling(
        routes=settings.alerts,
        file=settings.journal_file,
        map=settings.journal_map,
        place=place,
        pod=Regarding(name=pod, uid=environment.get("POD_UID", "")),
        storm=Storm(most=settings.alert_storm),
        rounds=Rounds(most=settings.fight_rounds),
    )


def choose_lease(call: Call) -> LeaseChoice:
    """The lease that the settings ask for. A simulated Azure of our own has nobody else to write to it."""
    settings = call.settings
    try:
        terms = Terms(duration=settings.lease_duration, deadline=settings.lease_deadline, retry=settings.lease_retry)
        if settings.lease is LeaseForm.OFF or call.simulation:
            return LeaseChoice()
        if settings.lease is LeaseForm.FILE and not settings.lease_file:
            raise UsageError("lease is file, but leaseFile names none; add --lease-file FILE")
        if settings.lease is LeaseForm.FILE:
            return LeaseChoice(file=settings.lease_file, who=settings.lease_identity, terms=terms)
        place = find_place(call.environment, settings.service_account, settings.lease_namespace)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return LeaseChoice(name=settings.lease_name, place=place, who=settings.lease_identity, terms=terms)


def pause(call: Call) -> Exit:
    """Ask whoever writes to leave something alone for a while, or list what was asked for."""
    options, store, now = call.options, _open_pauses(call), call.clock.now()
    current = tuple(each for each in asyncio.run(store.load()) if each.until > now)
    if options.until:
        try:
            until = read_until(options.until, now)
        except ValueError as error:
            raise UsageError(f"--until {error}") from error
        by = options.by or call.environment.get("USER", "")
        wanted = replace(_pause_scope(call), until=until, by=by, reason=options.reason, since=now)
        _check_scope(call, wanted)
        current = add_pause(current, wanted, now)
        asyncio.run(store.save(current))
    return _tell_pauses(call, current, "Paused" if current else "Nothing is paused.")


def resume(call: Call) -> Exit:
    """End pauses before their time."""
    store = _open_pauses(call)
    kept, ended = end_pauses(asyncio.run(store.load()), _pause_scope(call), call.clock.now())
    if ended:
        asyncio.run(store.save(kept))
    return _tell_pauses(call, ended, "No longer paused" if ended else "No pause of that was there.")


def _pause_scope(call: Call) -> Pause:
    options = call.options
    return Pause(until=0.0, fleet=options.fleet, kind=options.kind, target="".join(options.targets))


def _check_scope(call: Call, wanted: Pause) -> None:
    """A pause of what nobody knows would pause nothing; told where the desired state is at hand."""
    if wanted.kind and wanted.kind not in SPECS:
        close = get_close_matches(wanted.kind, SPECS, n=1)
        raise UsageError(f"there is no kind {wanted.kind}; " + (f"did you mean {close[0]}?" if close else "see schema"))
    if not (wanted.fleet or wanted.target) or not all(Path(source).exists() for source in call.settings.sources):
        return
    estate = _load(call)
    if _broken(estate):
        return  # what is missing may be in the part that could not be read
    fleets = estate.fleets
    if wanted.fleet:
        fleets = tuple(fleet for fleet in fleets if fleet.name.lower() == wanted.fleet.lower())
        if not fleets:
            raise UsageError(f"no document declares a fleet {wanted.fleet}")
    if wanted.target:
        select(fleets, (wanted.target,), {})


def _tell_pauses(call: Call, pauses: tuple[Pause, ...], head: str) -> Exit:
    if call.json:
        told: list[Json] = [tell_document(each) for each in pauses]
        call.terminal.say(render_json({"format_version": FORMAT_VERSION, "kind": "pauses", "pauses": told}))
    elif pauses:
        call.terminal.say("".join(f"{head}: {plain(tell_scope(each))}, {plain(tell_pause(each))}\n" for each in pauses))
    else:
        call.terminal.say(f"{head}\n")
    return Exit.OK


def _open_pauses(call: Call) -> Pauses:
    if not (call.settings.pause_file or call.settings.pause_map):
        raise UsageError("name the file that keeps pauses, for whoever writes as well: --pause-file, or pauseFile")
    return _find_pauses(call)


def _find_pauses(call: Call) -> Pauses:
    """Where the settings say that pauses are kept; without a word about it, nowhere."""
    settings = call.settings
    if not settings.pause_map:
        return PauseFile(settings.pause_file)
    if settings.pause_file:
        raise UsageError("pauses are kept in one place: leave out pauseFile or pauseMap")
    try:
        place = find_place(call.environment, settings.service_account, settings.lease_namespace)
    except ValueError as error:
        raise UsageError(f"pauseMap: {error}") from error
    return PauseMap(place, settings.pause_map)


def _pauses_in_force(call: Call) -> tuple[Pause, ...]:
    now = call.clock.now()
    return tuple(each for each in asyncio.run(_find_pauses(call).load()) if each.until > now)


async def _keep(call: Call, duty: Duty, wiring: Wiring) -> None:
    bell, brake = Bell(), Brake(wiring.clock)

    def drain() -> Iterator[None]:
        structlog.get_logger("reconciler").info("drain.started", grace=call.settings.grace)
        brake.pull("the daemon is stopping", call.settings.grace)
        bell.close()
        yield
        os._exit(Exit.INTERRUPTED)

    loop = asyncio.get_running_loop()
    signals = drain()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, signals.__next__)
    loop.add_signal_handler(signal.SIGHUP, bell.fire, "sighup")
    await serve(duty, wiring, bell, brake)


def validate(call: Call) -> Exit:
    """Everything that is wrong with the desired state; no request is sent."""
    estate = _load(call)
    broken = _broken(estate)
    code = Exit.ERROR if broken else Exit.OK
    if call.json:
        call.terminal.say(render_json(_tell_estate(estate, code)))
        return code
    call.terminal.say(render_findings(estate.findings, call.terminal.style(call.terminal.out)))
    errors = sum(finding.severity is Severity.ERROR for finding in estate.findings)
    resources = sum(len(fleet.desired) for fleet in estate.fleets)
    told = f"{count(len(estate.fleets), 'fleet')} with {count(resources, 'resource')}"
    warnings = len(estate.findings) - errors
    fine = f"no errors, {count(warnings, 'warning')}" if warnings else "nothing is wrong"
    verdict = f"{count(errors, 'error')} in the desired state." if broken else f"{told}: {fine}."
    call.terminal.tell(f"{verdict}\n")
    return code


def _tell_estate(estate: Estate, code: Exit) -> JsonObject:
    fleets: list[Json] = [
        {
            "name": fleet.name,
            "subscription": fleet.subscription,
            "resources": [str(desired.ref) for desired in fleet.desired.values()],
            "broken": [str(ref) for ref in fleet.broken],
        }
        for fleet in estate.fleets
    ]
    return {
        "format_version": FORMAT_VERSION,
        "kind": "validation",
        "valid": code is Exit.OK,
        "fleets": fleets,
        "findings": [tell_finding(finding) for finding in estate.findings],
        "exit_code": code,
    }


def schema(call: Call) -> Exit:
    """The JSON Schema of all kinds, or of one."""
    whole = make_schema()
    kind, definitions = call.options.kind, whole["$defs"]
    assert isinstance(definitions, dict)
    if kind:
        known = [*SPECS]
        if kind not in known:
            close = get_close_matches(kind, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"
            call.terminal.complain(f"reconciler schema: there is no kind {kind}; {hint}\n")
            return Exit.ERROR
        whole = {key: value for key, value in whole.items() if key != "oneOf"} | {"$ref": f"#/$defs/{kind}"}
    call.terminal.say(render_json(whole))
    return Exit.OK


def explain_topic(call: Call) -> Exit:
    """What a kind or a field means."""
    topic = call.options.topic
    try:
        text = explain(topic)
    except UnknownTopicError as error:
        call.terminal.complain(f"reconciler explain: {error}\n")
        return Exit.ERROR
    if call.json:
        told: JsonObject = {"format_version": FORMAT_VERSION, "kind": "explanation", "topic": topic, "text": text}
        call.terminal.say(render_json(told))
    else:
        call.terminal.say(text)
    return Exit.OK


def import_live(call: Call) -> Exit:
    """Live Azure as documents that are only observed, so that they plan empty."""
    options, terminal = call.options, call.terminal
    subscription = options.subscription or call.environment.get("AZURE_SUBSCRIPTION_ID", "")
    if not subscription:
        raise UsageError("which subscription? add --subscription ID, or set AZURE_SUBSCRIPTION_ID")
    scope = Scope(subscription=subscription, fleet="", ids=(), everything=True)
    snapshot = _complete(call, look(_target(call), scope, _wire(call, Quiet())))
    for blind in snapshot.blind:
        terminal.complain(f"{blind.scope} ({blind.type}) could not be read: {blind.fault}\n")
    if snapshot.blind:
        terminal.complain("What could not be read would be missing, so nothing was written.\n")
        return Exit.ERROR
    choice = Choice(
        subscription=subscription,
        fleet=options.fleet,
        groups=tuple(options.groups),
        accounts=tuple(options.accounts),
    )
    documents, unclear = describe_live(snapshot, choice)
    if unclear:
        terminal.complain("".join(f"reconciler import: {sentence}\n" for sentence in unclear))
        return Exit.ERROR
    text = write_documents(documents)
    if call.json:
        told: list[Json] = [*documents]
        text = render_json({"format_version": FORMAT_VERSION, "kind": "import", "documents": told})
    if options.out:
        _write_whole(Path(options.out), text)
    else:
        terminal.say(text)
    terminal.tell(f"{count(len(documents) - 1, 'document')} imported; they are observed only.\n")
    return Exit.OK


def _target(call: Call) -> CloudTarget:
    """Where an import looks: there is no Fleet yet, so settings and the usual AZURE_ variables say it all."""
    where = _endpoints(call) or CLOUDS["public"]
    return CloudTarget(
        endpoint=where.endpoint,
        authority=where.authority,
        audience=where.audience or where.endpoint,
        credential="clientSecret" if call.simulation else "default",
        tenant=call.environment.get("AZURE_TENANT_ID", ""),
        client_id=call.environment.get("AZURE_CLIENT_ID", ""),
        secret_variable="AZURE_CLIENT_SECRET",  # noqa: S106 - the name of a variable
        token_file=call.environment.get("AZURE_FEDERATED_TOKEN_FILE", ""),
    )


def graph(call: Call) -> Exit:
    """A picture of the desired state, or its nodes and edges; with --live also of how everything stands in Azure."""
    options, terminal = call.options, call.terminal
    program = find_graphviz(call.environment) if options.format == "svg" else ""
    estate = _load(call)
    terminal.complain(render_findings(estate.findings, terminal.style(terminal.err)))
    selection = Selection(targets=tuple(options.targets), selector=options.selector)
    as_data = call.json and not options.format
    if _broken(estate):
        terminal.complain("The desired state is wrong, so there is no picture of it.\n")
        if as_data:
            envelope = Envelope(exit_code=Exit.ERROR, findings=estate.findings, selection=selection)
            terminal.say(render_graph(Graph(), envelope))
        return Exit.ERROR
    chosen = _choose(estate, selection)
    plans: tuple[Plan, ...] = ()
    ways: tuple[Way, ...] = ()
    if options.live:
        request = CycleRequest(chosen=chosen, ways=options.reach)
        reports = _complete(call, plan_fleets(estate.fleets, _wire(call, Quiet()), request))
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
        _write_whole(Path(options.out), text)
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


def quota(call: Call) -> Exit:
    """The pools of quota in the regions of every fleet, and who holds them."""
    options, terminal = call.options, call.terminal
    estate = _load(call)
    chosen = Filter(
        regions=frozenset(fold_location(region) for region in options.regions),
        models=tuple(model.lower() for model in options.models),
        unused=terminal.verbose,
    )
    terminal.complain(render_findings(estate.findings, terminal.style(terminal.err)))
    if _broken(estate):
        terminal.complain("The desired state is wrong, so no request was sent.\n")
        if call.json:
            terminal.say(render_quota_json((), chosen, Envelope(exit_code=Exit.ERROR, findings=estate.findings)))
        return Exit.ERROR
    request = CycleRequest(regions=Regions(named=chosen.regions))
    plans = [report.plan for report in _complete(call, plan_fleets(estate.fleets, _wire(call, Quiet()), request))]
    for plan in plans:
        terminal.complain("".join(plain(f"{scope} could not be read: {fault}") + "\n" for scope, fault in plan.blind))
    ledgers = [plan.ledger for plan in plans if plan.ledger]
    missing = _find_unsold(chosen, [pool for ledger in ledgers for pool in ledger.pools])
    terminal.complain("".join(f"reconciler quota: {sentence}\n" for sentence in missing))
    known = all(plan.complete for plan in plans) and all(ledger.complete for ledger in ledgers)
    code = Exit.OK if known and not missing else Exit.ERROR
    match call.settings.output:
        case Output.JSON:
            terminal.say(render_quota_json(plans, chosen, Envelope(exit_code=code, findings=estate.findings)))
        case Output.MARKDOWN:
            terminal.say(render_quota_markdown(plans, chosen))
        case Output.TEXT:
            terminal.say(render_quota(plans, chosen, terminal.style(terminal.out)))
    return code


def _find_unsold(chosen: Filter, pools: list[Pool]) -> list[str]:
    """The models that were asked about and that no region sells, each with a name that may have been meant."""
    sold = sorted({model for pool in pools for model in pool.models})
    sentences = []
    for model in chosen.models:
        if sold and not any(fnmatchcase(each, model) for each in sold):
            close = get_close_matches(model, sold, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            sentences.append(plain(f"no region that was asked sells a model named {model}{hint}"))
    return sentences


def deleted(call: Call) -> Exit:
    """Every soft-deleted account, what it may hold, and what becomes of it."""
    terminal = call.terminal
    regions = frozenset(fold_location(region) for region in call.options.regions)
    estate = _load_or_subscription(call)
    terminal.complain(render_findings(estate.findings, terminal.style(terminal.err)))
    if _broken(estate):
        terminal.complain("The desired state is wrong, so no request was sent.\n")
        if call.json:
            terminal.say(render_deleted_json((), Envelope(exit_code=Exit.ERROR, findings=estate.findings)))
        return Exit.ERROR
    graveyards = merge(_complete(call, survey_fleets(estate.fleets, _wire(call, Quiet()), regions)))
    code = _complain_unread(call, graveyards)
    match call.settings.output:
        case Output.JSON:
            terminal.say(render_deleted_json(graveyards, Envelope(exit_code=code, findings=estate.findings)))
        case Output.MARKDOWN:
            terminal.say(render_deleted_markdown(graveyards))
        case Output.TEXT:
            terminal.say(render_deleted(graveyards, terminal.style(terminal.out)))
    return code


def _load_or_subscription(call: Call) -> Estate:
    """The desired state, or a fleet that declares nothing where somebody names a subscription instead."""
    subscription = call.options.subscription
    if not subscription:
        return _load(call)
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", subscription):
        raise UsageError(f"--subscription {subscription}: write the subscription's id, not a name")
    if call.simulation:
        call.simulation.know_subscriptions({subscription: call.environment.get("AZURE_TENANT_ID", "")})
    nowhere = Origin(file="", line=0, column=0)
    return Estate(fleets=(Fleet(name="", subscription=subscription, target=_target(call), desired={}, origin=nowhere),))


def _complain_unread(call: Call, graveyards: Iterable[Graveyard]) -> Exit:
    unread = [each for graveyard in graveyards for each in graveyard.unread]
    call.terminal.complain("".join(plain(f"{what} could not be read: {fault}") + "\n" for what, fault in unread))
    return Exit.ERROR if unread else Exit.OK


def purge(call: Call) -> Exit:
    """One soft-deleted account purged by hand, and what it held waited for."""
    terminal, options = call.terminal, call.options
    if not (options.yes or terminal.interactive):
        raise UsageError("there is no terminal to ask on; add --yes to purge without being asked")
    estate = _load_or_subscription(call)
    terminal.complain(render_findings(estate.findings, terminal.style(terminal.err)))
    if _broken(estate):
        terminal.complain("The desired state is wrong, so no request was sent.\n")
        return Exit.ERROR
    graveyards = merge(_complete(call, survey_fleets(estate.fleets, _wire(call, Quiet()), frozenset())))
    unread = _complain_unread(call, graveyards)
    burial = _pick(graveyards, options.name, complete=unread is Exit.OK)
    if burial is None:
        return Exit.ERROR
    fleet = next(each for each in estate.fleets if each.name == burial.fleet)
    stream = terminal.out if call.settings.output is Output.TEXT else terminal.err
    stream.write(render_burial(burial, terminal.style(stream)))
    stream.flush()
    outcome = _complete(call, _purge_one(call, fleet, burial))
    code = Exit.STOPPED if outcome is None else judge_outcome(outcome.result)
    if call.json:
        terminal.say(render_purge_json(burial, outcome, Envelope(exit_code=code)))
    elif outcome is None:
        terminal.complain("not agreed to; nothing was purged\n")
    else:
        terminal.say(render_purge(outcome, terminal.style(terminal.out)))
    return code


async def _purge_one(call: Call, fleet: Fleet, burial: Burial) -> Outcome | None:
    if not call.options.yes and not await call.terminal.ask(f"\nPurge {plain(burial.name)} for good?"):
        return None
    budget = Budget(seconds=call.settings.timeout, parallel=1)
    (outcome,) = await carry_out(fleet.target, plan_one(burial), _wire(call, _open_progress(call)), budget)
    return outcome


def _pick(graveyards: Iterable[Graveyard], word: str, *, complete: bool) -> Burial | None:
    """The one account that is meant; None where it is not there among what could be read."""
    burials = [burial for graveyard in graveyards for burial in graveyard.burials]
    found = find_burials(burials, word)
    if len(found) == 1:
        return found[0]
    if found:
        groups = [f"{each.deleted.id.group}/{each.deleted.id.name}" for each in found]
        told = groups if len(set(groups)) == len(groups) else [str(each.deleted.id) for each in found]
        raise UsageError(plain(f"{word} is the name of {len(found)} soft-deleted accounts; write {' or '.join(told)}"))
    if not complete:
        return None
    names = [burial.name for burial in burials]
    if not names:
        raise UsageError(plain(f"there is no soft-deleted account {word}; there is none at all"))
    close = get_close_matches(word.lower(), names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UsageError(plain(f"there is no soft-deleted account {word}; {hint}There are {join_words(names)}"))


def simulate(call: Call) -> Exit:
    """A simulated Azure for other clients, until somebody ends it."""
    options = call.options
    wanted = SimulationRequest(
        pace=options.pace, port=options.port, state=options.simulate_state, env_file=options.env_file
    )
    for each in (signal.SIGINT, signal.SIGTERM):
        # Also SIGINT: a shell without job control starts what it puts in the background deaf to it.
        signal.signal(each, signal.default_int_handler)
    try:
        with run_simulation(wanted) as simulation:
            _introduce(call, simulation)
            if simulation.wait() == 0:
                return Exit.OK
            call.terminal.complain("reconciler simulate: the simulation ended by itself; start it again\n")
            return Exit.ERROR
    except KeyboardInterrupt:
        return Exit.OK


def _introduce(call: Call, simulation: Simulation) -> None:
    """Where the simulation is and who one is there; the secret is only in the file made for it."""
    terminal = call.terminal
    told = {key: value for key, value in simulation.ready.items() if key != "client_secret"}
    if call.json:
        ready: JsonObject = {**told}
        terminal.say(render_json({"format_version": FORMAT_VERSION, "kind": "simulation", "ready": ready}))
    else:
        width = max(len(key) for key in told)
        terminal.say("A simulated Azure is ready; Ctrl-C ends it.\n")
        terminal.say("".join(f"  {key:<{width}}  {value}\n" for key, value in told.items()))
    if not call.options.env_file:
        terminal.tell("The secret is in the file that --env-file writes for other clients.\n")


def _load(call: Call) -> Estate:
    _check_sources(call.settings)
    return _read(call)


def _check_sources(settings: Settings) -> None:
    missing = [source for source in settings.sources if not Path(source).exists()]
    if missing:
        raise UsageError(f"there is no {join_words(missing)}; name the files or directories of the desired state")


def _read(call: Call) -> Estate:
    sources = [Path(source) for source in call.settings.sources]
    estate = load_estate(sources, call.environment, _endpoints(call))
    if call.simulation is None:
        return estate
    call.simulation.know_subscriptions({fleet.subscription: fleet.target.tenant for fleet in estate.fleets})
    return replace(estate, fleets=tuple(_sign_in_simulated(fleet) for fleet in estate.fleets))


def _endpoints(call: Call) -> Endpoints | None:
    """What stands in for the clouds that Fleets name; a simulation always does, so that it can never be left."""
    if call.simulation:
        return Endpoints(endpoint=call.simulation.endpoint, authority=call.simulation.authority)
    settings = call.settings
    if settings.endpoint:
        return Endpoints(endpoint=settings.endpoint, authority=settings.authority, audience=settings.audience)
    return None


def _sign_in_simulated(fleet: Fleet) -> Fleet:
    """A simulation knows one client with one secret, whatever credential the fleet names."""
    target = replace(
        fleet.target,
        credential="clientSecret",
        client_id="",
        secret_variable="AZURE_CLIENT_SECRET",  # noqa: S106 - a name
    )
    return replace(fleet, target=target)


def _broken(estate: Estate) -> bool:
    return any(finding.severity is Severity.ERROR for finding in estate.findings)


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


def _choose(estate: Estate, selection: Selection) -> frozenset[ArmId] | None:
    if not selection.targets and not selection.selector:
        return None
    labels: dict[str, str] = {}
    for pair in selection.selector.split(",") if selection.selector else ():
        key, equals, value = pair.strip().partition("=")
        if not key or not equals:
            raise UsageError(f"-l {selection.selector}: write KEY=VALUE, several joined by commas")
        labels[key] = value
    return select(estate.fleets, [_spell_target(estate, each) for each in selection.targets], labels)


def _spell_target(estate: Estate, target: str) -> str:
    """The name of a declared resource where a target is another name that we print: of a subnet that somebody is let in
    from (`vnet-ai/gateway`), of a connection, which no document declares and which is chosen with its account."""
    folded, _, _ = target.lower().partition("/privateendpointconnections/")
    resources = [each for fleet in estate.fleets for each in fleet.desired.values()]
    return next((str(each.ref) for each in resources if folded in (shorten(each.id).lower(), each.id.key)), target)


def _read_saved(path: str) -> SavedPlan:
    try:
        return read_plan(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the plan {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not usable as a plan: {error}") from error


def _write_whole(path: Path, text: str) -> None:
    """The file is there complete, or as it was."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise OSError(
            f"{path} cannot be written: {error.strerror}; name a file in a directory that is there"
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _wire(call: Call, watcher: Watcher) -> Wiring:
    bundle = call.simulation.ca_bundle if call.simulation else call.settings.ca_bundle
    try:
        wiring = wire(call.environment, call.clock, watcher, bundle)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return replace(wiring, model_age=call.settings.model_age)


def _open_progress(call: Call) -> Watcher:
    terminal = call.terminal
    if call.options.quiet:
        return Quiet()
    if call.settings.log_format is LogFormat.JSON:
        return Events()
    # Log lines would tear a block that is drawn anew.
    live = terminal.live and _log_level(call) not in (LogLevel.DEBUG, LogLevel.INFO)
    return Progress(stream=terminal.err, clock=call.clock, style=terminal.style(terminal.err), live=live)


def _log_level(call: Call) -> LogLevel:
    if call.options.quiet:
        return LogLevel.ERROR
    if call.options.verbose > 1:
        return LogLevel.DEBUG
    said = call.settings.given["logLevel"].source is not Source.DEFAULT
    if (call.settings.log_format is LogFormat.JSON or call.options.command == "run") and not said:
        return LogLevel.INFO
    return call.settings.log_level


@contextmanager
def _simulated(call: Call) -> Iterator[Call]:
    """The call with a simulation of its own, where one was asked for; its credentials are the only ones it sees."""
    if not call.options.simulate or call.options.command == "simulate":
        yield call
        return
    wanted = SimulationRequest(pace=call.settings.simulate_pace, state=call.options.simulate_state)
    with run_simulation(wanted) as simulation:
        pace = f"{simulation.pace:g} times as fast" if simulation.pace != 1 else "as fast as here"
        call.terminal.tell(f"Simulated Azure at {simulation.endpoint}; its time passes {pace}.\n")
        yield replace(call, simulation=simulation, environment={**call.environment, **simulation.environment})


def _complete(call: Call, work: Coroutine[object, object, Result]) -> Result:
    """Run to the end. The first Ctrl-C or SIGTERM ends the waiting in order, the second ends the process at once."""

    async def guarded() -> Result:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        stops = _stops(call, task)
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, stops.__next__)
        return await work

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _stops(call: Call, task: asyncio.Task[object]) -> Iterator[None]:
    """What each signal does, one after the other."""
    call.terminal.complain(
        "\nStopping. Azure goes on with what it has accepted; run again to go on from there. Once more exits at once.\n"
    )
    task.cancel()
    yield
    os._exit(Exit.INTERRUPTED)


COMMANDS: Mapping[str, Callable[[Call], Exit]] = {
    "once": once,
    "run": keep,
    "pause": pause,
    "resume": resume,
    "validate": validate,
    "schema": schema,
    "explain": explain_topic,
    "import": import_live,
    "graph": graph,
    "quota": quota,
    "deleted": deleted,
    "purge": purge,
    "simulate": simulate,
}
