"""Words of the command line: what can be said, and help that teaches. Standard library only, so that help is instant.

Promises exit code 64 for wrong usage. Knows no default of a setting: what was not said is left to `settings`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import IntEnum
from functools import partial
from typing import Final, NoReturn

VERSION: Final = "0.1.0"
FORMATS: Final = ("mermaid", "dot", "svg")


class Exit(IntEnum):
    """How a command ended. A pipeline may rely on these numbers."""

    OK = 0
    ERROR = 1
    CHANGES = 2
    BLOCKED = 3
    STOPPED = 4
    USAGE = 64
    INTERRUPTED = 130


@dataclass(kw_only=True)
class Options:
    """One command line, filled in by argparse and not changed after. `flags` are the settings it names, by name."""

    command: str = ""
    flags: dict[str, str] = field(default_factory=dict)
    config: str | None = None
    show_config: bool = False
    verbose: int = 0
    quiet: bool = False
    simulate: bool = False
    simulate_state: str = ""
    paths: list[str] = field(default_factory=list)
    dry_run: bool = False
    yes: bool = False
    out: str = ""
    plan: str = ""
    targets: list[str] = field(default_factory=list)
    selector: str = ""
    topic: str = ""
    name: str = ""
    kind: str = ""
    subscription: str = ""
    groups: list[str] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    fleet: str = "imported"
    port: int = 0
    pace: float = 1.0
    env_file: str = ""
    format: str = ""
    regions: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    live: bool = False
    reach: bool = True
    until: str = ""
    reason: str = ""
    by: str = ""


_DESCRIPTION = """\
Keeps a fleet of Azure OpenAI accounts exactly as its YAML says.

  reconciler validate desired_state/        is the YAML right? needs no Azure
  reconciler once --dry-run desired_state/  what would change
  reconciler once desired_state/            show it, ask, do it, wait for it
  reconciler run desired_state/             keep it so, for ever
  reconciler pause --until 2h               leave Azure alone for a while
  reconciler explain Account.networkAcls    what a field means
  reconciler import --subscription ID       live Azure as YAML
  reconciler graph desired_state/           a picture of what needs what
  reconciler quota desired_state/           who holds which quota, what is left
  reconciler deleted desired_state/         what is deleted softly, and may hold

No Azure at hand? --simulate on any command starts a simulated one for it:

  reconciler once --dry-run --simulate desired_state/
"""

_EXITS = """\
exit codes:
   0  as declared, or nothing to do
   1  an error
   2  --dry-run: there are changes
   3  something is blocked, or still in progress at --timeout
   4  stopped: by a safety limit, a stale plan, or somebody who said no
  64  wrong usage

A flag beats RECONCILER_*, which beats reconciler.yaml; --show-config tells
what came from where.
"""

_ONCE = """\
One cycle to the end: reads Azure, shows the plan, asks, writes, waits for
provisioning, and repeats until nothing is left. With --dry-run it only shows
the plan and writes nothing.

  reconciler once --dry-run                    the plan of desired_state/
  reconciler once --dry-run --output markdown  the same for a pull request
  reconciler once --dry-run --out plan.json    keep the plan ...
  reconciler once --plan plan.json             ... and apply that, or refuse
  reconciler once --target Account/aoai-swc    this account and what it needs
  reconciler once -l tier=prod --yes           what has this label; do not ask
"""

_RUN = """\
Keeps everything as declared until it is stopped: a pass over all fleets every
interval, and whenever the desired state changes. SIGTERM or Ctrl-C ends it in
order with exit code 0, a second one at once.

  reconciler run desired_state/
  reconciler run --observe-only            plan and tell, never write
  reconciler run --interval 5m --log-format json
"""

_PAUSE = """\
Asks `run` and `once` to write nothing for a while: everything, a fleet, a kind or
one resource. What differs is still told. A pause ends by itself. Without --until
it lists the pauses there are. The file that keeps them is the setting pauseFile,
which must be the same for whoever writes.

  reconciler pause --until 2h --reason "release of the portal"
  reconciler pause --fleet prod --until 18:00
  reconciler pause --target Account/aoai-swc --until 2026-11-30T08:00+01:00
  reconciler pause --kind NetworkSecurityGroup --until 90m
  reconciler pause
