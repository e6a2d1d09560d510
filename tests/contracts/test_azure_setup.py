"""The script that sets up Azure: what it would do, what it asks `az` for, and that it may run again."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.azure_roles import make_roles
from tests.support.chart import ROOT

SCRIPT = ROOT / "deploy" / "azure" / "setup.sh"
NEEDED = ("--subscription", "sub-1", "--group", "rg-ops", "--cluster", "aks-1")

# Answers as Azure does where somebody asks, and writes down what it was asked.
_AZ = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$AZ_LOG"
case "$*" in
  "aks show"*) echo "$AZ_ISSUER" ;;
  "group exists"*) echo "$AZ_THERE" ;;
  *"--query clientId"*) echo client-1 ;;
  *"--query principalId"*) echo principal-1 ;;
  *"--query tenantId"*) echo tenant-1 ;;
  "provider operation show"*) cat "$AZ_KNOWN" ;;
  "role definition list"*) [ "$AZ_THERE" = true ] && echo role-1 || true ;;
  "role definition"*) cp "$(echo "$*" | sed 's/.*@\\([^ ]*\\).*/\\1/')" "$AZ_ROLE" ;;
esac
"""


def run(
    folder: Path, *words: str, there: bool = False, issuer: str = "https://issuer/", unknown: str = ""
) -> tuple[int, str, list[str]]:
    """The exit code, what was printed, and what `az` was asked for. Azure knows all actions but one."""
    known = [each.upper() for each in make_roles()["writer.json"]["Actions"] if each != unknown]
    (folder / "known").write_text("\n".join(["Microsoft.Other/things/read", *known, ""]))
    programs, log = folder / "bin", folder / "log"
    programs.mkdir(exist_ok=True)
    (programs / "az").write_text(_AZ)
    (programs / "az").chmod(0o755)
    log.write_text("")
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "AZ_LOG": str(log),
        "AZ_ROLE": str(folder / "role.json"),
        "AZ_THERE": str(there).lower(),
        "AZ_ISSUER": issuer,
        "AZ_KNOWN": str(folder / "known"),
    }
    done = subprocess.run(
        [str(SCRIPT), *words], env=environment, input="", capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout + done.stderr, log.read_text().splitlines()


def test_it_says_what_it_would_do_and_does_nothing(tmp_path: Path) -> None:
    code, printed, asked = run(tmp_path, *NEEDED, "--namespace", "ai", "--dry-run")
    assert (code, asked) == (0, [])
    assert "system:serviceaccount:ai:reconciler of the cluster aks-1" in printed
    assert '"Reconciler Writer"' in printed
    assert "/subscriptions/sub-1" in printed


def test_nothing_is_done_without_consent(tmp_path: Path) -> None:
    code, printed, asked = run(tmp_path, *NEEDED)
    assert (code, asked) == (1, [])
    assert printed.endswith("setup.sh: nothing was done\n")


def test_it_makes_identity_federation_role_and_assignment(tmp_path: Path) -> None:
    code, printed, asked = run(tmp_path, *NEEDED, "--yes", "--scope", "/subscriptions/sub-2/resourceGroups/rg-ai")
    assert code == 0, printed
    verbs = [each for line in asked if (each := " ".join(line.split()[:3])) != "provider operation show"]
    assert verbs == [
        "aks show --name",
        "group exists --name",
        "group create --name",
        "identity create --name",
        "identity show --name",
        "identity show --name",
        "identity show --name",
        "identity federated-credential create",
        "role definition list",
        "role definition create",
        "role assignment create",
    ]
    assert "--subject system:serviceaccount:reconciler:reconciler" in asked[7]
    assert "--assignee-principal-type ServicePrincipal --scope /subscriptions/sub-2/resourceGroups/rg-ai" in asked[-1]
    assert "clientId: client-1" in printed


def test_the_role_names_the_subscriptions_of_its_scopes(tmp_path: Path) -> None:
    scopes = (
        "--scope",
        "/subscriptions/a/resourceGroups/x",
        "--scope",
        "/subscriptions/b",
        "--scope",
        "/subscriptions/a",
    )
    assert run(tmp_path, *NEEDED, "--yes", "--role", "reader", *scopes)[0] == 0
    role = json.loads((tmp_path / "role.json").read_text())
    assert role == {**make_roles()["reader.json"], "AssignableScopes": ["/subscriptions/a", "/subscriptions/b"]}


@pytest.mark.parametrize("place", [0, 20, -1])
def test_an_action_that_azure_does_not_know_is_left_out_and_told(tmp_path: Path, place: int) -> None:
    """Azure refuses a whole role for one of them."""
    actions = make_roles()["writer.json"]["Actions"]
    code, printed, asked = run(tmp_path, *NEEDED, "--yes", unknown=actions[place])
    assert code == 0, printed
    assert (
        f"setup.sh: Azure lists no action {actions[place]}: the role goes without it, and what takes it will be refused"
    ) in printed
    left = [each for each in actions if each != actions[place]]
    assert json.loads((tmp_path / "role.json").read_text())["Actions"] == left
    namespaces = {each.partition("/")[0] for each in actions}
    asked_of = {line.split()[4] for line in asked if line.startswith("provider operation show")}
    assert asked_of == namespaces


def test_what_is_there_is_brought_up_to_date(tmp_path: Path) -> None:
    _, _, asked = run(tmp_path, *NEEDED, "--yes", there=True)
    verbs = [" ".join(line.split()[:3]) for line in asked]
    assert "group create --name" not in verbs
    assert "role definition update" in verbs
    assert "role definition create" not in verbs


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--group", "g", "--cluster", "c"), "--subscription is missing: az account show"),
        (NEEDED[:2] + NEEDED[4:], "--group is missing: the resource group"),
        (NEEDED[:4], "--cluster is missing: the name of the AKS cluster"),
        ((*NEEDED, "--role", "owner"), "--role is owner; it is reader or writer"),
        ((*NEEDED, "--scope", "rg-1"), "--scope is rg-1; it begins with /subscriptions/"),
        ((*NEEDED, "--clutser", "c"), "unknown option --clutser; see --help"),
        ((*NEEDED, "--name"), "--name needs a value; see --help"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    code, printed, asked = run(tmp_path, *words)
    assert (code, asked) == (1, [])
    assert printed.startswith(f"setup.sh: {sentence}")


def test_a_cluster_without_an_issuer_is_told_how_to_get_one(tmp_path: Path) -> None:
    code, printed, asked = run(tmp_path, *NEEDED, "--yes", issuer="")
    assert code == 1
    assert len(asked) == 1
    assert "--enable-oidc-issuer --enable-workload-identity" in printed
