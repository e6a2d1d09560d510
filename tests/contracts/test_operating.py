"""What people on call are given: a runbook with a section for every alert, and a config file that loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from reconciler.report import conditions
from reconciler.report.letters import RUNBOOK
from reconciler.settings import Settings, load_settings
from tests.support.chart import CHART, ROOT

EXAMPLE = ROOT / "deploy" / "reconciler.example.yaml"


def load(path: Path) -> Settings:
    settings, findings = load_settings({}, {}, str(path))
    assert settings is not None, [str(each) for each in findings]
    return settings


def named() -> set[str]:
    """Every name that an alert can have, of the daemon itself and of the rules."""
    groups = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())["groups"]
    own = {each for each in vars(conditions).values() if isinstance(each, str) and re.fullmatch(r"Reconciler\w+", each)}
    return own | {rule["alert"] for group in groups for rule in group["rules"]}


def test_the_runbook_has_a_section_for_every_alert() -> None:
    heads = re.findall(r"^## (Reconciler\w+)$", (ROOT / RUNBOOK).read_text(), re.MULTILINE)
    assert len(heads) == len(set(heads))
    assert named() - set(heads) == set()


@pytest.mark.parametrize("name", ["docs/daemon.md", "docs/deploy.md"])
def test_whoever_reads_about_alerts_finds_the_runbook(name: str) -> None:
    assert "](runbook.md" in (ROOT / name).read_text()


def test_the_example_of_a_config_file_loads() -> None:
    settings = load(EXAMPLE)
    assert settings.observe_only
    assert [route.name for route in settings.alerts] == ["alertmanager-1"]


def test_what_the_example_leaves_switched_off_loads_too(tmp_path: Path) -> None:
    whole = tmp_path / "reconciler.yaml"
    whole.write_text(re.sub(r"^#(?=\S|  )", "", EXAMPLE.read_text(), flags=re.MULTILINE))
    settings = load(whole)
    assert [route.name for route in settings.alerts] == ["alertmanager-1", "on-call", "events"]
    assert settings.cron
    assert settings.token_variable
    assert settings.runbook_url
