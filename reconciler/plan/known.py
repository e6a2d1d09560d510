"""What documents leave open until Azure has been looked at: connections that others make, names that others choose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from reconciler.kinds.base import ResourceType
from reconciler.kinds.catalog import type_of
from reconciler.kinds.common import child_lifecycle
from reconciler.kinds.endpoint_connection import find_judgement
from reconciler.model.ids import ArmId, Ref
from reconciler.model.resource import Desired, Fleet, Judgement, Live, Snapshot
from reconciler.model.wire import Json, read_path


def resolve_known(fleet: Fleet, snapshot: Snapshot) -> Fleet:
    """The fleet with what it wants of live connections, and with the names that Azure knows its resources by."""
    found = {each.id: each for each in (_rename(each, snapshot) for each in fleet.desired.values())}
    found |= {each.id: each for each in _judge(fleet, snapshot)}
    return replace(fleet, desired=found)


def _rename(desired: Desired, snapshot: Snapshot) -> Desired:
    """Of what a parent has one of at most, the one that is there is meant, whatever it is called."""
    type_ = type_of(desired.type)
    if type_ is None or not type_.sole or desired.id in snapshot.live:
        return desired
    beside = (id for id in snapshot.live if id.parent == desired.id.parent and id.type.lower() == desired.type.lower())
    there = next(beside, None)
    return replace(desired, id=there) if there else desired


def _judge(fleet: Fleet, snapshot: Snapshot) -> Iterator[Desired]:
    guests = [(live, type_) for live in snapshot.live.values() if (type_ := type_of(live.type)) and type_.guest]
    names = Counter((live.id.parent, _endpoint(live, type_).rpartition("/")[2].lower()) for live, type_ in guests)
    for live, type_ in guests:
        host = fleet.desired.get(live.id.parent) if live.id.parent else None
        endpoint = _endpoint(live, type_)
        status = type_.lens("status").read(live.wire)
        rule = _rule(fleet, host, endpoint) if host else None
        if host is None or rule is None or status == "Disconnected":
            continue
        name = endpoint.rpartition("/")[2]
        alone = names[live.id.parent, name.lower()] == 1
        yield _connection(host, live, rule, name if alone else live.id.name, str(status))


def _endpoint(live: Live, type_: ResourceType) -> str:
    found = read_path(live.wire, type_.serves)
    return found if isinstance(found, str) and found else live.id.name.partition(".")[0]


def _rule(fleet: Fleet, host: Desired, endpoint: str) -> Judgement | None:
    """The first rule of the account that fits; else what its own fleet declares by an endpoint that leads to it."""
    rule = find_judgement(host.judgements, endpoint)
    if rule is not None:
        return rule
    try:
        wanted = fleet.desired.get(ArmId.parse(endpoint))
    except ValueError:
        return None
    if wanted is None or wanted.fields.get("approval") != "automatic":
        return None
    leads_here = str(wanted.fields.get("privateLinkServiceId")) == host.id.key
    return Judgement(match=endpoint.lower(), status="Approved", origin=wanted.origin) if leads_here else None


def _connection(host: Desired, live: Live, rule: Judgement, name: str, status: str) -> Desired:
    fields: dict[str, Json] = {"status": rule.status}
    implied: frozenset[str] = frozenset()
    if rule.description is not None:
        fields["description"] = rule.description
    elif status != rule.status:
        # The words of the state it leaves would be kept, and would be wrong.
        fields["description"], implied = rule.status, frozenset({"description"})
    return Desired(
        id=live.id,
        ref=Ref(kind=host.ref.kind, name=f"{host.ref.name}/privateEndpointConnections/{name}"),
        fields=fields,
        implied=implied,
        needs=(host.id,),
        lifecycle=child_lifecycle(host.lifecycle, f"privateEndpointConnections[{name}]"),
        origin=rule.origin,
        labels=host.labels,
    )
