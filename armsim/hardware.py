"""What a region has left to run a model on, which is not what a subscription has left of its quota.

Unlimited unless the control path said otherwise. Counts what is deployed, in all subscriptions and soft-deleted
accounts too. Knows neither limits nor requests.
"""

from collections.abc import Iterator
from typing import NamedTuple

from armsim.store import DEPLOYMENT, Resource, World
from armsim.wire import Body, fold_location, look


class Load(NamedTuple):
    """Units of a model on a deployment type in a region; names folded."""

    location: str
    model: str
    version: str
    sku: str
    units: float = 0.0

    @property
    def place(self) -> tuple[str, str, str, str]:
        return self[:4]


def offer(world: World, entry: Body) -> None:
    """`{location, model, version?, sku?, available}`: so many units more than run now. Null: as many as anybody likes.

    Without version or sku the number is for all of them together. Raises ValueError when a number makes no sense.
    """
    place = (fold_location(str(entry["location"])), *(str(entry.get(name) or "").lower() for name in _NAMES))
    available = entry["available"]
    if available is None:
        world.hardware.pop(place, None)
        return
    if float(available) < 0:
        raise ValueError(f"available must not be negative; it is {available}")
    world.hardware[place] = float(available) + _running(world, place)


def left(world: World, load: Load) -> float | None:
    """What could be deployed on top, or None when nothing is known to be short."""
    stocks = [place for place in world.hardware if _falls(load, place)]
    return min((max(0.0, world.hardware[each] - _running(world, each)) for each in stocks), default=None)


def lacks(world: World, load: Load, before: Resource | None) -> bool:
    """Whether a deployment that becomes this load asks for more than is left; what it runs on already stays its own."""
    held = None if before is None else _load(before)
    for place in world.hardware:
        if not _falls(load, place):
            continue
        more = load.units - (held.units if held is not None and _falls(held, place) else 0.0)
        if more > 0 and _running(world, place) + more > world.hardware[place]:
            return True
    return False


_NAMES = ("model", "version", "sku")


def _running(world: World, place: tuple[str, ...]) -> float:
    return sum(each.units for each in _loads(world) if _falls(each, place))


def _loads(world: World) -> Iterator[Load]:
    for subscription in world.subscriptions:
        yield from (_load(each) for each in world.of_type(subscription, DEPLOYMENT))
    for grave in world.graves.values():
        yield from (_load(each) for each in grave.children if each.type == DEPLOYMENT)


def _load(deployment: Resource) -> Load:
    body = deployment.body
    names = (look(body, "properties.model.name"), look(body, "properties.model.version"), look(body, "sku.name"))
    model, version, sku = (str(each or "").lower() for each in names)
    return Load(deployment.location, model, version, sku, float(look(body, "sku.capacity") or 0))


def _falls(load: Load, place: tuple[str, ...]) -> bool:
    return all(wanted in {"", name} for wanted, name in zip(place, load.place, strict=True))
