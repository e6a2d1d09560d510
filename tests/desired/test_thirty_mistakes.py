"""A directory of more than thirty mistakes: each is found once, at its place, with what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.desired import load_estate
from reconciler.model.finding import Finding

HERE = Path(__file__).parent / "thirty_mistakes"

# Written by hand from the files: file, line, column, what is said to be wrong, what is said to be right.
EXPECTED = (
    ("between/documents.yaml", 3, 18, "an account cannot be called '-aoai'", "begin with a letter or digit"),
    ("between/documents.yaml", 13, 20, "identity.type UserAssigned names no identity", "userAssignedIdentities"),
    ("between/documents.yaml", 18, 22, "raiPolicyName names strcit", "did you mean strict?"),
    ("between/documents.yaml", 19, 32, "spilloverDeploymentName names chat, not another", "another deployment"),
    ("between/documents.yaml", 29, 60, "aoai-unique is taken by Account/aoai-taken-1", "choose another"),
    ("between/documents.yaml", 38, 18, "Account/aoai-again is declared twice", "documents.yaml:33:18"),
    ("between/documents.yaml", 48, 7, "Account/aoai-twins/deployments/Chat is declared twice", "documents.yaml:47:7"),
    ("between/documents.yaml", 56, 3, "preventDestroy cannot be: policy detach", "remove one"),
    ("between/documents.yaml", 57, 12, "lifecycle.ignore names tag.team", "did you mean tags?"),
    ("between/documents.yaml", 63, 20, "was aoai-refers, which is still declared", "remove Account/aoai-refers"),
    ("firewall/posture.yaml", 5, 24, "networkAcls.defaultAction does not say for whom", "defaultAction: Deny"),
    ("firewall/posture.yaml", 12, 3, "networkAcls needs customSubDomainName", "customSubDomainName: aoai-nameless"),
    ("firewall/posture.yaml", 17, 1, "publicNetworkAccess is missing", "publicNetworkAccess: Enabled or Disabled"),
    ("firewall/rules.yaml", 9, 13, "bypass cannot be 'AzureService'", "did you mean AzureServices?"),
    ("firewall/rules.yaml", 11, 9, "'203.0.113.300' is not an IPv4 address", "203.0.113.7"),
    ("firewall/rules.yaml", 12, 9, "10.1.0.0/16 is private", "private endpoint"),
    ("firewall/rules.yaml", 13, 9, "Azure refuses /32", "203.0.113.8"),
    ("firewall/rules.yaml", 14, 9, "203.0.113.9/24 has bits set beyond its prefix", "write 203.0.113.0/24"),
    ("firewall/rules.yaml", 15, 9, "2001:db8::/32 is IPv6", "IPv4 only"),
    ("firewall/rules.yaml", 16, 27, "'vnet-ai-gateway' does not name a subnet", "vnet-ai/gateway"),
    ("fleets/one/fleet.yaml", 1, 1, "a second Fleet is called mistakes", "fleet.yaml:1:1"),
    ("fleets/one/fleet.yaml", 5, 17, "subscription: 'Production' is not an id", "GUID"),
    ("fleets/one/fleet.yaml", 6, 21, "cloud.endpoint cannot be 'http://arm.example'", "https://"),
    ("fleets/one/fleet.yaml", 7, 41, "limits.deletes.percent is 120", "at most 100"),
    ("fleets/one/fleet.yaml", 8, 11, "allow[0] cannot be 'everything'", "replace or delete or purge"),
    ("fleets/two/fleet.yaml", 7, 1, "a second Fleet in one directory", "directory of their own"),
    ("network/endpoints.yaml", 19, 35, "names vnet-fra, which no document declares", "did you mean vnet-far?"),
    ("network/endpoints.yaml", 20, 14, "virtualNetworkLinks names Far twice", "endpoints.yaml:19:14"),
    ("network/endpoints.yaml", 27, 12, "account names aoai-fra, which no document declares", "did you mean aoai-far?"),
    ("network/endpoints.yaml", 28, 19, "requestMessage is for the owner of the target", "approval: manual"),
    ("network/endpoints.yaml", 29, 21, "privateDnsZones names privatelink.opnai.azure.com", "privatelink.openai"),
    ("network/endpoints.yaml", 35, 11, "VirtualNetwork/vnet-far declares no such subnet", "did you mean endpoints?"),
    ("network/endpoints.yaml", 45, 17, "dnsZoneGroup: require needs privateDnsZones", "name the zones"),
    ("network/endpoints.yaml", 54, 26, "10.40.1.3 is one of the five addresses", "10.40.1.4"),
    ("network/endpoints.yaml", 62, 28, "status cannot be 'Pending'", "Approved or Rejected"),
    ("network/guard.yaml", 17, 17, "securityRules[allow-late].priority is 5000", "at most 4096"),
    ("network/guard.yaml", 18, 17, "protocol cannot be 'TCP'", "did you mean Tcp?"),
    ("network/guard.yaml", 19, 28, "'10.20.1.0/33' is no address, network or service tag", "10.1.2.0/24"),
    ("network/guard.yaml", 21, 29, "443-80 ends before it begins", "write 80-443"),
    ("network/guard.yaml", 29, 13, "securityRules[allow-both] has no destinationPortRange", "Any"),
    ("network/guard.yaml", 32, 17, "priority 200 is taken by deny, also Inbound", "201 is free"),
    ("network/guard.yaml", 35, 7, "both sourceAddressPrefix and sourceAddressPrefixes", "keep one"),
    (
        "network/idle.yaml",
        11,
        29,
        "its security group does not act on PrivateEndpoint/pe-unheard",
        "SecurityGroupEnabled",
    ),
    ("network/idle.yaml", 12, 80, "Azure supports no security group on GatewaySubnet", "remove it"),
    ("network/idle.yaml", 15, 29, "its security group nsg-abroad in northeurope", "idle.yaml:40:1"),
    (
        "network/idle.yaml",
        16,
        26,
        "Microsoft.CognitiveService is no service",
        "did you mean Microsoft.CognitiveServices?",
    ),
    ("network/idle.yaml", 29, 33, "10.50.9.0/24 is in none of the subnets that name nsg-idle", "10.50.2.0/24"),
    ("network/idle.yaml", 32, 18, "CognitiveServicesFrontend is in no subnet", "guarded by its networkAcls"),
    ("network/idle.yaml", 53, 5, "networkAcls.ipRules never act: publicNetworkAccess is Disabled", "private endpoint"),
    ("network/idle.yaml", 63, 5, "networkAcls.ipRules never act: defaultAction: Allow", "defaultAction: Deny"),
    ("network/idle.yaml", 76, 3, "vnet-idle does not resolve privatelink.openai.azure.us", "idle.yaml:65:1"),
    ("network/idle.yaml", 84, 11, "app, which is delegated to Microsoft.App/environments", "a subnet of their own"),
    ("network/idle.yaml", 92, 11, "GatewaySubnet, which is kept for what its name says", "a subnet of their own"),
    ("network/idle.yaml", 93, 3, "resolved by privatelink.openai.azure.com, which privateDnsZones does not", "add it"),
    ("network/plan.yaml", 9, 22, "10.20.0.0/28 is too small for Microsoft.App/environments", "/27"),
    ("network/plan.yaml", 12, 22, "10.20.0.0/24 overlaps 10.20.0.0/28 of app", "plan.yaml:9:22"),
    ("network/plan.yaml", 13, 29, "names nsg-backnd, which no document declares", "did you mean nsg-backend?"),
    ("network/plan.yaml", 15, 22, "10.21.0.0/24 lies outside", "10.20.0.0/16"),
    ("network/plan.yaml", 17, 22, "10.20.2.0/30 is too small", "/29"),
    ("network/plan.yaml", 18, 13, "subnets[nothing] has no addresses", "addressPrefix"),
    ("network/plan.yaml", 42, 27, "has no service endpoint Microsoft.CognitiveServices", "plan.yaml:27:7"),
    ("network/plan.yaml", 42, 47, "VirtualNetwork/vnet-right declares no such subnet", "did you mean gateway?"),
    ("network/plan.yaml", 52, 27, "no document declares a VirtualNetwork vnet-rigth", "did you mean vnet-right?"),
    ("quota/pools.yaml", 8, 7, "pools[0] names a usage and a model", "keep one"),
    ("quota/pools.yaml", 10, 7, "pools[1] does not say which pool it is", "usage, or model and sku"),
    ("quota/pools.yaml", 12, 17, "120% is more than there is", "at most 100%"),
    ("quota/pools.yaml", 13, 7, "pools[3] wants nothing of its pool", "limit or tpm"),
    ("quota/pools.yaml", 15, 19, "sku.name cannot be 'Globalstandard'", "did you mean GlobalStandard?"),
    ("quota/pools.yaml", 25, 12, "pools[0] has both limit and tpm", "keep one"),
    ("quota/pools.yaml", 26, 15, "OpenAI.GlobalStandard.O4-MINI is the same pool as", "pools.yaml:23:14"),
    ("quota/pools.yaml", 26, 67, "pools[1] wants 30 left of a limit of 20", "less headroom"),
    ("shape/account.yaml", 6, 3, "unknown field publicNetworkAcess", "did you mean publicNetworkAccess?"),
    ("shape/account.yaml", 7, 3, "unknown field properties", "directly below spec"),
    ("shape/account.yaml", 8, 8, "sku must be a mapping of fields, not the text 'S0'", "name"),
    ("shape/account.yaml", 9, 21, "'yes' is not a boolean", "write true"),
    ("shape/account.yaml", 10, 3, "the key disableLocalAuth appears twice", "line 9"),
    ("shape/account.yaml", 13, 7, "deployments[chat].model.name is missing", "add `name: …`"),
    ("shape/account.yaml", 14, 19, "sku.name cannot be 'Standrad'", "did you mean Standard?"),
    ("shape/account.yaml", 14, 39, "must be a whole number, not quoted text", "`capacity: 10`"),
    (
        "shape/account.yaml",
        14,
        45,
        "unknown field version in deployments[chat].sku",
        "belongs in deployments[chat].model",
    ),
    ("shape/account.yaml", 15, 13, "name cannot be 'chat 2'", "letters, digits"),
    ("shape/account.yaml", 17, 39, "deployments[chat 2].sku.capacity is 0", "at least 1"),
    ("shape/account.yaml", 18, 7, "deployments[2].name is missing", "under deployments[2]"),
    ("shape/account.yaml", 19, 39, "'1e3' is not a whole number", "digits only"),
    ("shape/account.yaml", 20, 3, "tags must be a mapping of fields, not a list", "name: value"),
    ("shape/others.yaml", 1, 1, "a document is a mapping, not a list", "apiVersion: reconciler/v1"),
    ("shape/others.yaml", 3, 13, "apiVersion cannot be 'v1'", "write reconciler/v1"),
    (
        "shape/others.yaml",
        7,
        1,
        "the document has no kind",
        "Account, Fleet, ModelPool",
    ),
    ("shape/others.yaml", 12, 1, "metadata.name is missing", "add `name: …` under metadata"),
    ("shape/others.yaml", 18, 13, "the environment variable HOME_REGION is not set", "set HOME_REGION"),
    ("shape/others.yaml", 19, 10, "the tag reconciler-fleet marks ownership", "remove it"),
    ("shape/others.yaml", 20, 21, "lifecycle.policy cannot be 'managed'", "did you mean manage?"),
    ("syntax/anchors.yaml", 5, 13, "*home names no anchor", "define &home"),
    ("syntax/anchors.yaml", 6, 16, "the tag !secret means nothing here", "remove it"),
    ("syntax/empty.yaml", 1, 1, "the file holds no document", "delete the file"),
    ("syntax/latin1.yaml", 3, 20, "byte 0xe9 is not UTF-8", "save the file as UTF-8"),
    ("syntax/quote.yaml", 4, 9, "the quote that opens here is never closed", "close it"),
    ("syntax/quote.yaml", 8, 7, "unknown kind ResourceGrup", "did you mean ResourceGroup?"),
    ("syntax/tab.yaml", 4, 1, "a tab is used as indentation", "indent with spaces"),
    # Mistakes of the shape and mistakes beyond it, in the same documents.
    ("tiers/guard.yaml", 8, 15, "access cannot be 'Allowed'", "did you mean Allow?"),
    ("tiers/guard.yaml", 13, 29, "70000: ports end at 65535", "0 to 65535"),
    ("tiers/guard.yaml", 14, 13, "securityRules names WEB twice", "guard.yaml:6:13"),
    ("tiers/guard.yaml", 17, 17, "priority 100 is taken by web, also Inbound", "101 is free"),
    ("tiers/guard.yaml", 19, 7, "sourceAddressPrefixes names Any beside others", "Any` alone"),
    ("tiers/guard.yaml", 20, 7, "unknown field sourceport", "did you mean sourcePortRange?"),
    ("tiers/guard.yaml", 21, 50, "names 10.60.1.0/24 twice", "guard.yaml:21:36"),
    ("tiers/network.yaml", 6, 30, "'10.60.0' is not an IP address", "10.1.0.4"),
    ("tiers/network.yaml", 10, 29, "names nsg-teirs, which no document declares", "did you mean nsg-tiers?"),
    ("tiers/network.yaml", 11, 7, "VirtualNetwork/vnet-tiers/subnets/App is declared twice", "network.yaml:8:7"),
    ("tiers/network.yaml", 12, 22, "10.60.1.128/25 overlaps 10.60.1.0/24 of app", "network.yaml:9:22"),
    ("tiers/network.yaml", 14, 22, "both addressPrefix and addressPrefixes", "keep one"),
    ("tiers/network.yaml", 16, 45, "names Microsoft.Storage twice", "network.yaml:16:26"),
    (
        "tiers/network.yaml",
        19,
        21,
        "Microsoft.App/environment is no service",
        "did you mean Microsoft.App/environments?",
    ),
    ("tiers/network.yaml", 20, 39, "privateEndpointNetworkPolicies cannot be 'enabled'", "did you mean Enabled?"),
    ("tiers/network.yaml", 23, 7, "delegated to 2 services", "a subnet of its own"),
    ("tiers/network.yaml", 25, 22, "10.60.6.5/24 has bits set beyond its prefix", "write 10.60.6.0/24"),
    ("tiers/network.yaml", 33, 24, "customSubDomainName cannot be 'aoai_tiers'", "letters, digits and dashes"),
    ("tiers/network.yaml", 35, 60, "VirtualNetwork/vnet-tiers declares no such subnet", "remove the rule"),
    ("tiers/network.yaml", 37, 65, "mode cannot be 'Blocked'", "did you mean Blocking?"),
    ("tiers/network.yaml", 42, 22, "raiPolicyName names strcit", "did you mean strict?"),
    ("tiers/network.yaml", 47, 116, "approval cannot be 'Manual'", "did you mean manual?"),
    ("tiers/network.yaml", 52, 93, "10.60.7.4 is taken by PrivateEndpoint/pe-tiers-1", "another address"),
    ("tiers/network.yaml", 52, 106, "an account offers account, not blob", "remove groupIds"),
    ("tiers/network.yaml", 62, 37, "vnet-tiers/subnets/small has 3 addresses, and 4 endpoints", "shorter prefix"),
)


@pytest.fixture(scope="module")
def found() -> tuple[Finding, ...]:
    return load_estate([HERE], {}).findings


def _place(finding: Finding) -> tuple[str, int, int]:
    assert finding.origin is not None
    return str(Path(finding.origin.file).relative_to(HERE)), finding.origin.line, finding.origin.column


def test_every_mistake_is_found_once_at_its_place_and_nothing_else_is(found: tuple[Finding, ...]) -> None:
    assert [_place(finding) for finding in found] == sorted((file, line, column) for file, line, column, *_ in EXPECTED)
    assert len(found) >= 30


@pytest.mark.parametrize(("file", "line", "column", "wrong", "right"), EXPECTED)
def test_a_finding_says_what_is_wrong_and_what_would_be_right(  # one row of the table per test
    found: tuple[Finding, ...], file: str, line: int, column: int, wrong: str, right: str
) -> None:
    finding = next(each for each in found if _place(each) == (file, line, column))
    assert wrong in finding.message
    assert right in finding.hint


def test_a_tree_of_mistakes_wants_nothing_from_azure() -> None:
    assert load_estate([HERE], {}).fleets == ()
