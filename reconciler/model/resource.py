"""The two sides of a comparison: what documents want (`Desired`, `Fleet`), what Azure holds (`Live`, `Snapshot`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.finding import Fault, Finding, Origin
from reconciler.model.ids import ArmId, Ref
from reconciler.model.lifecycle import MANAGED, Lifecycle
from reconciler.model.pause import Maintenance, Pause
from reconciler.model.quota import Catalogue, Offer, Quotas
from reconciler.model.rights import Rights
from reconciler.model.wire import Json, JsonObject
from reconciler.model.wish import Wish

OWNER_TAG = "reconciler-fleet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Tokens per minute that somebody asked for, to be turned into units by the rate of `offer`. `least` is there where
    fewer will do."""

    tokens_per_minute: int
    least: int | None = None
    offer: Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What shall become of connections to an account that somebody else makes; `match` is a folded pattern for the name
    or the id of their endpoint. Without a `description` the words of the connection are not ours."""

    match: str
    status: str
    description: str | None = None
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """One ARM resource as the documents want it.

    `fields` maps the paths that people write (`networkAcls.defaultAction`, `tags.team`) to normalised values; what is
    not in it is not ours. None means "must be absent". `origins` gives the place of each path that was written down;
    `implied` are those that follow from how Azure is now, and that nobody wished for.
    `needs` are the ids that must exist before this one. `throughput` stands for a capacity that only the region's model
    list can tell. Where there is a `floor`, the capacity may be less than `fields` say, but never less than that.
    `because` says why it is wanted where no document declares it itself, `gone` why nothing of it shall be left.
    `judgements` decide, first match first, about connections that only Azure can tell. `leaves` are the
    folded types of what is below it and left to others.
    """

    id: ArmId
    ref: Ref
    fields: Mapping[str, Json]
    needs: tuple[ArmId, ...] = ()
    lifecycle: Lifecycle = MANAGED
    origin: Origin
    origins: Mapping[str, Origin] = field(default_factory=dict)
    implied: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    throughput: Throughput | None = None
    floor: int | None = None
    because: str = ""
    gone: str = ""
    judgements: tuple[Judgement, ...] = ()
    leaves: frozenset[str] = frozenset()

    @property
    def type(self) -> str:
        return self.id.type


def read_owner(wire: JsonObject) -> str | None:
    """The fleet named by the ownership tag; Azure keeps the case of a tag's name but tells none apart by it."""
    tags = wire.get("tags")
    if not isinstance(tags, dict):
        return None
    owner = next((value for name, value in tags.items() if name.lower() == OWNER_TAG), None)
    return owner if isinstance(owner, str) else None


class SoftDeleted(StrEnum):
    """What to do when a soft-deleted account holds a wanted name."""

    STOP = "stop"
    RESTORE = "restore"
    PURGE = "purge"


