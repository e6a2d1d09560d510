"""The Azure CLI: a registered cloud, a service principal, then accounts, deployments, soft delete and usages."""

import os
import shutil
from pathlib import Path
from typing import Any

from tests.peers.simulation import Simulation
from tests.peers.steps import Steps, install

PACKAGE = "azure-cli"
GROUP, NAME, DEPLOYMENT, PLACE = "rg-peer", "oai-peer", "chat", "swedencentral"
AUDIENCE = "https://management.core.windows.net/"


def run(simulation: Simulation, folder: Path) -> int:
    """Runs the CLI; the number of commands that showed what they should."""
    az = _find(folder)
    steps = Steps([str(az)], _environment(simulation), simulation.folder)
    _log_in(steps, simulation)
    _accounts(steps)
    _deployments(steps)
    _lists(steps)
    _soft_delete(steps)
    return steps.count


def _find(folder: Path) -> Path:
    """An installed CLI that the caller names, or one of our own."""
    named = os.environ.get("PEER_AZ")
    if named:
        return Path(named)
    az = folder / PACKAGE / "bin" / "az"
    if not az.exists():
        install(az.parent / "python", PACKAGE)
    return az


def _environment(simulation: Simulation) -> dict[str, str]:
    config = simulation.folder / "azure-config"
    shutil.rmtree(config, ignore_errors=True)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "AZURE_CONFIG_DIR": str(config),
        "REQUESTS_CA_BUNDLE": simulation.environment["REQUESTS_CA_BUNDLE"],
        "AZURE_CORE_INSTANCE_DISCOVERY": "false",
        "AZURE_CORE_COLLECT_TELEMETRY": "false",
        "AZURE_CORE_OUTPUT": "json",
        "AZURE_CORE_ONLY_SHOW_ERRORS": "true",
    }


def _log_in(steps: Steps, simulation: Simulation) -> None:
    ready, endpoint = simulation.ready, simulation.endpoint
    steps.run(
        "a cloud is registered",
        *("cloud", "register", "--name", "armsim"),
        *("--endpoint-resource-manager", endpoint),
        *("--endpoint-active-directory", str(ready["authority"])),
        *("--endpoint-active-directory-resource-id", AUDIENCE),
        *("--endpoint-active-directory-graph-resource-id", AUDIENCE),
        *("--endpoint-management", endpoint),
    )
    steps.run("the cloud is chosen", "cloud", "set", "--name", "armsim")
    steps.run(
        "a service principal logs in and sees its subscription",
        *("login", "--service-principal", "--username", str(ready["client_id"])),
        *("--password", str(ready["client_secret"]), "--tenant", str(ready["tenant_id"])),
        expect=lambda found: [each["id"] for each in found] == [ready["subscription_id"]],
    )
    steps.run(
        "the account shows the tenant",
        *("account", "show"),
        expect=lambda found: found["tenantId"] == ready["tenant_id"] and found["state"] == "Enabled",
    )
    steps.run(
        "locations are listed",
        *("account", "list-locations"),
        expect=lambda found: PLACE in {each["name"] for each in found},
    )


def _accounts(steps: Steps) -> None:
    of = ("--name", NAME, "--resource-group", GROUP)
    steps.run(
        "a resource group is created",
        *("group", "create", "--name", GROUP, "--location", PLACE, "--tags", "owner=peer"),
        expect=lambda found: _state(found) == "Succeeded" and found["tags"] == {"owner": "peer"},
    )
    steps.run("the group exists", "group", "exists", "--name", GROUP, expect=lambda found: found is True)
    account = ("cognitiveservices", "account")
    steps.run(
        "an account is created and its operation followed",
        *(*account, "create", *of, "--kind", "OpenAI", "--sku", "S0", "--location", PLACE, "--yes"),
        *("--custom-domain", NAME, "--tags", "owner=peer"),
        expect=lambda found: (
            _state(found) == "Succeeded" and found["properties"]["endpoint"] == f"https://{NAME}.openai.azure.com/"
        ),
    )
    steps.run(
        "accounts are listed", *(*account, "list"), expect=lambda found: [each["name"] for each in found] == [NAME]
    )
    steps.run(
        "the account is shown",
        *(*account, "show", *of),
        expect=lambda found: found["kind"] == "OpenAI" and found["properties"]["publicNetworkAccess"] == "Enabled",
    )
    steps.run(
        "tags are updated",
        *(*account, "update", *of, "--tags", "owner=peer", "stage=two"),
        expect=lambda found: found["tags"] == {"owner": "peer", "stage": "two"},
    )
    steps.run(
        "a firewall rule is added",
        *(*account, "network-rule", "add", *of, "--ip-address", "198.51.100.7"),
        expect=lambda found: _rules(found) == ["198.51.100.7"],
    )
    steps.run(
        "an identity is assigned",
        *(*account, "identity", "assign", *of),
        expect=lambda found: found["type"] == "SystemAssigned" and found["principalId"],
    )
    steps.run("keys are listed", *(*account, "keys", "list", *of), expect=lambda found: set(found) == {"key1", "key2"})
    steps.run(
        "an account that is not there is not found",
        *(*account, "show", "--name", "nobody", "--resource-group", GROUP),
        expect=lambda error: "ResourceNotFound" in error,
        code=3,
    )


