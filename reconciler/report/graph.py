"""Report: what is declared and what stands on what, as a graph; its JSON is described in `docs/cli.md`. Pure.

Knows resources and edges, and nothing of how they are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from reconciler.kinds.catalog import type_of
from reconciler.model.ids import GROUP_TYPE, ArmId
from reconciler.model.plan import Decision, Plan
from reconciler.model.reach import Way
from reconciler.model.resource import Desired, Fleet
from reconciler.model.wire import Json, JsonObject
from reconciler.report.document import FORMAT_VERSION, Envelope, render_json, tell_finding
from reconciler.report.openings import TRUSTED, tell_dangers
from reconciler.report.words import shorten


class EdgeKind(StrEnum):
    """What an edge says about its two ends: `needs`, the target must exist before the source; `reaches`, who the source
    is gets through to the target, an account."""

    NEEDS = "needs"
    REACHES = "reaches"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One resource. `fleet` is empty for what is needed but belongs to no fleet of this desired state; `decision` says
    how it stands in Azure, where that was looked at. `trusts`: Azure's trusted services reach it."""

    id: ArmId
    name: str  # what people call it: Account/aoai-swc/deployments/gpt-4o
    word: str  # what people call its type
    fleet: str = ""
    location: str = ""
    declared: bool = False
    decision: Decision | None = None
    trusts: bool = False

    @property
    def is_group(self) -> bool:
        return self.id.type == GROUP_TYPE


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Edge:
    source: ArmId
    target: ArmId
    kind: EdgeKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes and edges in the order of their ids. `live`: Azure was looked at. `ways` lead to accounts among the nodes,
    and have their subnet only where that is one too."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    live: bool = False
    ways: tuple[Way, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Parts:
    """A graph in the making; a resource with its needs, from its document, a plan, or both."""

    nodes: dict[ArmId, Node] = field(default_factory=dict)
    needs: dict[ArmId, tuple[ArmId, ...]] = field(default_factory=dict)


def make_graph(
    fleets: Iterable[Fleet],
    plans: Iterable[Plan] = (),
    chosen: frozenset[ArmId] | None = None,
    *,
    live: bool = False,
    ways: Iterable[Way] = (),
) -> Graph:
    """What `fleets` declare, narrowed to `chosen`, with the decisions of `plans` about it and about what is live but no
    longer declared. What is needed and not among it is a node too, without a fleet. `ways` are who reaches what."""
    parts = _Parts()
    for fleet in fleets:
        for id, desired in fleet.desired.items():
            if chosen is None or id in chosen:
                parts.nodes[id] = _declared(desired, fleet)
                parts.needs[id] = desired.needs
    for plan in plans:
        _add_decisions(parts, plan, chosen)
    for id in [need for needs in parts.needs.values() for need in needs]:
        parts.nodes.setdefault(id, Node(id=id, name=shorten(id), word=_word(id)))
    edges = {Edge(source=id, target=need, kind=EdgeKind.NEEDS) for id, needs in parts.needs.items() for need in needs}
    kept = tuple(_keep_ways(ways, parts.nodes))
    trusting = {way.target for way in kept if way.path == TRUSTED}
    return Graph(
        nodes=tuple(replace(parts.nodes[id], trusts=id in trusting) for id in sorted(parts.nodes)),
        edges=tuple(sorted(edges)),
        live=live,
        ways=kept,
    )


def _keep_ways(ways: Iterable[Way], nodes: Mapping[ArmId, Node]) -> Iterator[Way]:
    """The ways to what is in the picture, each once."""
    kept = {way for way in ways if way.target in nodes}
    for way in sorted(kept, key=lambda way: (way.key, way.subnet.key if way.subnet else "")):
        yield way if way.subnet in nodes else replace(way, subnet=None)


def _declared(desired: Desired, fleet: Fleet) -> Node:
    return Node(
        id=desired.id,
        name=str(desired.ref),
        word=_word(desired.id),
        fleet=fleet.name,
        location=_locate(desired, fleet.desired),
        declared=True,
    )


def _locate(desired: Desired, around: Mapping[ArmId, Desired]) -> str:
    """A child is where the resource is that it belongs to."""
    top = around.get(desired.id.top, desired)
    location = top.fields.get("location")
    return location if isinstance(location, str) else ""


def _add_decisions(parts: _Parts, plan: Plan, chosen: frozenset[ArmId] | None) -> None:
    decisions = {decision.id: decision for decision in plan.decisions if not decision.told_only}
    # Only a plan knows of some needs, such as the purge of an account that holds the name.
    wanted = {id for each in chosen or () if each in decisions for id in (each, *decisions[each].needs)}
    for id, decision in decisions.items():
        if chosen is not None and id not in wanted:
            continue
        known = parts.nodes.get(id)
        parts.nodes[id] = Node(
            id=id,
            name=known.name if known else str(decision.ref),
            word=_word(id),
            fleet=plan.fleet,
            location=known.location if known else decision.location or decisions.get(id.top, decision).location,
            declared=known is not None,
            decision=decision,
        )
        parts.needs[id] = decision.needs


def _word(id: ArmId) -> str:
    type_ = type_of(id.type)
    return type_.word if type_ else id.type.rpartition("/")[2]


def render_graph(graph: Graph, envelope: Envelope) -> str:
    """The graph as a JSON document."""
    return render_json(
        {
            "format_version": FORMAT_VERSION,
            "kind": "graph",
            "live": graph.live,
            "nodes": [_tell_node(node) for node in graph.nodes],
            "callers": [*sorted({way.source for way in graph.ways if way.subnet is None})],
            "edges": [*(_tell_edge(edge) for edge in graph.edges), *(_tell_way(way) for way in graph.ways)],
            "findings": [tell_finding(finding) for finding in envelope.findings],
            "selection": {"targets": list(envelope.selection.targets), "selector": envelope.selection.selector},
            "exit_code": envelope.exit_code,
        }
    )


def _tell_node(node: Node) -> JsonObject:
    told: JsonObject = {
        "id": str(node.id),
        "ref": node.name,
        "type": node.id.type,
        "fleet": node.fleet or None,
        "resource_group": node.id.group,
        "location": node.location,
        "declared": node.declared,
    }
    decision = node.decision
    if decision is None:
        return told | {"state": None}
    dangers: list[Json] = [*tell_dangers(decision)]
    return told | {
        "state": decision.state.value,
        "action": decision.action.value if decision.action else None,
        "reason": decision.reason,
        "risk": decision.risk.value,
        "dangers": dangers,
    }


def _tell_edge(edge: Edge) -> JsonObject:
    return {"source": str(edge.source), "target": str(edge.target), "kind": edge.kind.value}


def _tell_way(way: Way) -> JsonObject:
    return {
        "source": str(way.subnet) if way.subnet else way.source,
        "target": str(way.target),
        "kind": EdgeKind.REACHES.value,
        "path": way.path,
        "via": str(way.via) if way.via else None,
        "ports": way.ports,
    }
