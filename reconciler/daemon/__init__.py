"""`reconciler run`: one pass after the other for ever, who is told of it, and what is to be seen from outside."""

from reconciler.daemon.loop import Chronicle, Forgetful, Service, Worlds, run_forever

__all__ = ["Chronicle", "Forgetful", "Service", "Worlds", "run_forever"]
