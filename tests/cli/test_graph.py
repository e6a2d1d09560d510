"""`graph` as people run it: formats, streams, choices, exit codes, with Azure and without."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.fleets import account, reconcile_bare, write_fleet
from tests.report.test_picture import read_dot, read_mermaid
from tests.support.simulated import Azure, reconcile

GUID = "00000000-0000-0000-0000-00000000000"
IDS = {"AZURE_SUBSCRIPTION_ID": GUID + "1", "AZURE_TENANT_ID": GUID + "2", "AZURE_CLIENT_ID": GUID + "3"}
# Nothing listens here: a request would be an error.
NOWHERE = {**IDS, "RECONCILER_ENDPOINT": "https://127.0.0.1:1", "RECONCILER_AUTHORITY": "https://127.0.0.1:1"}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def home(tmp_path: Path) -> str:
    return write_fleet(tmp_path, "drawn", account("aoai-one"), account("aoai-two", tier="test"))


def test_help_teaches_and_loads_nothing_that_is_slow() -> None:
    script = (
        "import sys\n"
        "from reconciler.cli import main\n"
        "try:\n    main(['graph', '--help'])\n"
        "except SystemExit:\n    pass\n"
        "slow = {'azure', 'pydantic', 'yaml', 'aiohttp', 'structlog', 'subprocess', 'asyncio'}\n"
        "print('loaded:', sorted(slow & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.endswith("loaded: []\n")
    assert "  reconciler graph --live" in done.stdout
    assert "exit codes:" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_mermaid_is_drawn_without_azure(home: str) -> None:
    done = reconcile_bare("graph", home, environment=NOWHERE)
    assert (done.code, done.err) == (0, "")
    picture = read_mermaid(done.out)
    assert picture.frames("aoai-one") == ["Fleet drawn", "resource group rg-drawn", "swedencentral"]
    assert picture.told() == [("chat", "aoai-one"), ("chat", "aoai-two")]
    assert reconcile_bare("graph", "--format", "mermaid", home, environment=NOWHERE).out == done.out


def test_dot_is_what_graphviz_reads(home: str) -> None:
    done = reconcile_bare("graph", "--format", "dot", home, environment=NOWHERE)
    assert (done.code, done.err) == (0, "")
    assert read_dot(done.out).told() == [("chat", "aoai-one"), ("chat", "aoai-two")]


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_svg_is_drawn_by_graphviz(home: str, tmp_path: Path) -> None:
    target = tmp_path / "fleet.svg"
    done = reconcile_bare("graph", "--format", "svg", "--out", str(target), home, environment=NOWHERE)
    assert (done.code, done.out, done.err) == (0, "", "")
    texts = [each.text for each in ET.parse(target).iter(f"{SVG}text")]
    assert {"Fleet drawn", "resource group rg-drawn", "swedencentral", "aoai-one", "aoai-two"} <= set(texts)
    assert texts.count("deployment") == 2
    assert sorted(each.name for each in tmp_path.iterdir()) == ["drawn", "fleet.svg"]


def test_without_graphviz_svg_says_what_to_do(home: str, tmp_path: Path) -> None:
    done = reconcile_bare("graph", "--format", "svg", home, environment={**NOWHERE, "PATH": str(tmp_path)})
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "reconciler graph: --format svg needs Graphviz's dot, which is not in PATH; "
        "install graphviz, or use --format mermaid\n"
    )


def test_a_graphviz_that_fails_is_an_error_and_sees_no_secret(home: str, tmp_path: Path) -> None:
    fake = tmp_path / "bin" / "dot"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "no fonts [$AZURE_CLIENT_SECRET]" >&2\nexit 3\n')
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    surroundings = {**NOWHERE, "AZURE_CLIENT_SECRET": "hunter2", "PATH": f"{fake.parent}{os.pathsep}/bin"}
    done = reconcile_bare("graph", "--format", "svg", home, environment=surroundings)
    assert (done.code, done.out) == (1, "")
    assert done.err == "reconciler graph: Graphviz could not draw it: no fonts []\n"


def test_nodes_and_edges_are_data_with_output_json(home: str) -> None:
    document = reconcile_bare("graph", "--output", "json", home, environment=NOWHERE).document
    assert (document["kind"], document["live"], document["exit_code"]) == ("graph", False, 0)
    nodes = {each["ref"]: each for each in document["nodes"]}
    assert nodes["Account/aoai-one"] == {
        "id": nodes["Account/aoai-one"]["id"],
        "ref": "Account/aoai-one",
        "type": "Microsoft.CognitiveServices/accounts",
        "fleet": "drawn",
        "resource_group": "rg-drawn",
        "location": "swedencentral",
        "declared": True,
        "state": None,
    }
    edge = {
        "source": nodes["Account/aoai-one/deployments/chat"]["id"],
        "target": nodes["Account/aoai-one"]["id"],
        "kind": "needs",
    }
    assert edge in document["edges"]
    assert {each["target"] for each in document["edges"]} <= {each["id"] for each in document["nodes"]}


def test_a_format_said_outright_beats_json_of_the_environment(home: str) -> None:
    surroundings = {**NOWHERE, "RECONCILER_OUTPUT": "json"}
    assert reconcile_bare("graph", home, environment=surroundings).document["kind"] == "graph"
    read_mermaid(reconcile_bare("graph", "--format", "mermaid", home, environment=surroundings).out)


def test_markdown_is_mermaid_in_a_fence(home: str) -> None:
    done = reconcile_bare("graph", "--output", "markdown", home, environment=NOWHERE)
    first, *picture, last = done.out.splitlines()
    assert (first, last) == ("```mermaid", "```")
    assert read_mermaid("\n".join(picture)).named("aoai-one")


def test_a_choice_draws_what_was_chosen_and_what_it_needs(home: str) -> None:
    for words in (("--target", "Account/aoai-two"), ("-l", "tier=test")):
        document = reconcile_bare("graph", "-o", "json", *words, home, environment=NOWHERE).document
        refs = {each["ref"] for each in document["nodes"]}
        assert refs == {"ResourceGroup/rg-drawn", "Account/aoai-two", "Account/aoai-two/deployments/chat"}


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--format", "png"), "one of mermaid, dot, svg"),
        (("--format", "mermiad"), "did you mean mermaid?"),
        (("--format", "dot", "--output", "json"), "leave one of them out"),
        (("--target", "Account/aoai-oen"), "did you mean Account/aoai-one?"),
        (("-l", "tier=gold"), "matches no document"),
    ],
)
def test_wrong_usage_is_64_with_a_hint(home: str, words: tuple[str, ...], hint: str) -> None:
    done = reconcile_bare("graph", *words, home, environment=NOWHERE)
    assert (done.code, done.out) == (64, "")
    assert hint in done.err


def test_a_bad_desired_state_is_told_and_not_drawn(tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "bad", account("aoai-bad").replace("spec:", "spce:"))
    done = reconcile_bare("graph", "--live", home, environment=NOWHERE)
    assert (done.code, done.out) == (1, "")
    assert "fleet.yaml:" in done.err
    assert done.err.endswith("The desired state is wrong, so there is no picture of it.\n")
    document = reconcile_bare("graph", "-o", "json", home, environment=NOWHERE).document
    assert (document["nodes"], document["exit_code"]) == ([], 1)
    assert document["findings"]


OPEN = """\
apiVersion: reconciler/v1
kind: Account
metadata: {name: NAME}
spec:
  customSubDomainName: NAME
  disableLocalAuth: true
  publicNetworkAccess: Enabled
  networkAcls: {defaultAction: Deny, ipRules: [203.0.113.0/24]}
