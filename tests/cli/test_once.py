"""`once` and `import` as people run them: exit codes, streams, saved plans, questions, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.fleets import account, clean_environment, command, reconcile_at_terminal, write_fleet
from tests.support.simulated import Azure, reconcile


def _account_id(live: Azure, fleet: str, name: str) -> str:
    return (
        f"/subscriptions/{live.subscription}/resourceGroups/rg-{fleet}"
        f"/providers/Microsoft.CognitiveServices/accounts/{name}"
    )


def _seed_stranger(live: Azure, fleet: str, name: str) -> None:
    """An account that somebody else has made."""
    group = f"/subscriptions/{live.subscription}/resourceGroups/rg-{fleet}"
    live.seed(
        resources=[
            {"id": group, "location": "swedencentral"},
            {
                "id": _account_id(live, fleet, name),
                "location": "swedencentral",
                "kind": "OpenAI",
                "sku": {"name": "S0"},
                "properties": {"publicNetworkAccess": "Disabled"},
            },
        ]
    )


def test_plan_apply_and_plan_again(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "whole", account("aoai-whole"))
    live.forget_requests()
    planned = reconcile(live, "once", "--dry-run", home)
    assert (planned.code, planned.err) == (2, "")
    assert "Plan: 3 to add, 0 to change, 0 to destroy, 0 to purge\n" in planned.out
    assert live.writes() == []

    applied = reconcile(live, "once", "--yes", "--output", "json", home)
    assert applied.code == 0, applied.err
    fleet = applied.document["fleets"][0]
    assert {outcome["result"] for outcome in fleet["outcomes"]} == {"done"}
    assert fleet["left"]["converged"] is True
    assert "[3/3] + create Account/aoai-whole/deployments/chat done" in applied.err

    live.forget_requests()
    again = reconcile(live, "once", "--dry-run", home)
    assert again.code == 0
    assert again.out.endswith("Nothing to do: Azure is as declared.\n")
    assert reconcile(live, "once", "--yes", home).code == 0
    assert live.writes() == []


def test_what_is_asked_is_logged_for_who_wants_to_see_it_without_what_signs_it(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "watched", account("aoai-watched"))
    assert "request.answered" not in reconcile(live, "once", "--dry-run", "-v", home).err
    done = reconcile(live, "once", "--yes", "-vv", home)
    asked = [line for line in done.err.splitlines() if "request.answered" in line]
    assert len(asked) > 10
    assert any("method=PUT" in line and "status=201" in line for line in asked)
    assert "?" not in "".join(asked)
    assert live.ready["client_secret"] not in done.err


def test_certificates_that_are_not_there_stop_only_what_needs_them(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "untrusting", account("aoai-untrusting"))
    missing = str(tmp_path / "gone.pem")
    assert reconcile(live, "validate", "--ca-bundle", missing, home).code == 0
    live.forget_requests()
    done = reconcile(live, "once", "--dry-run", "--ca-bundle", missing, home)
    assert done.code == 64
    assert f"the CA bundle {missing} cannot be read" in done.err
    assert live.requests() == []


@pytest.mark.parametrize("where", ["nowhere/plan.json", "a-file/plan.json"])
def test_a_plan_that_cannot_be_saved_says_where(live: Azure, tmp_path: Path, where: str) -> None:
    home = write_fleet(tmp_path, "unsaved", account("aoai-unsaved"))
    (tmp_path / "a-file").write_text("")
    done = reconcile(live, "once", "--dry-run", "--out", str(tmp_path / where), home)
    assert done.code == 1
    assert f"reconciler once: {tmp_path / where} cannot be written: " in done.err
    assert "Plan saved" not in done.err


def test_without_a_terminal_nothing_is_written_unasked(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "unasked", account("aoai-unasked"))
    live.forget_requests()
    done = reconcile(live, "once", home)
    assert done.code == 64
    assert done.err == (
        "reconciler once: there is no terminal to ask on; add --yes to write without being asked, or --dry-run\n"
    )
    assert live.requests() == []


def test_at_a_terminal_yes_writes_and_shows_what_moves(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "asked")
    done = reconcile_at_terminal(["once", home], live.environment, "yes\n", "taken for a yes")
    assert done.code == 0, done.err
    assert "Make 1 change to asked? Only 'yes' is taken for a yes: " in done.err
    assert "Azure is as declared." in done.out
    assert "\x1b[" in done.err
    assert "\x1b[" not in done.out, "stdout is a pipe"


def test_at_a_terminal_anything_else_writes_nothing(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "declined")
    live.forget_requests()
    done = reconcile_at_terminal(["once", home], live.environment, "y\n", "taken for a yes")
    assert done.code == 4
    assert "Fleet declined: not agreed to; nothing was written" in done.out
    assert live.writes() == []


def test_ctrl_c_at_the_question_writes_nothing(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "hesitant")
    live.forget_requests()
    done = reconcile_at_terminal(["once", home], live.environment, signal.SIGINT, "taken for a yes")
    assert done.code == 130
    assert "Traceback" not in done.err
    assert live.writes() == []


def test_somebody_elses_account_is_blocked_with_3(live: Azure, tmp_path: Path) -> None:
    assert reconcile(live, "once", "--yes", write_fleet(tmp_path, "strange")).code == 0
    _seed_stranger(live, "strange", "aoai-strange")
    home = write_fleet(tmp_path, "strange", account("aoai-strange"))
    planned = reconcile(live, "once", "--dry-run", home)
    assert planned.code == 3, planned.out
    assert "! blocked" in planned.out
    assert "to permit: set lifecycle.adopt: true" in planned.out
    applied = reconcile(live, "once", "--yes", home)
    assert applied.code == 3


def test_a_safety_limit_stops_with_4(live: Azure, tmp_path: Path) -> None:
    assert reconcile(live, "once", "--yes", write_fleet(tmp_path, "limited", account("aoai-limited"))).code == 0
    policy = "  limits: {changes: {count: 0, percent: 100}}\n"
    home = write_fleet(tmp_path, "limited", account("aoai-limited", capacity=20), policy=policy)
    live.forget_requests()
    for words in (("--dry-run",), ("--yes",)):
        done = reconcile(live, "once", *words, home)
        assert done.code == 4, done.out
        assert "Stopped by a safety limit" in done.out
    assert live.writes() == []


def test_a_forbidden_subscription_is_an_error_with_its_next_step(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "forbidden")
    live.fault(
        match={"method": "GET", "path": "/resourcegroups"},
        kind="status",
        status=403,
        code="AuthorizationFailed",
        count=-1,
    )
    try:
        done = reconcile(live, "once", "--dry-run", home)
    finally:
        live.control("DELETE", "faults")
    assert done.code == 1
    assert "Could not be read" in done.out
    assert "AuthorizationFailed" in done.out


def test_provisioning_that_outlasts_the_timeout_is_3(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "slow", account("aoai-slow"))
    done = reconcile(live, "once", "--yes", "--timeout", "8", home)
    assert done.code == 3, done.out + done.err
    assert "in progress" in done.out
    assert reconcile(live, "once", "--yes", home).code == 0


def test_a_saved_plan_is_applied_exactly_or_refused(live: Azure, tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    assert reconcile(live, "once", "--yes", write_fleet(tmp_path, "saved")).code == 0
    home = write_fleet(tmp_path, "saved", account("aoai-saved"))
    saved = reconcile(live, "once", "--dry-run", "--out", plan, home)
    assert saved.code == 2
    assert f"reconciler once --plan {plan}" in saved.err

    _seed_stranger(live, "saved", "aoai-saved")
    live.forget_requests()
    refused = reconcile(live, "once", "--plan", plan, home)
    assert refused.code == 4
    assert "Account/aoai-saved: create (" in refused.err
    assert "when saved, blocked" in refused.err
    assert live.writes() == []


def test_a_saved_plan_that_still_holds_needs_no_question(live: Azure, tmp_path: Path) -> None:
    home, plan = write_fleet(tmp_path, "kept", account("aoai-kept")), str(tmp_path / "plan.json")
    assert reconcile(live, "once", "--dry-run", "--out", plan, "--target", "ResourceGroup/rg-kept", home).code == 2
    assert json.loads(Path(plan).read_text())["selection"] == {"targets": ["ResourceGroup/rg-kept"], "selector": ""}
    done = reconcile(live, "once", "--plan", plan, home)
    assert "1 done" in done.out, done.out + done.err
    assert [each["method"] for each in live.writes() if "rg-kept" in each["path"]] == ["PUT"]
    assert reconcile(live, "once", "--plan", plan, home).code == 4


def test_a_target_is_acted_on_with_what_it_needs_and_nothing_else(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "chosen", account("aoai-one"), account("aoai-two", tier="test"))
    document = reconcile(live, "once", "-n", "-o", "json", "--target", "Account/aoai-one", home).document
    acting = {each["ref"] for each in document["fleets"][0]["decisions"] if each["state"] == "act"}
    assert acting == {"ResourceGroup/rg-chosen", "Account/aoai-one", "Account/aoai-one/deployments/chat"}
    document = reconcile(live, "once", "-n", "-o", "json", "-l", "tier=test", home).document
    acting = {each["ref"] for each in document["fleets"][0]["decisions"] if each["state"] == "act"}
    assert acting == {"ResourceGroup/rg-chosen", "Account/aoai-two", "Account/aoai-two/deployments/chat"}


NETWORK = """\
apiVersion: reconciler/v1
kind: VirtualNetwork
metadata: {name: vnet-named}
spec:
  addressSpace: {addressPrefixes: [10.9.0.0/16]}
  subnets: [{name: back, addressPrefix: 10.9.1.0/24}]
