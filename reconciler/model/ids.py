"""Names of things: ARM ids, references between documents, lanes.

ARM compares ids without regard to case, and services return them in a case of their own, so equality and hashing are
case-blind while the spelling that was first seen is kept for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

GROUP_TYPE = "Microsoft.Resources/resourceGroups"
SUBSCRIPTION_TYPE = "Microsoft.Resources/subscriptions"


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmId:
    """An ARM resource id: `/subscriptions/S[/resourceGroups/G[/providers/P/type/name[/type/name…]]]`.

    `provider` and `segments` are empty for a subscription or a resource group. No `slots`: the folded key is kept
    because ids are compared far more often than made.
    """

    subscription: str
    group: str = ""
    provider: str = ""
    segments: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> ArmId:
        """Read an id in any case and with doubled slashes; ValueError says what is wrong with it."""
        parts = [part for part in text.split("/") if part]
        if len(parts) < 2 or parts[0].lower() != "subscriptions":
            raise ValueError(f"not an ARM id: {text!r} (it starts with /subscriptions/<id>)")
        subscription, rest = parts[1], parts[2:]
        group = ""
        if rest and rest[0].lower() == "resourcegroups":
            if len(rest) < 2:
                raise ValueError(f"not an ARM id: {text!r} (a resource group name follows resourceGroups)")
            group, rest = rest[1], rest[2:]
        if not rest:
            return cls(subscription=subscription, group=group)
        if rest[0].lower() != "providers" or len(rest) < 4 or len(rest) % 2:
            raise ValueError(f"not an ARM id: {text!r} (pairs of type and name follow providers/<namespace>)")
        pairs = tuple(zip(rest[2::2], rest[3::2], strict=True))
        return cls(subscription=subscription, group=group, provider=rest[1], segments=pairs)

    @cached_property
    def key(self) -> str:
        """The folded spelling; two ids are the same resource when their keys are equal."""
        return str(self).lower()

    @property
    def type(self) -> str:
        """The ARM type, such as `Microsoft.CognitiveServices/accounts/deployments`."""
        if self.segments:
            return "/".join((self.provider, *(kind for kind, _ in self.segments)))
        return GROUP_TYPE if self.group else SUBSCRIPTION_TYPE

    @property
    def name(self) -> str:
        """The last name in the id."""
        if self.segments:
            return self.segments[-1][1]
        return self.group or self.subscription

    @property
    def parent(self) -> ArmId | None:
        """The id one level up: the parent resource, the group, the subscription; None for a subscription."""
        if len(self.segments) > 1:
            return self._with(self.segments[:-1])
        if self.segments and self.group:
            return ArmId(subscription=self.subscription, group=self.group)
        return ArmId(subscription=self.subscription) if self.group or self.segments else None

    @property
    def top(self) -> ArmId:
        """The top-level resource that this one belongs to; itself for a top-level resource or a group."""
        return self._with(self.segments[:1]) if self.segments else self

    @property
    def lane(self) -> str:
        """What writes must not share: the top-level ARM parent, because siblings under one account collide with 409."""
        return self.top.key

    def child(self, kind: str, name: str) -> ArmId:
        """The id of a child resource of ARM type segment `kind`."""
        return self._with((*self.segments, (kind, name)))

    def resource(self, arm_type: str, name: str) -> ArmId:
        """The id of a top-level resource of `arm_type` in this resource group."""
        provider, _, kind = arm_type.partition("/")
        return ArmId(subscription=self.subscription, group=self.group, provider=provider, segments=((kind, name),))

    def covers(self, other: ArmId) -> bool:
        """Whether `other` is this resource or lies below it."""
        return other.key == self.key or other.key.startswith(self.key + "/")

    def _with(self, segments: tuple[tuple[str, str], ...]) -> ArmId:
        return ArmId(subscription=self.subscription, group=self.group, provider=self.provider, segments=segments)

    def __str__(self) -> str:
        text = f"/subscriptions/{self.subscription}"
        if self.group:
            text += f"/resourceGroups/{self.group}"
        if self.segments:
            text += f"/providers/{self.provider}" + "".join(f"/{kind}/{name}" for kind, name in self.segments)
        return text

    def __repr__(self) -> str:
        return f"ArmId({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, ArmId) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def __lt__(self, other: ArmId) -> bool:
        return self.key < other.key


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Ref:
    """A document's name within its fleet: `Account/aoai-swc`, or a child's `Account/aoai-swc/deployments/gpt-4o`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def fold_location(text: str) -> str:
    """A region's comparable spelling: Cognitive Services echoes what was sent, `Sweden Central` or `swedencentral`."""
    return text.replace(" ", "").lower()
