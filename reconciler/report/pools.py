"""Report: one pool of quota in words and as a bar, and what a plan says about all of them. Pure.

Tokens and requests per minute are told where the model list says what a unit is worth, and never where it does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from reconciler.model.plan import Plan
from reconciler.model.quota import Ledger, Pool

_BAR: Final = 40
_MARKS: Final = ("#", "=", "~", "+", ".")


def draw_bar(pool: Pool, width: int = _BAR) -> str:
    """The pool as one line of marks; whatever there is at all has at least one of them."""
    if pool.limit <= 0 and not pool.used:
        return "[" + "no quota".center(width) + "]"
    ours, others, held = pool.ours, pool.others, pool.residue
    asked = max(0, min(pool.asked, pool.left))
    parts = (ours, others, held, asked, max(0, pool.left - asked))
    whole = max(1, sum(parts))
    ends = [(end * width + whole // 2) // whole for end in accumulate(parts)]
    cells = [max(end - begin, 1 if part else 0) for begin, end, part in zip([0, *ends], ends, parts, strict=False)]
    # The longest part makes room for the small ones.
    cells[cells.index(max(cells))] -= sum(cells) - width
    return "[" + "".join(mark * number for mark, number in zip(_MARKS, cells, strict=True)) + "]"


def tell_holders(pool: Pool) -> str:
    """`200 ours, 60 others, up to 40 held by soft-deleted accounts`."""
    parts = [f"{pool.ours:,} ours"]
    if pool.surveyed or pool.others:
        parts.append(f"{pool.others:,} others'")
    if pool.residue:
        parts.append(f"up to {pool.residue:,} {_tell_residue(pool)}")
    return ", ".join(parts)


def _tell_residue(pool: Pool) -> str:
    if not pool.surveyed:
        return "others' or held by soft-deleted accounts"
    if pool.deleted:
        return "held by soft-deleted accounts"
    return "nobody's that could be seen; Azure may be late to give it back"


def tell_asked(pool: Pool) -> str:
    """What the plan does with the pool, "" where that is nothing."""
    parts = []
    if pool.takes or pool.gives:
        back = f" and gives back {pool.gives:,}" if pool.gives else ""
        pace = tell_pace(pool, max(0, pool.left_after))
        after = f"{pool.left_after:,} left after" + (f" ({pace})" if pace else "")
        parts.append(f"the plan takes {pool.takes:,}{back}: {after}")
    if pool.short:
        parts.append(f"{pool.short:,} more are asked and do not fit")
    return "; ".join(parts)


def tell_wanted(pool: Pool) -> str:
    """`declared 500, 200 more than granted; headroom 50 wanted`: what documents want of it, "" for nothing."""
    parts = []
    if pool.declared:
        lacking = pool.declared - pool.limit
        parts.append(f"declared {pool.declared:,}" + (f", {lacking:,} more than granted" if lacking > 0 else ""))
    if pool.headroom:
        lacking = pool.headroom - pool.left_after
        short = f", {lacking:,} more than there will be left" if lacking > 0 else ""
        parts.append(f"headroom {pool.headroom:,} wanted{short}")
    return "; ".join(parts)


def tell_unknown(ledger: Ledger) -> Iterator[str]:
    """Of what nothing, or not all, is known, and what that means."""
    for location, fault in ledger.unread.items():
        yield f"{location}: quota could not be read, so nothing is known about it: {fault}"
    for id, fault in ledger.unseen.items():
        yield f"{id.name}: its deployments could not be read, so others hold more than is told: {fault}"
    for stray in ledger.strays:
        yield f"{stray} draws on no pool that Azure's lists name, and is not counted"


def tightest_first(pool: Pool) -> tuple[bool, float, str]:
    return not pool.short, pool.left_after / pool.limit if pool.limit else 0.0, pool.usage.lower()


def tell_moving(plan: Plan) -> list[tuple[bool, str]]:
    """What a plan changes about pools, the tightest first, each with whether it is too small; and what is not known."""
    ledger = plan.ledger
    if ledger is None:
        return []
    moving = sorted((pool for pool in ledger.pools if pool.moves), key=tightest_first)
    told = [(bool(pool.short), _tell_moving(pool)) for pool in moving]
    return [*((True, text) for text in tell_unknown(ledger)), *told]


def _tell_moving(pool: Pool) -> str:
    return f"{pool.location} {pool.usage}: {pool.used:,} of {pool.limit:,} used; {tell_asked(pool)}"


def show_amount(number: float) -> str:
    """`900`, `300k`, `1.5M`: a number of tokens or requests, exact to three digits after the point."""
    for scale, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= scale:
            return f"{number / scale:.3f}".rstrip("0").rstrip(".") + unit
    return f"{number:g}"


def tell_pace(pool: Pool, units: int) -> str:
    """What units of a pool are worth: `150k TPM, 900-1.5k RPM`; "" where the model list does not say."""
    rates = ((pool.tokens, "TPM"), (pool.requests, "RPM"))
    return ", ".join(f"{_range(sorted({units * rate for rate in found}))} {word}" for found, word in rates if found)


def _range(numbers: Sequence[float]) -> str:
    least, most = show_amount(numbers[0]), show_amount(numbers[-1])
    return least if least == most else f"{least}-{most}"


def tell_unit(pool: Pool) -> str:
    """What a unit of a pool is, where it is no number of tokens."""
    return "PTU" if pool.billed else "units"
