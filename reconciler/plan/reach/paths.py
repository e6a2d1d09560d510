"""The paths by which somebody can come to an account, each a row of gates that all have to let them through.

Because a path is part of what reach means, somebody gets through a path exactly if every gate on it lets them, and each
gate is decided by few resources: the account's firewall by the account, a private endpoint by its connection, a subnet
by itself and its security group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property, partial

from reconciler.kinds import endpoint, endpoint_connection, subnet
from reconciler.kinds.subnet import COGNITIVE_SERVICES
from reconciler.model.ids import ArmId
from reconciler.model.wire import JsonObject
from reconciler.plan.reach.bodies import (
    allowed,
    answers,
    default_allows,
    group_of,
    home_of,
    list_texts,
    prefixes_of,
    ruled_subnets,
    trusts,
)
from reconciler.plan.reach.grid import JOINED, UNSEEN, Grid, make_grid, read_ends
from reconciler.plan.reach.ground import Gate, Ground, Yard
from reconciler.plan.reach.security import Cells, Columns, Place
from reconciler.plan.reach.state import State, Versions, read_id

PUBLIC, SERVICE, TRUSTED = "public endpoint", "service endpoint", "trusted services"
_HTTPS = ("443",)
_GUARDED = ("Enabled", "NetworkSecurityGroupEnabled")


@dataclass(frozen=True, kw_only=True, eq=False)
class Path:
    """One way to `target`, an account, or a subnet where nothing but its own security group is asked. What is `quiet`
    is kept in order like any other, and told of by nobody: somebody else tells it already, or it leads to no account.

    A path is `blind` that comes through an endpoint which cannot be seen. `space` are the addresses of the network that
    it comes through and `neighbours` the subnets in there; `own` are those of the `subnet` that alone can take it.
    """

    target: ArmId
    word: str
    grid: Grid
    columns: Columns
    gates: tuple[Gate, ...]
    via: ArmId | None = None
    subnet: ArmId | None = None
    quiet: bool = False
    blind: bool = False
    own: int = 0
    space: int = 0
    neighbours: Mapping[ArmId, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def ids(self) -> frozenset[ArmId]:
        return frozenset().union(*(gate.ids for gate in self.gates))

    def read(self, state: State) -> Cells:
        """Who gets through all gates."""
        return meet(gate.read(state) for gate in self.gates)


def meet(several: Iterable[Cells]) -> Cells:
    """Who is in all of them; asks no further once there is nobody."""
    found = -1
    for cells in several:
        found &= cells
        if not found:
            break
    return found


def find_paths(versions: Versions, touched: frozenset[ArmId] | None = None) -> Iterator[Path]:
    """Every path that any version of the resources could open; with `touched`, only those that one of them decides."""
    ground = Ground(versions)
    for id in sorted(ground.accounts):
        yield from _kept(_public_paths(id, ground), touched)
        for found in sorted(ground.services.get(id, ())):
            if touched is None or ({id} | ground.deciders(found)) & touched:
                yield _service_path(id, found, ground)
        for found in sorted(ground.endpoints.get(id, ())):
            yield from _private_paths(id, found, ground, touched)
        yield from _kept(_stranger_paths(id, ground), touched)
        if touched is not None and any(default_allows(wire) for wire in versions.of(id)):
            # What everybody may do, those may who are in a subnet: as soon as it is there, and its group lets them out.
            meeting = (
                each for each in sorted(ground.subnets) if _meet({id} | ground.deciders(each), versions, touched)
            )
            yield from (_common_path(id, each, ground) for each in meeting)
    for id in sorted(ground.subnets):
        if touched is not None and _meet(ground.deciders(id), versions, touched):
            yield _inner_path(id, ground)


def _meet(ids: Set[ArmId], versions: Versions, touched: frozenset[ArmId]) -> bool:
    """Whether changes of several can meet in between: one write alone goes from before to after, and what is made from
    nothing is made from the ground up."""
    there = any(versions.before.get(id) is not None or id in versions.unseen for id in ids)
    return there and bool(ids & touched) and len(ids & versions.stages.keys()) > 1


def _kept(paths: Iterable[Path], touched: frozenset[ArmId] | None) -> Iterator[Path]:
    return (path for path in paths if touched is None or path.ids & touched)


def _public_paths(id: ArmId, ground: Ground) -> Iterator[Path]:
    words = {text for wire in ground.versions.of(id) for text in allowed(wire)}
    versions = ground.versions
    grid = make_grid(words, (), [UNSEEN] if id in versions.unseen else [])
    columns = Columns(places=(Place(),), ports=tuple(grid.ports(_HTTPS)))

    def firewall(state: State) -> Cells:
        wire, hidden = versions.look(id, state)
        perhaps = grid.flagged(UNSEEN) if hidden else 0
        if wire is None or not answers(wire):
            return perhaps
        return grid.everybody if default_allows(wire) else grid.within(allowed(wire)) | perhaps

    def bypass(state: State) -> Cells:
        wire, hidden = versions.look(id, state)
        return grid.everybody if wire is not None and trusts(wire) else grid.flagged(UNSEEN) if hidden else 0

    own = frozenset({id})
    yield Path(target=id, word=PUBLIC, grid=grid, columns=columns, gates=(Gate(ids=own, read=firewall),))
    yield Path(target=id, word=TRUSTED, grid=grid, columns=columns, gates=(Gate(ids=own, read=bypass),))


def _service_path(id: ArmId, source: ArmId, ground: Ground) -> Path:
    """From the workloads of a subnet over its service endpoint to the public endpoint of the account."""
    yard = ground.way_out(source)
    seen = bool(ground.versions.of(source))

    def firewall(state: State) -> Cells:
        wire, hidden = ground.versions.look(id, state)
        lets = wire is not None and answers(wire) and source in ruled_subnets(wire)
        return yard.everybody if lets else yard.perhaps(hidden)

    def known(state: State) -> Cells:
        """Whether the subnet shows who it is."""
        wire, hidden = ground.versions.look(source, state)
        services = list_texts(subnet.TYPE.lens("serviceEndpoints").read(wire)) if wire is not None else []
        return yard.everybody if COGNITIVE_SERVICES in services or not seen else yard.perhaps(hidden)

    return Path(
        target=id,
        word=SERVICE,
        grid=yard.grid,
        columns=yard.columns,
        gates=(
            Gate(ids=frozenset({id}), read=firewall),
            yard.gate(("known",), lambda: Gate(ids=frozenset({source}), read=known)),
            yard.gate(("leaves",), partial(_leaves, source, ground, yard)),
        ),
        subnet=source,
        own=yard.grid.within(text for wire in ground.versions.of(source) for text in prefixes_of(wire))
        or yard.grid.everybody,
    )


def _common_path(id: ArmId, source: ArmId, ground: Ground) -> Path:
    """From the workloads of a subnet to a public endpoint that everybody may call."""
    yard = ground.way_out(source)

    def firewall(state: State) -> Cells:
        wire, hidden = ground.versions.look(id, state)
        lets = wire is not None and answers(wire) and default_allows(wire)
        return yard.everybody if lets else yard.perhaps(hidden)

    leaves = yard.gate(("leaves",), partial(_leaves, source, ground, yard))
    gates = (Gate(ids=frozenset({id}), read=firewall), leaves)
    return Path(target=id, word=PUBLIC, grid=yard.grid, columns=yard.columns, gates=gates, subnet=source, quiet=True)


def _leaves(source: ArmId, ground: Ground, yard: Yard) -> Gate:
    """From where a subnet is, out of it, as far as its security group lets."""
    seen = bool(ground.versions.of(source))

    def read(state: State) -> Cells:
        wire, hidden = ground.versions.look(source, state)
        if wire is None:
            return 0 if seen else yard.everybody
        group = group_of(wire)
        passing = yard.passing(group, state, "Outbound", yard.space) if group else yard.everybody
        return yard.grid.within(prefixes_of(wire)) & passing | yard.perhaps(hidden)

    return Gate(ids=ground.deciders(source), read=read)


def _private_paths(id: ArmId, through: ArmId, ground: Ground, touched: frozenset[ArmId] | None) -> Iterator[Path]:
    """Through a private endpoint that can be seen, from wherever its subnet is reached."""
    versions = ground.versions
    homes = {home for wire in versions.of(through) if (home := read_id(home_of(wire)))}
    connections = ground.connections.get(id, {}).get(through, set())
    for home in sorted(homes):
        near = ground.around(home)
        decisive = frozenset({id, through, *connections, *ground.deciders(home)}).union(
            *(ground.deciders(each) for each in near)
        )
        if touched is not None and not decisive & touched:
            continue
        yard = ground.yard(home, inner=False)
        gates = [
            _stands(id, yard),
            _connected(id, through, home, frozenset(connections), yard),
            yard.gate(("in", home), partial(_inbound, home, ground, yard)),
            *(yard.gate(("out", *each), partial(_outbound, each, ground, yard)) for each in ground.gather(near)),
        ]
        yield Path(
            target=id,
            word=f"private endpoint {through.name}",
            grid=yard.grid,
            columns=yard.columns,
            gates=tuple(gates),
            via=through,
            space=yard.space,
            neighbours=ground.neighbours(home),
        )


def _stands(id: ArmId, yard: Yard) -> Gate:
    """The account is there, for those who are in the network or joined to it: an endpoint has no public address."""
    callers = yard.spread(yard.space | yard.grid.flagged(JOINED))

    def read(state: State) -> Cells:
        wire, _ = yard.ground.versions.look(id, state)
        return callers if wire is not None else 0

    return Gate(ids=frozenset({id}), read=read)


def _connected(id: ArmId, through: ArmId, home: ArmId, connections: frozenset[ArmId], yard: Yard) -> Gate:
    """The endpoint stands in this subnet, leads to this account, and the account's owner lets it."""
    statics: dict[str, Cells] = {}

    def read(state: State) -> Cells:
        wire, hidden = yard.ground.versions.look(through, state)
        if wire is None or read_id(home_of(wire)) != home:
            return yard.perhaps(hidden)
        if read_id(endpoint.TYPE.lens("privateLinkServiceId").read(wire)) != id or not _approved(wire, state):
            return yard.perhaps(hidden)
        return _own_columns(wire) | yard.perhaps(hidden)

    def _approved(wire: JsonObject, state: State) -> bool:
        standing = endpoint.read_status(wire)
        if not standing:
            return bool(endpoint.TYPE.lens("approval").read(wire) == endpoint.AUTOMATIC)
        there = [body for each in sorted(connections) if (body := state.get(each))]
        said = [endpoint_connection.TYPE.lens("status").read(body) for body in there] or [standing]
        return "Approved" in said

    def _own_columns(wire: JsonObject) -> Cells:
        """The columns of the endpoint's own addresses, all where they are not known."""
        rows = endpoint.TYPE.lens("ipConfigurations").read(wire)
        listed = rows if isinstance(rows, list) else []
        addresses = sorted(str(each.get("privateIPAddress")) for each in listed if isinstance(each, dict))
        key = ",".join(addresses)
        if key not in statics:
            held = [at for at, place in enumerate(yard.columns.places) if any(_is_in(a, place) for a in addresses)]
            ports, words = yard.columns.ports, range(len(yard.columns.protocols))
            own = [column for at in held for column in yard.columns.find(at, ports, words)]
            width = yard.grid.width
            statics[key] = sum(yard.grid.everybody << (column * width) for column in own) if own else yard.everybody
        return statics[key]

    return Gate(ids=frozenset({through, *connections}), read=read)


