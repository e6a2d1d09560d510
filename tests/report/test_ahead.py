"""The age of models as people and programs read it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.ids import Ref
from reconciler.model.outlook import Nearness, Note, Outlook, Replacement, Retirement
from reconciler.model.plan import Plan
from reconciler.model.quota import Ledger, Offer
from reconciler.report.ahead import tell_ahead, tell_pool_end
from reconciler.report.document import Envelope, render_plans
from reconciler.report.markdown import render_markdown
from reconciler.report.paint import Style
from reconciler.report.quota import Filter, render_quota, render_quota_json, render_quota_markdown
from reconciler.report.text import render_plan
from tests.report.samples import ACCOUNT, DEPLOYMENT, OTHER
from tests.report.test_quota import FULL

SOON = Retirement(
    offer=Offer(location="swedencentral", format="openai", model="gpt-4o", version="2024-08-06", sku="globalstandard"),
    model="gpt-4o",
    version="2024-08-06",
    usage="OpenAI.GlobalStandard.gpt-4o",
    deployments=(DEPLOYMENT, OTHER),
    units=60,
    at=1772150400,
    days=25,
    nearness=Nearness.URGENT,
    early=True,
    replacement=Replacement(model="gpt-4.1", version="2025-04-14", units=60, room=100),
    told="retires in 25 days: gpt-4o 2024-08-06 as GlobalStandard in swedencentral, on 2026-02-27",
    advice="gpt-4.1 2025-04-14 can replace it",
)
LATER = replace(SOON, nearness=Nearness.NOTICE, days=80, told="retires in 80 days: x", deployments=(OTHER,))
FAR = replace(SOON, nearness=Nearness.FAR, days=800, told="retires in 800 days: y", advice="", replacement=None)
NOTE = Note(id=ACCOUNT, ref=Ref(kind="Account", name="aoai-swc"), told="Azure will upgrade by itself: z")
FAULT = Fault(cls=FaultClass.FORBIDDEN, code="AuthorizationFailed", message="no", status=403)
ALL = Outlook(retirements=(SOON, LATER, FAR), notes=(NOTE,), unread={"eastus": FAULT})


def plan_of(outlook: Outlook = ALL, **more: Any) -> Plan:
    return Plan(fleet="prod", decisions=(), steps=(), outlook=outlook, **more)


def section(text: str) -> list[str]:
    lines = text.splitlines()
    begin = lines.index("Model lifecycle")
    return lines[begin : lines.index("", begin)]


def test_a_plan_tells_what_retires_soon_and_what_azure_does_by_itself() -> None:
    assert section(render_plan(plan_of(), Style())) == [
        "Model lifecycle",
        "  ! urgent: retires in 25 days: gpt-4o 2024-08-06 as GlobalStandard in",
        "    swedencentral, on 2026-02-27; 2 deployments",
        "    (Account/aoai-swc/deployments/gpt-4o, Account/aoai-swc/deployments/mini)",
        "      next: gpt-4.1 2025-04-14 can replace it",
        "  . notice: retires in 80 days: x; 1 deployment",
        "    (Account/aoai-swc/deployments/mini)",
        "      next: gpt-4.1 2025-04-14 can replace it",
        "  . Account/aoai-swc: Azure will upgrade by itself: z",
        "  . eastus: its model list could not be read, so when its models retire is not",
        "    known: AuthorizationFailed: no",
    ]


def test_what_is_far_off_is_told_to_those_who_ask_for_everything() -> None:
    assert "800 days" not in render_plan(plan_of(), Style())
    assert "  . retires in 800 days: y" in render_plan(plan_of(), Style(verbose=True))
    assert "Model lifecycle" not in render_plan(plan_of(Outlook(retirements=(FAR,))), Style())


def test_of_many_that_are_not_pressing_the_rest_is_counted() -> None:
    many = Outlook(retirements=(SOON, *(replace(LATER, told=f"later {number}") for number in range(20))))
    lines = section(render_plan(plan_of(many), Style()))
    assert lines[-1] == "  ... and 13 more; -v shows all"
    pressing = Outlook(retirements=tuple(replace(SOON, told=f"soon {number}") for number in range(20)))
    assert "more; -v" not in "\n".join(section(render_plan(plan_of(pressing), Style())))


def test_of_many_deployments_the_first_are_named() -> None:
    many = replace(SOON, deployments=tuple(ACCOUNT.child("deployments", f"d{number}") for number in range(5)))
    (line,) = tell_ahead(Outlook(), [many])
    assert line.told.endswith(
        "; 5 deployments (Account/aoai-swc/deployments/d0, "
        "Account/aoai-swc/deployments/d1, Account/aoai-swc/deployments/d2 and 2 more)"
    )


def test_markdown_has_the_pressing_ones_marked() -> None:
    text = render_markdown([plan_of()])
    assert "**Model lifecycle**\n\n- :warning: `urgent: retires in 25 days: gpt-4o" in text
    assert "— next: `gpt-4.1 2025-04-14 can replace it`\n- `notice: retires in 80 days" in text
    many = Outlook(notes=tuple(replace(NOTE, told=f"n{number}") for number in range(22)))
    assert "- … 2 more lines" in render_markdown([plan_of(many)])


def test_json_has_every_retirement_with_its_days() -> None:
    document = json.loads(render_plans([plan_of()], Envelope(exit_code=0)))
    lifecycle = document["fleets"][0]["lifecycle"]
    assert [each["days_left"] for each in lifecycle["retirements"]] == [25, 80, 800]
    assert lifecycle["retirements"][0] == {
        "location": "swedencentral",
        "format": "openai",
        "model": "gpt-4o",
        "version": "2024-08-06",
        "sku": "globalstandard",
        "usage": "OpenAI.GlobalStandard.gpt-4o",
        "deployments": [str(DEPLOYMENT), str(OTHER)],
        "capacity": 60,
        "retires": "2026-02-27",
        "days_left": 25,
        "severity": "urgent",
        "tentative": False,
        "before_model": True,
        "replacement": {"model": "gpt-4.1", "version": "2025-04-14", "takes": 60},
        "message": SOON.told,
        "advice": SOON.advice,
    }
    assert lifecycle["retirements"][2]["replacement"] is None
    assert lifecycle["notes"] == [{"id": str(ACCOUNT), "ref": "Account/aoai-swc", "message": NOTE.told}]
    assert lifecycle["unread"] == ["eastus"]


def test_a_pool_tells_its_first_retirement() -> None:
    ageing = replace(FULL, retires=1772150400, days=25)
    plan = Plan(fleet="prod", decisions=(), steps=(), ledger=Ledger(pools=(ageing,)))
    text = render_quota([plan], Filter(), Style())
    assert "    the first of ours in it retires on 2026-02-27, in 25 days\n" in text
    (row,) = [line for line in render_quota_markdown([plan], Filter()).splitlines() if "gpt-4o`" in line]
    assert row.endswith("| 50k TPM, 300-500 RPM | 25 |")
    (pool,) = json.loads(render_quota_json([plan], Filter(), Envelope(exit_code=0)))["fleets"][0]["pools"]
    assert (pool["retires"], pool["days_left"]) == ("2026-02-27", 25)


def test_a_pool_tells_no_retirement_that_is_years_ahead_unless_everything_is_asked_for() -> None:
    plan = Plan(
        fleet="prod", decisions=(), steps=(), ledger=Ledger(pools=(replace(FULL, retires=2087596800, days=3776),))
    )
    soon = Plan(
        fleet="prod", decisions=(), steps=(), ledger=Ledger(pools=(replace(FULL, retires=1772150400, days=365),))
    )
    assert "retires on" not in render_quota([plan], Filter(), Style())
    assert "in 3776 days" in render_quota([plan], Filter(unused=True), Style())
    assert "in 365 days" in render_quota([soon], Filter(), Style())
    assert "3,776" not in render_quota_markdown([plan], Filter())
    assert "| 3,776 |" in render_quota_markdown([plan], Filter(unused=True))
    assert "| 365 |" in render_quota_markdown([soon], Filter())


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (None, ""),
        (1, "the first of ours in it retires on 2026-02-27, in 1 day"),
        (-1, "the first of ours in it was retired on 2026-02-27"),
    ],
)
def test_the_end_of_a_pool_in_words(days: int | None, told: str) -> None:
    assert tell_pool_end(replace(FULL, retires=1772150400 if told else None, days=days)) == told
