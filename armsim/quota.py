"""Pools of quota: subscription x region x usage name. What soft-deleted accounts hold stays held.

Limits come from the catalogue unless the control path set others. Knows what an account and
a deployment count against, and nothing else about them.
"""

from typing import Final

from armsim import catalogue, errors
from armsim.store import Held, World
from armsim.wire import Body

FINE_TUNED: Final = "openai.finetuned.deployments"


def limit_of(world: World, subscription: str, location: str, pool: str) -> float:
    """In capacity units; a pool nobody has heard of holds nothing."""
    found = world.limits.get((subscription, location, pool))
    if found is not None:
        return found
    regional = catalogue.regional_limits(location).get(pool)
    if regional is not None:
        return regional
    known = catalogue.pools().get(pool)
    return known.limit if known is not None else 0.0


def require(world: World, subscription: str, location: str, need: tuple[str, float]) -> None:
    """Refuse when the pool has less left than is needed on top."""
    pool, amount = need
    if amount <= 0:
        return
    used = world.in_use((subscription, location, pool))
    limit = limit_of(world, subscription, location, pool)
    if used + amount > limit:
        raise errors.insufficient_quota(_label(pool), amount, used, limit)


def usages(world: World, subscription: str, location: str) -> list[Body]:
    """The answer of the usages list: known pools in Azure's order, then pools that only this world knows."""
    rows = []
    known = catalogue.pools()
    for folded, pool in known.items():
        rows.append(_row(world, (subscription, location, folded), pool.name, pool.label))
    extra = {key[2] for key in (*world.limits, *world.used) if key[:2] == (subscription, location)}
    for folded in sorted(extra - set(known)):
        name = world.spelled.get(folded, folded)
        rows.append(_row(world, (subscription, location, folded), name, name))
    return rows


def deployment_pools(usage: str, sku: Body, model: Body) -> Held:
    """Units in the pool that the model list names; a fine-tuned model has one of its own where Azure lists one.

    A fine-tuned deployment of a standard type also counts as one among the fine-tuned deployments of the region.
    """
    pool, units = usage.lower(), float(sku.get("capacity") or 0)
    if not (model.get("source") or model.get("sourceAccount")):
        return ((pool, units),)
    tuned = f"{pool}-finetune" if f"{pool}-finetune" in catalogue.pools() else pool
    counted = str(sku["name"]).lower().endswith("standard")
    return ((tuned, units), (FINE_TUNED, 1.0)) if counted else ((tuned, units),)


def account_pools(kind: str, sku: str) -> Held:
    """An account counts against its kind's number and against the number of all."""
    own = f"{kind}.{sku}.accountcount".lower()
    return ((own, 1.0), ("accountcount", 1.0)) if own in catalogue.pools() else (("accountcount", 1.0),)


def _row(world: World, key: tuple[str, str, str], name: str, label: str) -> Body:
    return {
        "name": {"value": name, "localizedValue": label},
        "currentValue": _plain(world.in_use(key)),
        "limit": _plain(limit_of(world, *key)),
        "unit": "Count",
    }


def _plain(number: float) -> float | int:
    return int(number) if number == int(number) else number


def _label(pool: str) -> str:
    known = catalogue.pools().get(pool)
    return known.label if known is not None else pool
