"""What was there before each recording began, and what of it the simulation is told.

Knows the recordings; does not know how anything is compared.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.contracts.recorded.exchanges import Json

ZERO = "/subscriptions/00000000-0000-0000-0000-000000000000"
COGNITIVE = "Microsoft.CognitiveServices"
NOT_SIMULATED = "of a provider that is not simulated"


@dataclass(frozen=True, slots=True)
class Scene:
    """One file to replay."""

    file: str
    # Resources that were there, as ARM bodies.
    resources: list[Json] = field(default_factory=list)
    # Any other part of the seed: limits, locks, models, denied.
    seed: dict[str, Json] = field(default_factory=dict)
    settings: dict[str, Json] = field(default_factory=dict)
    # Faults to inject before an exchange, where the recording itself shows a failure of the service.
    faults: dict[int, Json] = field(default_factory=dict)
    # What another provider puts there before an exchange, as ARM bodies.
    meanwhile: dict[int, list[Json]] = field(default_factory=dict)
    # Headers that the recorder took away, though the answer shows that they were sent.
    sending: dict[int, dict[str, str]] = field(default_factory=dict)
    # Exchanges that are not replayed, with the reason.
    left_out: dict[int, str] = field(default_factory=dict)
    # True where the recorder kept all headers.
    unfiltered: bool = False
    # True where the notes say that lists were cut.
    shortened: bool = False
    # False where the notes say that a list was put into another order.
    ordered: bool = True


def group(name: str, location: str = "southcentralus", **more: Json) -> Json:
    return {"id": f"{ZERO}/resourceGroups/{name}", "location": location, **more}


def account(rg: str, name: str, kind: str, location: str, **properties: Json) -> Json:
    return {
        "id": f"{ZERO}/resourceGroups/{rg}/providers/{COGNITIVE}/accounts/{name}",
        "kind": kind,
        "sku": {"name": "S0"},
        "location": location,
        "properties": properties,
    }


def deployment(of: Json, name: str, sku: str, capacity: int, model: tuple[str, str]) -> Json:
    return {
        "id": f"{of['id']}/deployments/{name}",
        "sku": {"name": sku, "capacity": capacity},
        "properties": {"model": {"format": "OpenAI", "name": model[0], "version": model[1]}},
    }


def network(rg: str, path: str, **more: Json) -> Json:
    return {"id": f"{ZERO}/resourceGroups/{rg}/providers/Microsoft.Network/{path}", **more}


def suite_group(
    name: str, date: str, test: str = "", module: str = "network", location: str = "westus", **more: str
) -> Json:
    """The group that the azure-cli test suite makes around a test, with the tags it gives it."""
    tags = {"product": "azurecli", "cause": "automation", "date": date}
    if test:
        tags |= {"test": test, "module": module}
    return group(name, location, tags=tags)


def _in_use() -> list[Json]:
    """A virtual machine's surroundings."""
    rg, vm = "cli_test_delete_dependent_resources000001", "cli-test-vm000002"
    subnet = {"name": f"{vm}Subnet", "properties": {"addressPrefix": "10.0.0.0/24"}}
    home = network(rg, f"virtualNetworks/{vm}VNET", properties={"subnets": [subnet]})
    nsg = network(rg, f"networkSecurityGroups/{vm}NSG")
    holder = f"{ZERO}/resourceGroups/{rg}/providers/Microsoft.Compute/virtualMachines/{vm}"
    address = {"name": f"ipconfig{vm}", "properties": {"subnet": {"id": f"{home['id']}/subnets/{vm}Subnet"}}}
    properties = {
        "virtualMachine": {"id": holder},
        "networkSecurityGroup": {"id": nsg["id"]},
        "ipConfigurations": [address],
    }
    return [group(rg), nsg, home, network(rg, f"networkInterfaces/{vm}VMNic", properties=properties)]


def _grouped() -> list[Json]:
    """An endpoint to something that is not simulated."""
    rg = "fanqiu_cli_test_network_private_endpoints000001"
    home = network(
        rg,
        "virtualNetworks/vnet",
        properties={"subnets": [{"name": "s", "properties": {"addressPrefix": "10.0.0.0/24"}}]},
    )
    target = f"{ZERO}/resourceGroups/{rg}/providers/Microsoft.Storage/storageAccounts/s"
    row = {"name": "c", "properties": {"privateLinkServiceId": target, "groupIds": ["blob"]}}
    properties = {"subnet": {"id": f"{home['id']}/subnets/s"}, "privateLinkServiceConnections": [row]}
    there = suite_group(
        rg, "2023-12-14T08:13:13Z", "test_network_private_endpoint_private_dns_zone_group", location="centraluseuap"
    )
    return [there, home, network(rg, "privateEndpoints/cli-pe-000005", properties=properties)]


