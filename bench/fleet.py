"""The fleet that is measured, written twice: as desired state, and as JSON for the script that has no YAML to read.

Promises that both say the same. Every name, region and size follows from the counts alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

REGIONS = (
    "swedencentral", "eastus2", "westeurope", "uksouth", "francecentral",
    "japaneast", "australiaeast", "canadaeast", "westus", "norwayeast",
)  # fmt: skip
# Sold everywhere as GlobalStandard. None fine-tunes here, none costs anything while it stands idle.
MODELS = (
    ("gpt-4o", "2024-11-20"),
    ("gpt-4o", "2024-08-06"),
    ("gpt-4o-mini", "2024-07-18"),
    ("gpt-4.1", "2025-04-14"),
    ("gpt-4.1-mini", "2025-04-14"),
    ("gpt-4.1-nano", "2025-04-14"),
    ("o4-mini", "2025-04-16"),
    ("gpt-5-mini", "2025-08-07"),
    ("text-embedding-ada-002", "2"),
    ("text-embedding-3-large", "1"),
)
_CAPACITY = 4  # units; all accounts of a region share its quota
FIREWALL = ["203.0.113.0/24"]


@dataclass(frozen=True, slots=True)
class Member:
    """One deployment."""

    name: str
    model: str
    version: str
    capacity: int = _CAPACITY
    sku: str = "GlobalStandard"


@dataclass(frozen=True, slots=True)
class Account:
    """One account with its deployments."""

    name: str
    group: str
    location: str
    deployments: tuple[Member, ...]
    serves: str = "itself"  # a label


@dataclass(frozen=True, slots=True)
class Fleet:
    """`groups` are (name, location)."""

    groups: tuple[tuple[str, str], ...]
    accounts: tuple[Account, ...]

    @property
    def deployments(self) -> int:
        return sum(len(account.deployments) for account in self.accounts)

    @property
    def resources(self) -> int:
        return len(self.groups) + len(self.accounts) + self.deployments


def make_fleet(accounts: int, deployments: int) -> Fleet:
    """`accounts` spread evenly over the regions, `deployments` in each."""
    members = tuple(_member(number) for number in range(deployments))
    regions = REGIONS[:accounts]
    return Fleet(
        groups=tuple((f"rg-bench-{region}", region) for region in regions),
        accounts=tuple(_account(number, members) for number in range(accounts)),
    )


def _member(number: int) -> Member:
    model, version = MODELS[number % len(MODELS)]
    return Member(name=f"{model}-{number:02}", model=model, version=version)


def _account(number: int, members: tuple[Member, ...]) -> Account:
    region = REGIONS[number % len(REGIONS)]
    return Account(name=f"aoai-bench-{number:03}", group=f"rg-bench-{region}", location=region, deployments=members)


def write_json(fleet: Fleet, path: Path) -> None:
    """The fleet as the plain script reads it."""
    path.write_text(json.dumps({"firewall": FIREWALL, **asdict(fleet)}), encoding="utf-8")


def write_yaml(fleet: Fleet, folder: Path) -> None:
    """The fleet as desired state: a file for each account, as people keep them."""
    folder.mkdir(parents=True, exist_ok=True)
    groups = [_GROUP.format(name=name, location=location) for name, location in fleet.groups]
    (folder / "fleet.yaml").write_text("---\n".join((_FLEET, *groups)), encoding="utf-8")
    for account in fleet.accounts:
        (folder / f"{account.name}.yaml").write_text(_write_account(account), encoding="utf-8")


def _write_account(account: Account) -> str:
    head = _ACCOUNT.format(
        name=account.name,
        group=account.group,
        location=account.location,
        serves=account.serves,
        firewall=", ".join(FIREWALL),
    )
    return head + "".join(_DEPLOYMENT.format(**asdict(member)) for member in account.deployments)


_FLEET = """\
apiVersion: reconciler/v1
kind: Fleet
metadata: {name: bench}
spec:
  subscription: ${AZURE_SUBSCRIPTION_ID}
  tenant: ${AZURE_TENANT_ID}
  location: swedencentral
  tags: {team: ai}
"""
_GROUP = """\
apiVersion: reconciler/v1
kind: ResourceGroup
metadata: {{name: {name}}}
spec: {{location: {location}}}
"""
_ACCOUNT = """\
apiVersion: reconciler/v1
kind: Account
metadata: {{name: {name}, labels: {{serves: {serves}}}}}
spec:
  resourceGroup: {group}
  location: {location}
  customSubDomainName: {name}
  disableLocalAuth: true
  publicNetworkAccess: Enabled
  networkAcls: {{defaultAction: Deny, ipRules: [{firewall}]}}
  deployments:
"""
_DEPLOYMENT = """\
    - name: {name}
      model: {{name: {model}, version: "{version}"}}
      sku: {{name: {sku}, capacity: {capacity}}}
"""
