"""make_plan: decide, guard, hold against the market, keep to what is permitted, order, survey what that does to reach,
allot quota, and judge what is left of it, in that order."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.ids import ArmId
from reconciler.model.memory import NOTHING, Memory
from reconciler.model.plan import Plan
from reconciler.model.resource import Blind, Fleet, Snapshot
from reconciler.plan.allotment import keep_within
from reconciler.plan.authors import tell_authors
from reconciler.plan.decide import decide
from reconciler.plan.guards import Grounds, check_caps, guard
from reconciler.plan.known import resolve_known
from reconciler.plan.lifecycle import date_pools, expect_upgrades, foresee, tell_outlook
from reconciler.plan.pooling import place_pools, settle_spreads
from reconciler.plan.preflight import preflight
from reconciler.plan.purging import limit_purges
from reconciler.plan.rates import resolve_rates
from reconciler.plan.rights import keep_to_rights, make_mandate
from reconciler.plan.shelf import Shelves
from reconciler.plan.shunning import hold_back
from reconciler.plan.wishes import judge_wishes
from reconciler.plan.withhold import withhold


def make_plan(
    fleet: Fleet, snapshot: Snapshot, chosen: frozenset[ArmId] | None = None, memory: Memory = NOTHING
) -> Plan:
    """What to do so that `snapshot` becomes what `fleet` declares; `chosen` limits who may be acted upon, `memory` is
    what earlier cycles of this run know."""
    shelves = Shelves(snapshot)
    fleet, spreads = place_pools(resolve_rates(fleet, snapshot), snapshot, shelves, memory)
    fleet, upgrades = expect_upgrades(resolve_known(fleet, snapshot), snapshot, shelves)
    snapshot = replace(snapshot, blind=tuple(sorted(snapshot.blind, key=_key)))
    drafts = limit_purges(decide(fleet, snapshot), fleet, snapshot, memory)
    drafts = guard(drafts, Grounds(fleet=fleet, snapshot=snapshot, chosen=chosen))
    drafts = withhold(drafts, fleet, snapshot, memory)
    drafts = preflight(drafts, fleet, snapshot, shelves)
    drafts = keep_to_rights(drafts, fleet, snapshot)
    drafts = hold_back(drafts, fleet, snapshot, memory)
    drafts, steps, ledger = keep_within(drafts, fleet, snapshot, memory)
    stopped = check_caps(drafts, fleet)
    wanted, ledger = judge_wishes(fleet, snapshot, ledger, chosen)
    outlook = foresee(drafts, fleet, snapshot, shelves)
    outlook = replace(outlook, notes=(*upgrades, *outlook.notes))
    told = tell_outlook((drafts[id].decision for id in sorted(drafts)), outlook, upgrades)
    return Plan(
        fleet=fleet.name,
        decisions=tuple(sorted((*tell_authors(told, snapshot), *wanted), key=lambda each: each.id)),
        steps=() if stopped else steps,
        findings=fleet.findings,
        blind=tuple((f"{blind.type} in {blind.scope}", blind.fault) for blind in snapshot.blind),
        stopped=stopped,
        mandate=make_mandate(drafts, fleet, snapshot),
        spreads=settle_spreads(spreads, drafts, chosen),
        ledger=date_pools(ledger, outlook),
        outlook=outlook,
        principal=str(snapshot.principal or ""),
        requests_spent=snapshot.requests,
    )


def _key(blind: Blind) -> tuple[str, str, str]:
    return blind.type.lower(), blind.scope.key, str(blind.fault)