def _deployments(steps: Steps) -> None:
    of = ("--name", NAME, "--resource-group", GROUP)
    one = (*of, "--deployment-name", DEPLOYMENT)
    deployment = ("cognitiveservices", "account", "deployment")
    model = ("--model-name", "gpt-4o", "--model-version", "2024-11-20", "--model-format", "OpenAI")
    steps.run(
        "a deployment is created",
        *(*deployment, "create", *one, *model, "--sku-name", "GlobalStandard", "--sku-capacity", "10"),
        expect=lambda found: _state(found) == "Succeeded" and found["sku"]["capacity"] == 10,
    )
    steps.run(
        "deployments are listed",
        *(*deployment, "list", *of),
        expect=lambda found: [each["name"] for each in found] == [DEPLOYMENT],
    )
    steps.run(
        "the deployment is shown with its rate limits",
        *(*deployment, "show", *one),
        expect=lambda found: (
            {each["key"]: each["count"] for each in found["properties"]["rateLimits"]}["token"] == 10_000
        ),
    )
    steps.run(
        "capacity that the subscription does not have is refused",
        *(*deployment, "create", *of, "--deployment-name", "big", *model),
        *("--sku-name", "GlobalStandard", "--sku-capacity", "100000"),
        expect=lambda error: "InsufficientQuota" in error,
        code=1,
    )
    steps.run(
        "usages count the deployment",
        *("cognitiveservices", "usage", "list", "--location", PLACE),
        expect=lambda found: _used(found, "OpenAI.GlobalStandard.gpt-4o") == 10,
    )
    steps.run("the deployment is deleted", *(*deployment, "delete", *one))
    steps.run("no deployment is left", *(*deployment, "list", *of), expect=lambda found: found == [])


def _lists(steps: Steps) -> None:
    of = ("--name", NAME, "--resource-group", GROUP)
    account = ("cognitiveservices", "account")
    steps.run(
        "models of the account are listed",
        *(*account, "list-models", *of),
        expect=lambda found: {"gpt-4o", "o3-mini"} <= {each["name"] for each in found},
    )
    steps.run(
        "models of the location are listed",
        *("cognitiveservices", "model", "list", "--location", PLACE),
        expect=lambda found: any(each["model"]["name"] == "gpt-4.1" for each in found),
    )
    steps.run("usages of the account are listed", *(*account, "list-usage", *of), expect=lambda found: found == [])
    steps.run("kinds are listed", *(*account, "list-kinds"), expect=lambda found: "OpenAI" in found)
    steps.run(
        "SKUs are listed",
        *(*account, "list-skus", "--kind", "OpenAI", "--location", PLACE),
        expect=lambda found: [each["name"] for each in found] == ["S0"],
    )


def _soft_delete(steps: Steps) -> None:
    of = ("--name", NAME, "--resource-group", GROUP)
    gone = (*of, "--location", PLACE)
    account = ("cognitiveservices", "account")
    steps.run("the account is deleted", *(*account, "delete", *of))
    steps.run(
        "it is among the deleted ones",
        *(*account, "list-deleted"),
        expect=lambda found: [each["name"] for each in found] == [NAME],
    )
    steps.run(
        "its name is taken",
        *(*account, "create", *of, "--kind", "OpenAI", "--sku", "S0", "--location", PLACE, "--yes"),
        expect=lambda error: "FlagMustBeSetForRestore" in error,
        code=1,
    )
    steps.run(
        "it is recovered with its tags",
        *(*account, "recover", *gone),
        expect=lambda found: _state(found) == "Succeeded" and found["tags"]["stage"] == "two",
    )
    steps.run("it is deleted again", *(*account, "delete", *of))
    steps.run(
        "the deleted one is shown",
        *(*account, "show-deleted", *gone),
        expect=lambda found: found["properties"]["scheduledPurgeDate"] > found["properties"]["deletionDate"],
    )
    steps.run("it is purged and the operation followed", *(*account, "purge", *gone))
    steps.run("nothing deleted is left", *(*account, "list-deleted"), expect=lambda found: found == [])
    steps.run("the group is deleted and waited for", "group", "delete", "--name", GROUP, "--yes")
    steps.run("the group is gone", "group", "exists", "--name", GROUP, expect=lambda found: found is False)


def _state(found: Any) -> str:
    return str(found["properties"]["provisioningState"])


def _rules(found: Any) -> list[str]:
    return [each["value"] for each in found["properties"]["networkAcls"]["ipRules"]]


def _used(found: Any, name: str) -> float:
    return next(float(each["currentValue"]) for each in found if each["name"]["value"] == name)
