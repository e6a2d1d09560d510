"""Where the tokens of a pool of a model are: in which regions, how many, and why no more."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.finding import Origin
from reconciler.model.ids import ArmId, Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A deployment of a pool: one unit of it is worth `tokens` per minute, and it shall have `units`."""

    id: ArmId
    tokens: int
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one region has of a pool, in tokens per minute: `held` before, `placed` by the plan. `choice` is a word for
    what becomes of it (`new`, `grown`, `kept`, `shrunk`, `removed`, `passed over`), `reason` why it has no more."""

    location: str
    choice: str
    held: int
    placed: int
    reason: str
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a plan spreads a pool over regions, in tokens per minute. `reason` is about all of them, empty where the
    regions say everything."""

    ref: Ref
    origin: Origin
    model: str
    wanted: int
    shares: tuple[Share, ...] = ()
    reason: str = ""

    @property
    def placed(self) -> int:
        return sum(share.placed for share in self.shares)

    @property
    def shortfall(self) -> int:
        return max(0, self.wanted - self.placed)
