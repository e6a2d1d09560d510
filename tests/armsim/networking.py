"""Networks, endpoints and zones as tests ask for them."""

from typing import Any

from tests.armsim.asking import ACCOUNTS, GROUP, SUB, Answer, Asker

NET = f"{GROUP}/providers/Microsoft.Network"
NSG = f"{NET}/networkSecurityGroups/n1"
VNET = f"{NET}/virtualNetworks/v1"
APP = f"{VNET}/subnets/app"
PE = f"{NET}/privateEndpoints/p1"
ZONE = f"{NET}/privateDnsZones/privatelink.openai.azure.com"
OF_SUB = f"/subscriptions/{SUB}/providers/Microsoft.Network"
HERE = "westeurope"


def rule(name: str, priority: int = 100, **more: Any) -> dict[str, Any]:
    properties = {
        "protocol": "Tcp",
        "sourcePortRange": "*",
        "destinationPortRange": "443",
        "sourceAddressPrefix": "*",
        "destinationAddressPrefix": "*",
        "access": "Allow",
        "direction": "Inbound",
        "priority": priority,
    }
    return {"name": name, "properties": properties | more}


def security_group(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"location": HERE, "properties": {"securityRules": list(rules)}}


def subnet(name: str = "app", prefix: str = "10.0.1.0/24", **more: Any) -> dict[str, Any]:
    return {"name": name, "properties": {"addressPrefix": prefix} | more}


def network(*subnets: dict[str, Any], space: str = "10.0.0.0/16") -> dict[str, Any]:
    return {"location": HERE, "properties": {"addressSpace": {"addressPrefixes": [space]}, "subnets": list(subnets)}}


def endpoint(
    target: str = f"{ACCOUNTS}/a1", place: str = APP, manual: bool = False, groups: str = "account", **more: Any
) -> dict[str, Any]:
    row: dict[str, Any] = {"name": "c1", "properties": {"privateLinkServiceId": target, "groupIds": [groups]}}
    if manual:
        row["properties"]["requestMessage"] = "please"
    kind = "manualPrivateLinkServiceConnections" if manual else "privateLinkServiceConnections"
    return {"location": HERE, "properties": {"subnet": {"id": place}, kind: [row]} | more}


def zone_group(*zones: str) -> dict[str, Any]:
    configs = [
        {"name": each.rsplit("/", 1)[1].replace(".", "-"), "properties": {"privateDnsZoneId": each}} for each in zones
    ]
    return {"properties": {"privateDnsZoneConfigs": configs}}


def essence(body: Any) -> Any:
    """Without etags and states."""
    if isinstance(body, list):
        return [essence(each) for each in body]
    if isinstance(body, dict):
        return {key: essence(value) for key, value in body.items() if key not in {"etag", "provisioningState"}}
    return body


async def ready(asker: Asker, answer: Answer, seconds: float = 61) -> Answer:
    """The resource once its operation has ended well."""
    assert answer.status in {200, 201, 202}, answer.text
    await asker.advance(seconds)
    poll = await asker.get(answer.headers["azure-asyncoperation"])
    assert (poll.status, poll.body) == (200, {"status": "Succeeded"})
    return poll


async def has_network(asker: Asker, *subnets: dict[str, Any]) -> None:
    await asker.group()
    await ready(asker, await asker.put(VNET, network(*(subnets or (subnet(),)))))


async def has_endpoint(asker: Asker, **more: Any) -> dict[str, Any]:
    """An account with a subdomain, a network, and an endpoint between them."""
    if (await asker.get(f"{ACCOUNTS}/a1")).status != 200:
        await asker.account(customSubDomainName="names-a1")
    if (await asker.get(VNET)).status != 200:
        await has_network(asker)
    await asker.advance(30)
    await ready(asker, await asker.put(PE, endpoint(**more)))
    return dict((await asker.get(PE)).body)


async def mutate(asker: Asker, method: str, id: str, body: Any = None, actor: str = "alice@example.com") -> None:
    request = {"method": method, "id": id, "body": body or {}, "actor": actor}
    await asker.sim.control("POST", "/_sim/mutate", request)


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [str(each["name"]) for each in rows]
