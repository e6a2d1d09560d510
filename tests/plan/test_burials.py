"""Soft-deleted accounts as people ask about them, and one of them purged by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.burial import Burial, Graveyard
from reconciler.model.plan import Action, Verb
from reconciler.model.resource import DeletedAccount, Fleet, PurgePolicy, PurgeWhen, Snapshot
from reconciler.plan import bury, find_burials, make_plan, merge, plan_one
from tests.plan.markets import GPT_4O, REGION, surveyed
from tests.plan.test_purging import BLOCKING, FULL, grave, seen, wanting
from tests.support.builders import (
    EVERY_WORD,
    account_id,
    account_spec,
    blind_to,
    declare_account,
    fault_of,
    fleet_of,
    open_spec,
)


def look(fleet: Fleet, snapshot: Snapshot) -> Graveyard:
    return bury(fleet, snapshot, make_plan(fleet, snapshot))


def one(fleet: Fleet, deleted: DeletedAccount, **more: object) -> Burial:
    (burial,) = look(fleet, replace(seen(deleted), **more)).burials  # type: ignore[arg-type]
    return burial


def test_an_account_is_told_with_its_age_and_what_it_holds_at_most() -> None:
    graveyard = look(wanting(), seen(grave("a", 5), grave("b", 50)))
    old, young = graveyard.burials
    assert (old.name, old.age, old.left) == ("b", 50 * 3600.0, -2 * 3600.0)
    assert (young.name, young.age, young.left) == ("a", 5 * 3600.0, 43 * 3600.0)
    assert young.pools is not None
    assert [(pool.usage, pool.residue) for pool in young.pools] == [(GPT_4O, 100)]
    assert graveyard.fleets == ("prod",)
    assert graveyard.unread == ()


def test_what_is_not_known_is_not_made_up() -> None:
    dateless = replace(grave("a"), deleted_at="", purge_after="")
    burial = one(wanting(), dateless, quotas=None)
    assert (burial.age, burial.left, burial.pools) == (None, None, None)
    assert one(wanting(), grave("a", kind="SpeechServices"), quotas=None).pools == ()
    unread = replace(surveyed(1, 1), markets={}, unread={REGION: fault_of()}, unseen={account_id("x"): fault_of()})
    snapshot = seen(grave("a"), quota=unread, blind=(blind_to("Microsoft.CognitiveServices/deletedAccounts"),))
    assert [what for what, _ in look(wanting(), snapshot).unread] == [
        f"Microsoft.CognitiveServices/deletedAccounts in /subscriptions/{account_id('x').subscription}",
        f"quota of {REGION}",
        "deployments of x",
    ]


FATES = [
    (BLOCKING, EVERY_WORD, grave("a"), "left alone until a plan needs what it holds"),
    (
        BLOCKING,
        frozenset[str](),
        grave("a"),
        "left alone until a plan needs what it holds; add purge to spec.allow of the Fleet for that",
    ),
    (PurgePolicy(), EVERY_WORD, grave("a"), "left alone: Fleet spec.purge is never"),
    (BLOCKING, EVERY_WORD, grave("a", owner="other"), "left alone: it was fleet other's"),
    (
        PurgePolicy(when=PurgeWhen.ALWAYS),
        EVERY_WORD,
        grave("a"),
        "the next run purges it: Fleet spec.purge is always; an account of fleet prod is purged for good",
    ),
]


@pytest.mark.parametrize(("policy", "allow", "deleted", "fate"), FATES)
def test_what_becomes_of_an_account_is_told(
    policy: PurgePolicy, allow: frozenset[str], deleted: DeletedAccount, fate: str
) -> None:
    assert one(wanting(purge=policy, allow=allow), deleted).fate == fate


def test_what_the_next_run_does_with_an_account_is_what_its_plan_says() -> None:
    needed = look(wanting(FULL), seen(grave("a", 9), grave("b", 8))).burials
    assert needed[0].fate.startswith("the next run purges it: may hold quota that Account/one/deployments/d waits for")
    assert needed[1].fate.startswith(
        "the next run may purge it: only if what DeletedAccount/a gives back is not enough"
    )
    spec = account_spec()
    restoring = fleet_of(declare_account("two", spec), soft_deleted="restore", allow=EVERY_WORD)
    closed = grave("two", properties={"publicNetworkAccess": "Disabled"})
    assert one(restoring, closed).fate == "the next run restores it: Account/two wants it back"
    stopping = fleet_of(declare_account("two", open_spec()), allow=EVERY_WORD)
    assert one(stopping, grave("two")).fate.startswith("left alone: Account/two has its name: a soft-deleted account ")


def test_a_subscription_without_documents_has_no_fates() -> None:
    nobody = fleet_of(name="")
    graveyard = look(nobody, seen(grave("a")))
    assert graveyard.fleets == ()
    assert [burial.fate for burial in graveyard.burials] == [""]


def test_a_subscription_of_several_fleets_is_told_once_by_whose_each_was() -> None:
    graves = (grave("a"), grave("b", owner="two"), grave("c", owner=None))
    first = look(wanting(), seen(*graves))
    second = look(
        replace(wanting(purge=replace(BLOCKING, names=("c*",), when=PurgeWhen.ALWAYS)), name="two"), seen(*graves)
    )
    elsewhere = replace(first, subscription="11111111-0000-0000-0000-000000000000")
    merged = merge([first, second, elsewhere])
    assert [each.subscription for each in merged] == [first.subscription, elsewhere.subscription]
    assert merged[0].fleets == ("prod", "two")
    assert {each.name: each.fleet for each in merged[0].burials} == {"a": "prod", "b": "two", "c": "two"}


@pytest.mark.parametrize(
    "word",
    [
        "A",
        "rg-ai/a",
        str(account_id("a")),
        (
            f"/subscriptions/{account_id('a').subscription}/providers/Microsoft.CognitiveServices/locations/swedencentral"
            "/resourceGroups/rg-ai/deletedAccounts/a"
        ),
    ],
)
def test_an_account_is_found_by_whatever_it_is_called(word: str) -> None:
    burials = look(wanting(), seen(grave("a"), grave("ab"))).burials
    assert [each.name for each in find_burials(burials, word)] == ["a"]


def test_a_purge_by_hand_waits_for_all_that_the_account_may_have_held() -> None:
    (burial,) = look(wanting(purge=PurgePolicy()), seen(grave("a"))).burials
    plan = plan_one(burial)
    (step,), (decision,) = plan.steps, plan.decisions
    assert (step.verb, step.id, step.location) == (Verb.PURGE, account_id("a"), "Sweden Central")
    assert step.awaits == {GPT_4O.lower(): 0}
    assert (decision.action, decision.frees) == (Action.PURGE, {GPT_4O: 100})
    assert plan.applicable
    assert plan_one(replace(burial, pools=None)).steps[0].awaits == {}
