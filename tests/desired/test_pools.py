"""ModelPool documents: what they say, and each mistake as one sentence at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.desired import load_estate
from reconciler.kinds.model_pool import ZONES
from reconciler.model.finding import Severity
from reconciler.model.resource import Estate
from reconciler.model.wish import PoolWish
from tests.desired.trees import FLEET, account, load, plant, tell

MODEL = "model: {name: gpt-4o, version: 2024-11-20}"
CHOICE = "accounts: {matchLabels: {serves: chat}}"


def labelled(name: str, labels: str = "serves: chat", spec: str = "publicNetworkAccess: Disabled") -> str:
    return account(name, spec).replace(f"{{name: {name}}}", f"{{name: {name}, labels: {{{labels}}}}}")


def pool(spec: str = "", name: str = "chat", tpm: str = "3M", types: str = "[Standard]", lifecycle: str = "") -> str:
    said = ", ".join(each for each in (MODEL, f"tpm: {tpm}", f"deploymentTypes: {types}", CHOICE, spec) if each)
    after = f"lifecycle: {{{lifecycle}}}\n" if lifecycle else ""
    return f"apiVersion: reconciler/v1\nkind: ModelPool\nmetadata: {{name: {name}}}\nspec: {{{said}}}\n{after}"


HERE = labelled("here")
THERE = labelled("there", spec="publicNetworkAccess: Disabled, location: westus")


def wish_of(estate: Estate) -> PoolWish:
    assert estate.findings == ()
    (wish,) = estate.fleets[0].wishes
    assert isinstance(wish, PoolWish)
    return wish


def test_a_pool_is_a_wish_and_no_resource(tmp_path: Path) -> None:
    text = pool("maxSharePerRegion: 60, minRegions: 2, tags: {team: ai}", types="[DataZoneStandard, Standard]")
    estate = load(tmp_path, HERE, THERE, text)
    wish = wish_of(estate)
    assert (wish.tokens, wish.model, wish.version, wish.skus) == (
        3_000_000,
        "gpt-4o",
        "2024-11-20",
        ("DataZoneStandard", "Standard"),
    )
    assert wish.names == {"DataZoneStandard": "chat-datazonestandard", "Standard": "chat-standard"}
    assert (wish.most_share, wish.least_regions, wish.regions) == (60, 2, None)
    assert wish.fields == {
        "model.format": "OpenAI",
        "model.name": "gpt-4o",
        "model.version": "2024-11-20",
        "tags.team": "ai",
    }
    assert len(estate.fleets[0].desired) == 2


def test_a_data_zone_keeps_to_its_regions(tmp_path: Path) -> None:
    wish = wish_of(load(tmp_path, HERE, THERE, pool("dataZone: EU")))
    assert wish.regions == tuple(sorted(ZONES["EU"]))
    wish = wish_of(load(tmp_path, HERE, pool("dataZone: EU, regions: [Sweden Central]")))
    assert wish.regions == ("swedencentral",)


def test_a_pool_that_was_renamed_keeps_the_names_of_its_deployments(tmp_path: Path) -> None:
    wish = wish_of(load(tmp_path, HERE, pool(name="talk", lifecycle="moved: chat")))
    assert wish.names == {"Standard": "chat-standard"}


def test_one_deployment_type_may_have_a_name_of_its_own(tmp_path: Path) -> None:
    wish = wish_of(load(tmp_path, HERE, pool("deploymentName: gpt-4o")))
    assert wish.names == {"Standard": "gpt-4o"}
    assert wish.left == {}


@pytest.mark.parametrize(
    ("documents", "finding"),
    [
        (
            (labelled("here", "serves: draft, tier: prod"), pool()),
            (
                "no Account document of this fleet carries the labels {serves: chat} "
                "(labels of accounts are serves: draft, tier: prod)"
            ),
        ),
        (
            (account("here"), pool()),
            (
                "no Account document of this fleet carries the labels {serves: chat} "
                "(no account has labels; write metadata.labels there)"
            ),
        ),
        (
            (pool(),),
            (
                "no Account document of this fleet carries the labels {serves: chat} "
                "(declare an account, and give it these labels)"
            ),
        ),
        (
            (HERE, pool(types="[Standrad]")),
            "deploymentTypes[0] cannot be 'Standrad' (did you mean Standard?)",
        ),
        (
            (HERE, pool(types="[]")),
            "deploymentTypes is 0 long (it must have at least 1 items)",
        ),
        (
            (HERE, pool(types="[ProvisionedManaged]")),
            (
                "deploymentTypes names ProvisionedManaged, which is sold by the hour in throughput units and has no "
                "tokens per minute (declare such a deployment in its Account document, and name types that are sold by "
                "tokens here)"
            ),
        ),
        (
            (HERE, pool(types="[GlobalBatch]")),
            (
                "deploymentTypes names GlobalBatch, whose quota is enqueued tokens and not tokens per minute (declare "
                "such a deployment in its Account document, and name types that are sold by tokens here)"
            ),
        ),
        (
            (HERE, pool("dataZone: EU", types="[GlobalStandard]")),
            (
                "deploymentTypes names GlobalStandard, which may serve a request anywhere in the world, and dataZone "
                "keeps it in the EU (name DataZoneStandard or Standard, or remove dataZone)"
            ),
        ),
        (
            (THERE, pool("dataZone: EU")),
            (
                "no account with these labels is where dataZone wants it: they are in westus "
                "(change dataZone, or declare an account there)"
            ),
        ),
        (
            (HERE, pool(tpm="0")),
            "tpm is 0 (it must be at least 1; remove the document where nothing is wanted)",
        ),
        (
            (HERE, pool(tpm="lots")),
            "tpm cannot be 'lots' (write a number of tokens per minute, such as 450000, 450k or 1.5M)",
        ),
        (
            (HERE, pool("deploymentName: gpt-4o", types="[DataZoneStandard, Standard]")),
            (
                "deploymentName names one deployment, and there are 2 deployment types, which can be side by side in "
                "one account (remove it, or keep one deployment type)"
            ),
        ),
        (
            (HERE, pool("minRegions: 2")),
            (
                "minRegions is 2, and its accounts are in 1 region (swedencentral) "
                "(declare accounts in more regions, or write a lower number)"
            ),
        ),
        (
            (HERE, THERE, pool("maxSharePerRegion: 40")),
            (
                "maxSharePerRegion is 40, and its accounts are in 2 regions (swedencentral, westus): that is 80 % of "
                "what is wanted at most (write 50 or more, or declare accounts in more regions)"
            ),
        ),
        (
            (HERE, pool("maxSharePerRegion: 101")),
            "maxSharePerRegion is 101 (it must be at most 100)",
        ),
        (
            (HERE, pool("raiPolicyName: strict")),
            (
                "raiPolicyName names strict, which Account/here does not declare "
                "(declare it under raiPolicies there, or name one of Azure's: Microsoft.DefaultV2)"
            ),
        ),
        (
            (HERE, pool(name="c" * 60)),
            (
                f"its deployments would be called '{'c' * 60}-standard', which Azure does not take (use up to 64 "
                "letters, digits, - _ . in all and begin with a letter or digit; or write deploymentName)"
            ),
        ),
        (
            (HERE, pool(name="chat pool")),
            (
                "its deployments would be called 'chat pool-standard', which Azure does not take (use up to 64 "
                "letters, digits, - _ . in all and begin with a letter or digit; or write deploymentName)"
            ),
        ),
        (
            (HERE, pool("capacity: 3")),
            (
                "unknown field capacity in spec (known fields: model, tpm, deploymentTypes, accounts, regions, "
                "dataZone, maxSharePerRegion, minRegions, deploymentName, raiPolicyName, versionUpgradeOption, tags)"
            ),
        ),
        (
            (HERE, pool(lifecycle="ignore: [sku.capacity]")),
            ("lifecycle.ignore names sku.capacity, which a document of this kind cannot have"),
        ),
    ],
)
def test_each_mistake_is_one_sentence_at_its_place(tmp_path: Path, documents: tuple[str, ...], finding: str) -> None:
    (told,) = tell(load(tmp_path, *documents), tmp_path)
    place, _, sentence = told.partition(": error: ")
    assert sentence == finding
    assert place.startswith("all.yaml:")


def test_a_region_outside_of_the_data_zone_is_named_with_those_inside(tmp_path: Path) -> None:
    told = tell(load(tmp_path, HERE, pool("dataZone: EU, regions: [swedencentral, West US]")), tmp_path)
    (error,) = [each for each in told if ": error: " in each]
    assert "regions names westus, which is not in the EU data zone" in error
    assert "francecentral, germanywestcentral" in error


def test_a_region_without_an_account_is_a_warning(tmp_path: Path) -> None:
    estate = load(tmp_path, HERE, pool("regions: [swedencentral, norwayeast]"))
    (told,) = estate.findings
    assert (told.severity, told.message) == (
        Severity.WARNING,
        "regions names norwayeast, where no account with these labels is",
    )
    assert estate.fleets[0].wishes


def test_a_deployment_that_an_account_declares_is_not_placed_as_well(tmp_path: Path) -> None:
    own = "{name: chat-standard, model: {name: gpt-4o}, sku: {name: Standard, capacity: 1}}"
    both = labelled("here", spec=f"publicNetworkAccess: Disabled, deployments: [{own}]")
    estate = load(tmp_path, both, pool())
    (told,) = tell(estate, tmp_path)
    assert "Account/here declares a deployment chat-standard itself (it is at all.yaml:9:" in told
    assert estate.fleets[0].wishes == ()
    assert len(estate.fleets[0].desired) == 2


def test_what_lies_outside_of_its_regions_is_nothing_to_a_pool(tmp_path: Path) -> None:
    """Neither another pool of the same name, nor a deployment or a missing filter there."""
    own = "{name: d, model: {name: gpt-4o}, sku: {name: Standard, capacity: 1}}"
    spec = f"publicNetworkAccess: Disabled, location: westeurope, deployments: [{own}]"
    north = pool("deploymentName: d, regions: [swedencentral]", name="one")
    west = pool("deploymentName: D, regions: [francecentral], raiPolicyName: strict", name="two")
    filter_ = "raiPolicies: [{name: strict, basePolicyName: Microsoft.DefaultV2}]"
    france = labelled("france", spec=f"publicNetworkAccess: Disabled, location: francecentral, {filter_}")
    estate = load(tmp_path, HERE, france, labelled("west", spec=spec), north, west)
    assert tell(estate, tmp_path) == []
    assert len(estate.fleets[0].wishes) == 2


def test_two_pools_of_one_name_may_not_share_an_account(tmp_path: Path) -> None:
    estate = load(tmp_path, HERE, pool("deploymentName: d", name="one"), pool("deploymentName: D", name="two"))
    (told,) = tell(estate, tmp_path)
    assert "ModelPool/one calls its deployments D too, and may use Account/here as well" in told
    assert [str(wish.ref) for wish in estate.fleets[0].wishes] == ["ModelPool/one"]


def test_what_is_missing_in_an_account_that_is_itself_wrong_is_no_mistake_of_the_pool(tmp_path: Path) -> None:
    wrong = labelled("here", spec="publicNetworkAccess: Maybe")
    (told,) = tell(load(tmp_path, wrong, pool()), tmp_path)
    assert "publicNetworkAccess" in told


def test_a_filter_that_its_accounts_declare_is_found_in_any_letters(tmp_path: Path) -> None:
    own = "raiPolicies: [{name: Strict, basePolicyName: Microsoft.DefaultV2}]"
    here = labelled("here", spec=f"publicNetworkAccess: Disabled, {own}")
    assert wish_of(load(tmp_path, here, pool("raiPolicyName: strict"))).fields["raiPolicyName"] == "strict"


def test_below_a_broken_fleet_nothing_is_said_about_regions(tmp_path: Path) -> None:
    """Where its accounts are is for the Fleet to say."""
    broken = FLEET.replace("subscription:", "subscriptoin:")
    plant(tmp_path, {"all.yaml": "---\n".join((broken, HERE, pool("minRegions: 2")))})
    (told,) = tell(load_estate([tmp_path], {}), tmp_path)
    assert "subscriptoin" in told