def _is_in(address: str, place: Place) -> bool:
    one, all_ = read_ends(address), read_ends(place.address)
    return one is not None and all_ is not None and all_[0] <= one[0] <= all_[1]


def _inbound(home: ArmId, ground: Ground, yard: Yard) -> Gate:
    """Into the subnet of an endpoint; its security group counts only where the subnet says that it does."""
    seen = bool(ground.versions.of(home))

    def read(state: State) -> Cells:
        wire, hidden = ground.versions.look(home, state)
        if wire is None:
            return 0 if seen else yard.everybody
        policy = subnet.TYPE.lens("privateEndpointNetworkPolicies").read(wire)
        group = group_of(wire)
        if policy not in _GUARDED or group is None:
            return yard.everybody
        return yard.passing(group, state, "Inbound", yard.space) | yard.perhaps(hidden)

    return Gate(ids=ground.deciders(home), read=read)


def _outbound(sources: tuple[ArmId, ...], ground: Ground, yard: Yard) -> Gate:
    """Out of some subnets; says nothing of callers from elsewhere. Nobody is where one of them was or will be, unless
    another one is there."""
    versions = ground.versions
    ranges = yard.grid.within(text for each in sources for wire in versions.of(each) for text in prefixes_of(wire))
    spaces = {each.parent: yard.grid.within(ground.space(each.parent)) for each in sources}
    known: dict[tuple[int, int, tuple[tuple[int, ArmId, int, int], ...]], Cells] = {}

    def read(state: State) -> Cells:
        # Subnets of one network that share a group are one caller.
        callers: dict[tuple[ArmId, int], int] = {}
        present = unsure = 0
        for each in sources:
            wire, hidden = versions.look(each, state)
            if wire is None:
                continue
            own = yard.grid.within(prefixes_of(wire))
            present |= own
            unsure |= own if hidden else 0
            group = group_of(wire)
            if group is not None:
                caller = (group, spaces[each.parent])
                callers[caller] = callers.get(caller, 0) | own
        told = tuple((id(versions.look(group, state)[0]), group, space, own) for (group, space), own in callers.items())
        key = (ranges & ~present, unsure, told)
        if key not in known:
            known[key] = _leave(*key, state)
        return known[key]

    def _leave(empty: int, unsure: int, told: tuple[tuple[int, ArmId, int, int], ...], state: State) -> Cells:
        cells = yard.spread(yard.grid.everybody & ~empty)
        for _, group, space, own in told:
            elsewhere = yard.spread(yard.grid.everybody & ~own)
            cells &= elsewhere | yard.passing(group, state, "Outbound", space)
        return cells | (yard.unseen & yard.spread(unsure))

    return Gate(ids=frozenset().union(*(ground.deciders(each) for each in sources)), read=read)


