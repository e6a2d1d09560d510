"""Replay of recorded Azure exchanges against the simulation.

Promises that every difference between the two is seen; which of them are right is written in FIDELITY.md, not here.
"""
