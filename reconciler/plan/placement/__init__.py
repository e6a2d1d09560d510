"""Where the tokens of one pool of a model go: units for each account and deployment type, within quota.

    values       what is asked and what is answered
    sizes        what a deployment may have
    task         what each slot may have at all, and what is better than what
    fill         how full everything is, and a good placement at once
    search       the best of all, where there are few enough
    tell         why each slot and each region has what it has

Pure, and about plain values. Which accounts there are, how much quota is left and what becomes of an answer is not
known here.
"""

from reconciler.plan.placement.place import place
from reconciler.plan.placement.tell import compare
from reconciler.plan.placement.values import (
    Choice,
    Demand,
    Limit,
    Placement,
    RegionNote,
    Rooms,
    Slot,
    SlotKey,
    SlotNote,
)

__all__ = [
    "Choice",
    "Demand",
    "Limit",
    "Placement",
    "RegionNote",
    "Rooms",
    "Slot",
    "SlotKey",
    "SlotNote",
    "compare",
    "place",
]
