"""What every provider works with: the world, its clock, chance, settings and catalogue, and the call being answered.

Promises that whatever is due by now has happened before anything reads or writes (`settle`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from armsim.catalogue import Catalogue
from armsim.clock import Chance, Clock
from armsim.faults import Fault, Faults
from armsim.settings import Settings
from armsim.store import Resource, World
from armsim.wire import Body, Json


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: the application or user a token was issued to."""

    client: str
    object: str
    tenant: str
    kind: str = "Application"


@dataclass(slots=True)
class Reply:
    """An answer. With `until`, it is held back until then and made anew by `late`."""

    status: int
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    until: float | None = None
    late: "Callable[[], Reply] | None" = None


@dataclass(slots=True)
class Call:
    """A request, after the front door: authenticated, its path folded, its body parsed."""

    method: str
    path: str
    segments: list[str]
    query: dict[str, str]
    raw_query: str
    body: Json
    principal: Principal
    base: str
    now: float
    names: list[str] = field(default_factory=list)
    scope: str = ""
    fault: Fault | None = None
    limits: dict[str, str] = field(default_factory=dict)
    mutated: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    # What the caller had to be permitted for this, whether or not it was.
    actions: list[str] = field(default_factory=list)
    # Which resources a list may show to this caller; all when nothing is set.
    sees: Callable[[Resource], bool] | None = None

    def visible(self, resources: Iterable[Resource]) -> list[Resource]:
        return [each for each in resources if self.sees is None or self.sees(each)]

    @property
    def mapping(self) -> Body:
        """The body, which providers want to be an object."""
        return self.body if isinstance(self.body, dict) else {}


class Cloud:
    """The simulated Azure behind the front door."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self.clock = clock
        self.settings = settings
        self.chance = Chance(settings.seed)
        self.catalogue = Catalogue()
        self.faults = Faults(self.chance)
        self.world = World()
        self.on: dict[str, Callable[[Cloud, float, str], None]] = {}

    def settle(self) -> float:
        """Let everything happen that is due by now; returns now."""
        now = self.clock.now()
        while (due := self.world.pop_due(now)) is not None:
            at, kind, subject = due
            self.on[kind](self, at, subject)
        return now
