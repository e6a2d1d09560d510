"""Quota in Azure's capacity units: what a region sells and allows (`Quotas`), who holds it and what is left (`Ledger`).

A pool is subscription x region x usage name, and only the region's own lists say which deployment draws on which pool.
What could not be read has no pool in a ledger: unknown is not zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.finding import Fault
from reconciler.model.ids import ArmId


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Offer:
    """A model as a region sells it, folded: what one unit of capacity is worth depends on all of it.

    An empty `version` is the model's default version there.
    """

    location: str
    format: str
    model: str
    version: str
    sku: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms a region sells an offer: the pool it draws on, as Azure spells it; what one unit is worth per
    minute, None where the list says nothing; the least and the most capacity and the step between capacities, or the
    only ones that are `allowed`; when this type of deployment is retired, in epoch seconds, None where nobody says."""

    usage: str
    tokens: int | None = None
    requests: float | None = None
    least: int = 1
    step: int = 1
    most: int | None = None
    allowed: tuple[int, ...] = ()
    retires: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """What Azure moves deployments to by itself: from `starts` on (epoch seconds, None where nobody says) those that
    follow the default, `lead` days before their version retires those that stay until then."""

    model: str
    version: str
    starts: int | None = None
    lead: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One version of a model in a region's list, with `model` and `version` as Azure spells them.

    `status` is Azure's lifecycleStatus, folded; `retires` is when it stops to answer, in epoch seconds, None where
    nobody says, and that is `tentative` where Azure may move it. `default`: whoever names no version gets this one.
    `kinds` are the folded kinds of accounts that it is listed for.
    """

    model: str
    version: str
    status: str = ""
    retires: int | None = None
    tentative: bool = False
    default: bool = False
    successor: Successor | None = None
    kinds: frozenset[str] = frozenset()


# Format, name and version of a model, folded.
EditionKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One line of a region's usages, in capacity units."""

    name: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The model list of one region: its models, and the terms of each offer. A model may be sold on no terms."""

    terms: Mapping[Offer, Terms] = field(default_factory=dict)
    editions: Mapping[EditionKey, Edition] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The model lists that were read to know when models retire. A region is in `listings`, or in `unread`."""

    listings: Mapping[str, Listing] = field(default_factory=dict)
    unread: Mapping[str, Fault] = field(default_factory=dict)
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Both lists of one region: usages by folded name, and what its model list says."""

    usages: Mapping[str, Usage]
    terms: Mapping[Offer, Terms]
    editions: Mapping[EditionKey, Edition] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A live deployment by what it holds."""

    id: ArmId
    offer: Offer
    units: int


# Format, name and version of a model, as Azure spells them or folded.
ModelKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaScope:
    """What shall be read: both lists of `locations` (folded), of `watched` the usages alone, and the deployments of
    `accounts`, each with its region. Those are all that an observation has not looked into in the regions of
    `surveys`. And how much hardware there is for `models`, each by format, name and version. A model list that was read
    `model_age` seconds ago will do, where that is longer than it is believed."""

    subscription: str
    locations: frozenset[str] = frozenset()
    watched: frozenset[str] = frozenset()
    surveys: frozenset[str] = frozenset()
    accounts: Mapping[ArmId, str] = field(default_factory=dict)
    models: frozenset[ModelKey] = frozenset()
    model_age: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """What was read. A region is in `markets`, in `usages` if nothing else was asked of it, or in `unread` with the
    reason.

    `strangers` are the deployments of other people's accounts, known in the regions of `surveyed` only; `unseen` are
    the accounts there whose deployments could not be listed. `hardware` is how many units of an offer can be deployed
    on top of what runs, by the word of Azure, which counts no more than the quota that is left; `unsure` are the models
    of which it could not be asked.
    """

    markets: Mapping[str, Market] = field(default_factory=dict)
    usages: Mapping[str, Mapping[str, Usage]] = field(default_factory=dict)
    unread: Mapping[str, Fault] = field(default_factory=dict)
    strangers: tuple[Holding, ...] = ()
    surveyed: frozenset[str] = frozenset()
    unseen: Mapping[ArmId, Fault] = field(default_factory=dict)
    hardware: Mapping[Offer, int] = field(default_factory=dict)
    unsure: Mapping[ModelKey, Fault] = field(default_factory=dict)
    requests: int = 0

    def usages_of(self, location: str) -> Mapping[str, Usage] | None:
        """The usages of a region by folded name, None where they are not known."""
        market = self.markets.get(location)
        return market.usages if market else self.usages.get(location)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One line of the ledger, in capacity units.

    `used` is what Azure says. `ours` and `others` are live deployments, of this fleet and of everybody else; without
    `surveyed` nobody has looked into other people's accounts. `takes` and `gives` are what the plan's writes add and
    give back, `short` is what it would add and cannot. `models` and `skus` draw on the pool; `tokens` and `requests`
    are all the rates per unit and minute at which they do. `deleted` are the region's soft-deleted accounts. `retires`
    is the first day, in epoch seconds, on which something that this fleet has in it is retired, `days` from now.
    `declared` and `headroom` are the limit and what shall be left as documents want it, 0 where none does.
    """

    subscription: str
    location: str
    usage: str
    limit: int
    used: int
    ours: int = 0
    others: int = 0
    takes: int = 0
    gives: int = 0
    short: int = 0
    surveyed: bool = False
    models: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()
    requests: tuple[float, ...] = ()
    deleted: tuple[str, ...] = ()
    billed: bool = False
    retires: int | None = None
    days: int | None = None
    declared: int = 0
    headroom: int = 0

    @property
    def asked(self) -> int:
        """What the plan changes, all in all."""
        return self.takes - self.gives

    @property
    def left(self) -> int:
        """Negative where a limit was lowered below what is used."""
        return self.limit - self.used

    @property
    def left_after(self) -> int:
        return self.left - self.asked

    @property
    def residue(self) -> int:
        """What is used and belongs to no live deployment that was seen: the most that soft-deleted accounts hold."""
        return max(0, self.used - self.ours - self.others)

    @property
    def held(self) -> int:
        """The most that the soft-deleted accounts of its region hold: nothing where there are none."""
        return self.residue if self.deleted else 0

    @property
    def touched(self) -> bool:
        """Whether this fleet has anything to do with it."""
        return bool(self.ours or self.takes or self.gives or self.short or self.declared or self.headroom)

    @property
    def moves(self) -> bool:
        """Whether the plan changes anything about it, or would."""
        return bool(self.takes or self.gives or self.short)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Every pool of the regions that were asked about. `unread` are the regions about which nothing is known; `strays`
    are deployments, living or wanted, whose pool the region's lists do not name, in people's words."""

    pools: tuple[Pool, ...] = ()
    unread: Mapping[str, Fault] = field(default_factory=dict)
    unseen: Mapping[ArmId, Fault] = field(default_factory=dict)
    strays: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return not (self.unread or self.unseen)
