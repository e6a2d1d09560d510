"""A version that a document pins and lets Azure change is told as the contradiction that it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.desired.trees import GROUP, account, load, tell

DEPLOYMENT = (
    "publicNetworkAccess: Disabled, "
    "deployments: [{{name: chat, model: {{name: gpt-4o{}}}, sku: {{name: Standard, capacity: 1}}{}}}]"
)
FOLLOWS = ", versionUpgradeOption: OnceNewDefaultVersionAvailable"
PINNED = ', version: "2024-11-20"'


def findings(root: Path, version: str, option: str) -> list[str]:
    return tell(load(root, GROUP, account(spec=DEPLOYMENT.format(version, option))), root)


def test_a_pinned_version_with_auto_upgrade_on_is_a_warning_at_the_option(tmp_path: Path) -> None:
    (told,) = findings(tmp_path, PINNED, FOLLOWS)
    assert told == (
        "all.yaml:13:170: warning: deployments[chat] pins version 2024-11-20, and versionUpgradeOption "
        "OnceNewDefaultVersionAvailable lets Azure move it to another one (write NoAutoUpgrade to keep the version, or "
        "leave model.version out to follow Azure's default)"
    )


@pytest.mark.parametrize(
    ("version", "option"),
    [
        (PINNED, ""),
        (PINNED, ", versionUpgradeOption: NoAutoUpgrade"),
        (PINNED, ", versionUpgradeOption: OnceCurrentVersionExpired"),
        ("", FOLLOWS),
    ],
)
def test_what_does_not_contradict_itself_is_no_finding(tmp_path: Path, version: str, option: str) -> None:
    assert findings(tmp_path, version, option) == []
