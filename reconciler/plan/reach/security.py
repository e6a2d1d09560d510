"""What the rules of a security group let through: first match by priority, Azure's own rules last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.kinds.addresses import ANY, is_private, read_network
from reconciler.kinds.rules import GROUPS, read_rule
from reconciler.model.wire import Json, JsonObject, read_path
from reconciler.plan.reach.grid import JOINED, LAST, Grid, read_ends

Cells = int  # the callers that get through, column beside column: each as wide as the grid has callers
Rules = Sequence[JsonObject]

NETWORK, INTERNET, BALANCER = "VirtualNetwork", "Internet", "AzureLoadBalancer"
BALANCER_ADDRESS = "168.63.129.16"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where packets go: an address of a network, or (empty) a public endpoint, of whose address nothing is known.

    Of the network's own service tags, an address inside means VirtualNetwork and one outside the Internet.
    """

    address: str = ""

    @property
    def inside(self) -> bool:
        return bool(self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What cells are kept for: each place, each port range of the grid, each protocol, in that order."""

    places: tuple[Place, ...]
    ports: tuple[int, ...]
    protocols: tuple[str, ...] = ("Tcp",)

    def __len__(self) -> int:
        return len(self.places) * len(self.ports) * len(self.protocols)

    def spread(self, grid: Grid, callers: int) -> Cells:
        """The same callers in every column."""
        return callers * int(sum(1 << (column * grid.width) for column in range(len(self))))

    def read(self, grid: Grid, cells: Cells, column: int) -> int:
        """The callers of one column."""
        return cells >> (column * grid.width) & grid.everybody

    def find(self, place: int, ports: Iterable[int], protocols: Iterable[int]) -> list[int]:
        """The numbers of the columns of a place, some ports and some protocols."""
        base, width = place * len(self.ports), len(self.protocols)
        at = {port: index for index, port in enumerate(self.ports)}
        words = tuple(protocols)
        return [(base + at[port]) * width + word for port in ports if port in at for word in words]


def read_rules(wire: JsonObject, direction: str) -> list[JsonObject]:
    """The rules of one direction as attributes, by priority."""
    listed = read_path(wire, ("properties", "securityRules"))
    told = [read_rule(each) for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return sorted((each for each in told if each["direction"] == direction), key=_priority)


def _priority(rule: Mapping[str, Json]) -> int:
    priority = rule.get("priority")
    return priority if isinstance(priority, int) else 0


def pass_rules(rules: Rules, direction: str, grid: Grid, space: int, columns: Columns) -> Cells:
    """Who gets through from where they are to each column. `space` are the addresses of the network itself."""
    undecided = [grid.everybody] * len(columns)
    passed = [0] * len(columns)
    for rule in (*rules, *_OWN[direction]):
        _apply(rule, grid, space, columns, (undecided, passed))
    return sum(callers << (column * grid.width) for column, callers in enumerate(passed))


def _apply(rule: JsonObject, grid: Grid, space: int, columns: Columns, state: tuple[list[int], list[int]]) -> None:
    undecided, passed = state
    callers = _sources(rule, grid, space) & _source_ports(rule, grid)
    spoken = rule["protocol"]
    protocols = [at for at, word in enumerate(columns.protocols) if spoken in (ANY, word)]
    if not callers or not protocols:
        return
    ports = grid.ports(texts(rule, "destinationPortRanges"))
    for number, place in enumerate(columns.places):
        meant = callers & _destinations(rule, grid, place)
        if not meant:
            continue
        for column in columns.find(number, ports, protocols):
            new = meant & undecided[column]
            undecided[column] ^= new
            if rule["access"] == "Allow":
                passed[column] |= new


def texts(rule: Mapping[str, Json], name: str) -> list[str]:
    value = rule.get(name)
    return [str(each) for each in value] if isinstance(value, list) else []


def _sources(rule: JsonObject, grid: Grid, space: int) -> int:
    callers = 0
    network = space | grid.flagged(JOINED)
    for word in texts(rule, "sourceAddressPrefixes"):
        if word == NETWORK:
            callers |= network
        elif word == INTERNET:
            callers |= grid.everybody & ~network
        elif word == BALANCER:
            callers |= grid.addresses(BALANCER_ADDRESS)
        elif read_ends(word):
            callers |= grid.addresses(word)
        else:
            callers |= grid.flagged(f"from:{word}")
    for group in texts(rule, GROUPS[0]):
        callers |= grid.flagged(f"from:{group}")
    return callers


def _source_ports(rule: JsonObject, grid: Grid) -> int:
    """A caller chooses its own port, so whether it chose one of these is a flag."""
    words = texts(rule, "sourcePortRanges")
    return grid.everybody if not words or ANY in words else grid.flagged(_port_flag(words))


def _port_flag(words: Iterable[str]) -> str:
    return f"port:{','.join(words)}"


def _destinations(rule: JsonObject, grid: Grid, place: Place) -> int:
    """Everybody where the rule means the place, nobody where not, those of a flag where that cannot be known."""
    meant = 0
    for word in texts(rule, "destinationAddressPrefixes"):
        ends = read_ends(word)
        if word in (ANY, NETWORK if place.inside else INTERNET) or ends == (0, LAST):
            return grid.everybody
        if not place.inside:
            meant |= grid.flagged(f"to:{word}")
        elif ends and _holds(ends, place):
            return grid.everybody
    for group in texts(rule, GROUPS[1]):
        meant |= grid.flagged(f"to:{group}")
    return meant


def _holds(ends: tuple[int, int], place: Place) -> bool:
    own = read_ends(place.address)
    return own is not None and ends[0] <= own[0] and own[1] <= ends[1]


def name_flags(rules: Rules, *, inside: bool) -> set[str]:
    """The flags that a grid needs for these rules; `inside`: towards addresses of a network."""
    flags: set[str] = set()
    for rule in rules:
        sources = texts(rule, "sourceAddressPrefixes")
        flags |= {f"from:{word}" for word in sources if word not in _KNOWN and read_network(word) is None}
        flags |= {f"from:{group}" for group in texts(rule, GROUPS[0])}
        flags |= {f"to:{group}" for group in texts(rule, GROUPS[1])}
        if not inside:
            wanted = texts(rule, "destinationAddressPrefixes")
            flags |= {f"to:{word}" for word in wanted if word not in _KNOWN and not is_private(word)}
        words = texts(rule, "sourcePortRanges")
        if words and ANY not in words:
            flags.add(_port_flag(words))
    return flags


_KNOWN = (ANY, NETWORK, INTERNET, BALANCER)


def _own(source: str, destination: str, access: str) -> JsonObject:
    return {
        "access": access,
        "protocol": ANY,
        "sourceAddressPrefixes": [source],
        "destinationAddressPrefixes": [destination],
        "sourcePortRanges": [ANY],
        "destinationPortRanges": [ANY],
    }


# Azure's own rules, which everybody has and nobody can take off; what they deny is whatever is left.
_OWN: Mapping[str, Rules] = {
    "Inbound": (_own(NETWORK, NETWORK, "Allow"), _own(BALANCER, ANY, "Allow")),
    "Outbound": (_own(NETWORK, NETWORK, "Allow"), _own(ANY, INTERNET, "Allow")),
}
