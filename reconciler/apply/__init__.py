"""The room that acts: walks a plan's steps, one lane at a time each, and says what became of every one."""

from reconciler.apply.executor import Budget, run_plan

__all__ = ["Budget", "run_plan"]