def _tagged_by_policy() -> list[Json]:
    rg = _grouped()[0]
    return [rg | {"tags": rg["tags"] | {"Creator": "user@example.com", "DateCreated": "2023-12-14T08:14:48Z"}}]


# Before the end of 2023 operation URLs carried no signature.
UNSIGNED: dict[str, Json] = {"signed_operations": False}
# Missing in one of the recorded sessions, there in the next.
ZONE = (
    f"{ZERO}/resourceGroups/clitest_privatedns000001/providers/Microsoft.Network/privateDnsZones"
    "/clitest.privatedns.com000002"
)
# There, without the record that is asked for.
OTHER_ZONE = (
    f"{ZERO}/resourceGroups/cli_test_private_dns_000001/providers/Microsoft.Network/privateDnsZones"
    "/clitest.privatedns.com000002"
)
LOCKED = (
    f"{ZERO}/resourcegroups/cliautomation01000001/providers/Microsoft.Storage/storageAccounts/acliautomationlab1471"
)
# The service fails in these recordings; the simulation is made to fail, and shows how it dresses a failure.
TIMED_OUT = "The gateway did not receive a response from 'Microsoft.DBforMariaDB' within the specified time period."
THROTTLED = (
    f"Number of requests for subscription '{ZERO.rpartition('/')[2]}' and operation "
    "'PUT/SUBSCRIPTIONS/RESOURCEGROUPS/PROVIDERS/MICROSOFT.MEDIA/MEDIASERVICES/' exceeded the backend storage limit. "
    "Please try again after '6' seconds."
)
TEST_GROUP = group("clitest.rg000001")


def _paged() -> list[Json]:
    """Two hundred accounts, made one after the other as the recorded dates of some of them tell."""
    names = [(kind, f"{kind.lower()}paging_wu_{number}") for kind in ("Face", "Emotion") for number in range(100)]
    start = datetime(2017, 9, 15, 10, 12, 25, 228_000, tzinfo=UTC)
    accounts = []
    for number, (kind, name) in enumerate(names):
        created = (start + timedelta(seconds=1.756 * number)).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
        made = account("pstestrg5394", name, kind, "West US", dateCreated=created)
        accounts.append(made | {"systemData": {"createdAt": created}})
    return [group("pstestrg5394", "westus"), *accounts]


def _used_westeurope() -> list[Json]:
    """What makes the recorded numbers: 35 accounts, of them 5 OpenAI and 3 AIServices, and 20 units of gpt-4o."""
    kinds = ["OpenAI"] * 5 + ["AIServices"] * 3 + ["FormRecognizer"] * 27
    accounts = [
        account("used", f"used{number}", kind, "westeurope", provisioningState="Succeeded")
        for number, kind in enumerate(kinds)
    ]
    deployed = deployment(accounts[0], "chat", "GlobalStandard", 20, ("gpt-4o", "2024-11-20"))
    return [group("used", "westeurope"), *accounts, deployed]


