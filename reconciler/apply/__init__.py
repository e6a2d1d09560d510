"""The room that acts: walks a plan's steps, one lane at a time each, and says what became of every one."""

from reconciler.apply.executor import Budget, run_plan
from reconciler.apply.returning import RETURN_PATIENCE

__all__ = ["RETURN_PATIENCE", "Budget", "run_plan"]
