"""Report: a graph drawn as Mermaid or as Graphviz's DOT. Pure; the same graph is always the same text.

Fleets, resource groups and regions are frames, everything else is a node whose shape tells its type and whose colour
tells how it stands. What lies in a resource group needs it, so that is told by the frame; an edge that follows from
others is not drawn. Whoever reaches an account has a thick arrow to it. Whatever is not ours is escaped: no name ends
its label, and none becomes markup.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from reconciler.model.ids import ArmId
from reconciler.model.text import plain
from reconciler.report.arrows import Arrow, Caller, draw_arrows
from reconciler.report.graph import Edge, EdgeKind, Graph, Node
from reconciler.report.openings import name_dangers, tell_dangers
from reconciler.report.paint import Ink, ink_of
from reconciler.report.words import word_of

_LONGEST_LINE: Final = 40
_MERMAID_EDGES: Final = 500  # what Mermaid draws unless whoever shows it allows more
_MERMAID_TEXT: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The outline of a type's nodes: what DOT calls it, and what stands around the text in Mermaid."""

    dot: str
    mermaid: tuple[str, str]


_SHAPES: Final[Mapping[str, Shape]] = {
    "microsoft.cognitiveservices/accounts": Shape(dot="octagon", mermaid=("{{", "}}")),
    "microsoft.cognitiveservices/accounts/deployments": Shape(dot="box", mermaid=("(", ")")),
    "microsoft.cognitiveservices/accounts/raipolicies": Shape(dot="note", mermaid=("[/", "/]")),
    "microsoft.network/virtualnetworks": Shape(dot="box3d", mermaid=("[[", "]]")),
    "microsoft.network/networksecuritygroups": Shape(dot="component", mermaid=("[/", "\\]")),
    "microsoft.network/privateendpoints": Shape(dot="ellipse", mermaid=("([", "])")),
    "microsoft.network/privateendpoints/privatednszonegroups": Shape(dot="tab", mermaid=("[\\", "/]")),
    "microsoft.network/privatednszones": Shape(dot="cylinder", mermaid=("[(", ")]")),
    "microsoft.network/privatednszones/virtualnetworklinks": Shape(dot="parallelogram", mermaid=(">", "]")),
}
_SHAPE: Final = Shape(dot="box", mermaid=("[", "]"))
_ROUNDED: Final = "("  # what DOT draws as a style

_MERMAID_ARROWS: Final[Mapping[EdgeKind, str]] = {EdgeKind.NEEDS: "-->", EdgeKind.REACHES: "==>"}
_CALLER: Final = Shape(dot="box", mermaid=("([", "])"))
_SHOWN_CALLERS: Final = 5
_SHOWN_WAYS: Final = 2  # on one arrow
_REACH_LINES: Final = ("#2b6cb0", "#c53030")  # an arrow from somebody, and one from everybody


@dataclass(frozen=True, slots=True, kw_only=True)
class Color:
    """How a class of nodes looks, in both languages."""

    fill: str
    line: str
    dashed: bool = False
    bold: bool = False


# In this order: of several classes of one node the last one decides.
_COLORS: Final[Mapping[str, Color]] = {
    "declared": Color(fill="#ffffff", line="#4a5568"),
    "quiet": Color(fill="#edf2f7", line="#718096"),
    "add": Color(fill="#c6f6d5", line="#2f855a"),
    "change": Color(fill="#fefcbf", line="#b7791f"),
    "remove": Color(fill="#fed7d7", line="#c53030"),
    "hold": Color(fill="#e9d8fd", line="#6b46c1"),
    "wait": Color(fill="#bee3f8", line="#2b6cb0"),
    "outside": Color(fill="#f7fafc", line="#a0aec0", dashed=True),
    "caller": Color(fill="#ebf8ff", line="#2b6cb0"),
    "danger": Color(fill="#feb2b2", line="#9b2c2c", bold=True),
}

