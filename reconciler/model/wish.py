"""What documents want that is no resource by itself: a limit of quota, and throughput wherever there is room for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.finding import Origin
from reconciler.model.ids import ArmId, Ref
from reconciler.model.lifecycle import MANAGED, Lifecycle
from reconciler.model.quota import Offer
from reconciler.model.wire import Json


class Measure(StrEnum):
    """What an amount of quota is counted in; `PERCENT` is of what Azure grants."""

    UNITS = "units"
    TOKENS = "tokens per minute"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """So much of a pool of quota."""

    number: int
    measure: Measure = Measure.UNITS


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaWish:
    """How much of a pool of quota a region shall grant at least, and how much of it shall be left.

    The pool is a `usage` name of Azure's, or that which `offer` draws on there. `id` stands for the pool as the
    document names it, and is no resource. None asks for nothing. `location` is folded.
    """

    id: ArmId
    ref: Ref
    origin: Origin
    location: str
    usage: str = ""
    offer: Offer | None = None
    limit: Amount | None = None
    headroom: Amount | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    lifecycle: Lifecycle = MANAGED

    @property
    def priced(self) -> bool:
        """Whether only the region's model list tells what is meant."""
        amounts = (self.limit, self.headroom)
        return self.offer is not None or any(each is not None and each.measure is Measure.TOKENS for each in amounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolWish:
    """Tokens per minute of a model, in whichever accounts there is room for it.

    `skus` are deployment types as Azure spells them, the one that is liked best first; `names` gives the name of the
    deployment of each. Accounts are those of the fleet whose documents carry all labels of `match`, in `regions`
    (folded; None: anywhere), of which `named` are written down. No region gets more than `most_share` percent of
    `tokens`, and at least `least_regions` get some. `fields` are what every deployment has besides its type and
    capacity, as a deployment's own fields; `labels` are the pool's own. `left` are the names that deployments of other
    types would have, by which those are known that are not wanted any more.
    """

    ref: Ref
    origin: Origin
    tokens: int
    format: str
    model: str
    version: str
    skus: tuple[str, ...]
    names: Mapping[str, str]
    left: Mapping[str, str] = field(default_factory=dict)
    match: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[str, ...] | None = None
    named: tuple[str, ...] = ()
    most_share: int = 100
    least_regions: int = 1
    fields: Mapping[str, Json] = field(default_factory=dict)
    lifecycle: Lifecycle = MANAGED
    origins: Mapping[str, Origin] = field(default_factory=dict)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a document with these labels is one that the pool may use."""
        return self.match.items() <= labels.items()

    def covers(self, region: str) -> bool:
        """Whether the pool may have something in a folded region."""
        return self.regions is None or region in self.regions


Wish = QuotaWish | PoolWish
