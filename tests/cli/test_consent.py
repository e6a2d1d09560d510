"""What was agreed to: a later plan may do less, never more; all fleets are asked about at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from reconciler.cli.consent import agree_to, ask_about, tell_excess
from reconciler.cli.consultation import Consultation
from reconciler.model.finding import Origin
from reconciler.model.ids import ArmId, Ref
from reconciler.model.plan import Action, Decision, DecisionState, FieldChange, Plan
from reconciler.model.reach import Way
from reconciler.model.spread import Member, Share, Spread
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


def test_a_capacity_that_took_what_there_was_may_get_the_rest_of_what_it_wants() -> None:
    first = replace(CREATE, changes=(FieldChange(path="sku.capacity", before=None, after=50),), short=30)
    agreement = agree_to(_plan(first))
    for amount, excess in ((50, 0), (80, 0), (81, 1), (49, 1)):
        grown = FieldChange(path="sku.capacity", before=20, after=amount)
        later = replace(CREATE, action=Action.UPDATE, changes=(grown,))
        assert len(agreement.exceeded_by(_plan(later))) == excess


def test_whoever_agrees_to_a_pool_agrees_to_the_places_that_it_was_said_to_have() -> None:
    member = Member(id=CREATE.id, tokens=1000, units=0)
    share = Share(location="swedencentral", choice="passed over", held=0, placed=0, reason="", members=(member,))
    ref = Ref(kind="ModelPool", name="chat")
    spread = Spread(ref=ref, origin=Origin(file="x", line=1, column=1), model="gpt-4o", wanted=1, shares=(share,))
    agreement = agree_to(replace(_plan(), spreads=(spread,)))
    assert agreement.exceeded_by(_plan(CREATE)) == ()
    assert agreement.exceeded_by(_plan(UPDATE)) == (UPDATE,)
    cut = replace(CREATE, action=Action.UPDATE, changes=(FieldChange(path="x", before=2, after=1, cuts=True),))
    assert agreement.exceeded_by(_plan(cut)) == (cut,)
    gone = replace(CREATE, action=Action.DELETE, changes=())
    assert agreement.exceeded_by(_plan(gone)) == (gone,)


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


def _consultation(
    fleets: set[str], answer: str, asked: list[list[str]], *, beyond: bool = False, told: list[str] | None = None
) -> Consultation:
    async def ask(plans: tuple[Plan, ...]) -> str:
        asked.append([plan.fleet for plan in plans])
        return answer

    return Consultation(
        fleets=frozenset(fleets),
        progress=Quiet(),
        ask=ask,
        beyond=beyond,
        tell=(told if told is not None else []).append,
    )


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


@pytest.mark.parametrize("renew", [True, False])
async def test_the_plan_that_is_asked_about_is_the_newest_unless_it_was_saved(renew: bool) -> None:
    waiting = replace(MIXED, decisions=(replace(CREATE, state=DecisionState.IN_PROGRESS),), steps=())
    shown: list[Plan] = []

    async def ask(plans: tuple[Plan, ...]) -> str:
        shown.extend(plans)
        assert ask_about(plans)
        return ""

    consultation = Consultation(
        fleets=frozenset({"prod"}), progress=Quiet(), ask=ask, beyond=False, tell=print, renew=renew
    )
    later = _plan(CREATE)
    for plan in (waiting, later):
        consultation.planned(plan)
    assert await consultation.consent(later) == ""
    assert shown == [later if renew else waiting]


async def test_beyond_the_first_plan_everything_is_agreed_to_when_nobody_is_asked() -> None:
    told: list[str] = []
    consultation = _consultation({"prod"}, "", [], beyond=True, told=told)
    consultation.planned(_plan(UPDATE))
    assert await consultation.consent(_plan(UPDATE)) == ""
    assert told == []
    assert await consultation.consent(_plan(UPDATE, DELETE)) == ""
    assert told == [
        "Fleet prod: Azure moved while this ran; done as well, because --yes agrees to it: delete Account/aoai-old\n"
    ]


def test_what_was_shown_as_put_off_is_agreed_to_unless_it_destroys() -> None:
    agreement = agree_to(_plan(*(replace(each, state=DecisionState.IN_PROGRESS) for each in (CREATE, DELETE))))
    assert agreement.exceeded_by(_plan(CREATE, DELETE)) == (DELETE,)


def test_the_question_counts_what_follows() -> None:
    put_off = replace(CREATE, state=DecisionState.IN_PROGRESS)
    assert ask_about((_plan(DELETE, put_off),)) == "Make 1 change to prod, and 1 more when what it waits for is done?"


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