def _stranger_paths(id: ArmId, ground: Ground) -> Iterator[Path]:
    """Through endpoints that cannot be seen from here: whoever is behind them."""
    seen = ground.endpoints.get(id, set())
    grid = make_grid((), (), ())
    columns = Columns(places=(Place(),), ports=tuple(grid.ports(_HTTPS)))
    for peer, connections in sorted(ground.connections.get(id, {}).items()):
        if peer in seen:
            continue
        ids = frozenset({id, *connections})
        yield Path(
            target=id,
            word=f"private endpoint {peer.name}",
            blind=True,
            grid=grid,
            columns=columns,
            gates=(Gate(ids=ids, read=_read_strangers(id, tuple(sorted(connections)), grid)),),
            via=peer,
        )


def _read_strangers(id: ArmId, connections: tuple[ArmId, ...], grid: Grid) -> Callable[[State], Cells]:
    def read(state: State) -> Cells:
        bodies = [body for each in connections if (body := state.get(each))]
        approved = any(endpoint_connection.TYPE.lens("status").read(body) == "Approved" for body in bodies)
        return grid.everybody if approved and state.get(id) is not None else 0

    return read


def _inner_path(id: ArmId, ground: Ground) -> Path:
    """Into a subnet, whatever is in it."""
    yard = ground.yard(id, inner=True)

    def read(state: State) -> Cells:
        wire, _ = ground.versions.look(id, state)
        group = group_of(wire) if wire is not None else None
        if wire is None:
            return 0
        return yard.passing(group, state, "Inbound", yard.space) if group else yard.everybody

    gate = Gate(ids=ground.deciders(id), read=read)
    return Path(target=id, word="subnet", grid=yard.grid, columns=yard.columns, gates=(gate,), quiet=True)
