"""A desired-state tree on disk from a few strings, for the tests of this room."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.desired import load_estate
from reconciler.model.resource import Estate

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"

FLEET = f"""\
apiVersion: reconciler/v1
kind: Fleet
metadata: {{name: prod}}
spec: {{subscription: {SUBSCRIPTION}, resourceGroup: rg-ai, location: swedencentral}}
"""

GROUP = """\
apiVersion: reconciler/v1
kind: ResourceGroup
metadata: {name: rg-ai}
"""


def account(name: str = "aoai", spec: str = "publicNetworkAccess: Disabled", lifecycle: str = "") -> str:
    """An Account document; `spec` and `lifecycle` are the insides of flow mappings."""
    after = f"lifecycle: {{{lifecycle}}}\n" if lifecycle else ""
    return f"apiVersion: reconciler/v1\nkind: Account\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n{after}"


def plant(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write the files below `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def load(root: Path, *documents: str, environment: Mapping[str, str] | None = None) -> Estate:
    """The estate of one file that holds the usual Fleet and these documents."""
    plant(root, {"all.yaml": "---\n".join((FLEET, *documents))})
    return load_estate([root], environment or {})


def tell(estate: Estate, root: Path) -> list[str]:
    """The findings as a terminal shows them, without the path of the tree."""
    return [str(finding).replace(f"{root}/", "") for finding in estate.findings]
