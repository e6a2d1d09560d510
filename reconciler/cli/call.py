"""What every command has: its words, its settings, where it speaks, and the world as it stands for it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from reconciler.app import Wiring, wire
from reconciler.cli.parser import Exit, Options
from reconciler.cli.terminal import Terminal
from reconciler.desired import load_estate
from reconciler.desired.fleet import CLOUDS, Endpoints
from reconciler.model.finding import Severity
from reconciler.model.ids import ArmId
from reconciler.model.ports import Watcher
from reconciler.model.resource import CloudTarget, Estate, Fleet
from reconciler.plan import select
from reconciler.report.document import Selection
from reconciler.report.events import Events
from reconciler.report.progress import Progress, Quiet
from reconciler.report.words import join_words, shorten
from reconciler.runtime.clock import SystemClock
from reconciler.settings import LogFormat, LogLevel, Output, Settings, Source
from reconciler.simulate import Simulation, SimulationRequest, run_simulation

Result = TypeVar("Result")


class UsageError(Exception):
    """What was asked for cannot be done as it was asked; the message says what would."""


class NoWritesError(Exception):
    """The settings allow nobody to write; the message says which one, and how to go on."""


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


def load(call: Call) -> Estate:
    check_sources(call.settings)
    return read(call)


def check_sources(settings: Settings) -> None:
    missing = [source for source in settings.sources if not Path(source).exists()]
    if missing:
        raise UsageError(f"there is no {join_words(missing)}; name the files or directories of the desired state")


def read(call: Call) -> Estate:
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


def is_broken(estate: Estate) -> bool:
    return any(finding.severity is Severity.ERROR for finding in estate.findings)


def target(call: Call) -> CloudTarget:
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


def choose(estate: Estate, selection: Selection) -> frozenset[ArmId] | None:
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


def wire_up(call: Call, watcher: Watcher) -> Wiring:
    bundle = call.simulation.ca_bundle if call.simulation else call.settings.ca_bundle
    try:
        wiring = wire(call.environment, call.clock, watcher, bundle)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return replace(wiring, model_age=call.settings.model_age)


def open_progress(call: Call) -> Watcher:
    terminal = call.terminal
    if call.options.quiet:
        return Quiet()
    if call.settings.log_format is LogFormat.JSON:
        return Events()
    # Log lines would tear a block that is drawn anew.
    live = terminal.live and log_level(call) not in (LogLevel.DEBUG, LogLevel.INFO)
    return Progress(stream=terminal.err, clock=call.clock, style=terminal.style(terminal.err), live=live)


def log_level(call: Call) -> LogLevel:
    if call.options.quiet:
        return LogLevel.ERROR
    if call.options.verbose > 1:
        return LogLevel.DEBUG
    said = call.settings.given["logLevel"].source is not Source.DEFAULT
    if (call.settings.log_format is LogFormat.JSON or call.options.command == "run") and not said:
        return LogLevel.INFO
    return call.settings.log_level


@contextmanager
def open_simulation(call: Call) -> Iterator[Call]:
    """The call with a simulation of its own, where one was asked for; its credentials are the only ones it sees."""
    if not call.options.simulate or call.options.command == "simulate":
        yield call
        return
    wanted = SimulationRequest(pace=call.settings.simulate_pace, state=call.options.simulate_state)
    with run_simulation(wanted) as simulation:
        pace = f"{simulation.pace:g} times as fast" if simulation.pace != 1 else "as fast as here"
        call.terminal.tell(f"Simulated Azure at {simulation.endpoint}; its time passes {pace}.\n")
        yield replace(call, simulation=simulation, environment={**call.environment, **simulation.environment})


def complete(call: Call, work: Coroutine[object, object, Result]) -> Result:
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


def write_whole(path: Path, text: str) -> None:
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
