"""`deleted` and `purge` as people run them: what is told, who is asked, what is waited for, exit codes."""

from __future__ import annotations

import fcntl
import re
from pathlib import Path

import pytest

from tests.cli.fleets import reconcile_at_terminal, reconcile_bare
from tests.cli.test_quota import POOL, seeded
from tests.support.simulated import Azure, reconcile

FLEET = """\
apiVersion: reconciler/v1
kind: Fleet
metadata: {name: keepers}
spec:
  subscription: '${AZURE_SUBSCRIPTION_ID}'
  location: swedencentral
  resourceGroup: rg-tellers
  purge: blocking
---
apiVersion: reconciler/v1
kind: Account
metadata: {name: aoai-wanted}
spec: {publicNetworkAccess: Disabled}
---
apiVersion: reconciler/v1
kind: Account
metadata: {name: aoai-guarded}
spec: {publicNetworkAccess: Disabled, location: uksouth}
lifecycle: {preventDestroy: true}
"""
OURS = {"tags": {"reconciler-fleet": "keepers"}, "deletionDate": "2025-10-28T04:00:00Z"}
EARLIER = {"deletionDate": "2025-10-27T13:00:00Z"}


@pytest.fixture(scope="module")
def home(live: Azure, tmp_path_factory: pytest.TempPathFactory) -> str:
    live.control("PUT", "settings", {"purge_returns": 120})
    elsewhere = seeded(live, "aoai-twice", 0, location="eastus", deployments=[])
    other_group = {"id": str(elsewhere["id"]).replace("rg-tellers", "rg-others")}
    live.seed(
        deletedAccounts=[
            seeded(live, "aoai-old", 20, **OURS),
            seeded(live, "aoai-theirs", 50, **EARLIER),
            seeded(live, "aoai-wanted", 5, **OURS),
            seeded(live, "aoai-asked", 7, **OURS, location="westeurope"),
            seeded(live, "aoai-kept", 7, **OURS, location="francecentral"),
            *(seeded(live, f"aoai-{each}", 0, **OURS, location="norwayeast") for each in ("held", "spared", "free")),
            seeded(live, "aoai-guarded", 7, **OURS, location="uksouth"),
            elsewhere,
            {**elsewhere, **other_group},
        ],
    )
    folder = tmp_path_factory.mktemp("desired")
    (folder / "fleet.yaml").write_text(FLEET, encoding="utf-8")
    return str(folder)


def test_what_is_deleted_is_told_with_what_it_holds_at_most_and_what_becomes_of_it(live: Azure, home: str) -> None:
    before = len(live.writes())
    done = reconcile(live, "deleted", home, "--output", "json")
    assert done.code == 0, done.err
    (subscription,) = done.document["subscriptions"]
    told = {each["id"].partition("/resourceGroups/")[2]: each for each in subscription["accounts"]}
    assert next(iter(told)).endswith("/aoai-theirs"), "the one deleted first comes first"
    theirs, wanted = (
        next(each for id, each in told.items() if id.endswith(name)) for name in ("aoai-theirs", "aoai-wanted")
    )
    assert (theirs["owner"], wanted["owner"], theirs["overdue"]) == (None, "keepers", False)
    assert theirs["fate"] == ("left alone: it did not carry this fleet's tag, nor does Fleet spec.purge.names name it")
    assert wanted["fate"].startswith("left alone: needs a soft-deleted account purged for good")
    (held,) = theirs["may_hold"]
    assert (held["usage"], held["billed"]) == (POOL, False)
    assert held["at_most"] in (55, 75)  # with or without what another test here purges
    assert len(live.writes()) == before


def test_a_region_that_does_not_exist_is_unknown_and_not_empty(live: Azure, home: str) -> None:
    done = reconcile(live, "deleted", "--region", "atlantis", "--region", "eastus", home)
    assert done.code == 1
    assert "quota of atlantis could not be read: LocationNotFound" in done.err
    assert "aoai-twice" in done.out


def test_a_region_narrows_the_list_and_a_subscription_stands_in_for_documents(live: Azure, home: str) -> None:
    done = reconcile(live, "deleted", "--subscription", live.subscription, "--region", "East US")
    assert done.code == 0, done.err
    assert done.out.startswith(
        f"Subscription {live.subscription}\n"
        "\n"
        "eastus\n"
        "  they hold no quota.\n"
        "  aoai-twice in rg-others, OpenAI\n"
        "      deleted "
    )
    assert "; of no fleet\n  aoai-twice in rg-tellers, OpenAI\n" in done.out


