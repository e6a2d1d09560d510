"""Reach: who gets through to an account, on which ports, along which path; and how a plan keeps it from ever being more
than it was before or shall be.

    grid         everybody who could call, as few cells
    security     what the rules of a security group let through
    state        resources as they are, and after each write
    bodies       what a resource says about who gets through
    ground       who leads where, what stands in which network
    paths        the gates on every path to an account
    sequence     which write has to come before which
    connection   whom a plan would cut off
    tell         cells in words
    survey       all of it, over the steps of a plan

Pure. What Azure does not tell (whom a service tag means, who is joined to a network, what could not be read) is never
guessed: what is said here holds for either case, also together with any other one; where there are few, for every
combination.
"""

from reconciler.plan.reach.survey import Survey, declared_ways, live_ways, survey

__all__ = ["Survey", "declared_ways", "live_ways", "survey"]
