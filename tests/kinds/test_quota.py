"""Quota documents: what they want of which pool, and every mistake at its place with what would be right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.desired.explain import make_schema
from reconciler.kinds.catalog import TYPES, kind_named
from reconciler.model.finding import Finding
from reconciler.model.ids import ArmId
from reconciler.model.lifecycle import ManagePolicy
from reconciler.model.quota import Offer
from reconciler.model.resource import Fleet
from reconciler.model.wish import Amount, Measure, QuotaWish
from tests.desired.trees import FLEET, SUBSCRIPTION, load

USAGE = "usage: OpenAI.GlobalStandard.gpt-4o"
MODEL = "model: {name: GPT-4o}, sku: {name: GlobalStandard}"


def watch(*pools: str, name: str = "sweden", spec: str = "", lifecycle: str = "") -> str:
    """A Quota document; each pool is the inside of a flow mapping on a line of its own, from line 12 on."""
    listed = "".join(f"    - {{{pool}}}\n" for pool in pools)
    after = f"lifecycle: {{{lifecycle}}}\n" if lifecycle else ""
    head = f"apiVersion: reconciler/v1\nkind: Quota\nmetadata: {{name: {name}, labels: {{team: ai}}}}\nspec:\n{spec}"
    return f"{head}  pools:\n{listed}{after}"


def wanted(fleet: Fleet) -> list[QuotaWish]:
    found = [each for each in fleet.wishes if isinstance(each, QuotaWish)]
    assert len(found) == len(fleet.wishes)
    return found


def wishes(tmp_path: Path, *documents: str) -> list[QuotaWish]:
    estate = load(tmp_path, *documents)
    assert estate.findings == ()
    (fleet,) = estate.fleets
    return wanted(fleet)


def findings(tmp_path: Path, *documents: str) -> list[Finding]:
    return [*load(tmp_path, *documents).findings]


def test_a_pool_is_a_wish_and_no_resource(tmp_path: Path) -> None:
    (fleet,) = load(tmp_path, watch(f"{USAGE}, limit: 500, headroom: 10%")).fleets
    (wish,) = wanted(fleet)
    assert fleet.desired == {}
    place = "/providers/Microsoft.CognitiveServices/locations/swedencentral/usages/OpenAI.GlobalStandard.gpt-4o"
    assert wish.id == ArmId.parse(f"/subscriptions/{SUBSCRIPTION}{place}")
    assert (str(wish.ref), wish.usage) == ("Quota/sweden/OpenAI.GlobalStandard.gpt-4o", "OpenAI.GlobalStandard.gpt-4o")
    assert (wish.limit, wish.headroom) == (Amount(number=500), Amount(number=10, measure=Measure.PERCENT))
    assert (wish.labels, wish.location, wish.priced) == ({"team": "ai"}, "swedencentral", False)
    assert (wish.origin.line, wish.origin.column) == (FLEET.count("\n") + 7, 15)


def test_a_pool_may_be_told_by_the_model_and_type_that_draw_on_it(tmp_path: Path) -> None:
    (first, second) = wishes(
        tmp_path, watch(f"{MODEL}, tpm: 1.5M", f"{MODEL}, headroomTpm: 50k".replace("GPT", "gpt3"))
    )
    assert first.offer == Offer(
        location="swedencentral", format="openai", model="gpt-4o", version="", sku="globalstandard"
    )
    assert str(first.ref) == "Quota/sweden/GPT-4o GlobalStandard"
    assert first.limit == Amount(number=1_500_000, measure=Measure.TOKENS)
    assert second.headroom == Amount(number=50_000, measure=Measure.TOKENS)
    assert first.priced


def test_the_region_is_the_documents_or_else_the_fleets(tmp_path: Path) -> None:
    (wish,) = wishes(tmp_path, watch(f"{USAGE}, headroom: 50", spec="  location: East US 2\n"))
    assert wish.location == "eastus2"
    assert wish.headroom == Amount(number=50)


def test_a_document_that_is_let_go_of_says_so(tmp_path: Path) -> None:
    (wish,) = wishes(tmp_path, watch(f"{USAGE}, limit: 5", lifecycle="policy: detach"))
    assert wish.lifecycle.policy is ManagePolicy.DETACH


def test_versions_with_pools_of_their_own_are_told_apart(tmp_path: Path) -> None:
    version = MODEL.replace("GPT-4o", 'gpt-4o, version: "2024-11-20"')
    first, second = wishes(tmp_path, watch(f"{MODEL}, limit: 5", f"{version}, limit: 6"))
    assert str(second.ref) == "Quota/sweden/gpt-4o 2024-11-20 GlobalStandard"
    assert first.id != second.id


@pytest.mark.parametrize(
    ("pool", "at", "message", "hint"),
    [
        (f"{USAGE}, model: {{name: gpt-4o}}, limit: 5", "model:", "pools[0] names a usage and a model", "keep one"),
        (f"{USAGE}, sku: {{name: Standard}}, limit: 5", "sku:", "pools[0] names a usage and a sku", "keep one"),
        ("limit: 5", "{limit", "pools[0] does not say which pool it is", "add usage, or model and sku"),
        (
            "model: {name: gpt-4o}, limit: 5",
            "model:",
            "pools[0] has a model and no sku",
            "`sku: {name: GlobalStandard}`",
        ),
        ("sku: {name: Standard}, limit: 5", "sku:", "pools[0] has a sku and no model", "`model: {name: gpt-4o}`"),
        (USAGE, "{usage", "pools[0] wants nothing of its pool", "add limit or tpm for what Azure shall grant"),
        (f"{USAGE}, limit: 5, tpm: 5k", "5k", "pools[0] has both limit and tpm", "keep one"),
        (f"{USAGE}, headroom: 5, headroomTpm: 5k", "5k", "pools[0] has both headroom and headroomTpm", "keep one"),
        (f"{USAGE}, limit: 5, headroom: 6", "6", "pools[0] wants 6 left of a limit of 5", "write less headroom"),
        (f"{USAGE}, tpm: 5k, headroomTpm: 6k", "6k", "pools[0] wants 6,000 left of a limit of 5,000", "less headroom"),
        (f"{USAGE}, headroom: 101%", "101%", "pools[0].headroom: 101% is more than there is", "at most 100%"),
        (f"{USAGE}, headroom: 0%", "0%}", "pools[0].headroom: 0% is no headroom", "a share such as 10%"),
        (f"{USAGE}, headroom: 0", "0}", "pools[0].headroom: 0 is no headroom", "units such as 50"),
        (f"{USAGE}, headroom: -5", "-5", "pools[0].headroom cannot be '-5'", "write units such as 50"),
        (f"{USAGE}, limit: 0", "0}", "pools[0].limit is 0", "at least 1"),
        (f"{USAGE}, limit: 500k", "500k", "'500k' is not a whole number", "digits only"),
        (f"{USAGE}, tpm: many", "many", "pools[0].tpm cannot be 'many'", "450000, 450k or 1.5M"),
        (
            f"{USAGE}, capacity: 5, limit: 5",
            "capacity",
            "unknown field capacity in pools[0]",
            "known fields: usage, model",
        ),
        (
            "usage: gpt-4o tokens, limit: 5",
            "gpt-4o tokens",
            "pools[0].usage cannot be 'gpt-4o tokens'",
            "`reconciler quota -v`",
        ),
        (
            "model: {name: gpt-4o}, sku: {name: Standrad}, limit: 5",
            "Standrad",
            "pools[0].sku.name cannot be 'Standrad'",
            "did you mean Standard?",
        ),
        (
            "model: {name: gpt-4o}, sku: {name: ProvisionedManaged}, tpm: 5k",
            "5k",
            "pools[0] counts tokens, and ProvisionedManaged is granted in throughput units",
            "write limit in units",
        ),
        (
            "model: {name: gpt-4o}, sku: {name: GlobalProvisionedManaged}, headroomTpm: 5k",
            "5k",
            "pools[0] counts tokens, and GlobalProvisionedManaged is granted in throughput units",
            "write headroom in units",
        ),
    ],
)
def test_a_mistake_is_told_once_at_its_place(tmp_path: Path, pool: str, at: str, message: str, hint: str) -> None:
    (finding,) = findings(tmp_path, watch(pool))
    assert finding.origin is not None
    line = FLEET.count("\n") + 7
    written = (tmp_path / "all.yaml").read_text().splitlines()[line - 1]
    assert (finding.origin.line, written[finding.origin.column - 1 :].startswith(at)) == (line, True)
    assert message in finding.message
    assert hint in finding.hint


def test_a_document_without_pools_is_told(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, watch().replace("pools:\n", "pools: []\n"))
    assert (finding.message, str(finding.origin).rpartition("all.yaml:")[2]) == ("pools names no pool", "10:3")
    (finding,) = findings(tmp_path, watch().replace("  pools:\n", "  location: swedencentral\n"))
    assert finding.message == "pools is missing"


def test_a_region_is_needed_from_somewhere(tmp_path: Path) -> None:
    homeless = FLEET.replace(", location: swedencentral", "").replace("name: prod", "name: other")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "all.yaml").write_text(f"{homeless}---\n{watch(f'{USAGE}, limit: 5')}")
    (finding,) = findings(tmp_path)
    assert finding.message == "Quota/sweden has no location and its Fleet has no default"


def test_a_pool_is_declared_once_in_a_fleet_whatever_the_case(tmp_path: Path) -> None:
    twice = watch(f"{USAGE}, limit: 5", f"{USAGE.upper().replace('USAGE', 'usage')}, headroom: 5")
    (finding,) = findings(tmp_path, twice)
    assert finding.code == "duplicate_pool"
    assert finding.message == (
        "Quota/sweden/OPENAI.GLOBALSTANDARD.GPT-4O is the same pool as Quota/sweden/OpenAI.GlobalStandard.gpt-4o"
    )
    assert "all.yaml:11:15; say in one place" in finding.hint
    again = watch(f"{MODEL}, limit: 5", name="again", spec="  location: Sweden Central\n")
    (finding,) = findings(tmp_path, watch(f"{MODEL}, limit: 4"), again)
    assert finding.message == "Quota/again/GPT-4o GlobalStandard is the same pool as Quota/sweden/GPT-4o GlobalStandard"
    (finding,) = findings(tmp_path, watch(f"{MODEL}, limit: 4", f"{MODEL}, limit: 4"))
    assert finding.message == "Quota/sweden/GPT-4o GlobalStandard is declared twice"
    elsewhere = watch(f"{MODEL}, limit: 5", name="again", spec="  location: eastus2\n")
    assert findings(tmp_path, watch(f"{MODEL}, limit: 4"), elsewhere) == []


def test_a_pool_with_a_mistake_in_it_is_compared_to_others_all_the_same(tmp_path: Path) -> None:
    told = findings(tmp_path, watch(f"{USAGE}, limit: 5, tpm: 5k", f"{USAGE}, limit: 5"))
    assert [each.code for each in told] == ["two_amounts", "duplicate_pool"]


def test_two_fleets_may_want_something_of_one_pool(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = FLEET.replace("name: prod", "name: other")
    (tmp_path / "other" / "all.yaml").write_text(f"{other}---\n{watch(f'{USAGE}, limit: 7')}")
    assert findings(tmp_path, watch(f"{USAGE}, limit: 5")) == []


@pytest.mark.parametrize(
    ("lifecycle", "word"),
    [
        ("adopt: true", "adopt"),
        ("preventDestroy: true", "preventDestroy"),
        ("ignore: [location]", "ignore"),
        ("allow: [delete]", "allow"),
    ],
)
def test_what_only_a_resource_can_be_told_is_refused(tmp_path: Path, lifecycle: str, word: str) -> None:
    (finding,) = findings(tmp_path, watch(f"{USAGE}, limit: 5", lifecycle=lifecycle))
    assert finding.message == f"lifecycle.{word} says nothing about a Quota, of which nothing is ever written"
    assert finding.hint == "remove it"


def test_an_editor_takes_a_bare_number_where_text_may_be_one() -> None:
    definitions = json.loads(json.dumps(make_schema()["$defs"]))
    for name in ("tpm", "headroom", "headroomTpm"):
        told = json.dumps(definitions["PoolSpec"]["properties"][name])
        assert '"type": "integer"' in told
        assert '"pattern": "^[0-9]' in told


def test_quota_is_no_type_of_azures_and_never_imported() -> None:
    kind = kind_named("Quota")
    assert kind is not None
    assert kind.types == ()
    assert not [each for each in TYPES if each.arm_type.lower().endswith("/usages")]
