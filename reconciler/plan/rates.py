"""Tokens per minute into capacity units, by the rate at which the region sells the model."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.resource import Desired, Fleet, Snapshot


def resolve_rates(fleet: Fleet, snapshot: Snapshot) -> Fleet:
    """The fleet with every throughput whose rate is known turned into a capacity, rounded up to whole units."""
    return replace(fleet, desired={id: _resolve(each, snapshot) for id, each in fleet.desired.items()})


def _resolve(desired: Desired, snapshot: Snapshot) -> Desired:
    wanted = desired.throughput
    rate = snapshot.rates.get(wanted.offer, 0) if wanted else 0
    if wanted is None or rate <= 0:
        return desired
    units = -(-wanted.tokens_per_minute // rate)
    floor = desired.floor if wanted.least is None else -(-wanted.least // rate)
    return replace(desired, fields={**desired.fields, "sku.capacity": units}, floor=floor, throughput=None)