"""

_RESUME = """\
Ends pauses before their time: those that were asked for in the same words, all
of a fleet, or all.

  reconciler resume
  reconciler resume --fleet prod
  reconciler resume --target Account/aoai-swc
"""

_VALIDATE = """\
Reads the desired state and tells everything that is wrong with it at once,
each with file, line and column, and what would be right. Sends no request.

  reconciler validate
  reconciler validate prod/ --output json
"""

_SCHEMA = """\
Prints the JSON Schema of the documents, for editors and other checkers.

  reconciler schema > reconciler.schema.json
  reconciler schema Account

First line of a YAML file, for the YAML language server:

  # yaml-language-server: $schema=reconciler.schema.json
"""

_EXPLAIN = """\
Says what a kind or a field means, what it may be, and what is below it.

  reconciler explain
  reconciler explain Account
  reconciler explain Account.networkAcls.defaultAction
"""

_IMPORT = """\
Reads live Azure and writes it as YAML that plans empty: every document is
only observed. To take one over, set lifecycle.policy to manage and
lifecycle.adopt to true.

  reconciler import --subscription ID > desired_state/imported.yaml
  reconciler import --subscription ID --resource-group rg-ai --out ai.yaml
  reconciler import --subscription ID --account aoai-swc --account aoai-weu
"""

_GRAPH = """\
Draws the desired state: resources by fleet, resource group and region, what
needs what, and who reaches which account. Needs no Azure; --live looks at it
and shows how each resource stands, what would be done to it, and who reaches
which account now.

  reconciler graph > fleet.mmd                  Mermaid, as GitHub shows it
  reconciler graph --format svg --out fleet.svg needs Graphviz
  reconciler graph --live --output markdown     for a pull request
  reconciler graph --target Account/aoai-swc    this account and what it needs
  reconciler graph --output json                nodes and edges for programs
"""

_QUOTA = """\
Tells every pool of quota in the regions where a fleet has accounts: limit, what
this fleet holds, what others hold, what soft-deleted accounts hold at most,
what the plan would take, and what is left, also as tokens per minute. Reads
Azure and writes nothing.

  reconciler quota                        pools that somebody uses; -v shows all
  reconciler quota --model gpt-4o         where this model can still be deployed
  reconciler quota --model 'gpt-4.1*' --region swedencentral --region eastus2
  reconciler quota --output json          for programs, pools without use as well
"""

_DELETED = """\
Tells every soft-deleted account: how old it is, when Azure purges it by itself,
whose it was, what it holds at most, and what the next run does with it, or why
not. Reads Azure and writes nothing.

  reconciler deleted                      of every fleet's subscription
  reconciler deleted --region eastus2     only there
  reconciler deleted --subscription ID    without a desired state
  reconciler deleted --output json        for programs
"""

_PURGE = """\
Purges one soft-deleted account for good, whatever Fleet spec.purge says: shows
what it is, asks, waits until Azure is done and until usages show what came
back. It cannot be restored afterwards.

  reconciler purge aoai-old               by name
  reconciler purge rg-ai/aoai-old         where two have one name; or an ARM id
  reconciler purge aoai-old --yes         do not ask
  reconciler purge aoai-old --subscription ID    without a desired state
"""

_SIMULATE = """\
Runs a simulated Azure (Resource Manager, Entra ID, Cognitive Services) on this
machine until Ctrl-C, and says where it is and who you are there.

  reconciler simulate --env-file sim.env --state sim.json

In another terminal any client works against it (docs/simulator.md):

  . ./sim.env
