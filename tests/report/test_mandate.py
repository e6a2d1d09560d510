"""What a plan says of who may carry it out: as text, Markdown and JSON."""

from __future__ import annotations

import json
from typing import Any

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.plan import Plan
from reconciler.model.rights import Lack, Mandate
from reconciler.report.document import Envelope, render_plans
from reconciler.report.mandate import tell_mandate
from reconciler.report.markdown import render_markdown
from reconciler.report.paint import Style
from reconciler.report.text import render_plan

HERE = "in resource group rg-ai"
WRITE = "Microsoft.CognitiveServices/accounts/write"
FAULT = Fault(cls=FaultClass.FORBIDDEN, code="AuthorizationFailed", message="no", advice="Grant it.", status=403)


def lack(*refs: str, **more: Any) -> Lack:
    said: dict[str, Any] = {
        "place": "in resource group rg-ai",
        "actions": (WRITE,),
        "refs": refs or ("Account/a",),
        "roles": ("Cognitive Services Contributor",),
        **more,
    }
    return Lack(**said)


def plan_of(*lacks: Lack, unread: tuple[tuple[str, Fault], ...] = ()) -> Plan:
    return Plan(fleet="prod", decisions=(), steps=(), mandate=Mandate(lacks=lacks, unread=unread))


def test_what_is_lacking_is_one_sentence_for_each_place_with_the_roles_that_would_do() -> None:
    wider = lack(*"abcde", actions=(WRITE, "x"), roles=("One", "Two", "Three"))
    assert [*tell_mandate(plan_of(lack(), wider))] == [
        (
            f"{HERE} this identity may not {WRITE}: the run that applies the plan must, for Account/a",
            "Cognitive Services Contributor in resource group rg-ai would do",
        ),
        (
            f"{HERE} this identity may not {WRITE}, x: the run that applies the plan must, for a, b, c and 2 more",
            "One, Two and Three in resource group rg-ai would do",
        ),
    ]


def test_what_could_not_be_read_is_told_with_the_reason() -> None:
    told = [*tell_mandate(plan_of(unread=(("what is granted in resource group rg-ai", FAULT),)))]
    assert told == [
        (
            f"what is granted {HERE} could not be read, and nothing is blocked for it: AuthorizationFailed: no",
            "Grant it.",
        )
    ]


def test_a_plan_that_asked_nobody_says_nothing() -> None:
    assert [*tell_mandate(Plan(fleet="prod", decisions=(), steps=()))] == []
    for quiet in (plan_of(), Plan(fleet="prod", decisions=(), steps=())):
        assert "Rights" not in render_plan(quiet, Style())
        assert "Rights" not in render_markdown([quiet])


def test_every_output_tells_it() -> None:
    silent = Fault(cls=FaultClass.UNKNOWN, code="Odd", message="hm")
    plan = plan_of(lack(), unread=(("whether x is registered", silent),))
    text = render_plan(plan, Style(width=80))
    assert "\nRights\n  in resource group rg-ai this identity may not\n" in text
    assert "      next: Cognitive Services Contributor in resource group rg-ai would do\n" in text
    assert "  whether x is registered could not be read, and nothing is blocked for it: Odd:\n    hm\n" in text
    markdown = render_markdown([plan])
    assert "**Rights**\n\n- `in resource group rg-ai this identity may not" in markdown
    assert "for Account/a` — next: `Cognitive Services Contributor in resource group rg-ai would do`\n" in markdown
    assert "- `whether x is registered could not be read, and nothing is blocked for it: Odd: hm`\n" in markdown
    document = json.loads(render_plans([plan, Plan(fleet="dev", decisions=(), steps=())], Envelope(exit_code=2)))
    assert document["format_version"] == "1.3"
    assert document["fleets"][1]["rights"] is None
    assert document["fleets"][0]["rights"] == {
        "lacks": [
            {
                "place": "in resource group rg-ai",
                "actions": [WRITE],
                "resources": ["Account/a"],
                "roles": ["Cognitive Services Contributor"],
            }
        ],
        "unread": [
            {
                "what": "whether x is registered",
                "fault": {
                    "class": "unknown",
                    "code": "Odd",
                    "message": "hm",
                    "advice": "",
                    "status": None,
                    "request_id": None,
                },
            }
        ],
    }
