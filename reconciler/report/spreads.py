"""Report: how a plan spreads pools of models over regions, one line per region. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.plan import Plan
from reconciler.model.spread import Share, Spread
from reconciler.report.pools import show_amount


def list_moving(plan: Plan) -> tuple[Spread, ...]:
    """The pools that a plan changes, or that lack something."""
    return tuple(each for each in plan.spreads if each.shortfall or any(_moves(share) for share in each.shares))


def _moves(share: Share) -> bool:
    return share.held != share.placed


def tell_spread(spread: Spread) -> str:
    """`ModelPool/chat (gpt-4o 2024-11-20): 3M TPM wanted, 2.4M placed, 600k short`."""
    short = f", {show_amount(spread.shortfall)} short" if spread.shortfall else ""
    reason = f"; {spread.reason}" if spread.reason else ""
    wanted, placed = show_amount(spread.wanted), show_amount(spread.placed)
    return f"{spread.ref} ({spread.model}): {wanted} TPM wanted, {placed} placed{short}{reason}"


def tell_shares(spread: Spread) -> Iterator[str]:
    """One line for each region, those that have something first."""
    for share in sorted(spread.shares, key=lambda each: (not each.placed, each.location)):
        yield f"{share.location}: {_amount(share)}" + (f"; {share.reason}" if share.reason else "")


def _amount(share: Share) -> str:
    placed, held = show_amount(share.placed), show_amount(share.held)
    if share.placed == share.held:
        return f"{placed} TPM, as it is" if share.placed else "passed over"
    return f"{placed} TPM, {f'was {held}' if share.held else 'new'}"
