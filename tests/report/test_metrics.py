"""Metrics: names as Prometheus wants them, labels that nobody can make many, and who only stands by says little."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from reconciler.model.health import Durations, Health, Leadership, Tallies
from reconciler.model.plan import Plan
from reconciler.model.quota import Ledger
from reconciler.report.metrics import render_metrics
from tests.report import healths
from tests.report.samples import HOSTILE as HOSTILE_PLAN

ALL = [healths.quiet(), healths.bad(), healths.large(5), healths.hostile(), healths.health()]


def samples(health: Health) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = render_metrics(health, "").body.decode()
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in parse(text):
        for each in family.samples:
            key = (each.name, frozenset(each.labels.items()))
            assert key not in found, key
            found[key] = each.value
    return found


def value(health: Health, name: str, **labels: str) -> float | None:
    return samples(health).get((f"reconciler_{name}", frozenset(labels.items())))


@pytest.mark.parametrize("health", ALL)
def test_every_metric_has_help_and_type_and_a_name_as_is_usual(health: Health) -> None:
    lines = render_metrics(health, "").body.decode().splitlines()
    helped = {line.split()[2] for line in lines if line.startswith("# HELP ") and len(line.split()) > 3}
    types = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE "))
    assert helped == types.keys()
    for name, type in types.items():
        assert re.fullmatch(r"(reconciler|process)_[a-z]+(_[a-z]+)*", name), name
        assert name.endswith("_total") is (type == "counter"), name
        # Base units only: what is measured in days or minutes is told in seconds.
        assert not re.search(r"_(milliseconds|minutes|hours|days|kilobytes|megabytes|percent)(_|$)", name), name


@pytest.mark.parametrize("health", ALL)
def test_what_is_told_can_be_read_in_both_formats(health: Health) -> None:
    body, media = render_metrics(health, "application/openmetrics-text; version=1.0.0")
    assert media.startswith("application/openmetrics-text")
    assert [*parse_open(body.decode())]  # type: ignore[no-untyped-call]  # theirs has no types
    assert samples(health)


def test_a_fleet_is_told_by_kind_and_state() -> None:
    assert value(healths.quiet(), "resources", fleet="prod", kind="Account", state="in_sync") == 16
    assert value(healths.bad(), "blocked_resources", fleet="prod", code="paused") == 5
    assert value(healths.bad(), "blocked_resources", fleet="prod", code="quota") == 1


def test_drifts_are_told_by_gravity_and_are_zero_where_there_is_none() -> None:
    bad, quiet = healths.bad(), healths.quiet()
    assert value(bad, "drift_resources", fleet="prod", kind="Account", gravity="exposure") == 1
    assert value(bad, "drift_resources", fleet="prod", kind="Account", gravity="cosmetic") == 0
    assert value(quiet, "drift_resources", fleet="prod", kind="Account", gravity="exposure") == 0


def test_quota_is_told_in_units_and_in_tokens_where_a_unit_is_always_worth_the_same() -> None:
    where = {"fleet": "prod", "region": "swedencentral", "pool": "OpenAI.Standard.gpt-4o"}
    told = {what: value(healths.quiet(), "quota_units", what=what, **where) for what in ("used", "limit", "held")}
    assert told == {"used": 210, "limit": 300, "held": 20}
    assert value(healths.quiet(), "quota_tokens_per_minute", what="limit", **where) == 300_000


def test_how_old_what_is_told_of_quota_is_is_told_by_region() -> None:
    quiet = healths.quiet()
    for region, age in (("swedencentral", 400.0), ("westeurope", 30.0)):
        asked = value(quiet, "quota_measured_timestamp_seconds", fleet="prod", region=region)
        assert asked == healths.NOW - age


def test_soft_deleted_accounts_hold_nothing_where_there_are_none() -> None:
    """What is used and not ours may be anybody's."""
    (fleet,) = healths.quiet().fleets
    bare = replace(fleet, ledger=Ledger(pools=(replace(healths.pool(), deleted=()),)))
    where = {"fleet": "prod", "region": "swedencentral", "pool": "OpenAI.Standard.gpt-4o"}
    assert value(healths.health(fleet), "quota_units", what="held", **where) == 20
    assert value(healths.health(bare), "quota_units", what="held", **where) == 0


def test_a_pool_that_a_fleet_has_nothing_to_do_with_is_not_told() -> None:
    quiet = healths.quiet()
    (fleet,) = quiet.fleets
    assert fleet.ledger is not None
    idle = replace(fleet.ledger.pools[0], ours=0, usage="idle")
    health = replace(quiet, fleets=(replace(fleet, ledger=replace(fleet.ledger, pools=(idle,))),))
    assert not [name for name, _ in samples(health) if name.startswith("reconciler_quota")]


