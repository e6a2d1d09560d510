"""What is asked of a placement and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.ids import ArmId
from reconciler.plan.quota import PoolKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A deployment that there is or may be: one account and one deployment type.

    `rank` is the place of `sku` in the list of preference, 0 is liked best. `pool` is what it draws on, None where the
    region does not sell it. One unit is worth `tokens` per minute. A deployment has a multiple of `step` units, at
    least `least` and at most `most`, or one of those `allowed`; what it `held` before is always fine. `hardware` is how
    many units there is hardware for on top of what is held, None if nobody knows: slots of one pool and type share it.
    `barred` says why nothing may be added; what runs stays.
    """

    account: ArmId
    location: str
    sku: str
    rank: int
    pool: PoolKey | None
    tokens: int
    least: int = 1
    step: int = 1
    most: int | None = None
    allowed: tuple[int, ...] = ()
    held: int = 0
    hardware: int | None = None
    barred: str = ""

    @property
    def key(self) -> SlotKey:
        return self.account, self.sku

    @property
    def group(self) -> Group:
        return self.pool, self.sku


SlotKey = tuple[ArmId, str]  # an account, and a deployment type as the slot spells it
Group = tuple[PoolKey | None, str]  # what shares hardware


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """How many tokens per minute are wanted; no region gets more than `most_share` percent of them (100: as many as
    there is room for), and at least `least_regions` get some."""

    tokens: int
    most_share: int = 100
    least_regions: int = 1


# Units of each pool that these slots may fill together, those included that they hold now. Missing: none. A limit that
# was cut can leave fewer than are held, or fewer than none.
Rooms = Mapping[PoolKey, int]


class Choice(StrEnum):
    """What becomes of a slot or of a region."""

    NEW = "new"
    GROWN = "grown"
    KEPT = "kept"
    SHRUNK = "shrunk"
    REMOVED = "removed"
    PASSED = "passed over"


class Limit(StrEnum):
    """What kept a slot or a region from having more; what comes closest to letting it have more is first."""

    WISH = "wish"  # as much as is wanted is placed
    SHARE = "share"  # the region has as large a part of the wish as it may have
    QUOTA = "quota"  # the pool has no room for the next step
    HARDWARE = "hardware"  # there is quota and no hardware
    LARGEST = "largest"  # the deployment is as large as it can be
    REGIONS = "regions"  # too few regions can have some, so nothing is added; or what it had is needed in others
    BARRED = "barred"  # the slot's own reason
    UNSOLD = "unsold"  # the region does not sell this


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotNote:
    """What becomes of a slot and why it has no more. Its next step takes `needs`, and the limit leaves `leaves` for it:
    of the wish and of a share in tokens, of anything else in units; both 0 where a number says nothing."""

    slot: Slot
    units: int
    choice: Choice
    limit: Limit
    needs: int = 0
    leaves: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionNote:
    """What becomes of a region: `tokens` there after and `held` before, the `most` that its share permits (None: any),
    and why it has no more: the limit of the slot in it that came closest to having more, `closest`."""

    location: str
    tokens: int
    held: int
    most: int | None
    choice: Choice
    closest: SlotNote


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Units of every slot, 0 where nothing shall be; tokens per minute that they are worth, and how many are missing.

    `unmet` is the demand that cannot be met at all: SHARE when the share of all regions in which something can be
    placed adds up to less than the wish, REGIONS when too few of them can have some. There is a note for each slot and
    each region, in the order of location, liking and account.
    """

    units: Mapping[SlotKey, int]
    tokens: int
    shortfall: int
    unmet: Limit | None
    slots: tuple[SlotNote, ...]
    regions: tuple[RegionNote, ...]
