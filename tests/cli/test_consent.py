"""What was agreed to: a later plan may do less, never more; all fleets are asked about at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from reconciler.consent import agree_to, ask_about, tell_excess
from reconciler.consultation import Consultation
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, Decision, DecisionState, FieldChange, Plan
from reconciler.model.reach import Way
from reconciler.report.progress import Quiet
from tests.report.samples import CONVERGED, CREATE, DELETE, MIXED, SHRINK, UPDATE


def _plan(*decisions: Decision) -> Plan:
    return replace(MIXED, decisions=decisions)


def test_less_than_was_agreed_to_is_agreed_to() -> None:
    agreement = agree_to(_plan(UPDATE, CREATE, DELETE))
    assert agreement.exceeded_by(_plan(UPDATE, SHRINK)) == ()
    assert agreement.exceeded_by(_plan(replace(UPDATE, changes=UPDATE.changes[:1]), DELETE)) == ()


def test_what_a_create_left_open_may_be_written_as_an_update() -> None:
    rest = replace(CREATE, action=Action.UPDATE, changes=(FieldChange(path="sku.capacity", before=20, after=50),))
    assert agree_to(_plan(CREATE)).exceeded_by(_plan(rest)) == ()


@pytest.mark.parametrize(
    "other",
    [
        DELETE,
        replace(UPDATE, action=Action.DELETE, changes=()),
        replace(UPDATE, action=Action.REPLACE),
        replace(UPDATE, changes=(FieldChange(path="kind", before="OpenAI", after="AIServices"),)),
        replace(UPDATE, changes=(FieldChange(path="disableLocalAuth", before=True, after=False),)),
        replace(UPDATE, changes=(FieldChange(path="disableLocalAuth", before=False, after=1),)),
    ],
)
def test_more_than_was_agreed_to_is_named(other: Decision) -> None:
    excess = agree_to(_plan(UPDATE)).exceeded_by(_plan(other))
    assert excess == (other,)
    assert f"{other.action} {other.ref}" in tell_excess(excess)


def way(source: str, *addresses: tuple[int, int], ports: str = "443") -> Way:
    account = ArmId.parse("/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/one")
    return Way(source=source, target=account, path="private endpoint pe", ports=ports, addresses=addresses)


LOW, HIGH, BOTH = way("10.0.0.0/25", (0, 127)), way("10.0.0.128/25", (128, 255)), way("10.0.0.0/24", (0, 255))


@pytest.mark.parametrize(
    ("agreed", "then", "covered"),
    [
        ((BOTH,), (LOW,), True),
        ((LOW, HIGH), (BOTH,), True),  # the same addresses in other pieces
        ((LOW,), (BOTH,), False),
        ((way("10.0.0.0/24", (0, 255), ports="any"),), (BOTH,), True),
        ((BOTH,), (way("10.0.0.0/24", (0, 255), ports="any"),), False),
        ((way("VirtualNetwork", (0, 2**32 - 1)),), (BOTH,), False),  # nobody here knows whom that means
        ((way("any address", (0, 2**32 - 1)),), (BOTH,), True),
        ((BOTH,), (way("Storage", (0, 2**32 - 1)),), False),
        ((way("Storage", (0, 2**32 - 1)),), (way("Storage", (0, 2**32 - 1)),), True),
    ],
)
def test_the_same_write_may_not_let_in_more_than_was_agreed_to(
    agreed: tuple[Way, ...], then: tuple[Way, ...], covered: bool
) -> None:
    """Somebody else may have opened the group in front of it meanwhile."""
    later = _plan(replace(UPDATE, opened=then))
    excess = agree_to(_plan(replace(UPDATE, opened=agreed))).exceeded_by(later)
    assert excess == (() if covered else later.decisions)


def _consultation(fleets: set[str], answer: str, asked: list[list[str]], *, beyond: bool = False) -> Consultation:
    async def ask(plans: tuple[Plan, ...]) -> str:
        asked.append([plan.fleet for plan in plans])
        return answer

    return Consultation(fleets=frozenset(fleets), progress=Quiet(), ask=ask, beyond=beyond)


async def test_fleets_are_asked_about_once_when_all_have_a_plan() -> None:
    asked: list[list[str]] = []
    consultation = _consultation({"a", "b", "c"}, "", asked)
    plans = {name: replace(MIXED, fleet=name) for name in ("b", "a")}

    async def cycle(name: str) -> str:
        consultation.planned(plans[name])
        return await consultation.consent(plans[name])

    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(cycle(name)) for name in plans]
        for _ in range(5):
            await asyncio.sleep(0)
        assert asked == []
        consultation.planned(replace(CONVERGED, fleet="c"))
    assert [answer.result() for answer in answers] == ["", ""]
    assert asked == [["a", "b", "c"]]


async def test_a_later_plan_that_exceeds_the_first_is_refused_without_asking() -> None:
    asked: list[list[str]] = []
    consultation = _consultation({"prod"}, "", asked)
    consultation.planned(_plan(UPDATE))
    assert await consultation.consent(_plan(UPDATE)) == ""
    assert await consultation.consent(_plan(UPDATE)) == ""
    assert "delete Account/aoai-old" in await consultation.consent(_plan(UPDATE, DELETE))
    assert asked == [["prod"]]


async def test_beyond_the_first_plan_everything_is_agreed_to_when_nobody_is_asked() -> None:
    consultation = _consultation({"prod"}, "", [], beyond=True)
    consultation.planned(_plan(UPDATE))
    assert await consultation.consent(_plan(UPDATE)) == ""
    assert await consultation.consent(_plan(UPDATE, DELETE)) == ""


def test_the_question_says_what_opens_and_counts_only_what_can_be_done() -> None:
    stopped = replace(MIXED, fleet="test", stopped="too many deletes")
    assert ask_about((MIXED, stopped, CONVERGED)) == (
        "Make 3 changes to prod? 1 change opens something: Account/aoai-swc."
    )
    assert ask_about((_plan(DELETE),)) == "Make 1 change to prod?"


def test_what_was_not_agreed_to_is_named_with_whom_it_lets_in() -> None:
    assert "update Account/aoai-swc (opens Account/aoai-swc to 203.0.113.0/24 on port 443" in tell_excess([UPDATE])


async def test_no_is_no_for_every_fleet() -> None:
    consultation = _consultation({"prod"}, "not agreed to", [])
    consultation.planned(MIXED)
    assert await consultation.consent(MIXED) == "not agreed to"
    assert await consultation.consent(MIXED) == "not agreed to"


def test_what_does_not_act_needs_no_agreement() -> None:
    assert agree_to(_plan()).exceeded_by(_plan(replace(DELETE, state=DecisionState.BLOCKED))) == ()