def test_markdown_is_a_table(live: Azure, home: str) -> None:
    done = reconcile(live, "deleted", "--output", "markdown", "--region", "eastus", home)
    assert done.code == 0
    assert "| `rg-others/aoai-twice` | `eastus` | `OpenAI` | `deleted " in done.out


def test_a_purge_is_followed_until_usages_show_what_came_back(live: Azure, home: str) -> None:
    done = reconcile(live, "purge", "aoai-old", "--yes", home)
    assert done.code == 0, done.err
    assert "swedencentral, deleted 10 h " in done.out
    assert "of fleet keepers\n" in done.out
    held = f"holds at most 75 of {POOL} (75k TPM, 450-750 RPM), which all that is deleted softly in its region hold"
    assert held in " ".join(done.out.split())
    assert "  ! Its fine-tuned models and uploaded files are lost for good" in done.out
    assert "x purge DeletedAccount/aoai-old done in " in done.out
    assert f": gave back 20 of\n  {POOL} after " in done.out
    assert "x purge DeletedAccount/aoai-old purged; waits for usages to show what it gave back" in done.err
    state = live.control("GET", "state")
    assert not [each for each in state["graves"] if each["account"]["id"].endswith("/aoai-old")]


def test_a_purge_asks_and_takes_no_for_an_answer(live: Azure, home: str) -> None:
    done = reconcile_at_terminal(["purge", "rg-tellers/aoai-kept", home], live.environment, "no\n", "taken for a yes")
    assert done.code == 4
    assert "Purge aoai-kept for good?" in done.err
    assert "not agreed to; nothing was purged" in done.err
    assert "francecentral" in done.out
    agreed = reconcile_at_terminal(["purge", "aoai-asked", home], live.environment, "yes\n", "taken for a yes")
    assert agreed.code == 0
    assert "x purge DeletedAccount/aoai-asked done in" in agreed.out


def test_as_json_a_purge_tells_the_account_and_how_it_ended(live: Azure, home: str) -> None:
    words = ("purge", "--yes", "--subscription", live.subscription, "--output", "json", "RG-Others/AOAI-twice")
    done = reconcile(live, *words)
    assert done.code == 0, done.err
    assert done.document["kind"] == "purge"
    assert done.document["outcome"]["result"] == "done"
    assert done.document["account"]["resource_group"] == "rg-others"


