"""ARM ids: read in any spelling, equal without regard to case, related as Azure relates them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.ids import ArmId, Ref, fold_location
from tests.support.builders import account_id, deployment_id, group_id

NAMES = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1, max_size=6)
IDS = st.builds(
    ArmId,
    subscription=NAMES,
    group=NAMES,
    provider=NAMES,
    segments=st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=3).map(tuple),
)


@given(id=IDS)
def test_an_id_is_read_back_from_its_own_text(id: ArmId) -> None:
    assert ArmId.parse(str(id)) == id
    assert str(ArmId.parse(str(id))) == str(id)


def test_case_and_doubled_slashes_do_not_matter() -> None:
    text = str(deployment_id()).replace("/", "//").upper()
    assert ArmId.parse(text) == deployment_id()
    assert {ArmId.parse(text): 1}[deployment_id()] == 1


@pytest.mark.parametrize(
    ("text", "type_", "name"),
    [
        ("/subscriptions/s", "Microsoft.Resources/subscriptions", "s"),
        ("/subscriptions/s/resourceGroups/g", "Microsoft.Resources/resourceGroups", "g"),
        ("/subscriptions/s/providers/P/t/n", "P/t", "n"),
        ("/subscriptions/s/resourcegroups/g/providers/P/t/n/u/m", "P/t/u", "m"),
    ],
)
def test_an_id_tells_its_type_and_name(text: str, type_: str, name: str) -> None:
    assert (ArmId.parse(text).type, ArmId.parse(text).name) == (type_, name)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "starts with /subscriptions"),
        ("/tenants/t", "starts with /subscriptions"),
        ("/subscriptions", "starts with /subscriptions"),
        ("/subscriptions/s/resourceGroups", "name follows resourceGroups"),
        ("/subscriptions/s/resourceGroups/g/providers/P", "pairs of type and name"),
        ("/subscriptions/s/resourceGroups/g/providers/P/t", "pairs of type and name"),
        ("/subscriptions/s/resourceGroups/g/providers/P/t/n/u", "pairs of type and name"),
        ("/subscriptions/s/things/P/t/n", "pairs of type and name"),
    ],
)
def test_what_is_not_an_id_is_refused_with_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ArmId.parse(text)


def test_parents_lead_up_to_the_subscription() -> None:
    steps = [deployment_id()]
    while (parent := steps[-1].parent) is not None:
        steps.append(parent)
    assert steps[1:3] == [account_id(), group_id()]
    assert str(steps[3]) == f"/subscriptions/{group_id().subscription}"
    assert len(steps) == 4
    above = ArmId.parse("/subscriptions/s/providers/P/t/n").parent
    assert above == ArmId(subscription="s")


def test_siblings_share_a_lane_and_accounts_do_not() -> None:
    assert deployment_id("x").lane == deployment_id("y").lane == account_id().lane
    assert account_id("a").lane != account_id("b").lane
    assert group_id().lane == group_id().key


def test_an_id_covers_itself_and_what_lies_below_it_only() -> None:
    assert account_id().covers(deployment_id())
    assert account_id().covers(account_id("ONE"))
    assert not account_id("a").covers(account_id("ab"))
    assert not deployment_id().covers(account_id())


def test_ids_order_by_their_folded_text_and_print_as_ids() -> None:
    assert sorted([account_id("B"), account_id("a")]) == [account_id("a"), account_id("B")]
    assert repr(group_id("g")) == f"ArmId('/subscriptions/{group_id().subscription}/resourceGroups/g')"
    assert account_id() != str(account_id())


def test_refs_and_regions_have_one_spelling() -> None:
    assert str(Ref(kind="Account", name="a")) == "Account/a"
    assert fold_location("Sweden Central") == fold_location("swedencentral")
