"""Clients that nobody here wrote, run unmodified against the simulation: pointed at it by configuration alone.

Not part of the test suite: each installs a large program. `python -m tests.peers azure-cli` runs one of them.
"""
