"""What can be said on the command line without an Azure: help, wrong usage, checks of the desired state."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from reconciler.cli.parser import VERSION, Exit, parse
from tests.cli.fleets import account, clean_environment, command, reconcile_bare, write_fleet

COMMANDS = ("once", "validate", "schema", "explain", "import", "deleted", "purge", "simulate")
GUID = "00000000-0000-0000-0000-00000000000"
IDS = {"AZURE_SUBSCRIPTION_ID": GUID + "1", "AZURE_TENANT_ID": GUID + "2", "AZURE_CLIENT_ID": GUID + "3"}


def test_help_loads_nothing_that_is_slow() -> None:
    script = (
        "import sys\n"
        "from reconciler.cli import main\n"
        "try:\n    main(['once', '--help'])\n"
        "except SystemExit:\n    pass\n"
        "slow = {'azure', 'pydantic', 'yaml', 'aiohttp', 'structlog', 'apscheduler', 'asyncio'}\n"
        "print('loaded:', sorted(slow & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.endswith("loaded: []\n")


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS)])
def test_help_teaches_with_examples_and_exit_codes(words: tuple[str, ...]) -> None:
    done = reconcile_bare(*words, "--help")
    assert done.code == 0
    assert f"  reconciler {words[0] if words else 'once'} " in done.out
    assert "exit codes:" in done.out
    assert max(len(line) for line in done.out.splitlines()) <= 80


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("oncee",),
        ("once", "--bogus"),
        ("once", "--dry-run", "--plan", "p.json"),
        ("once", "--out", "p.json"),
        ("once", "--plan", "p.json", "--target", "Account/a"),
        ("once", "--yes", "--timeout", "soon"),
        ("once", "--dry-run", "nowhere/"),
        ("once", "--plan", "missing.json"),
        ("once", "-q", "-v", "--dry-run"),
        ("once", "--dry-run", "--simulate-state", "x"),
        ("validate", "--output", "yaml"),
        ("validate", "--config", "missing.yaml"),
        ("validate", "nowhere/"),
        ("import",),
        ("simulate", "--port", "high"),
    ],
)
def test_wrong_usage_is_64_with_a_reason_and_no_traceback(words: tuple[str, ...], tmp_path: Path) -> None:
    done = reconcile_bare(*words, cwd=tmp_path)
    assert done.code == 64
    assert done.out == ""
    assert done.err
    assert "Traceback" not in done.err


def test_a_misspelt_command_gets_a_suggestion() -> None:
    assert "did you mean validate?" in reconcile_bare("validat").err


def test_a_setting_of_the_environment_that_is_wrong_is_wrong_usage(tmp_path: Path) -> None:
    done = reconcile_bare("validate", environment={"RECONCILER_TIMEOUT": "soon"}, cwd=tmp_path)
    assert done.code == 64
    assert "timeout is 'soon', from environment RECONCILER_TIMEOUT" in done.err


def test_options_may_stand_before_or_after_the_command() -> None:
    assert parse(["--output", "json", "-v", "validate", "a"]).flags == {"output": "json", "sources": "a"}
    assert parse(["validate", "a", "--output", "json"]).flags == {"output": "json", "sources": "a"}


def test_the_version_is_that_of_the_package() -> None:
    metadata = ConfigParser()
    metadata.read(Path(__file__).parents[2] / "setup.cfg")
    assert metadata["metadata"]["version"] == VERSION
    assert reconcile_bare("--version").out == f"reconciler {VERSION}\n"


def test_a_good_desired_state_validates_without_azure(tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "good", account("aoai-good"))
    done = reconcile_bare("validate", home, environment=IDS)
    assert (done.code, done.out) == (0, "")
    assert done.err == "1 fleet with 3 resources: nothing is wrong.\n"
    document = reconcile_bare("validate", home, "--output", "json", environment=IDS).document
    assert document["valid"] is True
    assert document["findings"] == []
    assert document["fleets"][0]["resources"] == [
        "ResourceGroup/rg-good",
        "Account/aoai-good",
        "Account/aoai-good/deployments/chat",
    ]


def test_where_there_are_warnings_nobody_says_that_nothing_is_wrong(tmp_path: Path) -> None:
    rules = 'privateEndpointConnections: [{match: "*", status: Approved}, {match: pe-a, status: Rejected}]'
    home = write_fleet(tmp_path, "warned", account("aoai-warned").replace("spec:", f"spec:\n  {rules}"))
    done = reconcile_bare("validate", home, environment=IDS)
    assert done.code == 0
    assert "pe-a never decides" in done.out
    assert done.err == "1 fleet with 3 resources: no errors, 1 warning.\n"


def test_every_mistake_is_told_with_its_place_and_exit_1(tmp_path: Path) -> None:
    broken = account("aoai-bad").replace("disableLocalAuth: true", "disableLocalAuth: on\n  colour: red")
    home = write_fleet(tmp_path, "bad", broken)
    done = reconcile_bare("validate", home, environment=IDS)
    assert done.code == 1
    assert done.out.count(f"{home}/fleet.yaml:") == 2
    document = reconcile_bare("validate", home, "-o", "json", environment=IDS).document
    assert document["exit_code"] == 1
    assert len(document["findings"]) == 2
    assert all(finding["origin"]["line"] > 0 for finding in document["findings"])


def test_a_bad_desired_state_stops_a_run_before_its_first_request(tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "bad", account("aoai-bad").replace("spec:", "spce:"))
    # Nothing listens here: a request would be an error of another kind.
    nowhere = {"RECONCILER_ENDPOINT": "https://127.0.0.1:1", "RECONCILER_AUTHORITY": "https://127.0.0.1:1"}
    for words in (("--dry-run",), ("--yes",)):
        done = reconcile_bare("once", *words, home, environment={**IDS, **nowhere})
        assert done.code == 1
        assert "so no request was sent" in done.err
        assert "fleet.yaml:" in done.err
    document = reconcile_bare("once", "-n", "-o", "json", home, environment={**IDS, **nowhere}).document
    assert document["exit_code"] == 1
    assert document["findings"]


def test_certificates_that_cannot_be_read_are_wrong_usage(tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "good", account("aoai-good"))
    bundle = tmp_path / "ca.pem"
    bundle.write_text("no certificate")
    by_setting = reconcile_bare("once", "-n", "--ca-bundle", str(bundle), home, environment=IDS)
    by_environment = reconcile_bare("once", "-n", home, environment={**IDS, "REQUESTS_CA_BUNDLE": "/nowhere.pem"})
    for done, named in ((by_setting, str(bundle)), (by_environment, "/nowhere.pem")):
        assert done.code == 64
        assert f"the CA bundle {named} cannot be read" in done.err
        assert "Traceback" not in done.err


def test_the_schema_is_json_for_all_kinds_and_for_one() -> None:
    everything = reconcile_bare("schema").document
    assert {"Fleet", "ResourceGroup", "Account"} <= everything["$defs"].keys()
    one = reconcile_bare("schema", "Account").document
    assert one["$ref"] == "#/$defs/Account"
    missing = reconcile_bare("schema", "Accont")
    assert (missing.code, missing.out) == (1, "")
    assert "did you mean Account?" in missing.err


def test_explain_answers_on_the_terminal_and_in_json() -> None:
    done = reconcile_bare("explain", "Account.networkAcls")
    assert done.code == 0
    assert "defaultAction" in done.out
    assert reconcile_bare("explain", "Account.networkAcls", "-o", "json").document["text"] == done.out
    missing = reconcile_bare("explain", "Account.netwrkAcls")
    assert (missing.code, missing.out) == (1, "")
    assert "networkAcls" in missing.err


def test_show_config_says_what_came_from_where(tmp_path: Path) -> None:
    (tmp_path / "reconciler.yaml").write_text("timeout: 5m\n")
    words = ("once", "--show-config", "--output", "json", "x/")
    environment = {"RECONCILER_COLOR": "never"}
    document = reconcile_bare(*words, environment=environment, cwd=tmp_path).document
    assert document["settings"]["timeout"] == {"value": "5m", "source": "file reconciler.yaml:1:10"}
    assert document["settings"]["color"] == {"value": "never", "source": "environment RECONCILER_COLOR"}
    assert document["settings"]["sources"] == {"value": "x/", "source": "flag PATH"}
    text = reconcile_bare("--show-config", cwd=tmp_path)
    assert text.code == 0
    assert re.search(r"^timeout +5m +file reconciler\.yaml:1:10$", text.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "level"),
    [(("run",), "info"), (("once",), "warning"), (("once", "--log-format", "json"), "info"), (("run", "-q"), "error")],
)
def test_show_config_says_from_which_level_on_the_command_would_log(words: tuple[str, ...], level: str) -> None:
    document = reconcile_bare(*words, "--show-config", "--output", "json").document
    assert document["settings"]["logLevel"]["value"] == level


def test_a_reader_that_leaves_early_leaves_no_traceback() -> None:
    process = subprocess.Popen(
        command("schema"), env=clean_environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == Exit.ERROR


def test_a_terminal_that_knows_only_ascii_gets_escapes(tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "good", account("aoai-good").replace("spec:", "späc:"))
    done = reconcile_bare("validate", home, environment={**IDS, "PYTHONIOENCODING": "ascii"})
    assert done.code == 1
    assert "sp\\xe4c" in done.out


def test_output_of_every_command_that_prints_data_is_json_when_asked() -> None:
    for words in (("schema",), ("explain",), ("--show-config",)):
        json.loads(reconcile_bare(*words, "--output", "json").out)


def test_a_wrong_option_of_a_command_points_to_the_help_of_that_command() -> None:
    done = reconcile_bare("simulate", "--port", "abc")
    assert done.code == 64
    assert done.err.startswith("reconciler simulate: argument --port: ")
    assert done.err.endswith("See reconciler simulate --help.\n")


def test_an_unknown_option_of_a_command_gets_the_nearest_one_that_it_has() -> None:
    done = reconcile_bare("run", "--intervall=5m")
    assert done.code == 64
    assert done.err == (
        "reconciler run: unrecognized arguments: --intervall=5m; did you mean --interval?\nSee reconciler run --help.\n"
    )


@pytest.mark.parametrize("words", [("explain", "Acc\x1bc"), ("schema", "Acc\x1bc"), ("validate", "no\x1bc/")])
def test_a_refusal_shows_what_could_steer_a_terminal(words: tuple[str, ...]) -> None:
    done = reconcile_bare(*words)
    assert done.code != 0
    assert "\\x1bc" in done.err
    assert "\x1b" not in done.err
