"""Report: quota as a table with bars, as Markdown and as JSON. Pure.

All numbers are Azure's capacity units; tokens and requests per minute stand beside them where the model list says what
a unit is worth. "Up to" is never left out: what one soft-deleted account holds Azure does not tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from reconciler.kinds import quota_tier
from reconciler.model.plan import Decision, Plan
from reconciler.model.quota import Ledger, Pool
from reconciler.model.text import plain
from reconciler.model.wire import Json, JsonObject
from reconciler.report.ahead import tell_pool_end
from reconciler.report.document import (
    FORMAT_VERSION,
    Envelope,
    render_json,
    tell_decision,
    tell_finding,
    tell_ledger,
    tell_pool,
)
from reconciler.report.markdown import LONGEST, bound, cell, code
from reconciler.report.paint import Ink, Style
from reconciler.report.pools import (
    draw_bar,
    tell_asked,
    tell_holders,
    tell_pace,
    tell_unit,
    tell_unknown,
    tell_wanted,
    tightest_first,
)
from reconciler.report.text import tell_heading
from reconciler.report.words import count, tell_change, tell_reason

_LEGEND: Final = "# ours, = others', ~ no live deployment's, + asked by the plan, . left."
_HELD: Final = (
    "What is used and belongs to no live deployment is what soft-deleted accounts hold at most; Azure does not tell "
    "how much each of them holds. It stays held until they are purged or expire."
)
_SOON: Final = 30  # days
_YEAR: Final = 365
_BILLED: Final = "Provisioned units of a soft-deleted account are billed until it is purged."


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What of a ledger is shown: folded `regions` and folded patterns of `models`; none of them means all. `unused`:
    also pools that nobody uses, and what retires in years."""

    regions: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    unused: bool = False

    def picks(self, pool: Pool) -> bool:
        return self.covers(pool) and (self.unused or bool(self.models) or pool.used > 0 or pool.touched)

    def covers(self, pool: Pool) -> bool:
        """Whether the pool is one of those asked about, used or not."""
        if self.regions and pool.location not in self.regions:
            return False
        return not self.models or any(fnmatchcase(model, pattern) for model in pool.models for pattern in self.models)

    def tells_end(self, pool: Pool) -> bool:
        """Whether it is worth a line when the first thing in the pool retires."""
        return pool.days is not None and (self.unused or pool.days <= _YEAR)


