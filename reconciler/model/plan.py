"""What shall happen: a `Decision` about every resource, for people; a `Step` for every write, for the executor.

Nobody executes a decision and nobody shows a step. A plan is plain data, the same for the same input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.finding import Fault, Finding, Origin
from reconciler.model.ids import ArmId, Ref
from reconciler.model.outlook import NO_OUTLOOK, Outlook
from reconciler.model.quota import Ledger
from reconciler.model.reach import Way
from reconciler.model.resource import Actor
from reconciler.model.rights import Mandate
from reconciler.model.spread import Spread
from reconciler.model.wire import Json, digest, thaw


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    PURGE = "purge"
    RESTORE = "restore"
    ADOPT = "adopt"


class DecisionState(StrEnum):
    """Where a resource stands: it acts, or it says why it does not."""

    ACT = "act"
    IN_SYNC = "in_sync"
    IN_PROGRESS = "in_progress"
    BLOCKED = "blocked"
    IGNORED = "ignored"
    DRIFTED = "drifted"


class Risk(StrEnum):
    """What a wrong decision would cost: `none` is undone by the next pass, `destroys` is not."""

    NONE = "none"
    OPENS = "opens"
    CLOSES = "closes"
    CUTS = "cuts"
    SPENDS = "spends"
    DESTROYS = "destroys"


class Effect(StrEnum):
    """What changing a field takes: in place, settable only while unset, one direction only, or delete and create."""

    IN_PLACE = "in_place"
    ONCE = "once"
    ONE_WAY = "one_way"
    REPLACE = "replace"


class Phase(StrEnum):
    """Breaks ties between steps that no edge orders: what restricts comes first, what allows comes last."""

    TIGHTEN = "tighten"
    RELEASE = "release"
    BUILD = "build"
    LOOSEN = "loosen"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field that differs; `before` and `after` are normalised, None stands for absent."""

    path: str
    before: Json
    after: Json
    effect: Effect = Effect.IN_PLACE
    opens: bool = False
    closes: bool = False
    cuts: bool = False
    sensitive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done about one resource and why. `reason` explains and never steers.

    `author` is who changed or deleted it last, where that is asked and known; `who` are the words at the end of
    `reason` that say so, or why it is not known. Azure may tell it late: neither is part of a plan's digest.
    What is `told_only` nobody acts upon and nobody agrees to: it is not part of it either.
    `opened` and `closed` are the ways to an account that it adds and takes, as far as this resource decides it. `frees`
    is the most that a purge gives back, by usage name, of the pools that somebody waits for. `short` is how much
    capacity it will not have although it is wanted, where less will do. `wants` names what the document says, whatever
    Azure is like, and `labels` are the document's. `missing`: nothing of that id was seen.
    """

    id: ArmId
    ref: Ref
    state: DecisionState
    action: Action | None = None
    reason: str
    permit: str = ""  # how a person can allow what was blocked
    code: str = ""  # the guard or fault that blocked it
    risk: Risk = Risk.NONE
    changes: tuple[FieldChange, ...] = ()
    needs: tuple[ArmId, ...] = ()
    warnings: tuple[str, ...] = ()
    requests: int = 0
    seconds: int = 0  # how long Azure usually takes
    location: str = ""
    origin: Origin | None = None
    owned: bool = False
    author: Actor | None = None
    who: str = ""
    opened: tuple[Way, ...] = ()
    closed: tuple[Way, ...] = ()
    short: int = 0
    told_only: bool = False
    wants: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    missing: bool = False
    frees: Mapping[str, int] = field(default_factory=dict)

    @property
    def acts(self) -> bool:
        return self.state is DecisionState.ACT


class Verb(StrEnum):
    """What a write asks of Azure; `purge` and `restore` act on a soft-deleted account."""

    PUT = "put"
    PATCH = "patch"
    DELETE = "delete"
    PURGE = "purge"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One write. `fields` are the owned values it brings about; the body is composed from a fresh read when it is sent.

    `expects` are the owned values that were live when the plan was made, and `author` is who had written last: if they
    moved, or somebody else wrote since, the step is stale. `expects` None means that the resource must not exist yet.
    `after` names the steps that must have succeeded before. `takes` is what the plan knew to lie below a resource that
    is deleted; whatever else is found there keeps it. `within` is the lane of something else that this write locks, and
    therefore takes instead of its own; `locks` are more of them. A purge is of the account that was deleted at
    `deleted_at`, where that was known, and ends when usages show that something of the pools in `awaits` came back:
    folded usage names, each with what will be used of it when the purge is sent. What `leads` somewhere makes way for
    that delete of what it lies in: whatever keeps that keeps this.
    """

    name: str
    id: ArmId
    verb: Verb
    action: Action
    phase: Phase
    fields: Mapping[str, Json] = field(default_factory=dict)
    expects: Mapping[str, Json] | None = None
    author: Actor | None = None
    after: tuple[str, ...] = ()
    takes: tuple[ArmId, ...] = ()
    location: str = ""
    deleted_at: str = ""
    awaits: Mapping[str, int] = field(default_factory=dict)
    within: str = ""
    locks: tuple[str, ...] = ()
    leads: Step | None = None

    @property
    def lane(self) -> str:
        return self.within or self.id.lane

    @property
    def lanes(self) -> frozenset[str]:
        """Every lane in which no other write may be under way while this one is."""
        return frozenset((self.lane, self.id.lane, *self.locks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Warrant:
    """Why a write is made: the plan that it is part of, by its digest, what that says of the resource, and as whom."""

    fleet: str
    plan: str
    reason: str = ""
    principal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every resource exactly once in `decisions`; only what acts in `steps`, in the order they would run alone.

    `complete`: everything that the plan depends on could be read. `stopped`: a safety limit forbids the whole plan.
    `converged`: there is nothing left to do or to wait for. `ledger` is there where somebody had to know what quota is
    left, `mandate` where there was something to write; `spreads` are those of the fleet's pools of models, and one that
    lacks something is not converged. All of them explain, and only what was blocked or ordered for them is part of the
    digest. `outlook` tells what becomes of the models that are deployed. `principal` is who looked, as Azure writes it
    down, and `looked_at` when, in epoch seconds by Azure's clock.
    """

    fleet: str
    decisions: tuple[Decision, ...]
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...] = ()
    blind: tuple[tuple[str, Fault], ...] = ()
    stopped: str = ""
    ledger: Ledger | None = None
    mandate: Mandate | None = None
    spreads: tuple[Spread, ...] = ()
    outlook: Outlook = NO_OUTLOOK
    principal: str = ""
    looked_at: float = 0.0
    requests_spent: int = 0

    @property
    def complete(self) -> bool:
        return not self.blind

    @property
    def unseen(self) -> bool:
        """Nothing of what it is about could be read."""
        return not self.complete and all(decision.code == "unknown" for decision in self.decisions)

    @property
    def applicable(self) -> bool:
        return bool(self.steps) and not self.stopped

    @property
    def converged(self) -> bool:
        quiet = (DecisionState.IN_SYNC, DecisionState.IGNORED, DecisionState.DRIFTED)
        met = not any(spread.shortfall for spread in self.spreads)
        return self.complete and met and all(decision.state in quiet for decision in self.decisions)

    @property
    def digest(self) -> str:
        """Names exactly this set of writes and their reasons; no clock, request count or author is part of it."""
        decisions: list[Json] = [
            {
                "id": str(decision.id),
                "state": decision.state.value,
                "action": decision.action.value if decision.action else None,
                "reason": decision.reason.removesuffix(decision.who),
                "changes": [[change.path, change.before, change.after] for change in decision.changes],
                "opens": [[*way.key] for way in decision.opened],
            }
            for decision in self.decisions
            if not decision.told_only
        ]
        steps: list[Json] = [
            {
                "name": step.name,
                "verb": step.verb.value,
                "id": str(step.id),
                "location": step.location,
                "fields": thaw(step.fields),
                "expects": thaw(step.expects),
                "after": list(step.after),
                "takes": [str(id) for id in step.takes],
                "awaits": {**step.awaits},
            }
            for step in self.steps
        ]
        return digest({"fleet": self.fleet, "decisions": decisions, "steps": steps, "stopped": self.stopped})
