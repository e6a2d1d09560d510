"""From options to an exit code. Loaded only when there is a command to run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from reconciler.cli.call import Call, NoWritesError, UsageError, log_level, open_simulation
from reconciler.cli.deleted import deleted, purge
from reconciler.cli.documents import explain_topic, schema, validate
from reconciler.cli.graph import graph
from reconciler.cli.graphviz import GraphvizError
from reconciler.cli.imports import import_live
from reconciler.cli.once import once
from reconciler.cli.parser import Exit, Options
from reconciler.cli.pauses import pause, resume
from reconciler.cli.quota import quota
from reconciler.cli.run import keep
from reconciler.cli.simulate import simulate
from reconciler.cli.terminal import Terminal
from reconciler.leading import LeaseHeldError
from reconciler.model.text import plain_lines
from reconciler.model.wire import JsonObject
from reconciler.plan import NothingSelectedError
from reconciler.report.document import FORMAT_VERSION, render_json
from reconciler.report.paint import Style
from reconciler.report.text import render_findings
from reconciler.runtime.logs import configure_logs
from reconciler.settings import LogFormat, load_settings, tell_settings
from reconciler.simulate import SimulationError


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
        configure_logs(settings.log_format.value, log_level(call).value)
        with open_simulation(call) as simulated:
            return COMMANDS[options.command](simulated)
    except (UsageError, NothingSelectedError) as error:
        terminal.complain(plain_lines(f"reconciler {options.command}: {error}\n"))
        return Exit.USAGE
    except (LeaseHeldError, NoWritesError) as error:
        terminal.complain(plain_lines(f"reconciler {options.command}: {error}\n"))
        return Exit.STOPPED
    except (SimulationError, GraphvizError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        terminal.complain(plain_lines(f"reconciler {options.command}: {error}\n"))
        return Exit.ERROR


def show_config(call: Call) -> Exit:
    """Every setting, its value, and where it came from."""
    level = log_level(call).value  # the default is another one for each command
    told = [
        (name, level if name == "logLevel" else value, place) for name, value, place in tell_settings(call.settings)
    ]
    if call.json:
        entries: JsonObject = {name: {"value": value, "source": place} for name, value, place in told}
        call.terminal.say(render_json({"format_version": FORMAT_VERSION, "kind": "settings", "settings": entries}))
        return Exit.OK
    widths = [max(len(row[column]) for row in told) for column in (0, 1)]
    for name, value, place in told:
        call.terminal.say(plain_lines(f"{name:<{widths[0]}}  {value or '-':<{widths[1]}}  {place}\n"))
    return Exit.OK


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