"""


class _Parser(argparse.ArgumentParser):
    """argparse, but wrong usage is 64 and a misspelt word gets a suggestion."""

    def error(self, message: str) -> NoReturn:
        self.exit(Exit.USAGE, f"{self.prog}: {message}\nSee {self.prog} --help.\n")

    def refuse(self, words: Sequence[str]) -> NoReturn:
        """Ends the process over words that it does not know."""
        close = get_close_matches(words[0].partition("=")[0], [*self._option_string_actions], n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        self.error(f"unrecognized arguments: {' '.join(words)}{hint}")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            words = [str(choice) for choice in action.choices]
            close = get_close_matches(str(value), words, n=1)
            hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(words)}"
            raise argparse.ArgumentError(action, f"{value!r} is not known; {hint}")


def parse(words: Sequence[str]) -> Options:
    """The command line as a value. Ends the process for --help, --version and wrong usage."""
    parser, commands = _make_parser()
    options, rest = parser.parse_known_args(words, namespace=Options())
    asked = commands.get(options.command, parser)
    if options.command == "purge" and not any(each.startswith("-") for each in rest):
        # argparse looks for paths only up to the first flag after the name.
        options.paths, rest = [*options.paths, *rest], []
    if rest:
        asked.refuse(rest)
    options.flags = {name[5:]: str(value) for name, value in vars(options).items() if name.startswith("flag_")}
    if options.paths:
        options.flags["sources"] = os.pathsep.join(options.paths)
    problem = _contradiction(options)
    if problem:
        asked.error(problem)
    if not options.command and not options.show_config:
        parser.print_help(sys.stderr)
        parser.exit(Exit.USAGE)
    return options


def _contradiction(options: Options) -> str:
    """What cannot be meant together, or ""."""
    once = options.command == "once"
    problems = (
        (options.out and once and not options.dry_run, "--out saves a plan; it goes with --dry-run"),
        (options.plan and options.dry_run, "--plan applies a saved plan; it does not go with --dry-run"),
        (
            options.plan and (options.targets or options.selector),
            "--plan brings its own --target and -l; do not repeat them",
        ),
        (
            options.format and options.flags.get("output") == "json",
            "--format names a picture, which --output json is not; leave one of them out",
        ),
        (
            options.command in ("pause", "resume") and len(options.targets) > 1,
            "--target names one resource here; pause each by itself",
        ),
        (
            options.command == "pause" and not options.until and (options.targets or options.kind or options.reason),
            "--until says when the pause ends, such as --until 2h; without it, pauses are listed",
        ),
        (options.quiet and options.verbose, "-q and -v contradict each other"),
        (
            options.simulate_state and not options.simulate and options.command != "simulate",
            "--simulate-state goes with --simulate",
        ),
        (
            options.command in ("deleted", "purge") and options.subscription and options.paths,
            "--subscription stands in for a desired state; do not name one besides",
        ),
    )
    return next((problem for wrong, problem in problems if wrong), "")


def _make_parser() -> tuple[_Parser, Mapping[str, _Parser]]:
    shared = _make_shared()
    parser = _Parser(
        prog="reconciler",
        usage="reconciler COMMAND [options]",
        description=_DESCRIPTION,
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared],
    )
    parser.add_argument("--version", action="version", version=f"reconciler {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    def command(name: str, summary: str, description: str, arguments: str) -> _Parser:
        return commands.add_parser(
            name,
            prog=f"reconciler {name}",
            usage=f"reconciler {name} [options] {arguments}".rstrip(),
            help=summary,
            description=description,
            epilog=_EXITS,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[shared],
        )

    _add_once(command("once", "plan, ask, apply, wait until it is done", _ONCE, "[PATH ...]"))
    _add_run(command("run", "keep everything as declared, for ever", _RUN, "[PATH ...]"))
    _add_pause(command("pause", "write nothing for a while", _PAUSE, "--until TIME [PATH ...]"))
    _add_pause_scope(command("resume", "write again", _RESUME, ""))
    _add_paths(command("validate", "check the desired state without Azure", _VALIDATE, "[PATH ...]"))
    schema = command("schema", "JSON Schema of the documents", _SCHEMA, "[KIND]")
    schema.add_argument("kind", nargs="?", default="", metavar="KIND", help="one kind only")
    explain = command("explain", "what a kind or field means", _EXPLAIN, "[KIND[.FIELD]]")
    explain.add_argument("topic", nargs="?", default="", metavar="KIND[.FIELD]")
    _add_import(command("import", "live Azure as YAML that plans empty", _IMPORT, ""))
    _add_graph(command("graph", "a picture of what needs what", _GRAPH, "[PATH ...]"))
    _add_quota(command("quota", "who holds which quota, and what is left", _QUOTA, "[PATH ...]"))
    deleted = command("deleted", "soft-deleted accounts and what they may hold", _DELETED, "[PATH ...]")
    _add_paths(deleted)
    _add_regions(deleted, "only this region; repeatable")
    _add_subscription(deleted)
    _add_purge(command("purge", "purge one soft-deleted account by hand", _PURGE, "NAME [PATH ...]"))
    _add_simulate(command("simulate", "run a simulated Azure", _SIMULATE, ""))
    return parser, commands.choices


def _make_shared() -> _Parser:
    """What every command takes, before its name or after. Nothing has a default: what is not said is not set."""
    parser = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    told = parser.add_argument_group("output")
    told.add_argument("--output", "-o", dest="flag_output", metavar="FORMAT", help="text, json or markdown")
    told.add_argument("-v", "--verbose", action="count", help="more: also what is in sync; -vv: also debug logs")
    told.add_argument("-q", "--quiet", action="store_true", help="no progress, only errors on stderr")
    told.add_argument("--no-color", dest="flag_color", action="store_const", const="never", help="as NO_COLOR does")
    told.add_argument("--color", dest="flag_color", metavar="WHEN", help="auto, always or never")
    told.add_argument(
        "--log-format",
        dest="flag_logFormat",
        metavar="FORMAT",
        help="console or json; json also tells progress as events",
    )
    told.add_argument("--log-level", dest="flag_logLevel", metavar="LEVEL", help="debug, info, warning or error")
    cloud = parser.add_argument_group("where Azure is")
    cloud.add_argument("--endpoint", dest="flag_endpoint", metavar="URL", help="Resource Manager, for every Fleet")
    cloud.add_argument("--authority", dest="flag_authority", metavar="URL", help="Entra ID, for every Fleet")
    cloud.add_argument("--audience", dest="flag_audience", metavar="URL", help="token audience")
    cloud.add_argument("--ca-bundle", dest="flag_caBundle", metavar="PATH", help="certificates to trust")
    cloud.add_argument("--clock-rate", dest="flag_clockRate", metavar="N", help="pace of a simulation you started")
    cloud.add_argument("--simulate", action="store_true", help="run a simulated Azure for this command")
    cloud.add_argument("--simulate-state", metavar="FILE", help="keep the simulated world here between runs")
    cloud.add_argument("--simulate-pace", dest="flag_simulatePace", metavar="N", help="how fast its time passes (30)")
    own = parser.add_argument_group("settings")
    own.add_argument("--config", metavar="FILE", help="config file (reconciler.yaml)")
    own.add_argument("--show-config", action="store_true", help="say which setting came from where, and stop")
    return parser


def _add_paths(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="PATH", help="desired state: files and directories (desired_state)")


def _add_once(parser: argparse.ArgumentParser) -> None:
    _add_paths(parser)
    parser.add_argument("-n", "--dry-run", action="store_true", help="show the plan, write nothing")
    parser.add_argument("--out", default="", metavar="FILE", help="with --dry-run: save the plan")
    parser.add_argument("--plan", default="", metavar="FILE", help="apply this saved plan, or refuse if Azure moved")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    _add_choice(parser)
    _add_pause_file(parser)
    _add_lease(parser)
    _add_timeout(parser, "how long to wait for provisioning, such as 90s, 10m, 2h (2h)")
    _add_setting(parser, "--parallelism", "parallelism", "N", "writes under way at once (100)")


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_paths(parser)
    setting = partial(_add_setting, parser)
    setting("--interval", "interval", "DURATION", "time between two passes, such as 60s, 5m (60s)")
    setting("--jitter", "jitter", "DURATION", "by how much less, at random (6s)")
    setting("--grace", "grace", "DURATION", "how long writes are waited for at the end (30s)")
    setting("--parallelism", "parallelism", "N", "writes under way at once (100)")
    setting("--listen", "listen", "HOST:PORT", "where health, metrics and a page are shown, or off (127.0.0.1:8080)")
    _add_pause_file(parser)
    _add_lease(parser)
    parser.add_argument(
        "--observe-only",
        dest="flag_observeOnly",
        default=argparse.SUPPRESS,
        action="store_const",
        const="true",
        help="plan and tell, never write",
    )


def _add_pause(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--until", default="", metavar="TIME", help="when it ends: 2h, 18:00 or a date with a time")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why, for whoever wonders")
    parser.add_argument("--by", default="", metavar="NAME", help="who asks for it ($USER)")
    _add_paths(parser)
    _add_pause_scope(parser)


def _add_pause_scope(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fleet", default="", metavar="NAME", help="only this fleet")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--kind", default="", metavar="KIND", help="only documents of this kind")
    what.add_argument(
        "--target", action="append", default=[], dest="targets", metavar="NAME", help="only this: KIND/NAME or ARM id"
    )
    _add_pause_file(parser)


def _add_lease(parser: argparse.ArgumentParser) -> None:
    _add_setting(parser, "--lease", "lease", "FORM", "so that only one writes: off, kubernetes or file (off)")
    _add_setting(parser, "--lease-file", "leaseFile", "FILE", "with --lease file: the file to lock")


def _add_pause_file(parser: argparse.ArgumentParser) -> None:
    _add_setting(parser, "--pause-file", "pauseFile", "FILE", "file that keeps the pauses")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target", action="append", default=[], dest="targets", metavar="NAME", help="KIND/NAME or ARM id; repeatable"
    )
    parser.add_argument("-l", "--selector", default="", metavar="KEY=VALUE[,...]", help="documents with these labels")


def _add_graph(parser: argparse.ArgumentParser) -> None:
    _add_paths(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="",
        metavar="FORMAT",
        help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]} ({FORMATS[0]})",
    )
    parser.add_argument("--live", action="store_true", help="look at Azure and show how each resource stands")
    parser.add_argument("--no-reach", action="store_false", dest="reach", help="leave out who reaches which account")
    parser.add_argument("--out", default="", metavar="FILE", help="write here, not to stdout")
    _add_choice(parser)


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subscription", default="", metavar="ID", help="subscription id (AZURE_SUBSCRIPTION_ID)")
    parser.add_argument(
        "--resource-group", action="append", default=[], dest="groups", metavar="NAME", help="only this; repeatable"
    )
    parser.add_argument(
        "--account", action="append", default=[], dest="accounts", metavar="NAME", help="only this; repeatable"
    )
    parser.add_argument("--fleet", default="imported", metavar="NAME", help="name of the Fleet (imported)")
    parser.add_argument("--out", default="", metavar="FILE", help="write here, not to stdout")


def _add_subscription(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subscription", default="", metavar="ID", help="this one, without a desired state")


def _add_purge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="name, GROUP/NAME or ARM id")
    _add_paths(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    _add_subscription(parser)
    _add_pause_file(parser)
    _add_lease(parser)
    _add_timeout(parser, "how long to wait, such as 90s, 10m, 2h (2h)")


def _add_timeout(parser: argparse.ArgumentParser, told: str) -> None:
    _add_setting(parser, "--timeout", "timeout", "DURATION", told)


def _add_setting(parser: argparse.ArgumentParser, flag: str, name: str, metavar: str, told: str) -> None:
    """A flag that beats the environment and the config file, and says nothing where it is not given."""
    parser.add_argument(flag, dest=f"flag_{name}", default=argparse.SUPPRESS, metavar=metavar, help=told)


def _add_regions(parser: argparse.ArgumentParser, told: str) -> None:
    parser.add_argument("--region", action="append", default=[], dest="regions", metavar="NAME", help=told)


def _add_quota(parser: argparse.ArgumentParser) -> None:
    _add_paths(parser)
    _add_regions(parser, "this region, also one without accounts; repeatable")
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        dest="models",
        metavar="NAME",
        help="pools that this model draws on; * stands for anything; repeatable",
    )


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=0, help="port to listen on (a free one)")
    parser.add_argument("--state", dest="simulate_state", default="", metavar="FILE", help="keep its world here")
    parser.add_argument("--env-file", default="", metavar="FILE", help="write variables for other clients here")
    parser.add_argument("--pace", type=float, default=1.0, help="how fast its time passes (1)")
