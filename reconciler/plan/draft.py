"""What the planner works on: a decision with what it was made from, until guards and order have had their say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.kinds.base import ResourceType
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, Decision, DecisionState, Risk
from reconciler.model.resource import DeletedAccount, Desired, Live
from reconciler.model.wire import digest, thaw


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A decision, the table of its type, and the two sides it compares. What is done `apart` closes in one write and
    opens in a second one. `intent` is what it would do if nothing kept it from that, `alone` what was decided before it
    followed its parent, which goes and comes back. A purge by Fleet spec.purge is `sparing`: limited by what that says
    and by no other limit."""

    decision: Decision
    type: ResourceType
    desired: Desired | None = None
    live: Live | None = None
    deleted: DeletedAccount | None = None
    apart: bool = False
    intent: Action | None = None
    alone: Draft | None = None
    sparing: bool = False

    @property
    def id(self) -> ArmId:
        return self.decision.id

    @property
    def acts(self) -> bool:
        return self.decision.acts

    @property
    def action(self) -> Action | None:
        return self.decision.action if self.acts else None

    @property
    def goes(self) -> bool:
        """Whether what is live is deleted, by itself or with what it lies in; it may come back."""
        return self.action in (Action.DELETE, Action.REPLACE) or (self.acts and self.alone is not None)

    @property
    def present(self) -> Live | None:
        """What is live now, also of what is made again with its parent."""
        return (self.alone or self).live

    @property
    def makes_way(self) -> bool:
        """Whether it is deleted by itself before what it lies in is, with which it comes back."""
        return self.goes and self.alone is not None and self.present is not None and self.type.outlasts

    def blocked(self, code: str, reason: str, permit: str = "") -> Draft:
        """The same resource, not acted upon. What it would have done stays visible in its action and its changes."""
        return replace(
            self,
            intent=self.action or self.intent,
            decision=replace(
                self.decision,
                state=DecisionState.BLOCKED,
                action=self.action,
                reason=reason,
                permit=permit,
                code=code,
                risk=Risk.NONE,
                requests=0,
                seconds=0,
            ),
        )

    def resting(self, state: DecisionState, reason: str, code: str = "") -> Draft:
        """The same resource in a state that does nothing."""
        kept = self.blocked(code, reason)
        return replace(kept, decision=replace(kept.decision, state=state, action=None))

    def waiting(self, reason: str) -> Draft:
        """The same resource, acted upon as soon as this very plan has made it possible. What that will be stays
        visible, so that whoever agrees to the plan agrees to it too."""
        return replace(self, decision=replace(self.blocked("", reason).decision, state=DecisionState.IN_PROGRESS))


Drafts = Mapping[ArmId, Draft]

READ_AGAIN = "grant what the reading needs, or look again when Azure answers"


def name_wish(desired: Desired) -> str:
    """The same as long as a document says the same about a resource, and says the same to leave out."""
    lifecycle = desired.lifecycle
    said = {path: value for path, value in desired.fields.items() if path not in desired.implied}
    return digest(thaw([said, lifecycle.policy, sorted(lifecycle.ignore)]))


def group_below(ids: Iterable[ArmId]) -> dict[ArmId, list[ArmId]]:
    """What lies below each id, at any depth, in the order given."""
    below: dict[ArmId, list[ArmId]] = {}
    for id in ids:
        above = id.parent
        while above is not None:
            below.setdefault(above, []).append(id)
            above = above.parent
    return below