def test_the_day_on_which_a_model_retires_is_told_as_a_time() -> None:
    where = {"fleet": "prod", "region": "swedencentral", "model": "gpt-4o", "version": "2024-08-06", "sku": "Standard"}
    assert value(healths.quiet(), "model_retirement_timestamp_seconds", **where) == int(healths.NOW) + 74 * 86_400


def test_the_age_of_a_fleet_that_was_never_in_sync_counts_from_the_beginning() -> None:
    (fleet,) = healths.quiet().fleets
    never = replace(healths.quiet(), fleets=(replace(fleet, in_sync_at=None),))
    assert value(never, "in_sync_age_seconds", fleet="prod") == 3 * 86_400
    assert value(healths.quiet(), "in_sync_age_seconds", fleet="prod") == 12


def test_before_the_first_good_pass_the_last_one_was_never() -> None:
    assert value(replace(healths.quiet(), succeeded_at=None), "last_success_timestamp_seconds") == 0
    assert value(healths.quiet(), "last_success_timestamp_seconds") == healths.NOW - 12


def test_who_stands_by_says_nothing_about_fleets() -> None:
    names = {name for name, _ in samples(replace(healths.bad(), leads=False))}
    told = {"resources", "blocked_resources", "drift_resources", "quota_units", "alerts_open", "in_sync_age_seconds"}
    assert not names & {f"reconciler_{each}" for each in told}
    assert "reconciler_leader" in names


def test_a_lease_tells_its_term_and_when_it_was_renewed_and_the_lock_on_a_file_neither() -> None:
    lease = Leadership(
        name="ai/reconciler",
        identity="pod-a_1",
        holder="pod-b_2",
        term=7,
        renewed_at=healths.NOW - 2,
        why="is held by pod-b_2",
    )
    standing = replace(healths.quiet(), leads=False, leadership=lease)
    assert value(standing, "lease_transitions_total") == 7
    assert value(standing, "lease_renewed_timestamp_seconds") == healths.NOW - 2
    locked = replace(
        standing, leadership=Leadership(name="/run/lock", identity="host_1", holder="host_1", why="is held by host_1")
    )
    for health in (locked, healths.quiet()):
        assert not [name for name, _ in samples(health) if "lease" in name]


def test_what_was_counted_is_told() -> None:
    tallies = Tallies(
        triggers={"files": 3},
        requests={"429": 2, "none": 1},
        actions={("prod", "create", "done"): 4},
        durations=Durations(within=(0, 1, *(2,) * 10), number=2, seconds=3.5),
    )
    health = replace(healths.quiet(), tallies=tallies)
    assert value(health, "trigger_total", trigger="files") == 3
    assert value(health, "requests_total", code="none") == 1
    assert value(health, "actions_total", fleet="prod", action="create", result="done") == 4
    assert value(health, "pass_duration_seconds_bucket", le="1.0") == 1
    assert value(health, "pass_duration_seconds_bucket", le="+Inf") == 2
    assert value(health, "pass_duration_seconds_sum") == 3.5
    assert value(health, "dead_letters_total") == 0
    assert value(health, "arm_remaining", **{"class": "reads"}) == 231


def test_half_a_character_in_a_name_does_not_end_all_metrics() -> None:
    plan = replace(HOSTILE_PLAN, fleet="\ud800" + "x" * 500)
    health = healths.health(healths.fleet(plan), healths.fleet(replace(plan, fleet="\ud800" + "x" * 501)))
    names = {dict(labels)["fleet"] for name, labels in samples(health) if name == "reconciler_resources"}
    assert names == {("\\ud800" + "x" * 500)[:200]}


def test_a_large_fleet_is_no_more_series_than_a_small_one() -> None:
    def fleets(health: Health) -> Iterator[str]:
        yield from (name for name, labels in samples(health) if "fleet" in dict(labels))

    small = replace(healths.large(5), journal=healths.quiet().journal)
    large = replace(healths.large(200), journal=healths.quiet().journal)
    assert len([*fleets(large)]) == len([*fleets(small)])


def test_an_empty_plan_is_told_as_nothing() -> None:
    health = healths.health(healths.fleet(Plan(fleet="empty", decisions=(), steps=())))
    assert value(health, "in_sync_age_seconds", fleet="empty") == 12
