"""`quota` as people run it: Azure read and not written, filters, outputs, exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.fleets import reconcile_bare
from tests.support.simulated import Azure, reconcile

POOL = "OpenAI.GlobalStandard.gpt-4o"
FLEET = """\
apiVersion: reconciler/v1
kind: Fleet
metadata: {name: tellers}
spec: {subscription: '${AZURE_SUBSCRIPTION_ID}', location: swedencentral, resourceGroup: rg-tellers}
---
apiVersion: reconciler/v1
kind: Account
metadata: {name: aoai-ours}
spec:
  publicNetworkAccess: Disabled
  deployments:
    - {name: a, model: {name: gpt-4o, version: "2024-11-20"}, sku: {name: GlobalStandard, capacity: 100}}
    - {name: b, model: {name: gpt-4o, version: "2024-11-20"}, sku: {name: GlobalStandard, capacity: 40}}
"""


def seeded(azure: Azure, name: str, units: int, **more: object) -> dict[str, object]:
    id = f"/subscriptions/{azure.subscription}/resourceGroups/rg-tellers/providers/Microsoft.CognitiveServices/accounts"
    model = {"format": "OpenAI", "name": "gpt-4o", "version": "2024-11-20"}
    sku = {"name": "GlobalStandard", "capacity": units}
    return {
        "id": f"{id}/{name}",
        "location": "swedencentral",
        "kind": "OpenAI",
        "sku": {"name": "S0"},
        "properties": {"publicNetworkAccess": "Disabled"},
        "deployments": [{"name": "a", "sku": sku, "properties": {"model": model}}],
        **more,
    }


@pytest.fixture(scope="module")
def home(live: Azure, tmp_path_factory: pytest.TempPathFactory) -> str:
    live.seed(
        resources=[
            seeded(live, "aoai-ours", 100, tags={"reconciler-fleet": "tellers"}),
            seeded(live, "aoai-theirs", 30),
        ],
        deletedAccounts=[seeded(live, "aoai-gone", 20)],
        limits={live.subscription: {"swedencentral": {POOL: 180}}},
    )
    folder = tmp_path_factory.mktemp("desired")
    (folder / "fleet.yaml").write_text(FLEET, encoding="utf-8")
    return str(folder)


def test_who_holds_what_is_told_and_nothing_is_written(live: Azure, home: str) -> None:
    before = len(live.writes())
    done = reconcile(live, "quota", home)
    assert done.code == 0, done.err
    assert (
        f"  {POOL}\n"
        "    [######################=======~~~~.......]  150 of 180, 30 left: 30k TPM, 180-300 RPM\n"
        "    100 ours, 30 others', up to 20 held by soft-deleted accounts\n"
        "    40 more are asked and do not fit\n"
    ).replace(", 30 left:", "\n    30 left:") in done.out
    assert "  soft-deleted here: aoai-gone\n" in done.out
    assert len(live.writes()) == before


def test_a_dry_run_says_why_it_does_not_fit_and_what_would(live: Azure, home: str) -> None:
    done = reconcile(live, "once", "--dry-run", "--output", "json", home)
    assert done.code == 3
    (fleet,) = done.document["fleets"]
    (blocked,) = [each for each in fleet["decisions"] if each["state"] == "blocked"]
    assert blocked["code"] == "insufficient_quota"
    assert blocked["reason"] == (
        "asks 40 of gpt-4o GlobalStandard in swedencentral; 150 of 180 are used (100 by this fleet, 30 by others, up "
        "to 20 by soft-deleted accounts): 30 left for it"
    )
    assert blocked["permit"] == (
        "declare a capacity of 30, 10 fewer; or purge what is soft-deleted there (aoai-gone), which frees 20 at most, "
        "by hand: reconciler purge aoai-gone (it did not carry this fleet's tag, nor does Fleet spec.purge.names name "
        "it); or free 10 of this pool, or ask Azure for a higher limit"
    )
    (pool,) = fleet["quota"]["pools"]
    assert (pool["usage"], pool["short"], pool["residue"]) == (POOL, 40, 20)


def test_filters_choose_regions_and_models_also_where_the_fleet_has_none(live: Azure, home: str) -> None:
    done = reconcile(live, "quota", "--region", "East US", "--model", "gpt-4o", "--output", "json", home)
    assert done.code == 0, done.err
    assert done.document["kind"] == "quota"
    (fleet,) = done.document["fleets"]
    assert {pool["location"] for pool in fleet["pools"]} == {"eastus"}
    assert all("gpt-4o" in pool["models"] for pool in fleet["pools"])


def test_a_model_that_nobody_sells_is_an_error_with_a_suggestion(live: Azure, home: str) -> None:
    done = reconcile(live, "quota", "--model", "gtp-4o", home)
    assert done.code == 1
    assert "no region that was asked sells a model named gtp-4o; did you mean gpt-4o?" in done.err


def test_a_region_that_does_not_exist_is_unknown_and_not_empty(live: Azure, home: str) -> None:
    done = reconcile(live, "quota", "--region", "atlantis", home)
    assert done.code == 1
    assert "? atlantis: quota could not be read, so nothing is known about it" in done.out


def test_markdown_is_a_table(live: Azure, home: str) -> None:
    done = reconcile(live, "quota", "--output", "markdown", home)
    assert done.code == 0
    assert f"| `swedencentral` | `{POOL}` |" in done.out


def test_a_wrong_document_stops_it_before_the_first_request(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET.replace("location:", "locatoin:"), encoding="utf-8")
    done = reconcile_bare("quota", str(tmp_path), environment={"AZURE_SUBSCRIPTION_ID": "0" * 36})
    assert done.code == 1
    assert "no request was sent" in done.err


WATCH = f"""\
---
apiVersion: reconciler/v1
kind: Quota
metadata: {{name: sweden}}
spec:
  pools:
    - {{usage: {POOL}, limit: 200, headroom: 10%}}
    - {{usage: OpenAI.GlobalStandard.gpt4o, headroom: 1}}
