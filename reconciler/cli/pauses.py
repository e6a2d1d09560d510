"""`pause` and `resume`, and the pauses that everybody who writes keeps to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from reconciler.cli.call import Call, UsageError, is_broken, load
from reconciler.cli.parser import Exit
from reconciler.cli.pausing import add_pause, end_pauses, read_until, tell_document
from reconciler.desired.schema import SPECS
from reconciler.model.pause import Pause
from reconciler.model.ports import Pauses
from reconciler.model.text import plain
from reconciler.model.wire import Json
from reconciler.plan import select, tell_pause
from reconciler.report.document import FORMAT_VERSION, render_json
from reconciler.report.words import tell_scope
from reconciler.runtime.kube import find_place
from reconciler.runtime.pauses import PauseFile, PauseMap


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
    estate = load(call)
    if is_broken(estate):
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
    return find_pauses(call)


def find_pauses(call: Call) -> Pauses:
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


def pauses_in_force(call: Call) -> tuple[Pause, ...]:
    now = call.clock.now()
    return tuple(each for each in asyncio.run(find_pauses(call).load()) if each.until > now)
