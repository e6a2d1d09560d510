"""Whom a change lets in and whom it stops, told so that nobody overlooks it and nobody is lulled."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from reconciler.model.ids import Ref
from reconciler.model.plan import Action, Decision, DecisionState, FieldChange, Plan, Risk
from reconciler.model.reach import Way
from reconciler.report.document import Envelope, render_plans
from reconciler.report.markdown import render_markdown
from reconciler.report.openings import join_ways, tell_dangers, tell_exposure, tell_passage
from reconciler.report.paint import Ink, Style
from reconciler.report.text import render_plan
from tests.report.samples import ACCOUNT, BLOCKED, CREATE, DELETE, GROUP, HOSTILE_NAME, LET_IN, UPDATE

WIDE = Style(width=120)
NSG = GROUP.resource("Microsoft.Network/networkSecurityGroups", "nsg-ai")
PUBLIC, PRIVATE, ANY = "public endpoint", "private endpoint pe-swc", "any"
GUARD = Decision(
    id=NSG,
    ref=Ref(kind="NetworkSecurityGroup", name="nsg-ai"),
    state=DecisionState.ACT,
    action=Action.UPDATE,
    reason="differs from its document",
    risk=Risk.OPENS,
    changes=(
        FieldChange(path="securityRules[web].destinationPortRanges", before=["443"], after=["*"], opens=True),
        FieldChange(path="securityRules[web].protocol", before="Tcp", after="*", opens=True),
    ),
)


def way(source: str, path: str = PUBLIC, ports: str = "443") -> Way:
    return Way(source=source, target=ACCOUNT, path=path, ports=ports)


def plan_of(*decisions: Decision) -> Plan:
    return Plan(fleet="prod", decisions=decisions, steps=())


def told(*ways: Way) -> list[str]:
    return [tell_passage(each) for each in join_ways(ways)]


def test_ways_that_differ_only_in_their_source_are_one_line() -> None:
    assert told(way("203.0.113.0/24"), way("192.0.2.7"), way("192.0.2.7"), way("192.0.2.7", PRIVATE, ANY)) == [
        "Account/aoai-swc to 192.0.2.7 on any port by private endpoint pe-swc",
        "Account/aoai-swc to 192.0.2.7 and 203.0.113.0/24 on port 443 by public endpoint",
    ]


def test_what_is_open_to_all_comes_first() -> None:
    assert told(way("10.0.0.1", "a way of its own"), way("everybody", ports="80, 443")) == [
        "Account/aoai-swc to everybody on ports 80, 443 by public endpoint",
        "Account/aoai-swc to 10.0.0.1 on port 443 by a way of its own",
    ]
    assert join_ways([way("0.0.0.0/2"), way("everybody")])[0].sources[0] == "everybody"


def test_most_of_all_addresses_are_told_by_who_is_not_among_them() -> None:
    everywhere, closed = [IPv4Network("0.0.0.0/0")], ["10.20.0.0/24", "10.20.8.0/24", "192.0.2.7"]
    for each in closed:
        hole = IPv4Network(each)
        everywhere = [
            part
            for network in everywhere
            for part in (network.address_exclude(hole) if hole.subnet_of(network) else [network])
        ]
    ways = [way(str(network)) for network in everywhere]
    assert len(ways) > 50
    assert told(*ways, way("ApiManagement")) == [
        (
            "Account/aoai-swc to ApiManagement, and everybody but 10.20.0.0/24, 10.20.8.0/24 and 192.0.2.7 on port 443 "
            "by public endpoint"
        )
    ]
    assert told(way("0.0.0.0/1"), way("128.0.0.0/1"))[0].startswith("Account/aoai-swc to any IPv4 address on port 443")
    assert told(way("0.0.0.0/1")) == ["Account/aoai-swc to 0.0.0.0/1 on port 443 by public endpoint"]


def test_trusted_services_are_said_once() -> None:
    assert told(way("trusted Azure services", "trusted services")) == [
        "Account/aoai-swc to trusted Azure services on port 443"
    ]


def test_what_opens_stands_out_by_colour_and_what_closes_does_not() -> None:
    lines = render_plan(plan_of(UPDATE), Style(width=120, color=True)).splitlines()
    (opens,) = [line for line in lines if line.startswith(f"\x1b[{Ink.WARN.value}m      opens   Account/")]
    assert opens.endswith("\x1b[0m")
    assert any(line.startswith("      closes  Account/") for line in lines)


def test_long_lists_are_cut_in_text_and_whole_with_verbose_and_in_json() -> None:
    sources = [f"10.0.{number}.0/24" for number in range(10, 30)]
    paths = [f"private endpoint pe-{number}" for number in range(10, 30)]
    ways = (*(way(source) for source in sources), *(way("10.9.0.1", path) for path in paths))
    plan = plan_of(replace(UPDATE, opened=ways))
    text = render_plan(plan, Style(width=400))
    few = render_plan(plan_of(replace(UPDATE, opened=ways[:20])), Style(width=400))
    assert "10.0.15.0/24 and 14 more on port 443" in few
    assert "      opens   ... and 15 more; -v shows all\n" in text
    assert text.count("      opens   ") == 7
    whole = render_plan(plan, Style(width=400, verbose=True))
    assert whole.count("      opens   ") == 21
    assert all(source in whole for source in sources)
    assert "more" not in whole.split("      opens   ", 1)[1].replace("1 more left alone", "")
    (decision,) = json.loads(render_plans([plan], Envelope(exit_code=2)))["fleets"][0]["decisions"]
    assert len(decision["opens"]) == 40


def test_ways_are_data_in_json() -> None:
    subnet = GROUP.resource("Microsoft.Network/virtualNetworks", "vnet").child("subnets", "app")
    endpoint = GROUP.resource("Microsoft.Network/privateEndpoints", "pe-swc")
    inner = Way(source="vnet/app", target=ACCOUNT, path=PRIVATE, ports="443", subnet=subnet, via=endpoint)
    (fleet,) = json.loads(render_plans([plan_of(replace(UPDATE, opened=(inner,)))], Envelope(exit_code=2)))["fleets"]
    assert fleet["decisions"][0]["opens"] == [
        {
            "source": "vnet/app",
            "subnet": str(subnet),
            "target": str(ACCOUNT),
            "path": PRIVATE,
            "via": str(endpoint),
            "ports": "443",
        }
    ]
    assert [each["source"] for each in fleet["decisions"][0]["closes"]] == ["198.51.100.0/24"]
    assert (fleet["summary"]["opening"], fleet["summary"]["closing"]) == (1, 1)


def test_an_opening_without_a_new_way_says_what_it_may_open_all_the_same() -> None:
    text = render_plan(plan_of(GUARD), WIDE)
    assert "      opens   no account by itself, but perhaps whatever else is behind it\n" in text
    assert "! update NetworkSecurityGroup/nsg-ai: lets more through: securityRules[web]\n" in text
    assert "1 change opens something: NetworkSecurityGroup/nsg-ai.\n" in text
    unlocked = replace(UPDATE, opened=(), changes=(replace(UPDATE.changes[0], opens=True, closes=False),))
    text = render_plan(plan_of(unlocked), WIDE)
    assert "opens   no account to anybody new that can be told here; see what is marked (opens)\n" in text
    assert "opens no account to anybody new" in render_markdown([plan_of(unlocked)])


@pytest.mark.parametrize("state", [DecisionState.BLOCKED, DecisionState.DRIFTED, DecisionState.IGNORED])
def test_what_is_not_done_opens_nothing(state: DecisionState) -> None:
    still = replace(UPDATE, state=state)
    assert tell_exposure([plan_of(still, BLOCKED)]) == ("", "")
    assert tell_dangers(still) == ()
    assert "   opens   " not in render_plan(plan_of(still), WIDE)
    assert "Who gets through" not in render_markdown([plan_of(still)])


def test_a_delete_that_opens_says_both() -> None:
    assert tell_dangers(replace(DELETE, opened=(LET_IN,), warnings=())) == (
        "is destroyed",
        "opens Account/aoai-swc to 203.0.113.0/24 on port 443 by public endpoint",
    )


def test_who_opens_an_account_is_named_before_who_opens_by_its_fields_only() -> None:
    others = [replace(GUARD, ref=replace(GUARD.ref, name=f"nsg-{n}")) for n in range(4)]
    opening, closing = tell_exposure([plan_of(*others), plan_of(UPDATE, CREATE)])
    assert opening == (
        "5 changes open something: Account/aoai-swc, NetworkSecurityGroup/nsg-0, NetworkSecurityGroup/nsg-1 and 2 more"
    )
    assert closing == "1 change closes something: Account/aoai-swc"


def test_a_hostile_source_steers_no_terminal_and_leaves_no_code() -> None:
    plan = plan_of(replace(UPDATE, opened=(way(HOSTILE_NAME, HOSTILE_NAME, HOSTILE_NAME),)))
    assert "\x1b" not in render_plan(plan, WIDE)
    row = next(line for line in render_markdown([plan]).splitlines() if line.startswith("| **opens**"))
    assert row.replace("\\|", "").count("|") == 6


def test_a_new_account_that_only_azure_itself_reaches_is_told_and_is_no_danger() -> None:
    closed = replace(CREATE, id=ACCOUNT, opened=(way("trusted Azure services", "trusted services"),))
    assert tell_dangers(closed) == ()
    assert tell_exposure([plan_of(closed)]) == ("", "")
    assert "opens   Account/aoai-swc to trusted Azure services on port 443\n" in render_plan(plan_of(closed), WIDE)
    assert tell_dangers(replace(closed, action=Action.UPDATE)) == (
        "opens Account/aoai-swc to trusted Azure services on port 443",
    )


def test_of_many_dangers_what_opens_to_everybody_comes_before_what_opens_to_few() -> None:
    few = [replace(UPDATE, id=ACCOUNT.child("x", str(number))) for number in range(20)]
    lines = render_plan(plan_of(*few, replace(UPDATE, opened=(way("everybody"),)), DELETE), WIDE).splitlines()
    assert lines[3] == "  ! delete Account/aoai-old: is destroyed"
    assert lines[5].endswith("opens Account/aoai-swc to everybody on port 443 by public endpoint")


def test_what_the_world_reaches_now_is_read_before_anything_else() -> None:
    open_now = replace(UPDATE, opened=(), closed=(way("everybody"),), changes=(UPDATE.changes[0],), risk=Risk.CLOSES)
    lines = render_plan(plan_of(DELETE, open_now), WIDE).splitlines()
    assert lines[3] == (
        "  ! update Account/aoai-swc: until this is done, Account/aoai-swc is open to everybody on port 443 by public "
        "endpoint"
    )
    assert "is destroyed" in lines[4]
    behind = replace(open_now, closed=(way("any address behind it", PRIVATE),))
    assert tell_dangers(behind) == ()
    assert tell_dangers(replace(DELETE, closed=(way("everybody"),), warnings=())) == ("is destroyed",)


def test_everybody_but_a_few_is_said_in_few_words() -> None:
    def but(*holes: str) -> list[str]:
        parts = [IPv4Network("0.0.0.0/0")]
        for hole in map(IPv4Network, holes):
            inner = [part for part in parts if hole.subnet_of(part)]
            parts = [part for part in parts if part not in inner]
            parts += [rest for part in inner for rest in part.address_exclude(hole)]
        return [str(part) for part in parts]

    def who(*sources: str) -> str:
        (only,) = told(*(way(source) for source in sources))
        return only.removeprefix("Account/aoai-swc to ").removesuffix(" on port 443 by public endpoint")

    assert who("Internet", *but("10.20.0.0/23")) == "everybody but 10.20.0.0/23"
    assert who("Internet", *but("8.8.8.0/24")) == "Internet, and everybody but 8.8.8.0/24"
    many = [f"10.{number}.0.0/24" for number in range(0, 50, 2)]
    assert (
        who("vnet/app", *but(*many)) == "vnet/app, and everybody but 10.0.0.0/24, 10.2.0.0/24, 10.4.0.0/24 and 22 more"
    )


@pytest.mark.parametrize(
    "type_", ["networkSecurityGroups", "privateEndpoints", "virtualNetworks/subnets"], ids=lambda each: each
)
def test_what_is_new_and_lets_nobody_through_to_an_account_is_no_danger(type_: str) -> None:
    parent, _, child = type_.partition("/")
    id = GROUP.resource(f"Microsoft.Network/{parent}", "new")
    made = replace(GUARD, id=id.child(child, "new") if child else id, action=Action.CREATE)
    assert tell_dangers(made) == ()
    assert tell_exposure([plan_of(made)]) == ("", "")
    assert tell_dangers(replace(made, opened=(LET_IN,))) == (
        "opens Account/aoai-swc to 203.0.113.0/24 on port 443 by public endpoint",
    )
    keyed = replace(
        CREATE, id=ACCOUNT, changes=(FieldChange(path="disableLocalAuth", before=None, after=False, opens=True),)
    )
    assert tell_dangers(keyed) == ("becomes more reachable: disableLocalAuth",)
