"""What there is, in any version: who leads where, what stands in which network; and for one subnet the grid on which
everything is told that decides about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.kinds import endpoint, endpoint_connection
from reconciler.kinds.addresses import prefixes
from reconciler.kinds.scalars import ACCOUNT_TYPE, PRIVATE_ENDPOINT_TYPE, SUBNET_TYPE
from reconciler.model.ids import ArmId
from reconciler.model.wire import JsonObject, read_path
from reconciler.plan.reach.bodies import group_of, list_texts, peers, prefixes_of, ruled_subnets
from reconciler.plan.reach.grid import JOINED, UNSEEN, Grid, make_grid, read_ends, tell_span
from reconciler.plan.reach.security import (
    BALANCER_ADDRESS,
    Cells,
    Columns,
    Place,
    name_flags,
    pass_rules,
    read_rules,
    texts,
)
from reconciler.plan.reach.state import State, Versions, read_id

_PROTOCOLS = ("Tcp", "Udp", "Icmp")
_CONNECTION_TYPE = endpoint_connection.TYPE.arm_type.lower()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gate:
    """One condition on a path: who passes, in a given state. Only the resources of `ids` decide."""

    ids: frozenset[ArmId]
    read: Callable[[State], Cells]


@dataclass(slots=True)
class Ground:
    """What there is in any version, found once: who leads where, what stands in which network."""

    versions: Versions
    accounts: set[ArmId] = field(default_factory=set)
    subnets: set[ArmId] = field(default_factory=set)
    endpoints: dict[ArmId, set[ArmId]] = field(default_factory=dict)  # by account
    services: dict[ArmId, set[ArmId]] = field(default_factory=dict)  # subnets by account
    connections: dict[ArmId, dict[ArmId, set[ArmId]]] = field(default_factory=dict)  # by account, by endpoint
    inside: dict[ArmId, set[ArmId]] = field(default_factory=dict)  # subnets by network
    _yards: dict[tuple[ArmId, bool], Yard] = field(default_factory=dict)
    _ways_out: dict[ArmId, Yard] = field(default_factory=dict)
    _spaces: dict[ArmId, frozenset[str]] = field(default_factory=dict)
    _rules: dict[tuple[int, str], tuple[JsonObject, list[JsonObject]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for id in self.versions:
            match id.type.lower():
                case kind if kind == ACCOUNT_TYPE.lower():
                    self.accounts.add(id)
                    self.services[id] = {each for wire in self.versions.of(id) for each in ruled_subnets(wire)}
                case kind if kind == PRIVATE_ENDPOINT_TYPE.lower():
                    for wire in self.versions.of(id):
                        target = read_id(endpoint.TYPE.lens("privateLinkServiceId").read(wire))
                        if target is not None:
                            self.endpoints.setdefault(target, set()).add(id)
                case kind if kind == SUBNET_TYPE.lower() and id.parent is not None:
                    self.subnets.add(id)
                    self.inside.setdefault(id.parent, set()).add(id)
                case kind if kind == _CONNECTION_TYPE and id.parent is not None:
                    for wire in self.versions.of(id):
                        peer = read_id(read_path(wire, endpoint_connection.TYPE.serves))
                        if peer is not None:
                            self.connections.setdefault(id.parent, {}).setdefault(peer, set()).add(id)

    def groups(self, id: ArmId) -> set[ArmId]:
        """The security groups that a subnet names in any version."""
        return {found for wire in self.versions.of(id) if (found := group_of(wire))}

    def deciders(self, id: ArmId) -> frozenset[ArmId]:
        return frozenset({id, *self.groups(id)})

    def around(self, id: ArmId) -> list[ArmId]:
        """The subnets that have a security group or change, in the network of `id` and in those peered with it."""
        network = id.parent
        if network is None:
            return []
        beside = {peer for wire in self.versions.of(network) for peer in peers(wire)}
        found = {each for net in (network, *beside) for each in self.inside.get(net, ())}
        return sorted(each for each in found if self.groups(each) or each in self.versions.stages)

    def gather(self, ids: Iterable[ArmId]) -> list[tuple[ArmId, ...]]:
        """Subnets that are one gate: the same changes decide about them, or one comes to where another one was."""
        alike: dict[frozenset[ArmId], list[ArmId]] = {}
        for id in ids:
            alike.setdefault(frozenset(self.deciders(id) & self.versions.stages.keys()), []).append(id)
        gathered = [(tuple(each), self._places(each)) for each in alike.values()]
        for first in range(len(gathered)):
            for then in range(first + 1, len(gathered)):
                (some, here), (others, there) = gathered[first], gathered[then]
                if any(a[0] <= b[1] and b[0] <= a[1] for a in here for b in there):
                    gathered[first], gathered[then] = ((), []), (some + others, here + there)
        return [each for each, _ in gathered if each]

    def _places(self, ids: Iterable[ArmId]) -> list[tuple[int, int]]:
        """The addresses of subnets that change, in any version."""
        moved = (id for id in ids if id in self.versions.stages)
        found = {text for id in moved for wire in self.versions.of(id) for text in prefixes_of(wire)}
        return [ends for text in found if (ends := read_ends(text))]

    def neighbours(self, id: ArmId) -> Mapping[ArmId, tuple[str, ...]]:
        """The subnets of the network of `id`, as they will be."""
        beside = sorted(self.inside.get(id.parent, ())) if id.parent else []
        return {each: tuple(prefixes_of(wire)) for each in beside if (wire := self.versions.final.get(each))}

    def rules(self, wire: JsonObject, direction: str) -> list[JsonObject]:
        """The rules of one version of a security group, read once. Bodies are never changed, so one is known by its
        place in memory as long as somebody holds it."""
        known = self._rules.get((id(wire), direction))
        if known is None:
            known = self._rules[id(wire), direction] = (wire, read_rules(wire, direction))
        return known[1]

    def space(self, network: ArmId | None) -> frozenset[str]:
        """The addresses of a network, in any version."""
        if network is None:
            return frozenset()
        known = self._spaces.get(network)
        if known is None:
            known = self._spaces[network] = frozenset(self._space(network))
        return known

    def _space(self, network: ArmId) -> set[str]:
        found: set[str] = set()
        for wire in self.versions.of(network):
            found.update(
                list_texts(prefixes([*list_texts(read_path(wire, ("properties", "addressSpace", "addressPrefixes")))]))
            )
        for each in self.inside.get(network, ()):
            for wire in self.versions.of(each):
                found.update(prefixes_of(wire))
        return found

    def way_out(self, id: ArmId) -> Yard:
        """What decides about the way from a subnet to a public endpoint, whichever account that is of."""
        known = self._ways_out.get(id)
        if known is None:
            known = self._ways_out[id] = make_way_out(id, self)
        return known

    def yard(self, id: ArmId, *, inner: bool) -> Yard:
        known = self._yards.get((id, inner))
        if known is None:
            known = self._yards[id, inner] = make_yard(id, self, inner=inner)
        return known


@dataclass(slots=True, eq=False)
class Yard:
    """A subnet and those around it on one grid; what rules let through is worked out once for each version."""

    ground: Ground
    grid: Grid
    columns: Columns
    space: int
    everybody: Cells = field(init=False)
    unseen: Cells = field(init=False)  # whoever is let through by what could not be read
    _column: Cells = field(init=False)  # one bit for each column
    _passed: dict[tuple[int, str, int], Cells] = field(default_factory=dict)
    _spread: dict[int, Cells] = field(default_factory=dict)
    _gates: dict[tuple[object, ...], Gate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._column = self.columns.spread(self.grid, 1)
        self.everybody = self.spread(self.grid.everybody)
        self.unseen = self.spread(self.grid.flagged(UNSEEN))

    def spread(self, callers: int) -> Cells:
        """The same callers in every column."""
        known = self._spread.get(callers)
        if known is None:
            known = self._spread[callers] = callers * self._column
        return known

    def perhaps(self, hidden: bool) -> Cells:
        """Those who are let through by what could not be read; nobody where it could be."""
        return self.unseen if hidden else 0

    def gate(self, key: tuple[object, ...], make: Callable[[], Gate]) -> Gate:
        """A gate that all who stand here share."""
        if key not in self._gates:
            self._gates[key] = make()
        return self._gates[key]

    def passing(self, group: ArmId, state: State, direction: str, space: int) -> Cells:
        """Whom a security group lets through."""
        body, hidden = self.ground.versions.look(group, state)
        if body is None:
            # A group that nobody may read: whom it lets through is a question of its own.
            return self.spread(self.grid.flagged(f"group:{group.key}"))
        key = (id(body), direction, space)
        known = self._passed.get(key)
        if known is None:
            rules = self.ground.rules(body, direction)
            known = self._passed[key] = pass_rules(rules, direction, self.grid, space, self.columns)
        return known | self.unseen if hidden else known


def make_yard(id: ArmId, ground: Ground, *, inner: bool) -> Yard:
    """The grid of a subnet and all around it that decides about it."""
    space = ground.space(id.parent)
    near = {id} if inner else {id, *ground.around(id)}
    own = {text for wire in ground.versions.of(id) for text in prefixes_of(wire)}
    words, ports, flags = {*space, *own}, set[str](), {JOINED, *((UNSEEN,) if ground.versions.unseen else ())}
    aims: set[str] = set()
    words |= {text for each in near for wire in ground.versions.of(each) for text in prefixes_of(wire)}
    for group in {group for each in near for group in ground.groups(each)}:
        if not ground.versions.of(group):
            flags.add(f"group:{group.key}")
        for wire in ground.versions.of(group):
            rules = [*ground.rules(wire, "Inbound"), *ground.rules(wire, "Outbound")]
            words |= {text for rule in rules for text in texts(rule, "sourceAddressPrefixes")}
            aims |= {text for rule in rules for text in texts(rule, "destinationAddressPrefixes")}
            ports |= {text for rule in rules for text in texts(rule, "destinationPortRanges")}
            flags |= name_flags(rules, inside=True)
    grid = make_grid({*words, BALANCER_ADDRESS}, ports, flags)
    places = tuple(Place(address=text) for text in _cut(own, aims)) or (Place(address="0.0.0.0/0"),)
    columns = Columns(places=places, ports=tuple(range(len(grid.gates))), protocols=_PROTOCOLS if inner else ("Tcp",))
    return Yard(ground, grid, columns, grid.within(space))


def make_way_out(id: ArmId, ground: Ground) -> Yard:
    """The grid on which is told who gets from a subnet to a public endpoint."""
    versions = ground.versions
    space = ground.space(id.parent)
    words, flags = {*space, *(text for wire in versions.of(id) for text in prefixes_of(wire))}, {JOINED}
    flags |= {UNSEEN} if versions.unseen else set()
    for group in ground.groups(id):
        if not versions.of(group):
            flags.add(f"group:{group.key}")
        for wire in versions.of(group):
            rules = ground.rules(wire, "Outbound")
            words |= {text for rule in rules for text in texts(rule, "sourceAddressPrefixes")}
            flags |= name_flags(rules, inside=False)
    grid = make_grid(words, (), flags)
    return Yard(ground, grid, Columns(places=(Place(),), ports=tuple(grid.ports(("443",)))), grid.within(space))


def _cut(own: Iterable[str], aims: Iterable[str]) -> list[str]:
    """The addresses of a subnet, cut wherever a rule aims at some of them only."""
    return [text for span in make_grid({*own, *aims}, (), ()).cut(own) for text in tell_span(*span)]
