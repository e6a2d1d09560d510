"""`quota`: what there is, what is used, what is held."""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase

from reconciler.app import plan_fleets
from reconciler.cli.call import Call, complete, is_broken, load, wire_up
from reconciler.cli.parser import Exit
from reconciler.cycle import CycleRequest, Regions
from reconciler.model.ids import fold_location
from reconciler.model.quota import Pool
from reconciler.model.text import plain
from reconciler.report.document import Envelope
from reconciler.report.progress import Quiet
from reconciler.report.quota import Filter, render_quota, render_quota_json, render_quota_markdown
from reconciler.report.text import render_findings
from reconciler.settings import Output


def quota(call: Call) -> Exit:
    """The pools of quota in the regions of every fleet, and who holds them."""
    options, terminal = call.options, call.terminal
    estate = load(call)
    chosen = Filter(
        regions=frozenset(fold_location(region) for region in options.regions),
        models=tuple(model.lower() for model in options.models),
        unused=terminal.verbose,
    )
    terminal.complain(render_findings(estate.findings, terminal.style(terminal.err)))
    if is_broken(estate):
        terminal.complain("The desired state is wrong, so no request was sent.\n")
        if call.json:
            terminal.say(render_quota_json((), chosen, Envelope(exit_code=Exit.ERROR, findings=estate.findings)))
        return Exit.ERROR
    request = CycleRequest(regions=Regions(named=chosen.regions))
    plans = [report.plan for report in complete(call, plan_fleets(estate.fleets, wire_up(call, Quiet()), request))]
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