class PurgeWhen(StrEnum):
    """When a soft-deleted account is purged without a document that wants its name: `blocking` only where it holds a
    name or quota that the plan needs."""

    NEVER = "never"
    BLOCKING = "blocking"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgePolicy:
    """Which soft-deleted accounts may be purged: those that carried the fleet's tag, and those of nobody whose name
    matches one of `names` (folded patterns); deleted at least `minimum_age` seconds ago, at most `most` in one run."""

    when: PurgeWhen = PurgeWhen.NEVER
    names: tuple[str, ...] = ()
    minimum_age: float = 3600.0
    most: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """A limit per run: at most `count`, and at most `percent` of the owned resources, rounded up."""

    count: int
    percent: int

    def allowed(self, total: int) -> int:
        return min(self.count, -(-total * self.percent // 100))


@dataclass(frozen=True, slots=True, kw_only=True)
class Protected:
    """Somebody who must never be cut off: the workloads of a subnet, or an address range. `word` is as written."""

    word: str
    subnet: ArmId | None = None
    prefix: str = ""
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPolicy:
    """What a plan of this fleet may do; every default is the careful one."""

    adopt_all: bool = False
    prune: frozenset[str] = frozenset()  # folded ARM types
    # of "replace", "delete", "purge", "capacityCut", "provisioned", "cutOff"
    allow: frozenset[str] = frozenset()
    allow_empty: bool = False
    soft_deleted: SoftDeleted = SoftDeleted.STOP
    purge: PurgePolicy = PurgePolicy()
    deletes: Cap = Cap(count=5, percent=20)
    changes: Cap = Cap(count=100, percent=100)
    never_cut_off: tuple[Protected, ...] = ()
    maintenance: Maintenance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudTarget:
    """Where Azure is and who we are there. Secrets are never here: `secret_variable` names the environment variable."""

    endpoint: str
    authority: str
    audience: str
    credential: str
    tenant: str = ""
    client_id: str = ""
    secret_variable: str = ""
    token_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Everything one `kind: Fleet` document governs.

    `broken` names the documents that could not be read, with what is wrong; while there is one the fleet is not
    `complete` and nothing is ever pruned. `moved` maps the old names of documents to the new ones. `pauses` are what
    people asked for without a document.
    """

    name: str
    subscription: str
    target: CloudTarget
    desired: Mapping[ArmId, Desired]
    wishes: tuple[Wish, ...] = ()
    policy: FleetPolicy = FleetPolicy()
    broken: Mapping[Ref, tuple[Finding, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    pauses: tuple[Pause, ...] = ()
    origin: Origin

    @property
    def complete(self) -> bool:
        return not self.broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """All fleets of one desired-state tree, in the order of their names, and everything wrong with the tree."""

    fleets: tuple[Fleet, ...]
    findings: tuple[Finding, ...] = ()


class LiveState(StrEnum):
    """What Azure's provisioning state means to us."""

    SETTLED = "settled"
    IN_PROGRESS = "in_progress"
    DELETING = "deleting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """One ARM resource as Azure answered it. `wire` is the body untouched; `owner` is the fleet named by its tag."""

    id: ArmId
    wire: JsonObject
    state: LiveState = LiveState.SETTLED
    provisioning_state: str = ""
    owner: str | None = None
    etag: str | None = None
    modified_by: str | None = None
    modified_at: str | None = None

    @property
    def type(self) -> str:
        return self.id.type

    @property
    def author(self) -> Actor | None:
        """Who wrote last, as the resource itself says; None where it does not."""
        return Actor(name=self.modified_by, at=self.modified_at or "") if self.modified_by else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who wrote last: `name` is a person's or an application's as in systemData, `at` is ISO 8601 as Azure sent it, and
    `operation` is the activity log's word for what was done, empty where the resource itself told."""

    name: str
    at: str = ""
    operation: str = ""

    @property
    def removed(self) -> bool:
        return self.operation.lower().endswith("/delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What Azure's activity log knows so far about the ids in `asked`: the last write or delete of each in `last`.

    The log tells of a change minutes after it, so that an id which is not in `last` may have been changed all the same.
    `others` are the last of anybody but us: what we put right must not hide whose doing it was. `unread` are the folded
    subscriptions whose log could not be read to its end.
    """

    asked: frozenset[ArmId]
    last: Mapping[ArmId, Actor] = field(default_factory=dict)
    others: Mapping[ArmId, Actor] = field(default_factory=dict)
    unread: Mapping[str, Fault] = field(default_factory=dict)
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedAccount:
    """A soft-deleted account; `id` is the one it had alive. Times are ISO 8601 as Azure sent them, else empty."""

    id: ArmId
    location: str
    deleted_at: str
    purge_after: str
    wire: JsonObject

    @property
    def owner(self) -> str | None:
        return read_owner(self.wire)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What an observation has to answer: the ids the documents name, plus all that carries the fleet's tag.

    `subdomains` are names, unique in the world, that ids in here want for themselves, with the kind of the account.
    `offers` are those whose rate has to be known.
    """

    subscription: str
    fleet: str
    ids: tuple[ArmId, ...]
    subdomains: Mapping[ArmId, tuple[str, str]] = field(default_factory=dict)
    offers: frozenset[Offer] = frozenset()
    prune: frozenset[str] = frozenset()
    everything: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Blind:
    """Something we could not read: everything of `type` at or below `scope` is neither absent nor unchanged."""

    scope: ArmId
    type: str
    fault: Fault

    def hides(self, id: ArmId) -> bool:
        return self.names(id) and self.scope.covers(id)

    def names(self, id: ArmId) -> bool:
        """Whether `id` is of the type that could not be read, or below one."""
        return f"{id.type}/".lower().startswith(f"{self.type}/".lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Live Azure from `taken_at` on (epoch seconds by Azure's own clock), read through the eyes of `principal` (our own
    name in systemData).

    `taken` are the ids that do not exist yet and whose wanted subdomain somebody else holds. `rates` gives the tokens
    per minute of one unit of capacity. `activity` is there where somebody had to be asked who changed something,
    `quotas` where somebody had to know what is left, `rights` where somebody wanted to write, `catalogue` where
    something is deployed that may retire.

    `seen_at` is when it was asked for, by our own clock.
    """

    taken_at: float
    seen_at: float = 0.0
    live: Mapping[ArmId, Live]
    deleted: Mapping[ArmId, DeletedAccount] = field(default_factory=dict)
    taken: frozenset[ArmId] = frozenset()
    rates: Mapping[Offer, int] = field(default_factory=dict)
    blind: tuple[Blind, ...] = ()
    principal: str | None = None
    activity: Activity | None = None
    quotas: Quotas | None = None
    rights: Rights | None = None
    catalogue: Catalogue | None = None
    requests: int = 0
    _blind_at: Mapping[ArmId, list[Blind]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        at: dict[ArmId, list[Blind]] = {}
        for blind in self.blind:
            at.setdefault(blind.scope, []).append(blind)
        object.__setattr__(self, "_blind_at", at)  # frozen, but this follows from what is in it

    def hidden(self, id: ArmId) -> Fault | None:
        """Why nothing can be said about `id`, or None when what the snapshot says about it holds."""
        if not self.blind or id in self.live:
            return None
        # Below a parent that was seen, only what was asked of that parent counts.
        seen = id.parent in self.live and bool(id.segments[1:])
        blind = (each for each in self._blind_above(id) if not seen or each.type.lower() == id.type.lower())
        return next((each.fault for each in blind if each.hides(id)), None)

    def _blind_above(self, id: ArmId) -> Iterator[Blind]:
        """Every blind spot at `id` or above it, the nearest first."""
        above: ArmId | None = id
        while above is not None:
            yield from self._blind_at.get(above, ())
            above = above.parent
