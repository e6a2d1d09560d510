"""Who watches the daemon, all of it real: what arrives, how often, and what somebody who was asleep reads of it."""

from __future__ import annotations

import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.test_watching import QUERIES, RULES
from tests.support.chart import NAMESPACE
from tests.support.watched import CHATS, INTERVAL, JOB, RUNBOOK, Watched, get, watched

pytestmark = pytest.mark.e2e

SILENCE = 9  # seconds without a good pass, after which the daemon is dead
MALLORY = "mallory@example.com"
HEAD = """\
apiVersion: reconciler/v1
kind: Fleet
metadata: {name: prod}
spec:
  subscription: ${AZURE_SUBSCRIPTION_ID}
  tenant: ${AZURE_TENANT_ID}
  credential: {type: clientSecret, clientId: "${AZURE_CLIENT_ID}", secretVariable: AZURE_CLIENT_SECRET}
  resourceGroup: rg-prod
  location: swedencentral
---
apiVersion: reconciler/v1
kind: ResourceGroup
metadata: {name: rg-prod}
"""
ACCOUNT = """---
apiVersion: reconciler/v1
kind: Account
metadata: {name: aoai-prod, labels: {tier: main}}
spec: {disableLocalAuth: true, publicNetworkAccess: Disabled}
"""
FIREWALL = """---
apiVersion: reconciler/v1
kind: NetworkSecurityGroup
metadata: {{name: {name}}}
spec:
  securityRules:
    - {{name: web, direction: Inbound, access: Allow, priority: 100, protocol: Tcp, sourceAddressPrefix: 10.0.0.0/8,
       destinationAddressPrefix: "*", destinationPortRange: 443}}
"""


def id_of(watching: Watched, name: str) -> str:
    (found,) = [id for id in watching.azure.resources() if id.lower().endswith(f"/{name}")]
    return found


def open_account(watching: Watched, name: str) -> None:
    """What somebody does in the portal; Azure writes their name into the account."""
    body = {"properties": {"publicNetworkAccess": "Enabled"}}
    watching.azure.mutate("PATCH", id_of(watching, name), body, MALLORY)


def open_firewall(watching: Watched, name: str) -> None:
    """The same with a security group, of which only the activity log knows who it was."""
    id = id_of(watching, name)
    body = watching.azure.resources()[id]
    (rule,) = body["properties"]["securityRules"]
    rule["properties"]["sourceAddressPrefix"] = "*"
    watching.azure.mutate("PUT", id, body, MALLORY)


def access(watching: Watched) -> tuple[str, str]:
    """How far the account and the security group are open."""
    by_name = {id.rpartition("/")[2]: body["properties"] for id, body in watching.azure.resources().items()}
    (rule,) = by_name["nsg-prod"]["securityRules"]
    return by_name["aoai-prod"]["publicNetworkAccess"], rule["properties"]["sourceAddressPrefix"]


def turns(letters: list[dict[str, Any]], resource: str) -> list[str]:
    about = [each for each in letters if each["data"]["labels"].get("resource") == resource]
    assert len({each["id"] for each in about}) == len(about), "a letter that arrived twice"
    assert len({each["subject"] for each in about}) <= 1
    return [each["type"].removeprefix("reconciler.alert.") for each in about]


def notified(notices: list[dict[str, Any]], **labels: str) -> list[str]:
    return [each["status"] for each in notices if labels.items() <= each["commonLabels"].items()]


def texts(document: Any) -> list[str]:
    """Everything in what a chat is sent that somebody reads."""
    if isinstance(document, dict):
        own = [document["text"]] if isinstance(document.get("text"), str) else []
        return own + [text for each in document.values() for text in texts(each)]
    return [text for each in document for text in texts(each)] if isinstance(document, list) else []


