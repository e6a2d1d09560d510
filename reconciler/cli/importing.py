"""Live resources as documents: which of them, in which order, under which Fleet. Pure; kinds say how each looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from reconciler.kinds import account
from reconciler.kinds.base import Kind
from reconciler.kinds.catalog import KINDS, type_of
from reconciler.kinds.scalars import SUBNET_TYPE
from reconciler.model.ids import ArmId
from reconciler.model.lifecycle import ManagePolicy
from reconciler.model.resource import OWNER_TAG, Live, LiveState, Snapshot
from reconciler.model.wire import Json, JsonObject

_ACCOUNTS = account.TYPE.arm_type.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which resource groups and accounts are wanted, by name in any case, all where nothing is named; and the Fleet
    that they are written for."""

    subscription: str
    fleet: str
    groups: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()


def describe_live(snapshot: Snapshot, choice: Choice) -> tuple[list[JsonObject], tuple[str, ...]]:
    """A Fleet and one document per chosen resource; or what keeps them from being written, as sentences."""
    tops = [live for live in snapshot.live.values() if len(live.id.segments) == 1 and _stays(live)]
    wanted = [live for live in tops if _is_chosen(live.id, choice)]
    unclear = (*_missing(snapshot, tops, choice), *_doubles(wanted))
    if unclear:
        return [], unclear
    homes = {ArmId(subscription=live.id.subscription, group=live.id.group) for live in wanted}
    named = {group.lower() for group in choice.groups}
    groups = [
        live
        for live in snapshot.live.values()
        if not live.id.segments and (live.id in homes or live.id.group.lower() in named)
    ]
    names = dict(_names(wanted, snapshot))
    documents = [_fleet(choice), *(_refer(each, names) for each in _documents([*groups, *wanted], snapshot))]
    return documents, ()


def _names(wanted: Iterable[Live], snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """What documents may call the resources that are written with them, by folded id."""
    written = {live.id for live in wanted}
    for id in snapshot.live:
        if id in written:
            yield id.key, id.name
        elif id.parent in written and id.type.lower() == SUBNET_TYPE.lower():
            yield id.key, f"{id.parent.name}/{id.name}"


# The fields that take the name of a document instead of an id, each where it stands in a spec.
_REFERENCES = frozenset({"networkSecurityGroup", "privateDnsZones", "subnet", "virtualNetwork", "virtualNetworkRules"})


def _refer(document: JsonObject, names: Mapping[str, str]) -> JsonObject:
    """The document with names for the ids of those that are written with it."""
    spec = document["spec"]
    assert isinstance(spec, dict)
    said = {key: _name_all(value, names, key) for key, value in spec.items()}
    target = names.get(str(spec.get("privateLinkServiceId")).lower())
    if target is not None:
        said = {("account" if key == "privateLinkServiceId" else key): value for key, value in said.items()}
        said["account"] = target
    return {**document, "spec": said}


def _name_all(value: Json, names: Mapping[str, str], key: str) -> Json:
    if isinstance(value, dict):
        # A rule of a firewall is the one reference that lies in an object of its own.
        return {name: _name_all(each, names, key if name == "id" else name) for name, each in value.items()}
    if isinstance(value, list):
        return [_name_all(each, names, key) for each in value]
    return names.get(value.lower(), value) if key in _REFERENCES and isinstance(value, str) else value


def _stays(live: Live) -> bool:
    return live.state is not LiveState.DELETING


def _is_chosen(id: ArmId, choice: Choice) -> bool:
    in_group = not choice.groups or id.group.lower() in {group.lower() for group in choice.groups}
    return in_group and (not choice.accounts or id.name.lower() in {name.lower() for name in choice.accounts})


def _missing(snapshot: Snapshot, tops: Iterable[Live], choice: Choice) -> Iterator[str]:
    """Names that nothing live bears, each with what comes close."""
    groups = {live.id.group.lower(): live.id.group for live in snapshot.live.values()}
    accounts = {live.id.name.lower(): live.id.name for live in tops if live.type.lower() == _ACCOUNTS}
    for word, names, known in (("resource group", choice.groups, groups), ("account", choice.accounts, accounts)):
        for name in names:
            if name.lower() not in known:
                close = get_close_matches(name.lower(), sorted(known), n=1)
                hint = f"; did you mean {known[close[0]]}?" if close else ""
                yield f"there is no {word} {name} in this subscription{hint}"


def _doubles(wanted: Iterable[Live]) -> Iterator[str]:
    """Names are unique in a fleet, but Azure only asks that they are in a resource group."""
    named = Counter((live.type.lower(), live.id.name.lower()) for live in wanted)
    for (arm_type, name), number in sorted(named.items()):
        type_ = type_of(arm_type)
        if number > 1 and type_ is not None:
            many = f"{number} {type_.word}s are called {name}"
            yield f"{many}; import one resource group at a time, each into its own fleet"


def _fleet(choice: Choice) -> JsonObject:
    return {"kind": "Fleet", "metadata": {"name": choice.fleet}, "spec": {"subscription": choice.subscription}}


def _documents(lives: Iterable[Live], snapshot: Snapshot) -> Iterator[JsonObject]:
    kinds = {kind.types[0].arm_type.lower(): kind for kind in KINDS if kind.types}
    for live in lives:
        kind = kinds.get(live.type.lower())
        if kind is not None:
            yield _document(kind, live, snapshot)


def _document(kind: Kind, live: Live, snapshot: Snapshot) -> JsonObject:
    inside = bool(live.id.segments)
    below = tuple(each for each in snapshot.live.values() if inside and each.id != live.id and live.id.covers(each.id))
    spec = kind.describe(live, below)
    return {
        "kind": kind.name,
        "metadata": {"name": live.id.name},
        "spec": {key: value for key, value in spec.items() if key != "tags"} | _tags(spec.get("tags")),
        "lifecycle": {"policy": ManagePolicy.OBSERVE.value},
    }


def _tags(tags: Json) -> JsonObject:
    """The tags without the mark of another fleet: whoever takes the resource over sets his own."""
    kept = {key: value for key, value in tags.items() if key.lower() != OWNER_TAG} if isinstance(tags, dict) else {}
    return {"tags": kept} if kept else {}