def render_quota(plans: Iterable[Plan], chosen: Filter, style: Style) -> str:
    """Every fleet's pools, by region, with a bar each."""
    shown: list[Pool] = []
    blocks: list[str] = []
    for plan in plans:
        ledger = plan.ledger or Ledger()
        pools = [pool for pool in ledger.pools if chosen.picks(pool)]
        shown += pools
        blocks.append("\n".join((tell_heading(plan, style), *_tiers(plan, style))))
        blocks += [
            "\n".join(_region(location, pools, chosen, style)) for location in sorted({each.location for each in pools})
        ]
        blocks.append("\n".join(_unknown(ledger, style)))
        idle = sum(chosen.covers(pool) for pool in ledger.pools) - len(pools)
        if idle:
            blocks.append(style.paint(f"{count(idle, 'pool')} of which nothing is used; -v shows all", Ink.FAINT))
        if not ledger.pools and ledger.complete:
            blocks.append("No account is there or declared, so no region was asked.")
    if shown:
        blocks.append("\n".join(_foot(shown, style)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _tiers(plan: Plan, style: Style) -> Iterator[str]:
    for decision in _find_tiers(plan):
        yield from style.wrap(_tell_tier(decision), "  ", "    ")


def _tell_tier(decision: Decision) -> str:
    told = [f"{plain(change.path)} {' '.join(tell_change(change))}" for change in decision.changes]
    return f"quota tier: {'; '.join((*told, tell_reason(decision)))}"


def _find_tiers(plan: Plan) -> Iterator[Decision]:
    """The quota tier of the subscription, where the Fleet speaks of it."""
    return (each for each in plan.decisions if each.id.type.lower() == quota_tier.TYPE.arm_type.lower())


def _region(location: str, pools: list[Pool], chosen: Filter, style: Style) -> Iterator[str]:
    here = [pool for pool in pools if pool.location == location]
    yield style.paint(plain(location), Ink.BOLD)
    if here[0].deleted:
        names = f"soft-deleted here: {', '.join(here[0].deleted)}"
        yield from (style.paint(line, Ink.FAINT) for line in style.wrap(plain(names), "  ", "    "))
    for pool in sorted(here, key=tightest_first):
        yield from _pool(pool, chosen, style)


def _pool(pool: Pool, chosen: Filter, style: Style) -> Iterator[str]:
    yield f"  {plain(pool.usage)}"
    wanting = pool.left_after < pool.headroom or pool.limit < pool.declared
    ink = Ink.WARN if pool.short or wanting or pool.left_after < 0 else Ink.NONE
    pace = tell_pace(pool, max(0, pool.left))
    left = f"{pool.left:,} left" + (f": {pace}" if pace else "")
    head = f"    {draw_bar(pool)}  {pool.used:,} of {pool.limit:,}"
    line = f"{head}, {left}"
    if len(line) <= style.width:
        yield style.paint(line, ink)
    else:
        yield style.paint(head, ink)
        yield style.paint(f"    {left}", ink)
    for text in (tell_holders(pool), tell_asked(pool), tell_wanted(pool)):
        yield from style.wrap(text, "    ", "      ")
    if chosen.tells_end(pool):
        near = pool.days is not None and pool.days <= _SOON
        ends = style.wrap(tell_pool_end(pool), "    ", "      ")
        yield from (style.paint(line, Ink.WARN if near else Ink.NONE) for line in ends)


def _unknown(ledger: Ledger, style: Style) -> Iterator[str]:
    for text in tell_unknown(ledger):
        yield from (style.paint(line, Ink.HOLD) for line in style.wrap(plain(text), "  ? ", "    "))


def _foot(pools: list[Pool], style: Style) -> Iterator[str]:
    held = _HELD if any(pool.residue for pool in pools) else ""
    billed = _BILLED if any(pool.residue and pool.billed for pool in pools) else ""
    for text in (_LEGEND, held, billed):
        yield from (style.paint(line, Ink.FAINT) for line in style.wrap(text, "", ""))


def render_quota_markdown(plans: Iterable[Plan], chosen: Filter, longest: int = LONGEST) -> str:
    """A table per fleet."""
    parts: list[str] = []
    for plan in plans:
        ledger = plan.ledger or Ledger()
        parts.append(f"### Quota of fleet {code(plan.fleet)}")
        told = [f"- {code(_tell_tier(each))}" for each in _find_tiers(plan)]
        told += [f"- {code(text)}" for text in tell_unknown(ledger)]
        if told:
            parts.append("\n".join(told))
        pools = [pool for pool in ledger.pools if chosen.picks(pool)]
        if pools:
            parts.append("\n".join(_table(pools, chosen)))
            parts.append(_HELD)
    return bound(parts or ["No fleet is declared."], longest)


_HEAD: Final = (
    "| region | pool | | used | limit | ours | others | held, at most | asked | left after | worth | retires, in days |"
)
_RULE: Final = "|---|---|---|--:|--:|--:|--:|--:|--:|--:|---|--:|"


def _table(pools: list[Pool], chosen: Filter) -> Iterator[str]:
    """What documents want has a column where they want anything."""
    wanted = [tell_wanted(pool) for pool in pools]
    if not any(wanted):
        yield from (_HEAD, _RULE, *(_row(pool, chosen) for pool in pools))
        return
    yield from (f"{_HEAD} wanted |", f"{_RULE}---|")
    yield from (f"{_row(pool, chosen)} {text} |" for pool, text in zip(pools, wanted, strict=True))


def _row(pool: Pool, chosen: Filter) -> str:
    others = f"{pool.others:,}" if pool.surveyed else "?"
    short = f" (+{pool.short:,} short)" if pool.short else ""
    numbers = (
        *(f"{number:,}" for number in (pool.used, pool.limit, pool.ours)),
        others,
        f"{pool.residue:,}",
        f"{pool.asked:+,}{short}" if pool.moves else "",
        f"{pool.left_after:,}",
    )
    worth = tell_pace(pool, max(0, pool.left_after)) or tell_unit(pool)
    days = f"{pool.days:,}" if chosen.tells_end(pool) else ""
    cells = (cell(pool.location), cell(pool.usage), cell(draw_bar(pool, 20)), *numbers, worth, days)
    return f"| {' | '.join(cells)} |"


def render_quota_json(plans: Iterable[Plan], chosen: Filter, envelope: Envelope) -> str:
    fleets: list[Json] = []
    for plan in plans:
        ledger = plan.ledger or Ledger()
        pools: list[Json] = [tell_pool(pool) for pool in ledger.pools if chosen.covers(pool)]
        tiers: list[Json] = [tell_decision(each) for each in _find_tiers(plan)]
        told: JsonObject = {"fleet": plan.fleet, "tier": tiers[0] if tiers else None}
        fleets.append({**told, **tell_ledger(ledger), "pools": pools})
    return render_json(
        {
            "format_version": FORMAT_VERSION,
            "kind": "quota",
            "fleets": fleets,
            "findings": [tell_finding(finding) for finding in envelope.findings],
            "exit_code": envelope.exit_code,
        }
    )
