"""One look at what is deleted softly: who holds which quota is asked only in the regions where something is."""

from __future__ import annotations

from dataclasses import replace

from reconciler.cycle import scope_of
from reconciler.model.burial import Graveyard
from reconciler.model.ids import fold_location
from reconciler.model.ports import World
from reconciler.model.quota import QuotaScope
from reconciler.model.resource import Fleet
from reconciler.plan import bury, find_strangers, make_plan


async def survey_deleted(world: World, fleet: Fleet, regions: frozenset[str]) -> Graveyard:
    """Every soft-deleted account of the fleet's subscription; of those in `regions` (folded), if any are named. A
    region of which Azure knows nothing is unread, not empty."""
    snapshot = await world.cloud.observe(scope_of(fleet))
    if regions:
        chosen = {id: each for id, each in snapshot.deleted.items() if fold_location(each.location) in regions}
        snapshot = replace(snapshot, deleted=chosen)
    here = frozenset(fold_location(each.location) for each in snapshot.deleted.values())
    if here or regions:
        strangers = find_strangers(fleet, snapshot, here)
        scope = QuotaScope(
            subscription=fleet.subscription, locations=here, watched=regions, surveys=here, accounts=strangers
        )
        snapshot = replace(snapshot, quotas=await world.cloud.measure(scope))
    return bury(fleet, snapshot, make_plan(fleet, snapshot))