"""


def test_who_reaches_an_account_is_drawn_unless_it_is_not_wanted(tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "open", OPEN.replace("NAME", "aoai-open"), account("aoai-closed"))
    picture = read_mermaid(reconcile_bare("graph", home, environment=NOWHERE).out)
    assert picture.reached() == {("203.0.113.0/24", "aoai-open"): "port 443\npublic endpoint"}
    without = read_mermaid(reconcile_bare("graph", "--no-reach", home, environment=NOWHERE).out)
    assert without.reached() == {}
    assert "203.0.113.0/24" not in without.texts.values()
    document = reconcile_bare("graph", "-o", "json", "--no-reach", home, environment=NOWHERE).document
    assert (document["callers"], {each["kind"] for each in document["edges"]}) == ([], {"needs"})
    chosen = reconcile_bare("graph", "--target", "Account/aoai-closed", home, environment=NOWHERE)
    assert read_mermaid(chosen.out).reached() == {}


def test_live_shows_who_reaches_an_account_now_whatever_is_declared(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "reached", OPEN.replace("NAME", "aoai-reached"))
    assert read_mermaid(reconcile(live, "graph", "--live", home).out).reached() == {}
    assert reconcile(live, "once", "--yes", home).code == 0
    path = tmp_path / "reached" / "fleet.yaml"
    path.write_text(path.read_text().replace("203.0.113.0/24", "198.51.100.7"))
    now, then = (read_mermaid(reconcile(live, "graph", *words, home).out) for words in (("--live",), ()))
    assert {caller for caller, _ in now.reached()} == {"203.0.113.0/24"}
    assert {caller for caller, _ in then.reached()} == {"198.51.100.7"}
    assert now.texts[now.named("aoai-reached")].split("\n")[1:3] == ["account: update", "! becomes more reachable"]


def test_live_shows_how_everything_stands_and_writes_nothing(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "standing", account("aoai-standing"))
    live.forget_requests()
    before = read_mermaid(reconcile(live, "graph", "--live", home).out)
    assert live.writes() == []
    assert before.texts[before.named("aoai-standing")] == "aoai-standing\naccount: create"
    assert before.classes[before.named("aoai-standing")] == ["add"]

    assert reconcile(live, "once", "--yes", home).code == 0
    home = write_fleet(tmp_path, "standing", account("aoai-standing", capacity=20))
    done = reconcile(live, "graph", "--live", "-o", "json", home)
    assert (done.code, done.err) == (0, "")
    standing = {each["ref"]: (each["state"], each["action"]) for each in done.document["nodes"]}
    assert standing == {
        "ResourceGroup/rg-standing": ("in_sync", None),
        "Account/aoai-standing": ("in_sync", None),
        "Account/aoai-standing/deployments/chat": ("act", "update"),
    }


def test_what_cannot_be_read_is_told_and_ends_with_1(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "unread")
    live.fault(
        match={"method": "GET", "path": "/resourcegroups"},
        kind="status",
        status=403,
        code="AuthorizationFailed",
        count=-1,
    )
    try:
        done = reconcile(live, "graph", "--live", home)
    finally:
        live.control("DELETE", "faults")
    assert done.code == 1
    assert "could not be read: " in done.err
    assert read_mermaid(done.out).texts[read_mermaid(done.out).named("rg-unread")].endswith("resource group: blocked")
