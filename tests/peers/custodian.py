"""Cloud Custodian: finds accounts and deployments, tags an account.

It knows only Azure's own host names, so it is led to the simulation by the proxy that the simulation offers.
"""

import json
import os
from pathlib import Path
from typing import Any

from tests.peers.simulation import Simulation
from tests.peers.steps import FailedError, Steps, install

PACKAGE = "c7n-azure"
POLICIES = Path(__file__).parent / "files" / "custodian.yaml"
GROUP, NAME = "rg-custodian", "oai-custodian"


def run(simulation: Simulation, folder: Path) -> int:
    """Runs the policies; the number of policies that found what they should."""
    custodian = _find(folder)
    _seed(simulation)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = kept | {
        "HOME": str(simulation.folder),
        "AZURE_SUBSCRIPTION_ID": str(simulation.ready["subscription_id"]),
        "AZURE_TENANT_ID": str(simulation.ready["tenant_id"]),
        "AZURE_CLIENT_ID": str(simulation.ready["client_id"]),
        "AZURE_CLIENT_SECRET": str(simulation.ready["client_secret"]),
        "REQUESTS_CA_BUNDLE": simulation.environment["REQUESTS_CA_BUNDLE"],
        "HTTPS_PROXY": str(simulation.ready["proxy"]),
    }
    steps = Steps([str(custodian)], environment, simulation.folder)
    out = simulation.folder / "out"
    steps.run("the policies run", "run", "--output-dir", str(out), str(POLICIES))
    for policy, expected in (("accounts", NAME), ("untagged", NAME), ("deployments", "chat"), ("groups", GROUP)):
        found = [each["name"] for each in json.loads((out / policy / "resources.json").read_text())]
        if found != [expected]:
            raise FailedError(f"policy {policy} found {found}")
        steps.count += 1
    tags = _account(simulation).get("tags")
    if tags != {"reviewed": "custodian"}:
        raise FailedError(f"the account has the tags {tags}")
    return steps.count


def _find(folder: Path) -> Path:
    named = os.environ.get("PEER_CUSTODIAN")
    if named:
        return Path(named)
    custodian = folder / "custodian" / "bin" / "custodian"
    if not custodian.exists():
        install(custodian.parent / "python", PACKAGE)
    return custodian


def _id(simulation: Simulation) -> str:
    group = f"/subscriptions/{simulation.ready['subscription_id']}/resourceGroups/{GROUP}"
    return f"{group}/providers/Microsoft.CognitiveServices/accounts/{NAME}"


def _seed(simulation: Simulation) -> None:
    account = _id(simulation)
    model = {"format": "OpenAI", "name": "gpt-4o", "version": "2024-11-20"}
    simulation.control(
        "seed",
        {
            "resources": [
                {"id": account.partition("/providers/")[0], "location": "swedencentral"},
                {"id": account, "location": "swedencentral", "kind": "OpenAI", "sku": {"name": "S0"}, "properties": {}},
                {
                    "id": f"{account}/deployments/chat",
                    "sku": {"name": "GlobalStandard", "capacity": 10},
                    "properties": {"model": model},
                },
            ]
        },
    )


def _account(simulation: Simulation) -> dict[str, Any]:
    resources = simulation.control("state", None)["resources"]
    found: dict[str, Any] = next(each["body"] for each in resources if each["id"].lower() == _id(simulation).lower())
    return found