---
apiVersion: reconciler/v1
kind: Quota
metadata: {{name: elsewhere}}
spec:
  location: eastus2
  pools: [{{usage: {POOL}, limit: 1}}]
"""


@pytest.fixture(scope="module")
def watched(home: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "fleet.yaml").write_text(FLEET.replace("capacity: 40", "capacity: 25") + WATCH, encoding="utf-8")
    return str(folder)


def test_a_plan_tells_what_documents_want_of_quota_and_nobody_has(live: Azure, watched: str) -> None:
    done = reconcile(live, "once", "--dry-run", watched)
    assert done.code == 2
    assert (
        "  * drifted  OpenAI.GlobalStandard.gpt-4o\n"
        "      Azure grants 180, 20 fewer than declared: ask Azure for 200, or declare\n"
        "      180; 150 of 180 are used, this plan takes 25: 5 left, 13 fewer than the\n"
        "      headroom of 18: free as much of this pool, or ask Azure for more\n"
        "      headroom  5 -> 18\n"
        "      limit     180 -> 200\n"
    ) in done.out
    assert (
        "  ! blocked  OpenAI.GlobalStandard.gpt4o\n"
        "      swedencentral has no usage OpenAI.GlobalStandard.gpt4o; close to it:\n"
        f"      {POOL}" in done.out
    )
    assert "elsewhere" not in done.out


def test_the_quota_table_tells_what_is_declared_also_in_a_region_without_accounts(live: Azure, watched: str) -> None:
    done = reconcile(live, "quota", watched)
    assert done.code == 0, done.err
    assert "    declared 200, 20 more than granted; headroom 18 wanted, 13 more than there\n" in done.out
    assert f"eastus2\n  {POOL}\n" in done.out
    assert "    declared 1\n" in done.out
