"""The status for programs: everything that the page shows, with a version, and no secret."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from reconciler.model.health import Health, Leadership
from reconciler.model.pause import Pause
from reconciler.report.document import FORMAT_VERSION
from reconciler.report.status import render_status
from tests.report import healths
from tests.report.samples import SECRET


def status(health: Health) -> Any:
    return json.loads(render_status(health))


def test_it_says_what_it_is_and_when_it_was() -> None:
    told = status(healths.quiet())
    assert (told["kind"], told["format_version"]) == ("status", FORMAT_VERSION)
    assert (told["taken_at"], told["version"]) == ("2026-11-28T15:33:20Z", "0.1.0")


def test_it_says_whether_it_lives_is_ready_and_how_it_is() -> None:
    told = status(healths.bad())
    assert told["live"] == {"ok": True, "why": ""}
    assert told["ready"]["ok"] is False
    assert "does not work" in told["ready"]["why"]
    assert told["mood"] == "alarm"
    assert told["leader"] is True


def test_who_leads_and_since_which_term_is_told_where_there_is_a_lease() -> None:
    assert status(healths.quiet())["lease"] is None
    lease = Leadership(
        name="ai/reconciler",
        identity="pod-a_1",
        holder="pod-b_2",
        term=7,
        renewed_at=healths.NOW - 2,
        why="is held by pod-b_2",
    )
    told = status(replace(healths.quiet(), leads=False, leadership=lease))
    assert told["leader"] is False
    assert told["lease"] == {
        "name": "ai/reconciler",
        "identity": "pod-a_1",
        "holder": "pod-b_2",
        "term": 7,
        "renewed_at": "2026-11-28T15:33:18Z",
        "why": "is held by pod-b_2",
    }


def test_what_is_as_declared_is_named_and_no_more() -> None:
    (fleet,) = status(healths.quiet())["fleets"]
    assert fleet["states"]["in_sync"] == len(fleet["as_declared"]) == 16
    assert fleet["resources"] == []
    assert fleet["in_sync_at"] == "2026-11-28T15:33:08Z"


def test_what_is_not_says_why_and_what_would_permit_it() -> None:
    fleet = status(healths.bad())["fleets"][0]
    stranger = next(each for each in fleet["resources"] if each["ref"] == "Account/aoai-008")
    assert (stranger["state"], stranger["code"]) == ("blocked", "not_owned")
    assert stranger["permit"] == "set lifecycle.adopt: true in its document to take it over"
    assert fleet["blind"][0]["fault"]["code"] == "AuthorizationFailed"
    assert fleet["outcomes"][0]["result"] == "done"


def test_drifts_say_what_was_declared_and_found_since_when_and_by_whom() -> None:
    worst = next(each for each in status(healths.bad())["drifts"] if each["gravity"] == "exposure")
    change = {"path": "publicNetworkAccess", "declared": "Disabled", "found": "Enabled"}
    assert worst["changes"][0] == change
    assert (worst["actor"], worst["first_seen"]) == ("mallory@example.com", "2026-11-28T15:29:08Z")
    assert (worst["correction"], worst["returns"]) == ("blocked", 2)


def test_concerns_waits_holds_alerts_passes_and_pauses_are_all_there() -> None:
    told = status(healths.bad())
    assert told["concerns"][0]["level"] == "critical"
    assert {each["ref"] for each in told["waits"]} >= {"Account/aoai-007"}
    assert {each["code"] for each in told["holds"]} == {"not_owned", "paused", "quota"}
    assert told["alerts"][0]["name"] == "ReconcilerInvalidDesiredState"
    assert told["outbox"] == {"letters": 0, "dead": 1, "dropped": 0}
    assert told["passes"][0]["result"] == "failed"
    assert told["passes"][1]["seconds"] == 2
    assert told["pauses"][0] == {
        "fleet": "prod",
        "kind": "Account",
        "target": "Account/aoai-020",
        "since": "1970-01-01T00:00:00Z",
        "until": "2026-11-28T18:03:20Z",
        "by": "ada",
        "reason": "load test",
    }


def test_quota_is_told_of_the_pools_that_a_fleet_draws_on() -> None:
    quota = status(healths.bad())["fleets"][0]["quota"]
    assert [each["location"] for each in quota["pools"]] == ["swedencentral", "westeurope", "francecentral"]
    assert quota["pools"][0]["residue"] == 20


def test_a_fleet_that_was_never_seen_is_told_as_that() -> None:
    told = status(healths.bad())["fleets"][1]
    assert told["fault"]["code"] == "credential_failed"
    assert "resources" not in told
    assert told["quota"] is None


def test_a_pause_that_ends_with_nobody_has_no_end() -> None:
    health = replace(healths.quiet(), pauses=(Pause(until=inf, reason="unreadable"),))
    assert status(health)["pauses"][0]["until"] is None


def test_a_secret_is_masked() -> None:
    told = render_status(healths.health(healths.fleet(SECRET)))
    assert "hunter" not in told
    assert "(sensitive)" in told


@pytest.mark.parametrize("health", [healths.hostile(), healths.large(50), healths.health()])
def test_whatever_there_is_it_is_json(health: Health) -> None:
    assert status(health)["kind"] == "status"


def test_five_hundred_accounts_are_a_small_answer() -> None:
    assert len(render_status(healths.large(500))) < 600_000
