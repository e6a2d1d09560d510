"""Pools of models in plans for people and for programs: what each has where, and why no more."""

from __future__ import annotations

import json
from dataclasses import replace

from reconciler.cli.parser import Exit
from reconciler.cli.verdict import judge_plans
from reconciler.model.finding import Origin
from reconciler.model.ids import Ref
from reconciler.model.plan import Decision, DecisionState, Plan
from reconciler.model.spread import Share, Spread
from reconciler.report.document import Envelope, render_plans
from reconciler.report.markdown import render_markdown
from reconciler.report.paint import Style
from reconciler.report.spreads import list_moving, tell_shares, tell_spread
from reconciler.report.text import render_plan
from tests.report.samples import CONVERGED, DEPLOYMENT

STYLE = Style(width=80)


def share(location: str, held: int, placed: int, choice: str, reason: str = "") -> Share:
    return Share(location=location, held=held, placed=placed, choice=choice, reason=reason)


SPREAD = Spread(
    ref=Ref(kind="ModelPool", name="chat"),
    origin=Origin(file="prod.yaml", line=30, column=1),
    model="gpt-4o 2024-11-20",
    wanted=3_000_000,
    shares=(
        share("francecentral", 1_000_000, 1_500_000, "grown", "francecentral has 0 units of quota left for Standard"),
        share("polandcentral", 0, 0, "passed over", "polandcentral does not sell gpt-4o 2024-11-20 as Standard"),
        share("swedencentral", 0, 900_000, "new"),
        share("westeurope", 200_000, 200_000, "kept"),
        share("westus", 500_000, 0, "removed", "it is not among the regions or types that are wanted"),
    ),
)
QUIET = replace(SPREAD, shares=(share("westeurope", 3_000_000, 3_000_000, "kept"),))


def plan_with(*spreads: Spread, **more: object) -> Plan:
    return replace(CONVERGED, spreads=spreads, **more)  # type: ignore[arg-type]


def test_a_pool_and_its_regions_in_words() -> None:
    assert tell_spread(SPREAD) == "ModelPool/chat (gpt-4o 2024-11-20): 3M TPM wanted, 2.6M placed, 400k short"
    assert list(tell_shares(SPREAD)) == [
        "francecentral: 1.5M TPM, was 1M; francecentral has 0 units of quota left for Standard",
        "swedencentral: 900k TPM, new",
        "westeurope: 200k TPM, as it is",
        "polandcentral: passed over; polandcentral does not sell gpt-4o 2024-11-20 as Standard",
        "westus: 0 TPM, was 500k; it is not among the regions or types that are wanted",
    ]
    about = replace(SPREAD, reason="minRegions is 9")
    assert tell_spread(about).endswith("400k short; minRegions is 9")


def test_only_pools_that_change_or_lack_something_are_shown_unless_all_is_asked_for() -> None:
    assert list_moving(plan_with(QUIET, SPREAD)) == (SPREAD,)
    assert "Pools of models" not in render_plan(plan_with(QUIET), STYLE)
    assert "Pools of models" in render_plan(plan_with(QUIET), replace(STYLE, verbose=True))
    text = render_plan(plan_with(SPREAD), STYLE)
    assert "    francecentral: 1.5M TPM, was 1M; francecentral has 0 units of quota left for\n      Standard\n" in text
    assert "Nothing to do" not in text


def test_a_comment_shows_the_same() -> None:
    text = render_markdown([plan_with(SPREAD)])
    assert "**`ModelPool/chat (gpt-4o 2024-11-20): 3M TPM wanted, 2.6M placed, 400k short`**" in text
    assert "- `swedencentral: 900k TPM, new`" in text
    assert "ModelPool" not in render_markdown([plan_with(QUIET)])


def test_a_document_has_every_pool() -> None:
    document = json.loads(render_plans([plan_with(SPREAD, QUIET)], Envelope(exit_code=3)))
    (first, second) = document["fleets"][0]["model_pools"]
    assert (first["wanted"], first["placed"], first["shortfall"]) == (3_000_000, 2_600_000, 400_000)
    assert (first["ref"], first["model"], first["origin"]["line"]) == ("ModelPool/chat", "gpt-4o 2024-11-20", 30)
    assert first["regions"][2] == {
        "location": "swedencentral",
        "choice": "new",
        "held": 0,
        "placed": 900_000,
        "reason": "",
    }
    assert second["shortfall"] == 0
    assert document["fleets"][0]["converged"] is False


def test_a_pool_that_lacks_something_is_not_converged() -> None:
    assert judge_plans([plan_with(SPREAD)]) is Exit.BLOCKED
    assert judge_plans([plan_with(QUIET)]) is Exit.OK


def test_what_has_less_than_it_wants_is_shown_although_it_is_in_sync() -> None:
    short = Decision(
        id=DEPLOYMENT,
        ref=Ref(kind="Account", name="aoai-swc/deployments/gpt-4o"),
        state=DecisionState.IN_SYNC,
        reason="has 120 of the 300 that it wants: 120 of 120 are used: 0 left for it",
        short=180,
    )
    plan = replace(CONVERGED, decisions=(short,))
    text = render_plan(plan, STYLE)
    assert "has 120 of the 300 that it wants" in text
    assert "Nothing to do: Azure is as declared as far as quota goes." in text
    assert "has 120 of the 300" in render_markdown([plan])
    document = json.loads(render_plans([plan], Envelope(exit_code=0)))
    assert document["fleets"][0]["decisions"][0]["short"] == 180
    assert judge_plans([plan]) is Exit.OK