def test_an_edit_opens_one_alert_is_put_right_and_is_over_once_and_who_it_was_is_told(tmp_path: Path) -> None:
    documents = HEAD + ACCOUNT + FIREWALL.format(name="nsg-prod")
    with watched(tmp_path, documents, alerts="dead") as watching:
        open_firewall(watching, "nsg-prod")
        open_account(watching, "aoai-prod")
        assert access(watching) == ("Enabled", "*")
        watching.until(lambda: turns(watching.letters(), "nsg-prod")[2:] != [], 100)
        watching.until(lambda: len(watching.notices()) >= 4 and watching.alerts() == [], 60)

        # An account says itself who has written it, and what is put right is over.
        letters = watching.letters()
        assert turns(letters, "aoai-prod") == ["opened", "resolved"]
        opened, over = (each["data"] for each in letters if each["data"]["labels"]["resource"] == "aoai-prod")
        account = id_of(watching, "aoai-prod")
        assert opened["level"] == "critical"
        assert opened["labels"] == {
            "fleet": "prod",
            "kind": "Account",
            "resource": "aoai-prod",
            "gravity": "exposure",
            "tier": "main",
        }
        assert opened["summary"] == "Account/aoai-prod: publicNetworkAccess is Enabled, declared Disabled"
        what, who, field, where, doing = opened["description"].split("\n")
        assert what == "Exposure: more can get in than declared."
        assert who.startswith(f"By: {MALLORY} at 20")
        assert where == f"Where: {account}"
        assert field == "- publicNetworkAccess: declared Disabled, found Enabled"
        assert doing == "It is being put right."
        assert over["summary"] == f"over: {opened['summary']}"
        assert over["description"].startswith("Put right by us after ")
        assert over["description"].split("\n")[1:] == [what, who, field, where]

        # Of a security group only the log knows, later.
        assert turns(letters, "nsg-prod") == ["opened", "resolved", "amended"]
        first, _, last = (each["data"] for each in letters if each["data"]["labels"]["resource"] == "nsg-prod")
        assert first["summary"].endswith("securityRules[web].sourceAddressPrefixes is *, declared 10.0.0.0/8")
        assert (first["actors"], first["details"]["actor"]) == ([], "unknown yet")
        assert "\nBy: unknown yet.\n" in first["description"]
        assert (last["actors"], last["details"]["actor"]) == ([MALLORY], MALLORY)
        assert last["summary"].endswith(f"(by {MALLORY})")
        assert f"\nBy: {MALLORY}.\n" in last["description"]
        assert len(letters) == 5

        # Alertmanager tells people all the same although it was over before it tells anybody, and says that it is.
        for name in ("aoai-prod", "nsg-prod"):
            assert notified(watching.notices(), resource=name) == ["firing", "resolved"]
        assert len(watching.notices()) == 4
        (told,) = (
            each["alerts"][0]
            for each in watching.notices()
            if each["commonLabels"]["resource"] == "aoai-prod" and each["status"] == "firing"
        )
        assert told["labels"] == {
            **opened["labels"],
            "alertname": "ReconcilerDrift",
            "severity": "critical",
            "alert": opened["key"],
        }
        assert told["annotations"] == {
            "summary": over["summary"],
            "description": over["description"],
            "actor": MALLORY,
            "runbook_url": f"{RUNBOOK}#reconcilerdrift",
        }

        # So did the chats, in the same words.
        for chat in CHATS:
            said = ["\n".join(texts(each.document)) for each in watching.inbox.at(f"/{chat}")]
            heads = {each.partition("]")[0] + "]" for each in said}
            assert (len(said), heads) == (5, {"[critical]", "[over]", "[over, more]"})
            whole = next(each for each in said if each.startswith(f"[critical] {opened['summary']}"))
            assert all(line in whole for line in opened["description"].split("\n"))
            assert f"What to do: {RUNBOOK}#reconcilerdrift" in whole

        assert access(watching) == ("Disabled", "10.0.0.0/8")


def test_fifty_edits_at_once_are_one_digest_that_ends_with_the_last_of_them(tmp_path: Path) -> None:
    names = [f"nsg-{number:02}" for number in range(50)]
    documents = HEAD + "".join(FIREWALL.format(name=name) for name in names)
    with watched(tmp_path, documents, alerts="dead") as watching:
        with watching.frozen():
            for name in names:
                open_firewall(watching, name)
        watching.until(lambda: bool(watching.letters()) and not watching.letters()[-1]["data"]["open"], 60)
        opened, over = (each["data"] for each in watching.letters())
        assert (opened["open"], over["open"]) == (True, False)
        assert opened["summary"] == "fleet prod: 50 resources are not as declared"
        assert opened["level"] == "critical"
        assert len(opened["members"]) == 50
        assert opened["description"].count("\n- NetworkSecurityGroup/nsg-") == 19
        assert opened["description"].endswith("\n- and 30 more")
        assert over["key"] == opened["key"]
        assert over["description"].startswith("All 50 are over: 50 put right by us, after ")
        rules = [
            body["properties"]["securityRules"]
            for body in watching.azure.resources().values()
            if "securityRules" in body["properties"]
        ]
        assert [rule["properties"]["sourceAddressPrefix"] for (rule,) in rules] == ["10.0.0.0/8"] * 50
        watching.until(lambda: notified(watching.notices(), digest="true") != [], 20)
        assert notified(watching.notices(), digest="true") == ["firing"]
        assert notified(watching.notices(), alertname="ReconcilerDrift") == ["firing"]