_CLASS_OF_INK: Final[Mapping[Ink, str]] = {
    Ink.FAINT: "quiet",
    Ink.ADD: "add",
    Ink.CHANGE: "change",
    Ink.REMOVE: "remove",
    Ink.HOLD: "hold",
    Ink.WAIT: "wait",
}

_FRAME: Final = Color(fill="#ffffff", line="#cbd5e0")
_FRAME_FILLS: Final = ("#f7f9fc", "#ffffff", "#f3f6fa")  # the outermost first
_INK: Final = "#1a202c"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """A box around nodes and other frames. `classes` are those of a resource group that is declared."""

    key: str
    lines: tuple[str, ...]
    classes: tuple[str, ...] = ()
    tooltip: str = ""
    nodes: tuple[Node, ...] = ()
    frames: tuple[_Frame, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawing:
    """What both languages draw."""

    frames: tuple[_Frame, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    arrows: tuple[Arrow, ...]

    @property
    def callers(self) -> tuple[Caller, ...]:
        return tuple(sorted({each.source for each in self.arrows if isinstance(each.source, Caller)}))


def render_mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart."""
    drawing = _draw(graph)
    marked: dict[str, list[str]] = {}
    for name, classes in _classified(drawing):
        for each in classes:
            marked.setdefault(each, []).append(name)
    lines = ["flowchart RL"]
    for frame in drawing.frames:
        lines += _mermaid_frame(frame, "  ")
    lines += [
        f"  {_name('n', edge.source.key)} {_MERMAID_ARROWS[edge.kind]} {_name('n', edge.target.key)}"
        for edge in drawing.edges
    ]
    lines += _mermaid_reach(drawing)
    for each, color in _COLORS.items():
        if each in marked:
            lines += [f"  classDef {each} {_mermaid_style(color)}", f"  class {','.join(marked[each])} {each}"]
    return "\n".join(lines) + "\n"


def tell_too_large(mermaid: str) -> str:
    """Why most viewers would refuse this Mermaid text, or ""."""
    # A label follows an arrow without a blank; neither sign stands for itself in a text.
    edges = sum(mermaid.count(f" {arrow} ") + mermaid.count(f" {arrow}|") for arrow in _MERMAID_ARROWS.values())
    if edges <= _MERMAID_EDGES and len(mermaid) <= _MERMAID_TEXT:
        return ""
    return (
        f"most viewers of Mermaid refuse more than {_MERMAID_EDGES} edges or {_MERMAID_TEXT:,} characters, "
        f"and this has {edges} and {len(mermaid):,}; choose with --target or -l, or use --format svg"
    )


def render_dot(graph: Graph) -> str:
    """The graph in Graphviz's language; `dot` lays it out."""
    drawing = _draw(graph)
    lines = [
        "digraph reconciler {",
        f'  graph [rankdir=RL, nodesep=0.12, ranksep=0.7, fontname="Helvetica", fontsize=12, fontcolor="{_INK}"];',
        f'  node [fontname="Helvetica", fontsize=10, fontcolor="{_INK}", height=0.4, margin="0.12,0.05"];',
        '  edge [color="#718096", arrowsize=0.6];',
    ]
    for frame in drawing.frames:
        lines += _dot_frame(frame, 0)
    lines += [
        f'  {_name("n", edge.source.key)} -> {_name("n", edge.target.key)} [class="{edge.kind.value}"];'
        for edge in drawing.edges
    ]
    lines += [f"  {_caller_name(caller)} [{_dot_caller(caller, drawing)}];" for caller in drawing.callers]
    lines += [
        f"  {_source_name(arrow)} -> {_name('n', arrow.target.key)} [{_dot_arrow(arrow)}];" for arrow in drawing.arrows
    ]
    return "\n".join([*lines, "}"]) + "\n"


# What is drawn, in either language


def _draw(graph: Graph) -> _Drawing:
    nodes = tuple(node for node in graph.nodes if not node.is_group)
    drawn = {node.id for node in nodes}
    ways = (way for way in graph.ways if way.target in drawn)
    return _Drawing(
        frames=tuple(_frame_fleets(graph)),
        nodes=nodes,
        edges=tuple(_shorten_ways([edge for edge in graph.edges if edge.target in drawn and edge.source in drawn])),
        arrows=draw_arrows(ways),
    )


def _frame_fleets(graph: Graph) -> Iterator[_Frame]:
    """A frame per fleet, in the order of names; last what is needed and belongs to none."""
    homes = {(node.fleet, _home(node.id)) for node in graph.nodes if not node.is_group}
    used = {home for _, home in homes}
    # A group that nobody declares is told by the frame around those who need it.
    kept = [node for node in graph.nodes if node.fleet or not node.is_group or node.id not in used]
    for fleet in sorted({node.fleet for node in kept}, key=lambda name: (not name, name)):
        members = [node for node in kept if node.fleet == fleet]
        title = f"Fleet {fleet}" if fleet else "Needed, not declared here"
        yield _Frame(
            key=f"fleet {fleet}",
            lines=(_clip(title),),
            nodes=tuple(node for node in members if not node.id.group and not node.location),
            frames=(*_frame_groups(members, fleet), *_frame_regions([each for each in members if not each.id.group])),
        )


def _home(id: ArmId) -> ArmId:
    return ArmId(subscription=id.subscription, group=id.group)


def _frame_groups(members: list[Node], fleet: str) -> Iterator[_Frame]:
    declared = {node.id: node for node in members if node.is_group}
    for home in sorted({_home(node.id) for node in members if node.id.group}):
        inside = [node for node in members if _home(node.id) == home and not node.is_group]
        group = declared.get(home)
        frame = _Frame(
            key=f"fleet {fleet} {home.key}",
            lines=(_clip(f"resource group {home.group}"),),
            classes=("outside",),
            tooltip=plain(str(home)),
            nodes=tuple(node for node in inside if not node.location),
            frames=tuple(_frame_regions(inside)),
        )
        if group is not None:
            frame = replace(frame, lines=_group_lines(group), classes=_classes(group), tooltip=_tooltip(group))
        yield frame


def _group_lines(group: Node) -> tuple[str, ...]:
    if group.decision is None:
        return (_clip(f"{group.word} {group.id.group}"),)
    _, state, *dangers = _label(group)
    return (_clip(group.id.group), state, *dangers)


def _frame_regions(inside: list[Node]) -> Iterator[_Frame]:
    for location in sorted({node.location for node in inside if node.location}):
        nodes = tuple(node for node in inside if node.location == location)
        home = nodes[0]
        yield _Frame(key=f"fleet {home.fleet} {_home(home.id).key} {location}", lines=(_clip(location),), nodes=nodes)


def _shorten_ways(edges: list[Edge]) -> Iterator[Edge]:
    """The edges without those that say what a longer way along edges of their kind says already."""
    ways: dict[tuple[EdgeKind, ArmId], list[ArmId]] = {}
    for edge in edges:
        ways.setdefault((edge.kind, edge.source), []).append(edge.target)
    for edge in edges:
        others = [target for target in ways[edge.kind, edge.source] if target != edge.target]
        if edge.target not in _reach(edge.kind, others, ways):
            yield edge


def _reach(kind: EdgeKind, begin: list[ArmId], ways: Mapping[tuple[EdgeKind, ArmId], list[ArmId]]) -> set[ArmId]:
    """Everything that `begin` needs, at any distance."""
    found: set[ArmId] = set()
    frontier = [target for id in begin for target in ways.get((kind, id), ())]
    while frontier:
        id = frontier.pop()
        if id not in found:
            found.add(id)
            frontier.extend(ways.get((kind, id), ()))
    return found


def _classes(node: Node) -> tuple[str, ...]:
    if node.decision is None:
        return ("declared",) if node.declared else ("outside",)
    dangers = ("danger",) if tell_dangers(node.decision) else ()
    return (_CLASS_OF_INK[ink_of(node.decision)], *dangers)


def _label(node: Node) -> tuple[str, ...]:
    """What stands in a node: its name, what it is, how it stands, what to know first, who needs no arrow."""
    lines = [node.name.rpartition("/")[2], node.word]
    if node.decision is not None:
        lines[1] = f"{node.word}: {word_of(node.decision)}"
        lines += [f"! {name}" for name in name_dangers(node.decision)[:1]]
    if node.trusts:
        lines.append("reached by trusted Azure services")
    return tuple(_clip(line) for line in lines)


def _clip(line: str) -> str:
    shown = plain(line)
    return shown if len(shown) <= _LONGEST_LINE else shown[: _LONGEST_LINE - 1] + "…"


def _tooltip(node: Node) -> str:
    said = (node.decision.reason, *tell_dangers(node.decision)) if node.decision else ()
    return plain(": ".join((str(node.id), *said)))


def _name(letter: str, key: str) -> str:
    """The same name for the same thing in every picture, whatever else is in it."""
    return letter + hashlib.sha256(key.encode()).hexdigest()[:12]


def _classified(drawing: _Drawing) -> Iterator[tuple[str, tuple[str, ...]]]:
    def walk(frames: Iterable[_Frame]) -> Iterator[tuple[str, tuple[str, ...]]]:
        for frame in frames:
            yield _name("f", frame.key), frame.classes
            yield from walk(frame.frames)

    yield from walk(drawing.frames)
    yield from ((_name("n", node.id.key), _classes(node)) for node in drawing.nodes)
    yield from ((_caller_name(caller), _caller_classes(caller, drawing)) for caller in drawing.callers)


def _caller_name(caller: Caller) -> str:
    return _name("c", caller.key)


def _source_name(arrow: Arrow) -> str:
    return _caller_name(arrow.source) if isinstance(arrow.source, Caller) else _name("n", arrow.source.key)


def _caller_classes(caller: Caller, drawing: _Drawing) -> tuple[str, ...]:
    wide = any(arrow.wide for arrow in drawing.arrows if arrow.source == caller)
    return ("caller", "danger") if wide else ("caller",)


def _caller_label(caller: Caller) -> tuple[str, ...]:
    more = len(caller.names) - _SHOWN_CALLERS
    lines = caller.names if more <= 0 else (*caller.names[:_SHOWN_CALLERS], f"and {more} more")
    return tuple(_clip(line) for line in lines)


def _arrow_label(arrow: Arrow) -> tuple[str, ...]:
    """How they get through: the ports and the path of each way."""
    more = len(arrow.ways) - _SHOWN_WAYS
    lines = [line for way in arrow.ways[:_SHOWN_WAYS] for line in way]
    return tuple(_clip(line) for line in (*lines, *([f"and {more} more"] if more > 0 else [])))


def _shape(node: Node) -> Shape:
    return _SHAPES.get(node.id.type.lower(), _SHAPE)


# Mermaid


def _mermaid_frame(frame: _Frame, indent: str) -> Iterator[str]:
    yield f"{indent}subgraph {_name('f', frame.key)} [{_mermaid_text(frame.lines)}]"
    for node in frame.nodes:
        opened, closed = _shape(node).mermaid
        yield f"{indent}  {_name('n', node.id.key)}{opened}{_mermaid_text(_label(node))}{closed}"
    for each in frame.frames:
        yield from _mermaid_frame(each, f"{indent}  ")
    yield f"{indent}end"


def _mermaid_reach(drawing: _Drawing) -> Iterator[str]:
    """Callers and their arrows; an arrow is coloured by its number, the last of all."""
    opened, closed = _CALLER.mermaid
    for caller in drawing.callers:
        yield f"  {_caller_name(caller)}{opened}{_mermaid_text(_caller_label(caller))}{closed}"
    for arrow in drawing.arrows:
        label, sign = _mermaid_text(_arrow_label(arrow)), _MERMAID_ARROWS[EdgeKind.REACHES]
        yield f"  {_source_name(arrow)} {sign}|{label}| {_name('n', arrow.target.key)}"
    for wide, line in zip((False, True), _REACH_LINES, strict=True):
        numbers = [len(drawing.edges) + at for at, arrow in enumerate(drawing.arrows) if arrow.wide is wide]
        if numbers:
            yield f"  linkStyle {','.join(str(number) for number in numbers)} stroke:{line}"


def _mermaid_text(lines: tuple[str, ...]) -> str:
    """Quoted text in which only letters, digits and a few harmless signs stand for themselves."""
    return '"' + "<br/>".join("".join(_mermaid_character(each) for each in line) for line in lines) + '"'


def _mermaid_character(each: str) -> str:
    return each if each.isalnum() or each in " .,:-_/!()…" else f"#{ord(each)};"


def _mermaid_style(color: Color) -> str:
    dashes = ",stroke-dasharray:4 3" if color.dashed else ""
    width = ",stroke-width:3px" if color.bold else ""
    return f"fill:{color.fill},stroke:{color.line},color:{_INK}{width}{dashes}"


# DOT


def _dot_frame(frame: _Frame, depth: int) -> Iterator[str]:
    indent = "  " * (depth + 1)
    color = _COLORS[frame.classes[-1]] if frame.classes else _FRAME
    styles = "filled,rounded" + (",dashed" if color.dashed else "")
    yield f"{indent}subgraph cluster_{_name('f', frame.key)} {{"
    title, tooltip = _dot_text(frame.lines, "\\l"), _dot_text((frame.tooltip or frame.lines[0],))
    yield (
        f'{indent}  graph [label={title}, tooltip={tooltip}, labeljust=r, style="{styles}", '
        f'fillcolor="{_FRAME_FILLS[depth]}", color="{color.line}", margin=10];'
    )
    for node in frame.nodes:
        yield f"{indent}  {_name('n', node.id.key)} [{_dot_node(node)}];"
    for each in frame.frames:
        yield from _dot_frame(each, depth + 1)
    if not frame.nodes and not frame.frames:
        # Graphviz draws no empty frame.
        yield f'{indent}  {_name("e", frame.key)} [label="", style=invis];'
    yield f"{indent}}}"


def _dot_node(node: Node) -> str:
    shape, classes = _shape(node), _classes(node)
    color = _COLORS[classes[-1]]
    styles = "filled" + (",rounded" if shape.mermaid[0] == _ROUNDED else "") + (",dashed" if color.dashed else "")
    width = ", penwidth=2.5" if color.bold else ""
    return (
        f"label={_dot_text(_label(node))}, tooltip={_dot_text((_tooltip(node),))}, "
        f'shape={shape.dot}, class="{" ".join(classes)}", '
        f'style="{styles}", fillcolor="{color.fill}", color="{color.line}"{width}'
    )


def _dot_caller(caller: Caller, drawing: _Drawing) -> str:
    classes = _caller_classes(caller, drawing)
    color = _COLORS[classes[-1]]
    width = ", penwidth=2.5" if color.bold else ""
    return (
        f"label={_dot_text(_caller_label(caller))}, tooltip={_dot_text((plain(', '.join(caller.names)),))}, "
        f'shape={_CALLER.dot}, class="{" ".join(classes)}", '
        f'style="filled,rounded", fillcolor="{color.fill}", color="{color.line}"{width}'
    )


def _dot_arrow(arrow: Arrow) -> str:
    line = _REACH_LINES[arrow.wide]
    label = _dot_text(_arrow_label(arrow))
    tooltip = _dot_text((plain("; ".join(", ".join(way) for way in arrow.ways)),))
    return (
        f'class="{EdgeKind.REACHES.value}", label={label}, labeltooltip={tooltip}, tooltip={tooltip}, '
        f'fontname="Helvetica", fontsize=9, fontcolor="{line}", color="{line}", penwidth=2'
    )


def _dot_text(lines: tuple[str, ...], end: str = "") -> str:
    """Quoted text in which no backslash escapes and no ampersand begins an entity. `end` after each line says where it
    is put; else they are centred."""
    escaped = [line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines]
    return '"' + ("".join(line + end for line in escaped) if end else "\\n".join(escaped)) + '"'
