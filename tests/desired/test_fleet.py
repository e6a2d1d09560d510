"""Fleets govern directories; what is broken spoils only what needs it; order and files do not matter."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.desired import load_estate
from reconciler.desired.fleet import Endpoints
from reconciler.model.finding import Origin
from reconciler.model.ids import Ref
from reconciler.model.resource import Cap, Desired, Estate, PurgePolicy, PurgeWhen, SoftDeleted
from tests.desired.trees import FLEET, GROUP, SUBSCRIPTION, account, load, plant, tell

DEPLOYED = (
    "publicNetworkAccess: Disabled, raiPolicies: [{name: strict, basePolicyName: Microsoft.DefaultV2}], deployments: "
    "[{name: chat, model: {name: gpt-4o}, sku: {name: Standard, capacity: 1}, raiPolicyName: Strict}]"
)


def refs(estate: Estate, fleet: int = 0) -> list[str]:
    return [str(each.ref) for each in estate.fleets[fleet].desired.values()]


def test_a_deployment_needs_its_account_and_its_content_filter(tmp_path: Path) -> None:
    estate = load(tmp_path, GROUP, account(spec=DEPLOYED))
    assert estate.findings == ()
    by_ref = {str(each.ref): each for each in estate.fleets[0].desired.values()}
    needs = {str(ref): {str(need.name) for need in each.needs} for ref, each in by_ref.items()}
    assert needs["Account/aoai/deployments/chat"] == {"aoai", "strict"}
    assert needs["Account/aoai"] == {"rg-ai"}


def test_defaults_of_the_fleet_reach_documents_that_say_nothing(tmp_path: Path) -> None:
    estate = load(tmp_path, account(), account("other", "publicNetworkAccess: Disabled, location: Canada East"))
    locations = {each.id.name: each.fields["location"] for each in estate.fleets[0].desired.values()}
    assert locations == {"aoai": "swedencentral", "other": "canadaeast"}


def test_a_fleet_governs_its_directory_and_those_below_down_to_the_next(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "one/fleet.yaml": FLEET.replace("prod", "one"),
            "one/a/b/account.yaml": account("in-one"),
            "one/two/fleet.yaml": FLEET.replace("prod", "two"),
            "one/two/c/account.yaml": account("in-two"),
            "three/fleet.yaml": account("in-three") + "---\n" + FLEET.replace("prod", "three"),
        },
    )
    estate = load_estate([tmp_path], {})
    assert estate.findings == ()
    assert {each.name: [str(wanted.ref) for wanted in each.desired.values()] for each in estate.fleets} == {
        "one": ["Account/in-one"],
        "three": ["Account/in-three"],
        "two": ["Account/in-two"],
    }


def test_a_document_outside_every_fleet_is_a_finding(tmp_path: Path) -> None:
    plant(tmp_path, {"one/fleet.yaml": FLEET, "two/account.yaml": account()})
    (line,) = tell(load_estate([tmp_path], {}), tmp_path)
    assert line.startswith("two/account.yaml:1:1: error: no Fleet governs Account/aoai (add a `kind: Fleet` document")


@pytest.mark.parametrize("files", [{"a.yaml": GROUP}, {"readme.md": "x"}])
def test_a_tree_without_a_fleet_is_one_finding(tmp_path: Path, files: dict[str, str]) -> None:
    (finding,) = load_estate([plant(tmp_path, files)], {}).findings
    assert finding.code == "nothing_declared"


def test_a_broken_document_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    estate = load(tmp_path, account("good"), account("bad", "publicNetworkAccess: Maybe"))
    assert refs(estate) == ["Account/good"]
    assert list(estate.fleets[0].broken) == [Ref(kind="Account", name="bad")]
    assert not estate.fleets[0].complete
    assert len(estate.findings) == 1


def test_what_needs_a_broken_document_is_not_wanted_but_no_mistake(tmp_path: Path) -> None:
    estate = load(
        tmp_path,
        GROUP + "spec: {nonsense: 1}\n",
        account("in-it"),
        account("elsewhere", "publicNetworkAccess: Disabled, resourceGroup: other"),
    )
    assert refs(estate) == ["Account/elsewhere"]
    assert set(estate.fleets[0].broken) == {Ref(kind="Account", name="in-it"), Ref(kind="ResourceGroup", name="rg-ai")}
    assert [finding.code for finding in estate.findings] == ["unknown_field"]


def test_a_file_that_is_not_yaml_makes_its_fleet_incomplete(tmp_path: Path) -> None:
    plant(tmp_path, {"fleet.yaml": FLEET, "broken.yaml": "a: [", "good.yaml": account()})
    estate = load_estate([tmp_path], {})
    assert refs(estate) == ["Account/aoai"]
    assert [ref.kind for ref in estate.fleets[0].broken] == ["file"]


@pytest.mark.parametrize(
    "lost",
    [
        FLEET.replace("prod", "inner").replace("{name", "[name"),
        FLEET.replace("prod", "inner").replace("Fleet", "Fleat"),
        FLEET.replace("prod", "inner").replace("kind: Fleet\n", ""),
        "",
        b"\xff\xfe",
    ],
    ids=["syntax", "misspelt", "kindless", "empty", "binary"],
)
def test_documents_of_a_fleet_that_cannot_be_read_do_not_fall_to_the_one_above(
    tmp_path: Path, lost: str | bytes
) -> None:
    plant(tmp_path, {"fleet.yaml": FLEET, "mine.yaml": account("mine")})
    plant(tmp_path, {"inner/fleet.yaml": lost, "inner/deep/theirs.yaml": account("theirs")})
    estate = load_estate([tmp_path], {})
    assert refs(estate) == ["Account/mine"]
    assert not estate.fleets[0].complete
    assert len(estate.findings) == 1


def test_a_broken_file_without_a_fleet_in_it_sets_nothing_else_aside(tmp_path: Path) -> None:
    plant(tmp_path, {"fleet.yaml": FLEET, "inner/broken.yaml": "kind: [", "inner/good.yaml": account("good")})
    assert refs(load_estate([tmp_path], {})) == ["Account/good"]


def test_a_nameless_document_makes_its_fleet_incomplete(tmp_path: Path) -> None:
    estate = load(tmp_path, "apiVersion: reconciler/v1\nkind: Account\nspec: {publicNetworkAccess: Disabled}\n")
    assert [ref.kind for ref in estate.fleets[0].broken] == ["Account"]


def test_of_two_documents_that_claim_one_thing_neither_is_wanted(tmp_path: Path) -> None:
    estate = load(tmp_path, account("twin"), account("Twin"), account("single"))
    assert refs(estate) == ["Account/single"]
    assert len(estate.findings) == 1


def test_two_fleets_cannot_declare_one_resource(tmp_path: Path) -> None:
    plant(tmp_path, {"a/f.yaml": FLEET.replace("prod", "a") + "---\n" + account()})
    plant(tmp_path, {"b/f.yaml": FLEET.replace("prod", "b") + "---\n" + account()})
    estate = load_estate([tmp_path], {})
    assert [finding.code for finding in estate.findings] == ["duplicate_id"]
    assert "declared by two fleets, a and b" in estate.findings[0].message
    assert all(not each.desired for each in estate.fleets)


def test_the_same_names_in_two_subscriptions_are_two_resources(tmp_path: Path) -> None:
    other = FLEET.replace("prod", "b").replace(SUBSCRIPTION, SUBSCRIPTION.replace("1", "2"))
    plant(tmp_path, {"a/f.yaml": FLEET + "---\n" + account(), "b/f.yaml": other + "---\n" + account()})
    assert load_estate([tmp_path], {}).findings == ()


def test_a_subdomain_is_unique_in_the_world(tmp_path: Path) -> None:
    spec = "publicNetworkAccess: Disabled, customSubDomainName: Taken"
    other = FLEET.replace("prod", "b").replace(SUBSCRIPTION, SUBSCRIPTION.replace("1", "2"))
    plant(tmp_path, {"a/f.yaml": FLEET + "---\n" + account("x1", spec)})
    plant(tmp_path, {"b/f.yaml": other + "---\n" + account("y1", spec.replace("Taken", "taken"))})
    (finding,) = load_estate([tmp_path], {}).findings
    assert "taken is taken by Account/x1" in finding.message


def test_a_renamed_document_keeps_its_resource(tmp_path: Path) -> None:
    group = GROUP.replace("rg-ai", "rg-new") + "lifecycle: {moved: rg-old}\n"
    renamed = account("chat", "publicNetworkAccess: Disabled, resourceGroup: rg-new", "moved: aoai-old")
    estate = load(tmp_path, group, renamed)
    assert estate.findings == ()
    assert [str(id).partition("/resourceGroups/")[2] for id in estate.fleets[0].desired] == [
        "rg-old",
        "rg-old/providers/Microsoft.CognitiveServices/accounts/aoai-old",
    ]
    assert refs(estate) == ["ResourceGroup/rg-new", "Account/chat"]


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ((account("a1", lifecycle="moved: b1"), account("b1")), "says that it was b1, which is still declared"),
        ((account("a1", lifecycle="moved: x1"), account("b1", lifecycle="moved: x1")), "both say that they were x1"),
        ((account("a1", lifecycle="moved: a1"),), "moved from its own name"),
    ],
)
def test_a_rename_that_cannot_be_is_a_finding(tmp_path: Path, documents: tuple[str, ...], expected: str) -> None:
    (finding,) = load(tmp_path, *documents).findings
    assert expected in finding.message


def test_a_group_spelt_almost_like_a_declared_one_is_a_warning(tmp_path: Path) -> None:
    estate = load(tmp_path, GROUP, account(spec="publicNetworkAccess: Disabled, resourceGroup: rg-aii"))
    (finding,) = estate.findings
    assert (finding.severity.value, finding.hint) == ("warning", "did you mean rg-ai?")
    assert refs(estate) == ["ResourceGroup/rg-ai", "Account/aoai"]


@pytest.mark.parametrize(
    ("cloud", "endpoint", "authority", "audience"),
    [
        ("public", "https://management.azure.com", "https://login.microsoftonline.com", "https://management.azure.com"),
        (
            "usgovernment",
            "https://management.usgovcloudapi.net",
            "https://login.microsoftonline.us",
            "https://management.usgovcloudapi.net",
        ),
        (
            "china",
            "https://management.chinacloudapi.cn",
            "https://login.chinacloudapi.cn",
            "https://management.chinacloudapi.cn",
        ),
        (
            "{endpoint: https://arm.x/, authority: https://id.x, audience: https://a.x}",
            "https://arm.x",
            "https://id.x",
            "https://a.x",
        ),
    ],
)
def test_a_cloud_is_where_its_endpoints_are(
    tmp_path: Path, cloud: str, endpoint: str, authority: str, audience: str
) -> None:
    plant(tmp_path, {"f.yaml": FLEET.replace("location:", f"cloud: {cloud}, location:")})
    (found,) = load_estate([tmp_path], {}).fleets
    assert (found.target.endpoint, found.target.authority, found.target.audience) == (endpoint, authority, audience)


def test_endpoints_of_the_caller_stand_in_for_every_cloud(tmp_path: Path) -> None:
    plant(tmp_path, {"f.yaml": FLEET.replace("location:", "cloud: china, location:")})
    simulated = Endpoints(endpoint="https://127.0.0.1:1", authority="https://127.0.0.1:2")
    (found,) = load_estate([tmp_path], {}, simulated).fleets
    assert (found.target.endpoint, found.target.authority) == ("https://127.0.0.1:1", "https://127.0.0.1:2")


def test_the_usual_variables_fill_the_credential(tmp_path: Path) -> None:
    plant(tmp_path, {"f.yaml": FLEET.replace("location:", "credential: {type: clientSecret}, location:")})
    environment = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "hush"}
    (found,) = load_estate([tmp_path], environment).fleets
    assert (found.target.tenant, found.target.client_id) == ("t", "c")
    assert found.target.secret_variable == "AZURE_CLIENT_SECRET"
    assert "hush" not in repr(found)


def test_a_fleet_says_what_a_plan_may_do(tmp_path: Path) -> None:
    policy = (
        "adoption: all, prune: {deployments: true}, softDeleted: purge, allow: [delete, purge], allowEmpty: true, "
        "limits: {deletes: {count: 1, percent: 2}}, location:"
    )
    plant(tmp_path, {"f.yaml": FLEET.replace("location:", policy)})
    found = load_estate([tmp_path], {}).fleets[0].policy
    assert found.adopt_all
    assert found.allow_empty
    assert found.prune == {"microsoft.cognitiveservices/accounts/deployments"}
    assert found.allow == {"delete", "purge"}
    assert found.soft_deleted is SoftDeleted.PURGE
    assert found.deletes == Cap(count=1, percent=2)
    assert found.changes == Cap(count=100, percent=100)


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("", PurgePolicy()),
        ("purge: never,", PurgePolicy()),
        ("purge: always,", PurgePolicy(when=PurgeWhen.ALWAYS)),
        (
            "purge: {policy: blocking, names: [AOAI-old-*], minimumAge: 1d2h, most: 9},",
            PurgePolicy(when=PurgeWhen.BLOCKING, names=("aoai-old-*",), minimum_age=26 * 3600.0, most=9),
        ),
        ("purge: {policy: blocking, minimumAge: 90},", PurgePolicy(when=PurgeWhen.BLOCKING, minimum_age=90.0)),
    ],
)
def test_a_fleet_says_which_soft_deleted_accounts_may_be_purged(
    tmp_path: Path, written: str, policy: PurgePolicy
) -> None:
    plant(tmp_path, {"f.yaml": FLEET.replace("location:", f"{written} location:")})
    estate = load_estate([tmp_path], {})
    assert estate.findings == ()
    assert estate.fleets[0].policy.purge == policy


ANYBODY = "would purge accounts of anybody (write at least 3 letters of their names, such as aoai-old-*; what carried"
NO_NAME = "cannot be an account (write letters, digits, - _ and . of its name, * for any of them and ? for one)"
NO_TIME = "is no duration (write it like 90s, 10m, 1h30m or 2d)"
SLIPS = [
    ("purge: sometimes", "purge cannot be 'sometimes' (write never or blocking or always)"),
    ("purge: {names: [old-*]}", "purge.policy is missing (add `policy: never or blocking or always` under purge)"),
    ("purge: {policy: allways}", "purge.policy cannot be 'allways' (did you mean always?)"),
    ("purge: {policy: always, names: ['*']}", f"purge.names[0]: '*' {ANYBODY} this fleet's tag needs no pattern)"),
    ("purge: {policy: always, names: ['a?*']}", f"purge.names[0]: 'a?*' {ANYBODY} this fleet's tag needs no pattern)"),
    ("purge: {policy: always, names: ['[a-z]*']}", f"purge.names[0]: '[a-z]*' {NO_NAME}"),
    ("purge: {policy: always, minimumAge: soon}", f"purge.minimumAge: 'soon' {NO_TIME}"),
    ("purge: {policy: always, minimumAge: -1h}", f"purge.minimumAge: '-1h' {NO_TIME}"),
    ("purge: {policy: always, most: -1}", "purge.most is -1 (it must be at least 1)"),
    ("purge: {policy: always, most: x}", "purge.most: 'x' is not a whole number (write digits only, for example 300)"),
    ("purge: {policy: always, maximumAge: 1h}", "unknown field maximumAge in purge (did you mean minimumAge?)"),
]


@pytest.mark.parametrize(("written", "said"), SLIPS)
def test_a_purge_that_nobody_can_mean_is_one_line(tmp_path: Path, written: str, said: str) -> None:
    plant(tmp_path, {"f.yaml": FLEET.replace("location:", f"{written}, location:")})
    (line,) = tell(load_estate([tmp_path], {}), tmp_path)
    assert re.match(r"f\.yaml:4:\d+: error: ", line)
    assert line.partition("error: ")[2] == said


def test_a_fleet_without_default_group_leaves_documents_without_one(tmp_path: Path) -> None:
    bare = FLEET.replace(", resourceGroup: rg-ai, location: swedencentral", "")
    codes = [
        finding.code for finding in load_estate([plant(tmp_path, {"f.yaml": f"{bare}---\n{account()}"})], {}).findings
    ]
    assert codes == ["location_missing", "resource_group_missing"]


def test_a_fleet_cannot_be_called_what_a_tag_cannot_hold(tmp_path: Path) -> None:
    estate = load_estate([plant(tmp_path, {"f.yaml": FLEET.replace("prod", "'a b'")})], {})
    assert [finding.code for finding in estate.findings] == ["fleet_name"]
    assert estate.fleets == ()


def test_a_kustomization_is_no_document_of_ours(tmp_path: Path) -> None:
    other = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
    assert load_estate([plant(tmp_path, {"f.yaml": FLEET, "k.yaml": other})], {}).findings == ()


def test_a_broken_fleet_still_has_its_documents_checked(tmp_path: Path) -> None:
    estate = load_estate(
        [plant(tmp_path, {"f.yaml": FLEET.replace("location", "lokation") + "---\n" + account("a!")})], {}
    )
    assert [finding.code for finding in estate.findings] == ["unknown_field", "name"]
    assert estate.fleets == ()


DOCUMENTS = (
    GROUP,
    account("a1", DEPLOYED),
    account("a2", "publicNetworkAccess: Disabled, resourceGroup: other"),
    account("A2", "publicNetworkAccess: Disabled, resourceGroup: RG-2"),
    account("a3", "publicNetworkAccess: Nonsense"),
    account("a4", "publicNetworkAccess: Disabled, customSubDomainName: same"),
    account("a5", "publicNetworkAccess: Disabled, customSubDomainName: same"),
    account("a6", lifecycle="moved: a1"),
    FLEET,
)


@settings(max_examples=30, deadline=None)
@given(st.permutations(DOCUMENTS), st.lists(st.integers(0, 3), min_size=len(DOCUMENTS), max_size=len(DOCUMENTS)))
def test_neither_the_order_of_documents_nor_their_files_matter(order: list[str], homes: list[int]) -> None:
    def shape(documents: list[str], files: list[int]) -> object:
        with tempfile.TemporaryDirectory() as name:
            parts: dict[str, list[str]] = {}
            for document, home in zip(documents, files, strict=True):
                parts.setdefault(f"{home}.yaml", []).append(document)
            plant(Path(name), {file: "---\n".join(each) for file, each in parts.items()})
            estate = load_estate([Path(name)], {})
        (found,) = estate.fleets
        return [_without_places(each) for each in found.desired.values()], list(found.broken)

    assert shape(order, homes) == shape(list(DOCUMENTS), [0] * len(DOCUMENTS))


def _without_places(each: Desired) -> Desired:
    return replace(each, origin=Origin(file="", line=0, column=0), origins={})


@pytest.mark.parametrize(
    ("word", "said", "hint"),
    [
        ("10.1.0.0/40", "no IPv4 network has the prefix /40", "10.1.0.0/24"),
        ("300.1.1.1", "300.1.1.1 is no IPv4 address", "203.0.113.7"),
        ("novnet/app", "which no VirtualNetwork document declares", "declare the subnet, or write its ARM id"),
        ("vnet-oc/ap", "which no VirtualNetwork document declares", "did you mean vnet-ok/app?"),
        ("vnet-ok/ap", "which no VirtualNetwork document declares", "did you mean vnet-ok/app?"),
    ],
)
def test_whom_nobody_declares_is_told_apart_from_what_is_no_address(
    tmp_path: Path, word: str, said: str, hint: str
) -> None:
    fleet = FLEET.replace("location: swedencentral", f'location: swedencentral, neverCutOff: ["{word}"]')
    network = """\
apiVersion: reconciler/v1
kind: VirtualNetwork
metadata: {name: vnet-ok}
spec: {addressSpace: {addressPrefixes: [10.1.0.0/16]}, subnets: [{name: app, addressPrefix: 10.1.1.0/24}]}
"""
    plant(tmp_path, {"all.yaml": "---\n".join((fleet, network))})
    (finding,) = load_estate([tmp_path], {}).findings
    assert said in finding.message
    assert hint in finding.hint
