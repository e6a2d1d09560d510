"""What in deploy/ is made from tables: `python -m tests.support.shipped` writes it, a contract test compares it.

The settings that the chart's schema takes, the table of values in its README, and the two roles of Azure.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from reconciler.settings import SETTINGS
from tests.support.azure_roles import make_roles
from tests.support.chart import CHART, ROOT, schema

ROLES = ROOT / "deploy" / "azure" / "roles"
BEGIN, END = "<!-- made by `make chart`: values -->", "<!-- end of values -->"

# What the chart writes into the config file itself, and what is no business of a daemon in a pod.
OWN = frozenset(
    {
        "sources",
        "interval",
        "grace",
        "listen",
        "lease",
        "leaseName",
        "journalMap",
        "journalFile",
        "pauseMap",
        "pauseFile",
    }
    | {"leaseNamespace", "leaseIdentity", "leaseFile", "serviceAccount"}
)
ELSEWHERE = frozenset({"output", "color", "timeout", "clockRate", "simulatePace"})
_VALUE = {"type": ["string", "number", "boolean", "array"], "items": {"type": "string"}}


def make_files() -> dict[Path, str]:
    """Every file that is made, with its text."""
    made = {ROLES / name: _json(role) for name, role in make_roles().items()}
    whole = make_schema()
    readme = CHART / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    made[CHART / "values.schema.json"] = _json(whole)
    made[readme] = f"{before}{BEGIN}\n\n{make_table(whole)}\n{END}{after}"
    return made


def make_schema() -> dict[str, Any]:
    """The chart's schema with the settings that there are."""
    whole = schema()
    whole["properties"]["settings"]["properties"] = {
        each.name: {**_VALUE, "description": f"{each.summary[0].upper()}{each.summary[1:]}."}
        for each in SETTINGS
        if each.name not in OWN | ELSEWHERE
    }
    return whole


def make_table(whole: dict[str, Any]) -> str:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    rows = [f"| `{path}` | {default} | {text} |" for path, default, text in _rows(whole, defaults, "")]
    return "\n".join(["| value | default | what it is |", "| --- | --- | --- |", *rows, ""])


def _rows(node: dict[str, Any], defaults: Any, path: str) -> Iterator[tuple[str, str, str]]:
    for name, each in node["properties"].items():
        if not path and name == "global":
            continue
        here = f"{path}.{name}" if path else name
        default = defaults.get(name) if isinstance(defaults, dict) else None
        if each.get("properties") and here not in ("settings", "resources", "desiredState.git.resources"):
            yield from _rows(each, default, here)
        else:
            yield here, f"`{json.dumps(default)}`", each["description"].replace("|", "\\|")


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    for path, text in make_files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"written: {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