SCENES = [
    Scene("cog_account_crud_tags_keys.json", [TEST_GROUP], settings=UNSIGNED),
    Scene("cog_account_custom_domain.json", [TEST_GROUP], settings=UNSIGNED),
    Scene("cog_account_identity_patch.json", [TEST_GROUP], settings=UNSIGNED),
    Scene("cog_account_models_2023-05-01.json", [TEST_GROUP], settings=UNSIGNED, shortened=True),
    Scene("cog_account_openai_and_deployment_2023-05-01.json", [TEST_GROUP], settings=UNSIGNED),
    Scene("cog_account_openai_and_deployment_2025-10.json", [TEST_GROUP]),
    Scene("cog_account_sync_create.json", [TEST_GROUP], settings=UNSIGNED | {"sync_create": True}),
    Scene("cog_account_usages.json", [TEST_GROUP], settings=UNSIGNED),
    Scene("cog_accounts_list_two_pages_2017.json", _paged(), shortened=True),
    Scene("cog_location_models_2023-05-01.json", shortened=True),
    Scene("cog_location_models_2025-10.json", shortened=True),
    Scene("cog_location_usages_2023-05-01.json", shortened=True, ordered=False),
    Scene("cog_location_usages_2025-09-01.json", _used_westeurope(), shortened=True, ordered=False),
    Scene(
        "cog_private_endpoint_connection.json",
        [TEST_GROUP],
        # The poll that says Succeeded came 31 s after the PUT; how long it had been true nobody knows.
        settings={"endpoint_write": 30.0},
    ),
    Scene("cog_resource_skus_2023-05-01.json", shortened=True),
    Scene("cog_soft_delete_restore_purge_2022.json", settings=UNSIGNED, unfiltered=True),
    Scene(
        "net_delete_raw_headers_2019.json",
        [group("ps356", "westcentralus"), network("ps356", "networkSecurityGroups/REDACTED-NAME")],
        unfiltered=True,
        # The job of this session ended sooner than the other's.
        settings=UNSIGNED | {"group_delete": 40.0},
    ),
    Scene(
        "net_nsg_create_rule_update_delete.json",
        [suite_group("cli_test_nsg000001", "2023-02-10T10:53:49Z")],
        settings=UNSIGNED,
    ),
    Scene(
        "net_nsg_extended_rules.json",
        [suite_group("cli_test_extended_nsg000001", "2023-02-07T20:48:04Z")],
        settings=UNSIGNED,
    ),
    Scene(
        "net_vnet_subnet_with_nsg.json",
        [
            suite_group(
                "cli_vnet_with_subnet_nsg_test000001", "2023-12-14T08:47:16Z", "test_network_vnet_with_subnet_nsg"
            )
        ],
        settings={"security_group_write": 1.0},
    ),
    Scene(
        "net_subnet_service_endpoint.json",
        [
            suite_group(
                "cli_subnet_endpoint_service_test000001", "2023-12-14T08:45:50Z", "test_network_subnet_endpoint_service"
            )
        ],
        settings={"subnet_write": 10.0},
    ),
    Scene(
        "net_private_endpoint_dns_zone_group.json",
        _grouped(),
        meanwhile={5: _tagged_by_policy()},
        settings={"network_delete": 0.2},
    ),
    Scene(
        "pdns_zone_and_link.json",
        [
            suite_group(
                "clitest_privatedns000001",
                "2023-07-26T05:56:33Z",
                "test_DeleteLink_LinkExists_ExpectLinkDeleted",
                "privatedns",
            )
        ],
        settings=UNSIGNED,
    ),
    Scene(
        "pdns_record_etag_failure.json",
        [
            suite_group(
                "clitest_privatedns000001",
                "2023-08-07T14:47:51Z",
                "test_PatchRecordSet_IfMatchFailure_ExpectError",
                "privatedns",
            )
        ],
        settings=UNSIGNED,
        sending={10: {"if-match": "00000000-1111-2222-3333-444444444444"}},
    ),
    Scene(
        "err_in_use_deletes.json",
        _in_use(),
        left_out={2: f"a public IP address is {NOT_SIMULATED}"},
    ),
    Scene(
        "err_network_429_retryable.json",
        [suite_group("test_network_vpn_connection_nat_rule000001", "2023-02-17T01:34:52Z")],
        left_out=dict.fromkeys([1, 2], f"a virtual network gateway is {NOT_SIMULATED}; its words are tested on others"),
    ),
    Scene(
        "err_network_500.json",
        [
            group("test_manage_appgw_private_endpoint_without_standard000001"),
            network(
                "test_manage_appgw_private_endpoint_without_standard000001",
                "virtualNetworks/appgwVnet",
                properties={"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}},
            ),
        ],
    ),
    Scene(
        "rg_delete_no_wait.json",
        [
            group(
                "cli_rg_nowait_test000001",
                "westus",
                tags={"product": "azurecli", "cause": "automation", "date": "2023-02-07T11:22:45Z"},
            )
        ],
    ),
    Scene(
        "err_misc.json",
        [
            group("cliautomation01000001"),
            TEST_GROUP,
            group("clitest_privatedns000001"),
            {"id": OTHER_ZONE},
            group("cli_test_ag_address_pool000001"),
        ],
        meanwhile={2: [{"id": ZONE, "location": "global"}]},
        seed={"locks": [{"scope": LOCKED, "level": "CanNotDelete"}]},
        faults={
            7: {"kind": "status", "status": 504, "code": "GatewayTimeout", "message": TIMED_OUT},
            8: {"kind": "status", "status": 503, "html": True},
            10: {"kind": "status", "status": 429, "code": "SubscriptionRequestsThrottled", "message": THROTTLED},
        },
        left_out=dict.fromkeys([9], f"answered by the provider itself, {NOT_SIMULATED}")
        | {5: "policy definitions are not simulated"},
    ),
    Scene("rg_lifecycle.json", [group("cli_test_rg_scenario000001", "westus")]),
]
