"""`deleted` and `purge`: what is deleted softly, and its end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches

import structlog

from reconciler.app import Wiring, carry_out, covered, survey_fleets
from reconciler.apply import Budget
from reconciler.cli.call import Call, UsageError, complete, is_broken, load, open_progress, target, wire_up
from reconciler.cli.lease import choose_lease_to_write
from reconciler.cli.parser import Exit
from reconciler.cli.pauses import pauses_in_force
from reconciler.cli.verdict import judge_outcome
from reconciler.model.burial import Burial, Graveyard
from reconciler.model.finding import Origin
from reconciler.model.ids import fold_location
from reconciler.model.outcome import Outcome
from reconciler.model.pause import Pause
from reconciler.model.resource import Estate, Fleet
from reconciler.model.text import plain
from reconciler.plan import find_burials, find_protection, merge, plan_one, tell_withheld
from reconciler.report.deleted import (
    render_burial,
    render_deleted,
    render_deleted_json,
    render_deleted_markdown,
    render_purge,
    render_purge_json,
)
from reconciler.report.document import Envelope
from reconciler.report.progress import Quiet
from reconciler.report.text import render_findings
from reconciler.report.words import join_words
from reconciler.settings import Output


def deleted(call: Call) -> Exit:
    """Every soft-deleted account, what it may hold, and what becomes of it."""
    terminal = call.terminal
    regions = frozenset(fold_location(region) for region in call.options.regions)
    estate = _load_or_subscription(call)
    terminal.complain(render_findings(estate.findings, terminal.style(terminal.err)))
    if is_broken(estate):
        terminal.complain("The desired state is wrong, so no request was sent.\n")
        if call.json:
            terminal.say(render_deleted_json((), Envelope(exit_code=Exit.ERROR, findings=estate.findings)))
        return Exit.ERROR
    graveyards = merge(complete(call, survey_fleets(estate.fleets, wire_up(call, Quiet()), regions)))
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
        return load(call)
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", subscription):
        raise UsageError(f"--subscription {subscription}: write the subscription's id, not a name")
    if call.simulation:
        call.simulation.know_subscriptions({subscription: call.environment.get("AZURE_TENANT_ID", "")})
    nowhere = Origin(file="", line=0, column=0)
    return Estate(fleets=(Fleet(name="", subscription=subscription, target=target(call), desired={}, origin=nowhere),))


def _complain_unread(call: Call, graveyards: Iterable[Graveyard]) -> Exit:
    unread = [each for graveyard in graveyards for each in graveyard.unread]
    call.terminal.complain("".join(plain(f"{what} could not be read: {fault}") + "\n" for what, fault in unread))
    return Exit.ERROR if unread else Exit.OK


def purge(call: Call) -> Exit:
    """One soft-deleted account purged by hand, and what it held waited for."""
    terminal, options = call.terminal, call.options
    if not (options.yes or terminal.interactive):
        raise UsageError("there is no terminal to ask on; add --yes to purge without being asked")
    choice = choose_lease_to_write(call)
    estate = _load_or_subscription(call)
    terminal.complain(render_findings(estate.findings, terminal.style(terminal.err)))
    if is_broken(estate):
        terminal.complain("The desired state is wrong, so no request was sent.\n")
        return Exit.ERROR
    pauses = pauses_in_force(call)
    wiring = replace(wire_up(call, open_progress(call)), choice=choice)
    with structlog.contextvars.bound_contextvars(trigger="purge"):
        return complete(call, _purge(call, estate, pauses, wiring))


async def _purge(call: Call, estate: Estate, pauses: tuple[Pause, ...], wiring: Wiring) -> Exit:
    terminal = call.terminal
    async with covered(wiring, terminal.tell) as leading:
        graveyards = merge(await survey_fleets(estate.fleets, replace(leading, watcher=Quiet()), frozenset()))
        unread = _complain_unread(call, graveyards)
        burial = _pick(graveyards, call.options.name, complete=unread is Exit.OK)
        if burial is None:
            return Exit.ERROR
        stream = terminal.out if call.settings.output is Output.TEXT else terminal.err
        stream.write(render_burial(burial, terminal.style(stream)))
        stream.flush()
        forbidden = find_protection(estate.fleets, burial.deleted)
        forbidden = forbidden or tell_withheld(estate.fleets, burial, pauses, call.clock.now())
        fleet = next(each for each in estate.fleets if each.name == burial.fleet)
        outcome = None if forbidden else await _purge_one(call, fleet, burial, leading)
    code = Exit.STOPPED if outcome is None else judge_outcome(outcome.result)
    if outcome is None:
        terminal.complain(f"{plain(forbidden) or 'not agreed to'}; nothing was purged\n")
    if call.json:
        terminal.say(render_purge_json(burial, outcome, Envelope(exit_code=code)))
    elif outcome is not None:
        terminal.say(render_purge(outcome, terminal.style(terminal.out)))
    return code


async def _purge_one(call: Call, fleet: Fleet, burial: Burial, wiring: Wiring) -> Outcome | None:
    if not call.options.yes and not await call.terminal.ask(f"\nPurge {plain(burial.name)} for good?"):
        return None
    budget = Budget(seconds=call.settings.timeout, parallel=1)
    (outcome,) = await carry_out(fleet.target, plan_one(burial), wiring, budget)
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
    hint = f"; did you mean {close[0]}?" if close else ""
    verb = "There are" if names[1:] else "There is"
    raise UsageError(plain(f"there is no soft-deleted account {word}{hint or '.'} {verb} {join_words(names)}"))
