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
from reconciler.model.reach import Way
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
RED = "#c53030"
VNET = group_id("rg-net").resource("Microsoft.Network/virtualNetworks", "vnet-ai")


@dataclass
class Picture:
    """What a reader finds in a picture: texts of nodes and frames, arrows between texts, classes, what lies where."""

    texts: dict[str, str] = field(default_factory=dict)
    around: dict[str, tuple[str, ...]] = field(default_factory=dict)  # name -> the frames it lies in, outermost first
    arrows: list[tuple[str, str]] = field(default_factory=list)
    reaches: dict[tuple[str, str], str] = field(default_factory=dict)  # caller and account -> what the arrow says
    red: set[tuple[str, str]] = field(default_factory=set)
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

    def reached(self) -> dict[tuple[str, str], str]:
        """Caller, whole, and first line of the account -> what the arrow says."""
        return {
            (self.texts[source], self.texts[target].split("\n")[0]): label
            for (source, target), label in self.reaches.items()
        }


_MERMAID_NODE = re.compile(
    r'([nc][0-9a-f]{12})(?:\{\{|\[\[|\[/|\[\\|\(\[|\[\(|\[|\(|>)"([^"]*)"(?:\}\}|\]\]|/\]|\\\]|\]\)|\)\]|\]|\))'
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
        elif reach := re.fullmatch(r'([nc][0-9a-f]{12}) ==>\|"([^"]*)"\| (n[0-9a-f]{12})', line):
            picture.reaches[reach[1], reach[3]] = _unescape(reach[2])
        elif styled := re.fullmatch(r"linkStyle ([0-9,]+) stroke:(#[0-9a-f]{6})", line):
            numbers = [int(each) - len(picture.arrows) for each in styled[1].split(",")]
            assert min(numbers) >= 0
            if styled[2] == RED:
                picture.red |= {[*picture.reaches][number] for number in numbers}
        elif marked := re.fullmatch(r"class ([0-9a-f,nc]+) ([a-z]+)", line):
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
        ends = (by_number[each["tail"]]["name"], by_number[each["head"]]["name"])
        if each["class"] == "needs":
            picture.arrows.append(ends)
            continue
        assert each["class"] == "reaches"
        picture.reaches[ends] = _undot(each["label"])
        picture.red |= {ends} if each["color"] == RED else set()
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
        assert picture.texts[picture.named("aoai-swc")] == "aoai-swc\naccount: update\n! becomes more reachable"
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
        assert picture.texts[picture.named("one")] == "one\naccount: update\n! becomes more reachable"
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


def _way(source: str, target: str = "one", path: str = "public endpoint", ports: str = "443") -> Way:
    return Way(source=source, target=account_id(target), path=path, ports=ports)


def _two_accounts(*ways: Way) -> Graph:
    return make_graph([fleet_of(declare_group(), declare_account(), declare_account("two"))], ways=ways)


def test_who_reaches_an_account_has_an_arrow_that_says_how() -> None:
    private = _way("198.51.100.7", path="private endpoint pe", ports="any")
    graph = _two_accounts(_way("203.0.113.0/24"), _way("198.51.100.7"), private)
    for picture in both(graph):
        assert picture.reached() == {
            ("203.0.113.0/24", "one"): "port 443\npublic endpoint",
            ("198.51.100.7", "one"): "any port\nprivate endpoint pe\nport 443\npublic endpoint",
        }
        assert picture.classes[picture.named("203.0.113.0/24")] == ["caller"]
        assert picture.red == set()
        assert picture.told() == []


def test_what_is_open_to_everybody_is_red() -> None:
    behind = _way("any address", target="two", path="private endpoint pe")
    graph = _two_accounts(_way("everybody"), _way("203.0.113.0/24", target="two"), behind)
    for picture in both(graph):
        assert picture.classes[picture.named("everybody")] == ["caller", "danger"]
        assert picture.classes[picture.named("any address")] == ["caller"]
        assert picture.red == {(picture.named("everybody"), picture.named("one"))}


def test_those_who_reach_the_same_in_the_same_ways_are_one_node() -> None:
    sources = [f"10.0.{number}.0/24" for number in range(8)]
    alike = [_way(source, target) for source in sources for target in ("one", "two")]
    for picture in both(_two_accounts(*alike, _way("192.0.2.7"))):
        crowd = "\n".join((*sources[:5], "and 3 more"))
        assert set(picture.reached()) == {(crowd, "one"), (crowd, "two"), ("192.0.2.7", "one")}


def test_an_arrow_begins_at_the_subnet_where_that_is_drawn() -> None:
    app = VNET.child("subnets", "app")
    inner = replace(_way("vnet-ai/app", path="private endpoint pe"), subnet=app)
    needed = make_graph([fleet_of(declare_account(), (_network(needs=(app,)),))], ways=(inner,))
    for picture in both(needed):
        assert {ends[0].split("\n")[0] for ends in picture.reached()} == {"app"}
        assert "caller" not in {each for classes in picture.classes.values() for each in classes}
    for picture in both(_two_accounts(inner)):
        assert picture.reached() == {("vnet-ai/app", "one"): "port 443\nprivate endpoint pe"}


def test_trusted_services_are_said_in_the_account_and_have_no_arrow() -> None:
    for picture in both(_two_accounts(_way("trusted Azure services", path="trusted services"))):
        assert picture.texts[picture.named("one")] == "one\naccount\nreached by trusted Azure services"
        assert picture.texts[picture.named("two")] == "two\naccount"
        assert picture.reaches == {}


def test_ways_to_what_is_not_in_the_picture_are_left_out_and_without_ways_nothing_changes() -> None:
    graph = _two_accounts(_way("everybody", target="three"))
    assert graph == _two_accounts()
    assert render_mermaid(graph) == render_mermaid(_two_accounts())
    assert "==>" not in render_mermaid(graph)


def test_every_way_is_an_edge_in_json_and_its_source_a_node_or_a_caller() -> None:
    app = VNET.child("subnets", "app")
    inner = replace(_way("vnet-ai/app", path="private endpoint pe"), subnet=app, via=account_id("pe"))
    graph = make_graph(
        [fleet_of(declare_account(), (_network(needs=(app,)),))],
        ways=(inner, _way("192.0.2.7"), _way("192.0.2.7"), _way("trusted Azure services", path="trusted services")),
    )
    document = json.loads(render_graph(graph, Envelope(exit_code=0)))
    edges = [each for each in document["edges"] if each["kind"] == "reaches"]
    assert document["callers"] == ["192.0.2.7", "trusted Azure services"]
    assert {each["source"] for each in edges} == {*document["callers"], str(app)}
    assert {each["target"] for each in edges} == {str(account_id())}
    (private,) = [each for each in edges if each["source"] == str(app)]
    assert (private["path"], private["via"], private["ports"]) == ("private endpoint pe", str(account_id("pe")), "443")
    assert len(edges) == 3


def test_the_order_of_ways_does_not_matter() -> None:
    ways = [_way(source, target) for source in ("everybody", "10.0.0.1", "10.0.0.2") for target in ("one", "two")]
    assert len({render_mermaid(_two_accounts(*each)) for each in (ways, ways[::-1])}) == 1
    assert len({render_dot(_two_accounts(*each)) for each in (ways, ways[::-1])}) == 1


def _hostile(name: str, reason: str) -> Graph:
    id = group_id().resource("Microsoft.CognitiveServices/accounts", name)
    decision = replace(BLOCKED, id=id, reason=reason)
    node = Node(
        id=id, name="Account/" + name.replace("/", ""), word="account", fleet=name, location=name, declared=True
    )
    child = replace(node, id=id.child("deployments", name), decision=replace(CREATE, reason=reason))
    edge = Edge(source=child.id, target=id, kind=EdgeKind.NEEDS)
    way = Way(source=name, target=id, path=name, ports=name)
    return Graph(nodes=(replace(node, decision=decision), child), edges=(edge,), live=True, ways=(way,))


@given(st.text(min_size=1).filter(lambda name: bool(name.replace("/", ""))))
def test_no_name_gets_out_of_its_label_in_mermaid(name: str) -> None:
    picture = read_mermaid(render_mermaid(_hostile(name, name)))
    assert len([each for each in picture.texts if each.startswith("n")]) == 2
    assert len(picture.arrows) == 1
    assert len(picture.reaches) == (name != "trusted services")
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
    assert dot.reaches == mermaid.reaches


@pytest.mark.skipif(GRAPHVIZ is None, reason="Graphviz is not installed")
@settings(max_examples=15, deadline=None)
@given(st.text(min_size=1).filter(lambda name: bool(name.replace("/", ""))))
def test_both_languages_say_the_same_whatever_the_names(name: str) -> None:
    graph = _hostile(name, name)
    dot, mermaid = read_dot(render_dot(graph)), read_mermaid(render_mermaid(graph))
    assert dot.texts == mermaid.texts
    assert dot.reaches == mermaid.reaches


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
