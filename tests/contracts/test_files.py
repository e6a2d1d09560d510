"""Files of other languages pass the linters of those, and the image gets all that is installed and nothing else."""

from __future__ import annotations

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.support.chart import CHART, ROOT

BIN = Path(sys.executable).parent
SCRIPTS = [*(ROOT / "deploy").rglob("*.sh"), *(ROOT / "tests" / "e2e").glob("*.sh")]
YAML = [*(CHART / "ci").glob("*.yaml"), CHART / "values.yaml", CHART / "Chart.yaml", CHART / "files" / "rules.yaml"]
LAYOUT = (
    "{extends: default, rules: {line-length: {max: 200}, document-start: disable, braces: {max-spaces-inside: 0},"
    " comments: {min-spaces-from-content: 1}}}"
)


def check(program: str, *words: str | Path) -> None:
    done = subprocess.run([BIN / program, *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_passes_its_linter(script: Path) -> None:
    check("shellcheck", script)


def test_a_script_stops_at_the_first_mistake() -> None:
    for script in SCRIPTS:
        assert "set -euo pipefail\n" in script.read_text(), script


def test_the_dockerfile_passes_its_linter() -> None:
    check("hadolint", ROOT / "Dockerfile")


def test_yaml_is_laid_out_alike() -> None:
    check("yamllint", "--strict", "-d", LAYOUT, *YAML)


def test_the_image_gets_all_that_is_installed_and_nothing_else() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    packages = {line.split(".")[0] for line in config["options.packages.find"]["include"].split()}
    needed = {"setup.cfg", "pyproject.toml", "constraints.txt", "README.md", "LICENSE", *packages}
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == needed
