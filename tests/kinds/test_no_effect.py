"""What is written and can never do what its author meant, found between documents and without Azure."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.finding import Finding, Severity
from tests.desired.trees import GROUP, account, load
from tests.kinds.test_network_security_group import HTTPS, document, https
from tests.kinds.test_private_dns_zone import NAME, link, zone
from tests.kinds.test_private_endpoint import AOAI, written
from tests.kinds.test_virtual_network import ENDPOINT, app, group, network, word_at

ACLS = "customSubDomainName: aoai-1, networkAcls: {{defaultAction: {}, ipRules: {}, virtualNetworkRules: {}}}"
OTHER = "privatelink.blob.core.windows.net"
DENY_IN = HTTPS.replace("Allow", "Deny").replace("10.1.1.0/24", "Any").replace("10.1.2.0/24", "Any")


def found(root: Path, *documents: str) -> list[Finding]:
    return [*load(root, GROUP, *documents).findings]


def only(root: Path, *documents: str) -> Finding:
    (finding,) = found(root, *documents)
    return finding


# ------------------------------------------------------------------ firewalls


@pytest.mark.parametrize(
    ("access", "action", "ips", "subnets", "said"),
    [
        ("Disabled", "Deny", "[203.0.113.7]", "[]", "ipRules never act: publicNetworkAccess is Disabled"),
        ("Disabled", "Deny", "[]", "[vnet-ai/app]", "virtualNetworkRules never act: publicNetworkAccess is Disabled"),
        ("Enabled", "Allow", "[203.0.113.7]", "[]", "ipRules never act: defaultAction: Allow lets everybody in"),
        ("Disabled", "Deny", "[]", "[]", ""),
        ("Enabled", "Deny", "[203.0.113.7]", "[vnet-ai/app]", ""),
    ],
)
def test_rules_that_nobody_gets_as_far_as_are_a_warning(
    tmp_path: Path, access: str, action: str, ips: str, subnets: str, said: str
) -> None:
    spec = f"publicNetworkAccess: {access}, {ACLS.format(action, ips, subnets)}"
    told = found(tmp_path, network(app(ENDPOINT)), account("aoai", spec))
    assert [(each.severity, each.code) for each in told] == ([(Severity.WARNING, "no_effect")] if said else [])
    for finding in told:
        assert f"networkAcls.{said}" in finding.message


def test_an_account_without_public_access_needs_no_endpoint_in_its_own_fleet(tmp_path: Path) -> None:
    """Endpoints may stand in the subscriptions of others, where nobody here can see them."""
    assert found(tmp_path, AOAI) == []


# ------------------------------------------------------------------ security groups


def guard(rule: str) -> str:
    return document(https("act", said=rule), https("deny", 4096, DENY_IN)).replace("nsg", "nsg-app", 1)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (HTTPS, "securityRules[act] never acts: 10.1.2.0/24 is in none of the subnets that name"),
        (HTTPS.replace("10.1.2.0/24", "10.1.1.0/28"), ""),
        (HTTPS.replace("10.1.2.0/24", "10.0.0.0/8"), ""),
        (HTTPS.replace("10.1.2.0/24", "VirtualNetwork"), ""),
        (HTTPS.replace("10.1.2.0/24", "Any"), ""),
        (HTTPS.replace("Inbound", "Outbound"), ""),
        (
            HTTPS.replace("Inbound", "Outbound").replace("10.1.1.0/24", "10.1.7.0/24"),
            "securityRules[act] never acts: 10.1.7.0/24 is in none of the subnets that name",
        ),
    ],
)
def test_a_rule_about_addresses_of_no_guarded_subnet_is_a_warning(tmp_path: Path, rule: str, said: str) -> None:
    told = found(tmp_path, network(app("networkSecurityGroup: nsg-app")), guard(rule))
    assert [each.severity for each in told] == ([Severity.WARNING] if said else [])
    for finding in told:
        assert said in finding.message
        assert finding.hint == "name addresses of 10.1.1.0/24"


def test_a_group_that_no_declared_subnet_names_may_guard_others(tmp_path: Path) -> None:
    assert found(tmp_path, network(app()), guard(HTTPS)) == []


def test_a_group_of_another_region_is_refused_before_azure_does_so(tmp_path: Path) -> None:
    far = group(spec="  location: North Europe\n")
    finding = only(tmp_path, far, network(app("networkSecurityGroup: nsg-app")))
    assert (finding.severity, finding.code) == (Severity.ERROR, "location")
    assert "is in swedencentral, its security group nsg-app in northeurope" in finding.message
    assert word_at(tmp_path, finding).startswith("nsg-app")
    near = group(spec="  location: Sweden Central\n")
    assert found(tmp_path, near, network(app("networkSecurityGroup: nsg-app"))) == []


@pytest.mark.parametrize(
    ("name", "told"), [("GatewaySubnet", 1), ("AzureFirewallSubnet", 1), ("AzureBastionSubnet", 0)]
)
def test_a_group_on_a_subnet_that_takes_none_is_a_warning(tmp_path: Path, name: str, told: int) -> None:
    findings = found(tmp_path, group(), network(app("networkSecurityGroup: nsg-app", name=name)))
    assert [each.message for each in findings] == [
        f"subnets[{name}].networkSecurityGroup: Azure supports no security group on {name}"
    ] * told


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("serviceEndpoints: [Microsoft.CognitiveService]", "did you mean Microsoft.CognitiveServices?"),
        ("serviceEndpoints: [{service: Microsoft.KeyVaults}]", "did you mean Microsoft.KeyVault?"),
        ("delegations: [Microsoft.App/enviroments]", "did you mean Microsoft.App/environments?"),
        ("delegations: [{serviceName: Microsoft.Web/serverFarm}]", "did you mean Microsoft.Web/serverFarms?"),
        ("serviceEndpoints: [MICROSOFT.sql]", ""),
        ("delegations: [GitHub.Network/networkSettings]", ""),
    ],
)
def test_what_is_almost_a_service_is_a_warning(tmp_path: Path, said: str, right: str) -> None:
    told = found(tmp_path, network(app(said)))
    assert [(each.severity, each.hint) for each in told] == ([(Severity.WARNING, right)] if right else [])


# ------------------------------------------------------------------ endpoints


@pytest.mark.parametrize(
    ("links", "spec", "told"),
    [
        ("", "", 1),
        (link(), "", 0),
        ("", "  dhcpOptions: {dnsServers: [10.9.0.4]}\n", 0),
    ],
    ids=["not linked", "linked", "asks servers of its own"],
)
def test_a_zone_that_the_network_of_the_endpoint_does_not_ask_is_a_warning(
    tmp_path: Path, links: str, spec: str, told: int
) -> None:
    documents = (network(app(), spec=spec), AOAI, written(f"account: aoai; privateDnsZones: [{NAME}]"))
    findings = found(tmp_path, zone(links) if links else zone(), *documents)
    assert [each.message for each in findings] == [
        f"PrivateEndpoint/pe: vnet-ai does not resolve {NAME}, which has no link to it"
    ] * told
    for finding in findings:
        assert finding.severity is Severity.WARNING
        assert word_at(tmp_path, finding).startswith("privateDnsZones")


def test_a_zone_that_somebody_else_keeps_may_be_linked_by_them(tmp_path: Path) -> None:
    id = f"/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateDnsZones/{NAME}"
    assert found(tmp_path, network(app()), AOAI, written(f"account: aoai; privateDnsZones: [{id}]")) == []


def test_a_zone_for_another_service_is_a_warning(tmp_path: Path) -> None:
    other = zone(link()).replace(NAME, OTHER)
    spec = f"account: aoai; privateDnsZones: [{NAME}, {OTHER}]"
    finding = only(tmp_path, network(app()), AOAI, zone(link()), other, written(spec))
    assert (finding.severity, finding.code) == (Severity.WARNING, "no_effect")
    assert f"no name of an account is in {OTHER}" in finding.message


@pytest.mark.parametrize(
    ("subnet", "why"),
    [
        (app("delegations: [Microsoft.App/environments]"), "is delegated to Microsoft.App/environments"),
        (app(name="GatewaySubnet"), "is kept for what its name says"),
        (app("delegations: []"), ""),
    ],
)
def test_an_endpoint_in_a_subnet_for_something_else_is_a_warning(tmp_path: Path, subnet: str, why: str) -> None:
    name = "GatewaySubnet" if "GatewaySubnet" in subnet else "app"
    told = found(tmp_path, network(subnet), AOAI, written(subnet=f"vnet-ai/{name}"))
    assert [each.code for each in told] == (["subnet_use"] if why else [])
    for finding in told:
        assert finding.message == f"PrivateEndpoint/pe stands in {name}, which {why}; Azure may refuse that"
        assert word_at(tmp_path, finding).startswith(f"vnet-ai/{name}")


# ------------------------------------------------------------------ limits


def test_more_rules_than_azure_takes_are_refused(tmp_path: Path) -> None:
    rules = [https(f"rule-{at}", 100 + at, HTTPS.replace("10.1.2.0", f"10.2.{at % 250}.0")) for at in range(1001)]
    (finding, *_) = [each for each in found(tmp_path, document(*rules)) if each.severity is Severity.ERROR]
    assert "1001" in finding.message
    assert "1000" in finding.message + finding.hint
