"""The room that decides: fleet and snapshot in, plan out. Pure: the same arguments give the same bytes."""

from reconciler.plan.planner import make_plan
from reconciler.plan.selection import NothingSelectedError, select

__all__ = ["NothingSelectedError", "make_plan", "select"]