def test_a_daemon_that_is_killed_is_missed_and_one_that_is_back_is_not(tmp_path: Path) -> None:
    with watched(tmp_path, HEAD, silenceSeconds=SILENCE) as watching:
        assert watching.end(signal.SIGKILL) == -signal.SIGKILL
        killed = time.monotonic()
        watching.until_told("ReconcilerDead", "firing", 40)
        assert time.monotonic() - killed > SILENCE - INTERVAL
        (told,) = watching.notices("ReconcilerDead")[0]["alerts"]
        assert told["labels"] == {
            "alertname": "ReconcilerDead",
            "namespace": NAMESPACE,
            "job": JOB,
            "severity": "critical",
            "because": "silent",
        }
        assert told["annotations"]["summary"].startswith(f"{JOB}: no pass has seen every fleet for ")
        assert [each["labels"]["alertname"] for each in watching.alerts()] == ["ReconcilerDead"]
        watching.start()
        watching.until_told("ReconcilerDead", "resolved", 40)
        assert notified(watching.notices()) == ["firing", "resolved"]
        assert watching.letters() == []


BROKEN = """---
apiVersion: reconciler/v1
kind: Account
metadata: {name: aoai-broken}
spec: {publicNetworkAcces: Disabled}
"""
TOO_MUCH = """---
apiVersion: reconciler/v1
kind: Account
metadata: {name: aoai-large}
spec:
  disableLocalAuth: true
  publicNetworkAccess: Disabled
  deployments:
    - {name: chat, model: {name: gpt-4o, version: 2024-11-20}, sku: {name: GlobalStandard, capacity: 900000}}
"""
DEPLOYED = """---
apiVersion: reconciler/v1
kind: Account
metadata: {name: aoai-chat}
spec:
  disableLocalAuth: true
  publicNetworkAccess: Disabled
  deployments:
    - {name: chat, model: {name: gpt-4o, version: 2024-11-20}, sku: {name: GlobalStandard, capacity: 10}}
"""


def test_whatever_the_rules_and_the_dashboard_ask_for_prometheus_has(tmp_path: Path) -> None:
    with watched(tmp_path, HEAD + DEPLOYED) as watching:
        fleet = tmp_path / "fleet.yaml"
        fleet.write_text(fleet.read_text() + TOO_MUCH + BROKEN)
        watching.until(lambda: watching.query('reconciler_blocked_resources{code="insufficient_quota"}') != [], 30)
        watching.until(lambda: len(watching.query("ALERTS")) >= 2, 30)

        asked = {name for _, query in QUERIES for name in re.findall(r"\breconciler_[a-z_]+", query)}
        assert {name for name in asked if not watching.query(name)} == set()
        panels = {
            query.replace("$__rate_interval", "30s")
            .replace("$namespace", ".*")
            .replace("$job", ".*")
            .replace("$fleet", ".*")
            for _, query in QUERIES
            if "$namespace" in query
        }
        assert len(panels) > 15
        assert {query for query in panels if not watching.query(query)} == set()

        # Every rule is worked out without an error.
        groups = get(f"{watching.prometheus}/api/v1/rules")["data"]["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        assert {rule["name"] for rule in found} == {rule["alert"] for rule in RULES}
        assert {(rule["health"], rule.get("lastError")) for rule in found} == {("ok", None)}
        states = {rule["name"]: rule["state"] for rule in found if rule["state"] != "inactive"}
        assert states == {"ReconcilerInvalidDesiredState": "firing", "ReconcilerQuota": "pending"}

        # Nothing of a scrape is refused, told twice, or older than what was told before.
        (target,) = get(f"{watching.prometheus}/api/v1/targets")["data"]["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
        own = urllib.request.urlopen(f"{watching.prometheus}/metrics", timeout=10).read().decode()
        refused = dict(
            re.findall(r"^(prometheus_target_scrapes_(?:sample_\w+|exceeded_\w+)_total) (\S+)$", own, re.MULTILINE)
        )
        assert len(refused) >= 4
        assert set(refused.values()) == {"0"}

        # OpenMetrics is what Prometheus prefers, and there a counter's family has a name without _total.
        metadata = get(f"{watching.prometheus}/api/v1/targets/metadata", match_target=f'{{job="{JOB}"}}')["data"]
        kinds = {each["metric"]: each["type"] for each in metadata}
        assert kinds["reconciler_passes"] == "counter"
        assert kinds["reconciler_pass_duration_seconds"] == "histogram"

        plain = urllib.request.urlopen(f"{watching.url}/metrics", timeout=10).read()
    checked = subprocess.run(["promtool", "check", "metrics"], input=plain, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
