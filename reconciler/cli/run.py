"""`run`: passes for ever, until a signal."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import structlog

from reconciler.app import Duty, Telling, Wiring, serve
from reconciler.apply import Budget
from reconciler.cli.call import Call, UsageError, check_sources, read, wire_up
from reconciler.cli.lease import choose_lease
from reconciler.cli.parser import Exit
from reconciler.cli.pauses import find_pauses
from reconciler.daemon.library import Library
from reconciler.daemon.outside import Door
from reconciler.desired.tree import Tree
from reconciler.model.alert import SinkKind
from reconciler.report.alerts import Storm
from reconciler.report.audit import AuditTrail
from reconciler.report.drift import Rounds
from reconciler.report.events import Events
from reconciler.report.text import render_findings
from reconciler.routes import check_variables
from reconciler.runtime.halt import Brake
from reconciler.runtime.kube import find_place
from reconciler.runtime.sinks import Regarding
from reconciler.runtime.traces import check_traces
from reconciler.runtime.trigger import Bell, Timing
from reconciler.settings import OFF, read_place

_SHORTEST_TOKEN = 16  # characters
_SHORTEST_BUDGET = 30.0  # seconds; a write alone may take longer than an interval of a few


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
    check_sources(settings)
    tree = Tree(Path(source) for source in settings.sources)
    duty = Duty(
        library=Library(look=tree.digest, read=lambda: read(call), clock=clock),
        timing=Timing(
            interval=settings.interval,
            jitter=settings.jitter,
            cron=settings.cron,
            zone=settings.time_zone,
            pace=clock.rate,
        ),
        pauses=find_pauses(call),
        budget=None if settings.observe_only else budget,
        quota_age=settings.quota_age,
        telling=_choose_telling(call),
        door=_choose_door(call),
        traced=_choose_tracing(call),
    )
    wiring = replace(wire_up(call, Events()), clock=clock, choice=choose_lease(call), auditor=AuditTrail())
    asyncio.run(_keep(call, duty, wiring))
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
        runbook=settings.runbook_url,
        rounds=Rounds(most=settings.fight_rounds),
    )


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