def test_what_a_document_lets_nobody_destroy_is_not_purged_by_hand_either(live: Azure, home: str) -> None:
    before = len(live.writes())
    done = reconcile(live, "purge", "aoai-guarded", home, "--yes")
    assert done.code == 4, done.err
    assert "Account/aoai-guarded forbids it (lifecycle.preventDestroy): remove that from its document first" in done.err
    data = reconcile(live, "purge", "aoai-guarded", home, "--yes", "--output", "json")
    assert (data.code, data.document["outcome"], data.document["exit_code"]) == (4, None, 4)
    assert len(live.writes()) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("aoai-old",), "there is no terminal to ask on; add --yes to purge without being asked"),
        (("aoai-keptt", "--yes"), "there is no soft-deleted account aoai-keptt; did you mean aoai-kept? There are "),
        (("--yes", "--subscription", "prod", "x"), "--subscription prod: write the subscription's id, not a name"),
        (("--yes", "--bogus", "x"), "unrecognized arguments: --bogus"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(live: Azure, home: str, words: tuple[str, ...], said: str) -> None:
    done = reconcile(live, "purge", *words, *(() if "--subscription" in words else (home,)))
    assert done.code == 64
    assert said in done.err


def test_a_name_of_two_accounts_is_asked_back(live: Azure, home: str) -> None:
    live.seed(
        deletedAccounts=[
            seeded(live, "aoai-double", 0, location="uksouth", deployments=[]),
            {
                **seeded(live, "aoai-double", 0, location="uksouth", deployments=[]),
                "id": str(seeded(live, "aoai-double", 0)["id"]).replace("rg-tellers", "rg-others"),
            },
        ]
    )
    done = reconcile(live, "purge", "aoai-double", "--yes", home)
    assert done.code == 64
    assert (
        "aoai-double is the name of 2 soft-deleted accounts; write rg-others/aoai-double or rg-tellers/aoai-double"
    ) in done.err


def test_a_subscription_and_documents_are_not_both_meant() -> None:
    done = reconcile_bare("deleted", "--subscription", "0" * 8 + "-0000-0000-0000-" + "0" * 12, "somewhere")
    assert done.code == 64
    assert "--subscription stands in for a desired state; do not name one besides" in done.err


def test_wrong_documents_stop_both_before_the_first_request(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET.replace("location:", "locatoin:"), encoding="utf-8")
    for words in (("deleted",), ("purge", "x", "--yes")):
        done = reconcile_bare(*words, str(tmp_path), environment={"AZURE_SUBSCRIPTION_ID": "0" * 36})
        assert done.code == 1
        assert "no request was sent" in done.err


# -- whoever purges writes


def test_a_purge_takes_the_lease_and_looks_at_nothing_without_it(live: Azure, home: str, tmp_path: Path) -> None:
    lock, before = tmp_path / "lock", len(live.requests())
    words = ("purge", "aoai-held", "--yes", "--lease", "file", "--lease-file", str(lock), home)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("pod-a, process 7\n")
        held.flush()
        done = reconcile(live, *words)
        assert done.code == 4
        assert done.err.endswith(
            f"reconciler purge: the lease {lock} is held by pod-a, process 7; nothing was written\n"
        )
        assert len(live.requests()) == before
    done = reconcile(live, *words)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    "scope",
    [
        (),
        ("--fleet", "keepers"),
        ("--kind", "Account"),
        ("--target", "Account/aoai-spared"),
    ],
)
def test_a_pause_keeps_a_purge_from_being_sent(live: Azure, home: str, tmp_path: Path, scope: tuple[str, ...]) -> None:
    words, before = ("--pause-file", str(tmp_path / "pauses.json")), len(live.writes())
    asked = ("pause", "--until", "1000h", "--by", "ann", "--reason", "release", *scope, *words)
    assert reconcile_bare(*asked, cwd=tmp_path).code == 0
    for more in ((home,), ("--subscription", live.subscription)):
        done = reconcile(live, "purge", "aoai-spared", "--yes", *words, *more)
        assert done.code == 4, done.err
        told = r"DeletedAccount/aoai-spared is paused by ann until 20\S+Z: release"
        advice = "wait, or end it with `reconciler resume`; nothing was purged"
        assert re.search(f"^{told}; {advice}$", done.err, re.MULTILINE)
    assert len(live.writes()) == before


def test_a_pause_of_something_else_keeps_no_purge(live: Azure, home: str, tmp_path: Path) -> None:
    words = ("--pause-file", str(tmp_path / "pauses.json"))
    for scope in (("--kind", "VirtualNetwork"), ("--fleet", "another"), ("--target", "Account/aoai-spare")):
        assert reconcile_bare("pause", "--until", "1000h", *scope, *words, cwd=tmp_path).code == 0
    assert reconcile(live, "purge", "aoai-free", "--yes", *words, home).code == 0


def test_pauses_that_cannot_be_read_keep_every_purge(live: Azure, home: str, tmp_path: Path) -> None:
    file = tmp_path / "pauses.json"
    file.write_text("{", encoding="utf-8")
    done = reconcile(live, "purge", "aoai-spared", "--yes", "--pause-file", str(file), home)
    assert done.code == 4
    assert f"is paused: the pauses in {file} cannot be read: Expecting property name" in done.err


def test_nothing_is_purged_at_hours_at_which_its_fleet_is_not_written_to(live: Azure, tmp_path: Path) -> None:
    closed = "  maintenance: {deny: [{start: '* * * * *', duration: 1h}]}\n"
    (tmp_path / "fleet.yaml").write_text(FLEET.replace("  purge: blocking\n", closed), encoding="utf-8")
    done = reconcile(live, "purge", "aoai-spared", "--yes", str(tmp_path))
    assert done.code == 4, done.err
    assert (
        "DeletedAccount/aoai-spared is of fleet keepers: in hours that spec.maintenance denies, and no others are in "
        "sight; wait, or change spec.maintenance of the Fleet; nothing was purged\n"
    ) in done.err


def test_who_only_observes_purges_nothing_and_looks_at_nothing(live: Azure, home: str) -> None:
    before = len(live.requests())
    for words in (("purge", "aoai-spared", "--yes"), ("once", "--yes")):
        done = reconcile(live, *words, home, environment={"RECONCILER_OBSERVE_ONLY": "true"})
        assert done.code == 4
        assert done.err == (
            f"reconciler {words[0]}: observeOnly is true (environment RECONCILER_OBSERVE_ONLY), so nothing is written; "
            "plan with `reconciler once --dry-run`, or set it to false\n"
        )
    assert len(live.requests()) == before
