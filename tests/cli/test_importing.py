"""Live resources as documents: which of them, and what keeps them from being written."""

from __future__ import annotations

from reconciler.cli.importing import Choice, describe_live
from reconciler.model.ids import ArmId
from reconciler.model.resource import Live, LiveState, Snapshot
from reconciler.model.wire import JsonObject

GROUPS = [ArmId(subscription="s", group=name) for name in ("rg-a", "rg-b", "rg-empty")]
KIND = "Microsoft.CognitiveServices/accounts"


def _account(group: ArmId, name: str, state: LiveState = LiveState.SETTLED, tags: JsonObject | None = None) -> Live:
    wire: JsonObject = {
        "location": "swedencentral",
        "kind": "OpenAI",
        "sku": {"name": "S0"},
        "tags": tags or {},
        "properties": {"publicNetworkAccess": "Disabled"},
    }
    return Live(id=group.resource(KIND, name), wire=wire, state=state)


def _snapshot(*lives: Live) -> Snapshot:
    groups = [Live(id=id, wire={"location": "swedencentral"}) for id in GROUPS]
    return Snapshot(taken_at=0, live={live.id: live for live in (*groups, *lives)})


def _choose(**more: tuple[str, ...]) -> Choice:
    return Choice(subscription="s", fleet="f", groups=more.get("groups", ()), accounts=more.get("accounts", ()))


def _names(documents: list[JsonObject]) -> list[str]:
    return [f"{each['kind']}/{each['metadata']['name']}" for each in documents if isinstance(each["metadata"], dict)]


def test_only_groups_that_hold_an_account_are_written() -> None:
    documents, unclear = describe_live(_snapshot(_account(GROUPS[0], "a")), _choose())
    assert unclear == ()
    assert _names(documents) == ["Fleet/f", "ResourceGroup/rg-a", "Account/a"]
    assert documents[0]["spec"] == {"subscription": "s"}
    assert all(each["lifecycle"] == {"policy": "observe"} for each in documents[1:])


def test_a_group_that_was_named_is_written_even_if_it_is_empty() -> None:
    documents, _ = describe_live(_snapshot(_account(GROUPS[0], "a")), _choose(groups=("RG-EMPTY",)))
    assert _names(documents) == ["Fleet/f", "ResourceGroup/rg-empty"]


def test_names_are_compared_without_regard_to_case() -> None:
    snapshot = _snapshot(_account(GROUPS[0], "Alpha"), _account(GROUPS[1], "beta"))
    documents, _ = describe_live(snapshot, _choose(accounts=("ALPHA",)))
    assert _names(documents) == ["Fleet/f", "ResourceGroup/rg-a", "Account/Alpha"]


def test_a_name_that_nothing_bears_gets_a_suggestion() -> None:
    snapshot = _snapshot(_account(GROUPS[0], "aoai-swc"))
    documents, unclear = describe_live(snapshot, _choose(accounts=("aoai-swx",), groups=("nothing-like-it",)))
    assert documents == []
    assert unclear == (
        "there is no resource group nothing-like-it in this subscription",
        "there is no account aoai-swx in this subscription; did you mean aoai-swc?",
    )


def test_two_accounts_of_one_name_are_told_apart_by_group() -> None:
    snapshot = _snapshot(_account(GROUPS[0], "same"), _account(GROUPS[1], "Same"))
    _, unclear = describe_live(snapshot, _choose())
    assert unclear == ("2 accounts are called same; import one resource group at a time, each into its own fleet",)
    assert describe_live(snapshot, _choose(groups=("rg-a",)))[1] == ()


def test_the_mark_of_another_fleet_and_what_is_being_deleted_are_left_out() -> None:
    marked = _account(GROUPS[0], "a", tags={"team": "x", "reconciler-fleet": "prod"})
    going = _account(GROUPS[1], "b", LiveState.DELETING)
    documents, _ = describe_live(_snapshot(marked, going), _choose())
    assert _names(documents) == ["Fleet/f", "ResourceGroup/rg-a", "Account/a"]
    spec = documents[2]["spec"]
    assert isinstance(spec, dict)
    assert spec["tags"] == {"team": "x"}
