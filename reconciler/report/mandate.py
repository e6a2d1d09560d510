"""Report: what a plan knows of who may carry it out, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.model.plan import Plan
from reconciler.model.rights import Lack
from reconciler.report.words import join_words

_NAMED: Final = 3  # more resources than these are only counted


def tell_mandate(plan: Plan) -> Iterator[tuple[str, str]]:
    """What whoever applies the plan has to be permitted, and what could not be told: sentences with the next step."""
    if plan.mandate is None:
        return
    for lack in plan.mandate.lacks:
        yield _tell_lack(lack), f"{join_words(lack.roles)} {lack.place} would do"
    for what, fault in plan.mandate.unread:
        yield f"{what} could not be read, and nothing is blocked for it: {fault}", fault.advice


def _tell_lack(lack: Lack) -> str:
    more = len(lack.refs) - _NAMED
    refs = [*lack.refs[:_NAMED], *([f"{more} more"] if more > 0 else [])]
    return (
        f"{lack.place} this identity may not {', '.join(lack.actions)}: the run that applies the plan must, "
        f"for {join_words(refs)}"
    )
