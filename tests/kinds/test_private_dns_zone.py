"""Private DNS zones: names, links, what two links may not share, and what Azure counts by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.kinds import private_dns_zone
from reconciler.kinds.base import compose, describe, settle
from reconciler.kinds.diff import compare
from reconciler.model.finding import Finding, Severity
from reconciler.model.ids import ArmId
from reconciler.model.plan import Effect
from reconciler.model.resource import Desired, LiveState
from reconciler.model.wire import JsonObject
from tests.desired.trees import GROUP, SUBSCRIPTION, load
from tests.kinds.test_virtual_network import app, network, word_at

NAME = "privatelink.openai.azure.com"
HOME = ArmId(subscription=SUBSCRIPTION, group="rg-ai")
ID = HOME.resource(private_dns_zone.TYPE.arm_type, NAME)
OTHER = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/Rg-Hub/providers/Microsoft.Network/virtualNetworks/Vnet-Hub"


def zone(*links: str, name: str = NAME) -> str:
    lines = "".join(f"    - {{{each}}}\n" for each in links)
    listed = f"  virtualNetworkLinks:\n{lines}" if lines else "  tags: {team: ai}\n"
    return f"apiVersion: reconciler/v1\nkind: PrivateDnsZone\nmetadata: {{name: {name}}}\nspec:\n{listed}"


def link(name: str = "vnet-ai", to: str = "vnet-ai", more: str = "") -> str:
    return f"name: {name}, virtualNetwork: {to}" + (f", {more}" if more else "")


def wanted(root: Path, *documents: str) -> dict[ArmId, Desired]:
    estate = load(root, GROUP, *documents)
    assert [each for each in estate.findings if each.severity is Severity.ERROR] == []
    return dict(estate.fleets[0].desired)


def live_link(**properties: object) -> JsonObject:
    """A link as Azure answers it."""
    inner: JsonObject = {
        "provisioningState": "Succeeded",
        "registrationEnabled": False,
        "virtualNetwork": {"id": str(HOME.resource("Microsoft.Network/virtualNetworks", "VNET-AI"))},
        "virtualNetworkLinkState": "Completed",
    }
    return {"name": "vnet-ai", "location": "global", "etag": '"1"', "properties": {**inner, **properties}}  # type: ignore[dict-item]


def test_a_zone_is_global_and_its_link_needs_zone_and_network(tmp_path: Path) -> None:
    found = wanted(tmp_path, network(app()), zone(link()))
    assert found[ID].fields["location"] == "global"
    linked = found[ID.child("virtualNetworkLinks", "vnet-ai")]
    assert linked.needs == (ID, HOME.resource("Microsoft.Network/virtualNetworks", "vnet-ai"))
    assert str(linked.ref) == f"PrivateDnsZone/{NAME}/virtualNetworkLinks/vnet-ai"


def test_a_link_to_a_network_that_is_not_ours_goes_by_its_id(tmp_path: Path) -> None:
    linked = wanted(tmp_path, zone(link(to=OTHER)))[ID.child("virtualNetworkLinks", "vnet-ai")]
    assert linked.fields["virtualNetwork"] == OTHER.lower()


def test_what_azure_spells_and_counts_its_own_way_is_silence(tmp_path: Path) -> None:
    found = wanted(tmp_path, network(app()), zone(link()))
    fields = found[ID.child("virtualNetworkLinks", "vnet-ai")].fields
    assert compare(private_dns_zone.LINK, fields, live_link()) == ()


def test_another_network_takes_another_link_and_registration_does_not(tmp_path: Path) -> None:
    found = wanted(tmp_path, zone(link(to=OTHER, more="registrationEnabled: true")))
    changes = compare(private_dns_zone.LINK, found[ID.child("virtualNetworkLinks", "vnet-ai")].fields, live_link())
    assert {each.path: each.effect for each in changes} == {
        "virtualNetwork": Effect.REPLACE,
        "registrationEnabled": Effect.IN_PLACE,
    }


@pytest.mark.parametrize(
    ("state", "linked", "meaning"),
    [
        ("Succeeded", "InProgress", LiveState.IN_PROGRESS),
        ("Succeeded", "Completed", LiveState.SETTLED),
        ("Updating", "Completed", LiveState.IN_PROGRESS),
        ("Failed", "InProgress", LiveState.FAILED),
    ],
)
def test_a_link_is_settled_when_both_of_its_states_are(state: str, linked: str, meaning: LiveState) -> None:
    wire = live_link(provisioningState=state, virtualNetworkLinkState=linked)
    assert settle(private_dns_zone.LINK, wire)[0] is meaning


def test_a_write_leaves_out_what_azure_counts() -> None:
    counters: JsonObject = {name: 3 for path in private_dns_zone.TYPE.readonly for name in path[1:]}
    live: JsonObject = {"location": "global", "etag": "x", "properties": {**counters, "provisioningState": "Succeeded"}}
    body = compose(private_dns_zone.TYPE, {"tags.team": "ai"}, live)
    assert body == {"location": "global", "properties": {}, "tags": {"team": "ai"}}


def test_a_link_is_written_with_its_place_and_without_its_states(tmp_path: Path) -> None:
    fields = wanted(tmp_path, zone(link(to=OTHER, more="registrationEnabled: true")))
    body = compose(private_dns_zone.LINK, fields[ID.child("virtualNetworkLinks", "vnet-ai")].fields, None)
    assert body == {
        "location": "global",
        "properties": {"registrationEnabled": True, "virtualNetwork": {"id": OTHER}},
    }


def test_a_link_is_described_as_it_is() -> None:
    said = describe(private_dns_zone.LINK, live_link(registrationEnabled=True))
    assert said["registrationEnabled"] is True
    assert "virtualNetworkLinkState" not in said


@pytest.mark.parametrize(
    ("documents", "said", "hint", "at"),
    [
        ([zone(link(to="vnet-ia"))], "no document declares", "did you mean vnet-ai?", "vnet-ia"),
        ([zone(link(), link("again"))], "links vnet-ai twice", "remove one", "vnet-ai"),
        ([zone(link(), link(to=OTHER))], "names vnet-ai twice", "rename or remove one", "vnet-ai"),
        ([zone(link("-x"))], "name cannot be '-x'", "80 letters", "-x"),
        ([zone(name="openai")], "cannot be called 'openai'", "two labels", "openai"),
        ([zone(name="privatelink.openia.azure.com")], "no service that is known", f"did you mean {NAME}?", "private"),
    ],
)
def test_a_mistake_in_a_zone_is_told_at_its_place(
    tmp_path: Path, documents: list[str], said: str, hint: str, at: str
) -> None:
    finding = only(load(tmp_path, GROUP, network(app()), *documents).findings)
    assert said in finding.message
    assert hint in finding.hint
    assert word_at(tmp_path, finding).startswith(at)


@pytest.mark.parametrize(
    "name", [NAME, "privatelink.openai.azure.cn", "corp.example", "privatelink.vaultcore.azure.net"]
)
def test_zones_of_other_services_and_clouds_are_nobodys_mistake(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, GROUP, zone(name=name)).findings == ()


def only(findings: tuple[Finding, ...]) -> Finding:
    (finding,) = findings
    return finding
