"""The room that decides: fleet and snapshot in, plan out. Pure: the same arguments give the same bytes."""

from reconciler.plan.authors import find_unexplained, tell_authors
from reconciler.plan.burials import bury, find_burials, find_protection, merge, plan_one
from reconciler.plan.holds import remember_failures
from reconciler.plan.lifecycle import find_lists
from reconciler.plan.planner import make_plan
from reconciler.plan.pooling import find_growing, find_unplaced
from reconciler.plan.purging import find_lingering
from reconciler.plan.quota import count_pools, find_asked, find_regions, find_strangers
from reconciler.plan.reach import declared_ways, live_ways
from reconciler.plan.rights import approve, find_closer, find_places
from reconciler.plan.selection import NothingSelectedError, select
from reconciler.plan.shunning import forgive, offer_of, shun
from reconciler.plan.wishes import find_watched
from reconciler.plan.withhold import tell_pause, tell_withheld

__all__ = [
    "NothingSelectedError",
    "approve",
    "bury",
    "count_pools",
    "declared_ways",
    "find_asked",
    "find_burials",
    "find_closer",
    "find_growing",
    "find_lingering",
    "find_lists",
    "find_places",
    "find_protection",
    "find_regions",
    "find_strangers",
    "find_unexplained",
    "find_unplaced",
    "find_watched",
    "forgive",
    "live_ways",
    "make_plan",
    "merge",
    "offer_of",
    "plan_one",
    "remember_failures",
    "select",
    "shun",
    "tell_authors",
    "tell_pause",
    "tell_withheld",
]
