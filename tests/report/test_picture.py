"""The desired state as a graph and as a picture: what is in it, and that no name gets out of its label."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.ids import ArmId, Ref
from reconciler.model.plan import Action, Decision, DecisionState, Plan
from reconciler.model.resource import Desired, Fleet
from reconciler.plan import make_plan
from reconciler.report.document import Envelope
from reconciler.report.graph import Edge, EdgeKind, Graph, Node, make_graph, render_graph
from reconciler.report.picture import render_dot, render_mermaid, tell_too_large
from tests.report.samples import ACCOUNT, BLOCKED, CREATE, DELETE, HOSTILE_NAME, MIXED, UPDATE
from tests.support.builders import (
    ORIGIN,
    SUBSCRIPTION,
    PlainAzure,
    account_id,
    account_spec,
    declare_account,
    declare_group,
    deployment_id,
    deployment_spec,
    filter_id,
    fleet_of,
    group_id,
    open_spec,
)

GRAPHVIZ = shutil.which("dot")
FILTER = {"name": "strict", "basePolicyName": "Microsoft.DefaultV2", "mode": "Blocking"}
DEPLOYED = account_spec(raiPolicies=[FILTER], deployments=[deployment_spec(raiPolicyName="strict")])
VNET = group_id("rg-net").resource("Microsoft.Network/virtualNetworks", "vnet-ai")


@dataclass
class Picture:
    """What a reader finds in a picture: texts of nodes and frames, arrows between texts, classes, what lies where."""

    texts: dict[str, str] = field(default_factory=dict)
    around: dict[str, tuple[str, ...]] = field(default_factory=dict)  # name -> the frames it lies in, outermost first
    arrows: list[tuple[str, str]] = field(default_factory=list)
    classes: dict[str, list[str]] = field(default_factory=dict)

    def named(self, text: str) -> str:
        """The one node or frame whose first line is `text`."""
        (found,) = [name for name, each in self.texts.items() if each.split("\n")[0] == text]
        return found

    def frames(self, text: str) -> list[str]:
        return [self.texts[name].split("\n")[0] for name in self.around[self.named(text)]]

    def told(self) -> list[tuple[str, str]]:
        firsts = {name: each.split("\n")[0] for name, each in self.texts.items()}
        return sorted((firsts[source], firsts[target]) for source, target in self.arrows)


_MERMAID_NODE = re.compile(
    r'(n[0-9a-f]{12})(?:\{\{|\[\[|\[/|\[\\|\(\[|\[\(|\[|\(|>)"([^"]*)"(?:\}\}|\]\]|/\]|\\\]|\]\)|\)\]|\]|\))'
)


def read_mermaid(text: str) -> Picture:
    """Mermaid as its readers take it; fails on any line that is not one of the few that are meant."""
    first, *lines = text.splitlines()
    assert first == "flowchart RL"
    picture, open_frames = Picture(), list[str]()
    for line in (each.strip() for each in lines):
        if frame := re.fullmatch(r'subgraph (f[0-9a-f]{12}) \["([^"]*)"\]', line):
            picture.texts[frame[1]], picture.around[frame[1]] = _unescape(frame[2]), tuple(open_frames)
            open_frames.append(frame[1])
        elif line == "end":
            open_frames.pop()
        elif node := _MERMAID_NODE.fullmatch(line):
            picture.texts[node[1]], picture.around[node[1]] = _unescape(node[2]), tuple(open_frames)
        elif arrow := re.fullmatch(r"(n[0-9a-f]{12}) --> (n[0-9a-f]{12})", line):
            picture.arrows.append((arrow[1], arrow[2]))
        elif marked := re.fullmatch(r"class ([0-9a-f,n]+) ([a-z]+)", line):
            for name in marked[1].split(","):
                picture.classes.setdefault(name, []).append(marked[2])
        else:
            assert re.fullmatch(r"classDef [a-z]+ [a-z0-9#:, -]+", line), line
    assert not open_frames
    return picture


def _unescape(text: str) -> str:
    assert not re.search(r"[<>\"`\[\]{}|\\]", text.replace("<br/>", "")), text
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), text.replace("<br/>", "\n"))


def read_dot(text: str) -> Picture:
    """DOT as Graphviz reads it, told back as JSON."""
    if GRAPHVIZ is None:
        pytest.skip("Graphviz is not installed")
    done = subprocess.run([GRAPHVIZ, "-Tdot_json"], input=text, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    document, picture = json.loads(done.stdout), Picture()
    by_number = {each["_gvid"]: each for each in document.get("objects", [])}
    for each in by_number.values():
        if each.get("style") == "invis":
            continue
        name = each["name"].removeprefix("cluster_")
        picture.texts[name] = _undot(each["label"])
        picture.classes[name] = each.get("class", "").split()
    for each in by_number.values():
        for inside in each.get("nodes", []):
            held = by_number[inside]["name"]
            picture.around[held] = (*picture.around.get(held, ()), each["name"].removeprefix("cluster_"))
    for each in document.get("edges", []):
        assert each["class"] == "needs"
        picture.arrows.append((by_number[each["tail"]]["name"], by_number[each["head"]]["name"]))
    return picture


def _undot(label: str) -> str:
    text = re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nl" else found[1], label)
    return html.unescape(text).removesuffix("\n")


def both(graph: Graph) -> Iterable[Picture]:
    yield read_mermaid(render_mermaid(graph))
    if GRAPHVIZ:
        yield read_dot(render_dot(graph))


def _network(needs: tuple[ArmId, ...] = ()) -> Desired:
    return Desired(
        id=account_id("two"),
        ref=Ref(kind="Account", name="two"),
        fields={"location": "francecentral"},
        needs=(group_id(), *needs),
        origin=ORIGIN,
    )


def test_resources_lie_in_their_fleet_group_and_region() -> None:
    fleet = fleet_of(declare_group(), declare_account(spec=DEPLOYED), (_network(),))
    for picture in both(make_graph([fleet])):
        assert picture.frames("one") == ["Fleet prod", "resource group rg-ai", "swedencentral"]
        assert picture.frames("d") == ["Fleet prod", "resource group rg-ai", "swedencentral"]
        assert picture.frames("two") == ["Fleet prod", "resource group rg-ai", "francecentral"]
        assert picture.texts[picture.named("strict")] == "strict\ncontent filter"


def test_an_arrow_that_follows_from_others_is_not_drawn_but_told_as_data() -> None:
    graph = make_graph([fleet_of(declare_group(), declare_account(spec=DEPLOYED))])
    for picture in both(graph):
        assert picture.told() == [("d", "strict"), ("strict", "one")]
    edges = json.loads(render_graph(graph, Envelope(exit_code=0)))["edges"]
    told = {(each["source"].rpartition("/")[2], each["target"].rpartition("/")[2]) for each in edges}
    assert told == {("one", "rg-ai"), ("strict", "one"), ("d", "one"), ("d", "strict")}
    assert {each["kind"] for each in edges} == {"needs"}


def test_several_fleets_have_a_frame_each_and_arrows_between_them() -> None:
    other = fleet_of((_network(needs=(account_id(),)),), name="second")
    graph = make_graph([other, fleet_of(declare_group(), declare_account())])
    for picture in both(graph):
        assert picture.frames("two")[0] == "Fleet second"
        assert picture.frames("one")[0] == "Fleet prod"
        assert picture.told() == [("two", "one")]


def test_what_is_needed_but_not_declared_stands_apart() -> None:
    graph = make_graph([fleet_of((_network(needs=(VNET,)),))])
    for picture in both(graph):
        assert picture.frames("vnet-ai") == ["Needed, not declared here", "resource group rg-net"]
        assert picture.classes[picture.named("vnet-ai")] == ["outside"]
        assert picture.told() == [("two", "vnet-ai")]
    told = {each["ref"]: each for each in json.loads(render_graph(graph, Envelope(exit_code=0)))["nodes"]}
    assert [told["Account/two"]["declared"], told["ResourceGroup/rg-ai"]["declared"]] == [True, False]
    assert told["ResourceGroup/rg-ai"]["fleet"] is None


def test_an_empty_group_is_drawn() -> None:
    for picture in both(make_graph([fleet_of(declare_group())])):
        assert picture.named("resource group rg-ai")


def test_a_choice_narrows_the_picture_and_what_it_says_about_azure() -> None:
    fleet = fleet_of(declare_group(), declare_account(spec=DEPLOYED), declare_account("other"))
    chosen = frozenset({group_id(), account_id("other")})
    plan = make_plan(fleet, PlainAzure().snapshot(), chosen)
    for graph in (make_graph([fleet], chosen=chosen), make_graph([fleet], [plan], chosen, live=True)):
        assert {node.id for node in graph.nodes} == chosen


def test_states_and_dangers_are_words_and_colours() -> None:
    graph = make_graph([], [MIXED], live=True)
    for picture in both(graph):
        assert picture.texts[picture.named("aoai-swc")] == "aoai-swc\naccount: update\n! opens an account"
        for text, classes in (
            ("aoai-swc", ["change", "danger"]),
            ("aoai-old", ["remove", "danger"]),
            ("gpt-4o", ["add"]),
            ("mini", ["quiet"]),
            ("aoai-weu", ["hold"]),
            ("aoai-busy", ["wait"]),
        ):
            assert picture.classes[picture.named(text)] == classes
    told = {each["ref"]: each for each in json.loads(render_graph(graph, Envelope(exit_code=0)))["nodes"]}
    assert told["Account/aoai-swc"]["dangers"] == [
        "opens Account/aoai-swc to 203.0.113.0/24 on port 443 by public endpoint"
    ]
    assert (told["Account/aoai-old"]["action"], told["Account/aoai-old"]["declared"]) == ("delete", False)
    assert told["Account/aoai-weu"]["state"] == "blocked"


def test_what_is_live_and_no_longer_declared_lies_where_its_parent_does() -> None:
    for picture in both(make_graph([], [MIXED], live=True)):
        assert picture.frames("gpt-4o") == ["Fleet prod", "rg-ai", "swedencentral"]
        assert picture.frames("aoai-old") == ["Fleet prod", "rg-ai", "westeurope"]


def test_live_states_join_what_is_declared() -> None:
    fleet = fleet_of(declare_group(), declare_account(spec=open_spec(deployments=[deployment_spec()])))
    azure = PlainAzure()
    azure.apply(make_plan(fleet, azure.snapshot()))
    azure.edit(account_id(), "properties.publicNetworkAccess", "Disabled")
    graph = make_graph([fleet], [make_plan(fleet, azure.snapshot())], live=True)
    for picture in both(graph):
        assert picture.texts[picture.named("one")] == "one\naccount: update\n! opens an account"
        assert picture.texts[picture.named("d")] == "d\ndeployment: in sync"
        assert picture.texts[picture.named("rg-ai")] == "rg-ai\nresource group: in sync"
        assert picture.frames("one") == ["Fleet prod", "rg-ai", "swedencentral"]


def test_a_purge_that_makes_room_is_in_the_picture_also_of_a_choice() -> None:
    purge = ArmId.parse(
        f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.CognitiveServices/locations/swedencentral"
        "/resourceGroups/rg-ai/deletedAccounts/aoai-swc"
    )
    gone = Decision(
        id=purge,
        ref=Ref(kind="DeletedAccount", name="aoai-swc-before"),
        state=DecisionState.ACT,
        action=Action.PURGE,
        reason="holds the name",
        location="swedencentral",
    )
    plan = Plan(fleet="prod", decisions=(replace(UPDATE, needs=(purge,)), gone, DELETE), steps=())
    for picture in both(make_graph([], [plan], frozenset({ACCOUNT}), live=True)):
        assert picture.told() == [("aoai-swc", "aoai-swc-before")]
        assert picture.frames("aoai-swc-before") == ["Fleet prod", "swedencentral"]
        assert "aoai-old" not in "".join(picture.texts.values())


def test_names_stay_when_other_resources_come_and_go() -> None:
    small = read_mermaid(render_mermaid(make_graph([fleet_of(declare_group(), declare_account())])))
    large = make_graph([fleet_of(declare_group(), declare_account("another"), declare_account(spec=DEPLOYED))])
    assert small.texts.items() <= read_mermaid(render_mermaid(large)).texts.items()


def test_the_order_of_documents_does_not_matter() -> None:
    declared = [declare_group(), declare_account(spec=DEPLOYED), (_network(needs=(VNET,)),)]
    graphs = [make_graph([fleet_of(*each), fleet_of(name="b")]) for each in (declared, declared[::-1])]
    graphs.append(make_graph([fleet_of(name="b"), fleet_of(*declared)]))
    assert len({render_mermaid(each) for each in graphs}) == 1
    assert len({render_dot(each) for each in graphs}) == 1


def test_a_long_name_is_cut_in_the_label_and_whole_in_the_tooltip() -> None:
    name = "a" * 64
    graph = make_graph([fleet_of(declare_account(name))])
    assert read_mermaid(render_mermaid(graph)).named("a" * 39 + "…")
    assert f'/accounts/{name}"' in render_dot(graph)


def _hostile(name: str, reason: str) -> Graph:
    id = group_id().resource("Microsoft.CognitiveServices/accounts", name)
    decision = replace(BLOCKED, id=id, reason=reason)
    node = Node(
        id=id, name="Account/" + name.replace("/", ""), word="account", fleet=name, location=name, declared=True
    )
    child = replace(node, id=id.child("deployments", name), decision=replace(CREATE, reason=reason))
    edge = Edge(source=child.id, target=id, kind=EdgeKind.NEEDS)
    return Graph(nodes=(replace(node, decision=decision), child), edges=(edge,), live=True)


@given(st.text(min_size=1).filter(lambda name: bool(name.replace("/", ""))))
def test_no_name_gets_out_of_its_label_in_mermaid(name: str) -> None:
    picture = read_mermaid(render_mermaid(_hostile(name, name)))
    assert len([each for each in picture.texts if each.startswith("n")]) == 2
    assert len(picture.arrows) == 1
    assert all(each.isprintable() for text in picture.texts.values() for each in text.split("\n"))


NASTY = (
    HOSTILE_NAME,
    'x"]; evil -> n [label="',
    "\\N\\G\\",
    "&lt;script&gt;&amp;",
    "</text><script>alert(1)</script>",
    "<B>bold</B>",
    "subgraph end %% --> x",
    '#quot;];click n "javascript:1"',
    "\u202eevil\u200b",
)


@pytest.mark.skipif(GRAPHVIZ is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("name", NASTY)
def test_no_name_gets_out_of_its_label_in_dot(name: str) -> None:
    graph = _hostile(name, name)
    dot, mermaid = read_dot(render_dot(graph)), read_mermaid(render_mermaid(graph))
    assert dot.texts == mermaid.texts
    assert dot.arrows == mermaid.arrows


@pytest.mark.skipif(GRAPHVIZ is None, reason="Graphviz is not installed")
@settings(max_examples=15, deadline=None)
@given(st.text(min_size=1).filter(lambda name: bool(name.replace("/", ""))))
def test_both_languages_say_the_same_whatever_the_names(name: str) -> None:
    graph = _hostile(name, name)
    assert read_dot(render_dot(graph)).texts == read_mermaid(render_mermaid(graph)).texts


def test_the_same_plan_gives_the_same_nodes_as_its_fleet() -> None:
    fleet = fleet_of(declare_group(), declare_account(spec=DEPLOYED))
    expected = {group_id(), account_id(), filter_id("strict"), deployment_id()}
    assert {node.id for node in make_graph([fleet]).nodes} == expected
    plan = make_plan(fleet, PlainAzure().snapshot())
    assert {node.id for node in make_graph([fleet], [plan], live=True).nodes} == expected


def _crowd(number: int) -> Fleet:
    return fleet_of(declare_group(), *(declare_account(f"a{index}", DEPLOYED) for index in range(number)))


def test_a_picture_that_viewers_refuse_is_said_to_be_too_large() -> None:
    assert tell_too_large(render_mermaid(make_graph([_crowd(10)]))) == ""
    told = tell_too_large(render_mermaid(make_graph([_crowd(260)])))
    assert "this has 520 and" in told
    assert "--format svg" in told