"""


def test_every_name_that_is_printed_is_taken_as_a_target(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "named", account("aoai-named"), NETWORK)
    subnet = {"ResourceGroup/rg-named", "VirtualNetwork/vnet-named", "VirtualNetwork/vnet-named/subnets/back"}
    whole = {"ResourceGroup/rg-named", "Account/aoai-named", "Account/aoai-named/deployments/chat"}
    for target, chosen in (
        ("vnet-named/back", subnet),
        ("VNET-named/Back", subnet),
        ("VirtualNetwork/vnet-named/subnets/back", subnet),
        ("Account/aoai-named/privateEndpointConnections/pe-x", whole),
    ):
        planned = reconcile(live, "once", "-n", "-o", "json", "--target", target, home)
        decisions = planned.document["fleets"][0]["decisions"]
        assert {each["ref"] for each in decisions if each["state"] == "act"} == chosen, target


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--target", "Account/aoai-onne"), "did you mean Account/aoai-one?"),
        (("-l", "tier=gold"), "-l tier=gold matches no document"),
        (("-l", "tier"), "write KEY=VALUE"),
    ],
)
def test_a_selection_of_nothing_is_wrong_usage(live: Azure, tmp_path: Path, words: tuple[str, ...], hint: str) -> None:
    home = write_fleet(tmp_path, "nothing", account("aoai-one"))
    live.forget_requests()
    done = reconcile(live, "once", "--dry-run", *words, home)
    assert done.code == 64
    assert hint in done.err
    assert live.requests() == []


def test_markdown_is_for_a_comment(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "marked", account("aoai-marked"))
    done = reconcile(live, "once", "--dry-run", "--output", "markdown", home)
    assert done.code == 2
    assert done.out.startswith("### Fleet `marked`\n")
    assert "| `+` | create | `Account/aoai-marked` | `does not exist` |" in done.out


@pytest.mark.parametrize(
    ("words", "extra", "colored"),
    [
        ((), {}, False),
        ((), {"FORCE_COLOR": "1"}, True),
        ((), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        (("--no-color",), {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_terminals_unless_somebody_says_otherwise(
    live: Azure, tmp_path: Path, words: tuple[str, ...], extra: dict[str, str], colored: bool
) -> None:
    home = write_fleet(tmp_path, "colored")
    done = subprocess.run(
        command("once", "--dry-run", *words, home),
        env=clean_environment({**live.environment, **extra}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert ("\x1b[" in done.stdout) is colored


def test_logs_as_json_tell_progress_as_events_and_no_secret(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "logged")
    done = reconcile(live, "once", "--yes", "--log-format", "json", home)
    assert done.code == 0
    events = [json.loads(line) for line in done.err.splitlines()]
    assert {"cycle.planned", "step.started", "step.finished"} <= {each["event"] for each in events}
    assert live.environment["AZURE_CLIENT_SECRET"] not in done.err


def test_quiet_says_nothing_beside_the_result(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "quiet")
    done = reconcile(live, "once", "--yes", "-q", home)
    assert (done.code, done.err) == (0, "")


def test_an_import_plans_empty_and_leaves_other_fleets_alone(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "imported-from", account("aoai-import-me"))
    assert reconcile(live, "once", "--yes", home).code == 0
    target = tmp_path / "imported" / "all.yaml"
    target.parent.mkdir()
    words = ("--resource-group", "rg-imported-from", "--account", "aoai-import-me")
    done = reconcile(live, "import", *words, "--out", str(target))
    assert done.code == 0, done.err
    assert done.err == "2 documents imported; they are observed only.\n"
    live.forget_requests()
    planned = reconcile(live, "once", "--dry-run", "-o", "json", str(target.parent))
    assert planned.code == 0, planned.out
    states = {each["state"] for each in planned.document["fleets"][0]["decisions"]}
    assert states == {"in_sync"}
    assert len(planned.document["fleets"][0]["decisions"]) == 3
    listed = reconcile(live, "import", *words, "-o", "json").document
    assert [each["kind"] for each in listed["documents"]] == ["Fleet", "ResourceGroup", "Account"]


def test_an_import_of_what_is_not_there_says_so(live: Azure) -> None:
    done = reconcile(live, "import", "--account", "aoai-nowhere-to-be-seen")
    assert (done.code, done.out) == (1, "")
    assert "there is no account aoai-nowhere-to-be-seen in this subscription" in done.err


def test_ctrl_c_ends_in_order_and_the_next_run_goes_on(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "cut", account("aoai-cut"))
    process = subprocess.Popen(
        command("once", "--yes", home),
        env=clean_environment(live.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "aoai-cut Azure is working" in line:
            break
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Azure goes on with what it has accepted" in err
    assert "Traceback" not in err
    assert reconcile(live, "once", "--yes", home).code == 0
    assert sum(_account_id(live, "cut", "aoai-cut").lower() == id.lower() for id in live.resources()) == 1
