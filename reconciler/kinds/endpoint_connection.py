"""Private endpoint connections of an account: made by whoever connects, approved or rejected here.

Azure makes one for every private endpoint and names it after the endpoint and a number nobody knows beforehand. So none
is declared: a document says rules, and what they mean is known once Azure has been looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field as Described

from reconciler.kinds.base import Binding, Document, Field, Patience, ResourceType
from reconciler.kinds.spec import Spec, Text
from reconciler.model.finding import Finding, Severity
from reconciler.model.resource import Judgement
from reconciler.model.wire import Json

_STATE = ("properties", "privateLinkServiceConnectionState")
_STATES = {each.lower(): each for each in ("Approved", "Pending", "Rejected", "Disconnected")}


def _status(value: Json) -> Json:
    return _STATES.get(value.lower(), value) if isinstance(value, str) else value


def _approves(before: Json, after: Json) -> bool:
    return after == "Approved" and before != "Approved"


TYPE = ResourceType(
    arm_type="Microsoft.CognitiveServices/accounts/privateEndpointConnections",
    word="private endpoint connection",
    binding=Binding(
        client="cognitiveservices",
        group="private_endpoint_connections",
        names=("resource_group_name", "account_name", "private_endpoint_connection_name"),
        get="get",
        put="begin_create_or_update",
        body="properties",
    ),
    fields=(
        Field(path="description", wire=(*_STATE, "description")),
        Field(path="status", wire=(*_STATE, "status"), normal=_status, opens=_approves),
    ),
    embedded=("properties", "privateEndpointConnections"),
    guest=True,
    serves=("properties", "privateEndpoint", "id"),
    patience=Patience(create=600.0, update=600.0, delete=600.0, usual_create=15, usual_update=15),
)


class ConnectionRuleSpec(Spec):
    """What becomes of the connections that a pattern names. The first rule that fits decides."""

    match: Annotated[
        Text,
        Described(
            min_length=1,
            description="Name or ARM id of the private endpoint, * standing for anything; letters in either case.",
            examples=['"pe-*"', "/subscriptions/*/privateEndpoints/pe-hub"],
        ),
    ]
    status: Annotated[
        Literal["Approved", "Rejected"], Described(description="What the owner of the account says to it.")
    ]
    description: Annotated[
        Text | None, Described(max_length=140, description="Words for the other end; not managed when left out.")
    ] = None


def read_rules(document: Document, rules: Iterable[ConnectionRuleSpec]) -> tuple[Judgement, ...]:
    """The rules as the planner takes them, in the order in which they decide."""
    return tuple(
        Judgement(
            match=each.match.lower(),
            status=each.status,
            description=each.description,
            origin=document.place(("privateEndpointConnections", at)),
        )
        for at, each in enumerate(rules)
    )


def find_judgement(judgements: Iterable[Judgement], endpoint: str) -> Judgement | None:
    """The first that fits the id of an endpoint, by the whole of it or by its name."""
    folded = endpoint.lower()
    for each in judgements:
        pattern = each.match.replace("[", "[[]")
        if fnmatchcase(folded, pattern) or fnmatchcase(folded.rpartition("/")[2], pattern):
            return each
    return None


def check_rules(document: Document, rules: tuple[ConnectionRuleSpec, ...]) -> Iterator[Finding]:
    """Rules that can never decide, because an earlier one takes all they speak of."""
    seen: dict[str, int] = {}
    for at, each in enumerate(rules):
        pattern = each.match.lower()
        first = seen.get("*", seen.get(pattern))
        seen.setdefault(pattern, at)
        if first is not None:
            yield Finding(
                severity=Severity.WARNING,
                code="shadowed",
                message=f"privateEndpointConnections: {each.match} never decides, {rules[first].match} comes first",
                hint="put the narrower pattern first, or remove one",
                origin=document.place(("privateEndpointConnections", at, "match")),
            )
