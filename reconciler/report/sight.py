"""Report: fleets that Azure does not let us see, or that we fail to look at: one condition for one cause. Pure.

What goes wrong with all that is asked for a fleet is told by its cause: a credential that does not work, or throttling.
Only what neither of them explains is told as not seen. An outage hits many fleets at once, so these conditions are one
scope of their own, and many of them one digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from typing import Final

from reconciler.model.alert import Journal, Level
from reconciler.model.finding import Fault, FaultClass, Finding, Severity
from reconciler.model.outcome import CycleReport, Pass
from reconciler.model.text import plain
from reconciler.report.conditions import CREDENTIALS, JOURNAL, THROTTLED, UNSEEN, Condition, Finds, make_essence
from reconciler.report.words import HELPS, count, join_words

FLEETS: Final = "*"  # the scope of these conditions; no fleet has such a name
FLEET_WIDE: Final = (CREDENTIALS, THROTTLED, UNSEEN, JOURNAL)
_WORDS: Final = ("credentials", "throttled", "unseen", "unread")

# Seconds that something must last before it is told.
_UNSEEN_AFTER = 90.0  # three passes in a row, each up to a tenth sooner than a minute after the one before
_UNKEPT_AFTER = 60.0
_CRITICAL_AFTER = 900.0
_SLOW_AFTER = 900.0
_PARTLY_AFTER = 900.0
_THROTTLED_AFTER = 300.0

_BLIND: Final = "Drift goes unnoticed there, and nothing is put right."
_OURS: Final = "the log has its trace (cycle.crashed); it is a fault of reconciler's own, so tell whoever maintains it"
_HELD: Final = "Nothing is written to Azure until it can. Alerts still go out, each at least once."
_REPEATED: Final = (
    "If the daemon is started anew meanwhile, it tells again what is open, and webhooks do not hear the end of what it "
    "does not remember."
)
_MENDS: Final = (
    f"{HELPS}room on the disk and the right to write for journalFile; for journalMap the right to get, create and "
    "update that ConfigMap, and an API server that answers."
)
_SIGN_IN = frozenset(
    {
        "credential_failed",
        "invalidauthenticationtoken",
        "expiredauthenticationtoken",
        "authenticationfailed",
        "authenticationfailedmissingtoken",
        "invalidauthenticationtokentenant",
        "invalidauthenticationtokenaudience",
    }
)


def find_fleets(journal: Journal, done: Pass, unkept: str = "") -> Finds:
    """What is so with the fleets as a whole after a pass; `unkept` is why the journal is not kept."""
    found = [find_unkept(unkept)] if unkept else []
    if whole := done.faults.get(""):
        found.append(_broken_off("", whole))
        return Finds(fleet=FLEETS, conditions={each.key: each for each in found}, blind=True)
    for name, report in done.reports.items():
        found += find_sight(name, report)
    for name, fault in done.faults.items():
        found += find_broken_off(name, fault)
    found += [find_under_way(name) for name in done.under_way]
    found += find_undeclared(journal, done.findings, {*done.reports, *done.faults, *done.under_way})
    vague = {*done.under_way, *(name for name, fault in done.faults.items() if _is_stopped(fault))}
    if any(each.severity is Severity.ERROR for each in done.findings):
        # A fleet that is not there may be one whose document cannot be read.
        vague |= _find_told(journal) - {*done.reports, *done.faults}
    unseen = frozenset(f"{word}:{name}" for name in vague for word in _WORDS)
    return Finds(fleet=FLEETS, conditions={each.key: each for each in found}, unseen=unseen)


def _find_told(journal: Journal) -> set[str]:
    alerts = (each for each in journal.alerts.values() if each.name in FLEET_WIDE and each.name != JOURNAL)
    return {key.partition(":")[2] for each in alerts for key in (each.members or (each.key,))} - {""}


def find_sight(fleet: str, report: CycleReport) -> Iterator[Condition]:
    """What a look that came to its end did not see, and what Azure said to all that was asked."""
    plan = report.plan
    unread = [fault for _, fault in plan.blind]
    failed = [each.fault for each in report.outcomes if each.fault]
    sign_in = [each for each in (*unread, *failed) if is_sign_in(each)]
    throttled = [each for each in (*unread, *failed) if each.cls is FaultClass.THROTTLED]
    if sign_in:
        yield _credentials(fleet, sign_in)
    if throttled:
        yield _throttled(fleet, throttled, _UNSEEN_AFTER if plan.unseen else _THROTTLED_AFTER)
    rest = [each for each in unread if each.cls is not FaultClass.THROTTLED]
    if sign_in or not rest:
        return
    yield _unread(fleet, rest) if plan.unseen else _partly(fleet, rest)


def find_broken_off(fleet: str, fault: Fault) -> Iterator[Condition]:
    """What is so in a fleet of which nothing was seen."""
    if _is_stopped(fault):
        return
    if is_sign_in(fault):
        yield _credentials(fleet, [fault])
    elif fault.cls is FaultClass.THROTTLED:
        yield _throttled(fleet, [fault], _UNSEEN_AFTER)
    else:
        yield _broken_off(fleet, fault)


def find_under_way(fleet: str) -> Condition:
    """A look that takes longer than a pass; it is no news before it takes much longer."""
    helps = f"{HELPS}the log says what it waits for (read.retried); Azure may be slow, or out of reach."
    slow = _unseen(fleet, "slow", f"fleet {plain(fleet)}: a look at it does not come to its end", [helps])
    return replace(slow, after=_SLOW_AFTER, critical_after=None)


def find_unkept(why: str) -> Condition:
    """A journal that cannot be read or written."""
    return Condition(
        key="journal",
        name=JOURNAL,
        level=Level.WARNING,
        labels={},
        summary=plain(why),
        description="\n".join((_HELD, _REPEATED, _MENDS)),
        essence=make_essence([why]),
        after=_UNKEPT_AFTER,
        critical_after=_CRITICAL_AFTER,
    )


def find_undeclared(journal: Journal, findings: Iterable[Finding], seen: Set[str]) -> Iterator[Condition]:
    """Fleets that were looked at before and are not any more while documents have errors: theirs may be among them."""
    if not any(each.severity is Severity.ERROR for each in findings):
        return
    helps = "What helps: put the errors in the desired state right, or take back what brought them in."
    for fleet in sorted({*journal.looked} - seen):
        summary = f"fleet {plain(fleet)}: no document without errors declares it any more, so nobody looks at it"
        yield _unseen(fleet, "undeclared", summary, [helps])


def is_sign_in(fault: Fault) -> bool:
    return fault.status == 401 or fault.code.lower() in _SIGN_IN


def _is_stopped(fault: Fault) -> bool:
    """Whether the look was ended by ourselves: that says nothing about the fleet."""
    return fault.code == "stopped"


def _credentials(fleet: str, faults: list[Fault]) -> Condition:
    told = _tell(CREDENTIALS, f"credentials:{fleet}", f"fleet {plain(fleet)}: its credential does not work", faults)
    return replace(told, level=Level.CRITICAL)


def _throttled(fleet: str, faults: list[Fault], after: float) -> Condition:
    told = _tell(THROTTLED, f"throttled:{fleet}", f"fleet {plain(fleet)}: Azure throttles its requests", faults)
    return replace(told, after=after)


def _tell(name: str, key: str, summary: str, faults: list[Fault]) -> Condition:
    return Condition(
        key=key,
        name=name,
        level=Level.WARNING,
        labels={"fleet": key.partition(":")[2]},
        summary=summary,
        description="\n".join(_describe(faults)),
        essence=make_essence([each.code for each in faults][:1]),
    )


def _broken_off(fleet: str, fault: Fault) -> Condition:
    summary = f"fleet {plain(fleet)}: each look at it breaks off" if fleet else "no pass gets as far as the fleets"
    return _unseen(fleet, "crashed", summary, [plain(str(fault)), f"{HELPS}{plain(fault.advice) or _OURS}"])


def _unread(fleet: str, faults: list[Fault]) -> Condition:
    summary = f"fleet {plain(fleet)}: nothing of it can be read: {join_words(_codes(faults)[:3])}"
    return _unseen(fleet, "unread", summary, [*_describe(faults)])


def _partly(fleet: str, faults: list[Fault]) -> Condition:
    summary = f"fleet {plain(fleet)}: {count(len(faults), 'place')} cannot be read: {join_words(_codes(faults)[:3])}"
    partly = _unseen(fleet, "partly", summary, [*_describe(faults)])
    return replace(partly, key=f"unread:{fleet}", after=_PARTLY_AFTER, critical_after=None)


def _unseen(fleet: str, code: str, summary: str, lines: list[str]) -> Condition:
    return Condition(
        key=f"unseen:{fleet}",
        name=UNSEEN,
        level=Level.WARNING,
        labels={**({"fleet": fleet} if fleet else {}), "code": code},
        summary=summary,
        description="\n".join([_BLIND, *lines]),
        essence=make_essence([code]),
        after=_UNSEEN_AFTER,
        critical_after=_CRITICAL_AFTER,
    )


def _codes(faults: Iterable[Fault]) -> list[str]:
    return sorted({plain(each.code) for each in faults})


def _describe(faults: list[Fault]) -> Iterator[str]:
    yield from sorted({plain(str(each)) for each in faults})[:3]
    for advice in sorted({each.advice for each in faults if each.advice})[:1]:
        yield f"{HELPS}{plain(advice)}"
