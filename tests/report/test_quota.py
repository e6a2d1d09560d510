"""Quota as people and programs read it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.plan import Plan
from reconciler.model.quota import Ledger, Pool
from reconciler.report.document import Envelope, render_plans
from reconciler.report.graph import make_graph
from reconciler.report.markdown import render_markdown
from reconciler.report.paint import Style
from reconciler.report.pools import draw_bar, show_amount, tell_asked, tell_holders, tell_pace, tell_wanted
from reconciler.report.quota import Filter, render_quota, render_quota_json, render_quota_markdown
from reconciler.report.text import render_plan
from tests.report.samples import ACCOUNT, SHRINK

FULL = Pool(
    subscription="s",
    location="swedencentral",
    usage="OpenAI.GlobalStandard.gpt-4o",
    limit=400,
    used=300,
    ours=200,
    others=60,
    takes=50,
    surveyed=True,
    models=("gpt-4o",),
    skus=("globalstandard",),
    tokens=(1000,),
    requests=(6.0, 10.0),
    deleted=("gone",),
)
IDLE = Pool(
    subscription="s",
    location="swedencentral",
    usage="OpenAI.GlobalProvisionedManaged",
    limit=100,
    used=0,
    surveyed=True,
    models=("gpt-4o", "o1"),
    skus=("globalprovisionedmanaged",),
    billed=True,
)
SMALL = replace(FULL, location="eastus", usage="OpenAI.GlobalStandard.gpt4.1", models=("gpt-4.1",), limit=300, takes=0)
FAULT = Fault(cls=FaultClass.FORBIDDEN, code="AuthorizationFailed", message="no", status=403)


def plan_of(*pools: Pool, **more: Any) -> Plan:
    return Plan(fleet="prod", decisions=(), steps=(), ledger=Ledger(pools=pools, **more))


def test_a_pool_reads_well_at_eighty_columns() -> None:
    assert render_quota([plan_of(FULL, IDLE)], Filter(), Style()) == (
        "Fleet prod\n"
        "\n"
        "swedencentral\n"
        "  soft-deleted here: gone\n"
        "  OpenAI.GlobalStandard.gpt-4o\n"
        "    [####################======~~~~+++++.....]  300 of 400\n"
        "    100 left: 100k TPM, 600-1k RPM\n"
        "    200 ours, 60 others', up to 40 held by soft-deleted accounts\n"
        "    the plan takes 50: 50 left after (50k TPM, 300-500 RPM)\n"
        "\n"
        "1 pool of which nothing is used; -v shows all\n"
        "\n"
        "# ours, = others', ~ no live deployment's, + asked by the plan, . left.\n"
        "What is used and belongs to no live deployment is what soft-deleted accounts\n"
        "hold at most; Azure does not tell how much each of them holds. It stays held\n"
        "until they are purged or expire.\n"
    )


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_longer_than_asked_but_for_a_bar_and_a_name(width: int) -> None:
    text = render_quota([plan_of(FULL, IDLE, SMALL)], Filter(unused=True), Style(width=width))
    assert all(len(line) <= max(width, 62) or "[" in line for line in text.splitlines())


def test_whatever_there_is_at_all_shows_in_the_bar() -> None:
    sliver = replace(FULL, limit=100_000, used=99_990, ours=1, others=1, takes=1)
    bar = draw_bar(sliver)
    assert len(bar) == 42
    assert {*bar} == {"[", "]", "#", "=", "~", "+", "."}
    over = draw_bar(replace(FULL, limit=100))
    assert len(over) == 42
    assert "." not in over
    assert draw_bar(replace(IDLE, limit=0)) == "[" + "no quota".center(40) + "]"


def test_held_is_always_up_to_and_only_as_much_as_was_looked_at() -> None:
    assert tell_holders(FULL) == "200 ours, 60 others', up to 40 held by soft-deleted accounts"
    blind = replace(FULL, others=0, surveyed=False)
    assert tell_holders(blind) == "200 ours, up to 100 others' or held by soft-deleted accounts"
    late = replace(FULL, deleted=())
    assert tell_holders(late).endswith("up to 40 nobody's that could be seen; Azure may be late to give it back")


def test_what_does_not_fit_is_told_beside_what_does() -> None:
    tight = replace(FULL, takes=30, gives=10, short=90)
    assert tell_asked(tight) == (
        "the plan takes 30 and gives back 10: 80 left after (80k TPM, 480-800 RPM); 90 more are asked and do not fit"
    )
    assert tell_asked(SMALL) == ""


def test_tokens_are_told_only_where_the_model_list_says_what_a_unit_is() -> None:
    assert tell_pace(FULL, 10) == "10k TPM, 60-100 RPM"
    assert tell_pace(IDLE, 10) == ""
    assert [show_amount(each) for each in (900, 300_000, 1_500_000, 1_234_567)] == ["900", "300k", "1.5M", "1.235M"]


def test_billing_goes_on_for_provisioned_units_that_are_held() -> None:
    billed = replace(IDLE, used=15)
    assert "billed until it is purged" in render_quota([plan_of(billed)], Filter(), Style())
    assert "billed" not in render_quota([plan_of(FULL)], Filter(), Style())


def test_pools_are_chosen_by_region_and_by_model() -> None:
    plan = plan_of(FULL, IDLE, SMALL)

    def shown(**chosen: Any) -> list[str]:
        document = json.loads(render_quota_json([plan], Filter(**chosen), Envelope(exit_code=0)))
        return [pool["usage"] for pool in document["fleets"][0]["pools"]]

    assert shown() == [FULL.usage, IDLE.usage, SMALL.usage]
    assert shown(regions=frozenset({"eastus"})) == [SMALL.usage]
    assert shown(models=("gpt-4o",)) == [FULL.usage, IDLE.usage]
    assert shown(models=("gpt-4.*",)) == [SMALL.usage]


def test_the_tightest_pool_comes_first() -> None:
    roomy = replace(FULL, usage="a", limit=9000)
    text = render_quota([plan_of(roomy, FULL)], Filter(), Style())
    assert text.index(FULL.usage) < text.index("\n  a\n")


def test_what_could_not_be_read_is_told_and_is_never_zero() -> None:
    ledger = plan_of(unread={"eastus": FAULT}, unseen={ACCOUNT: FAULT}, strays=("one/a (x as y in eastus)",))
    text = render_quota([ledger], Filter(), Style(width=200))
    assert "eastus: quota could not be read, so nothing is known about it" in text
    assert "aoai-swc: its deployments could not be read, so others hold more than is told" in text
    assert "one/a (x as y in eastus) draws on no pool" in text
    assert "eastus: quota could not be read" in render_quota_markdown([ledger], Filter())
    document = json.loads(render_quota_json([ledger], Filter(), Envelope(exit_code=1)))
    (fleet,) = document["fleets"]
    assert (fleet["pools"], fleet["unread"][0]["location"]) == ([], "eastus")
    assert "quota could not be read" in render_plan(ledger, Style(width=200))


def test_others_are_unknown_and_not_none_where_nobody_looked() -> None:
    plan = plan_of(replace(FULL, surveyed=False))
    document = json.loads(render_plans([plan], Envelope(exit_code=0)))
    (pool,) = document["fleets"][0]["quota"]["pools"]
    assert (pool["others"], pool["takes"], pool["left_after"], pool["tokens_per_unit"]) == (None, 50, 50, [1000])
    assert "| ? |" in render_quota_markdown([plan], Filter())


def test_markdown_is_one_row_per_pool() -> None:
    text = render_quota_markdown([plan_of(FULL, IDLE)], Filter())
    (row,) = [line for line in text.splitlines() if "gpt-4o`" in line]
    assert row == (
        "| `swedencentral` | `OpenAI.GlobalStandard.gpt-4o` | `[##########===~~+++..]` | 300 | 400 | 200 | 60 | 40 "
        "| +50 | 50 | 50k TPM, 300-500 RPM |  |"
    )


def test_a_plan_tells_only_the_pools_that_it_changes_the_tight_ones_first() -> None:
    roomy = [replace(FULL, usage=f"pool-{number}", limit=9000) for number in range(9)]
    tight = replace(FULL, usage="tight", short=7)
    text = render_plan(plan_of(*roomy, tight, SMALL), Style())
    quota = text[text.index("Quota\n") :]
    assert quota.index("tight") < quota.index("pool-0")
    assert "... and 4 more, with more room; -v shows all" in quota
    assert SMALL.usage not in quota
    assert "pool-8" in render_plan(plan_of(*roomy), Style(verbose=True))
    assert "swedencentral tight: 300 of 400 used" in render_markdown([plan_of(tight)])


def test_a_plan_that_asked_for_no_quota_says_nothing_about_it() -> None:
    plan = Plan(fleet="prod", decisions=(), steps=())
    assert "Quota" not in render_plan(plan, Style())
    assert json.loads(render_plans([plan], Envelope(exit_code=0)))["fleets"][0]["quota"] is None


WANTED = replace(FULL, declared=500, headroom=60)


def test_what_documents_want_of_a_pool_stands_beside_it() -> None:
    assert tell_wanted(FULL) == ""
    assert tell_wanted(replace(FULL, declared=400, headroom=50)) == "declared 400; headroom 50 wanted"
    told = "declared 500, 100 more than granted; headroom 60 wanted, 10 more than there will be left"
    assert tell_wanted(WANTED) == told
    text = render_quota([plan_of(WANTED)], Filter(), Style())
    assert (
        "    declared 500, 100 more than granted; headroom 60 wanted, 10 more than there\n      will be left\n" in text
    )


def test_a_pool_of_which_somebody_wants_something_is_shown_although_nobody_uses_it() -> None:
    text = render_quota([plan_of(replace(IDLE, declared=50))], Filter(), Style())
    assert "OpenAI.GlobalProvisionedManaged" in text
    assert "    declared 50\n" in text


def test_in_markdown_what_is_wanted_has_a_column_where_anything_is() -> None:
    head, rule, *rows = [
        line for line in render_quota_markdown([plan_of(WANTED, SMALL)], Filter()).splitlines() if line.startswith("|")
    ]
    assert head.endswith("| wanted |")
    assert rule.count("|") == head.count("|")
    assert rows[0].endswith(
        "| declared 500, 100 more than granted; headroom 60 wanted, 10 more than there will be left |"
    )
    assert rows[1].endswith("|  |")


def test_what_is_only_told_is_in_no_picture() -> None:
    told = replace(SHRINK, told_only=True)
    plan = replace(plan_of(), decisions=(told,))
    assert make_graph((), [plan], live=True).nodes == ()
    assert len(make_graph((), [replace(plan, decisions=(SHRINK,))], live=True).nodes) == 1


def test_in_json_what_nobody_wants_is_null() -> None:
    document = json.loads(render_quota_json([plan_of(WANTED, SMALL)], Filter(), Envelope(exit_code=0)))
    pools = document["fleets"][0]["pools"]
    assert [(pool["declared"], pool["headroom"]) for pool in pools] == [(500, 60), (None, None)]
