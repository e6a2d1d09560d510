"""What the benchmark measures is a fleet without mistakes; what it says of an aim is true. No clock is looked at."""

from __future__ import annotations

import json
from pathlib import Path

from bench.fleet import make_fleet, write_json, write_yaml
from bench.measure import Pass, Spent
from bench.table import Aim, Run, Section, describe, render, rows_of
from reconciler.desired import load_estate

ENVIRONMENT = {"AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001", "AZURE_TENANT_ID": "t"}


def ran(requests: int, writes: int, seconds: float) -> Pass:
    spent = Spent(code=0, seconds=seconds, processor=seconds / 2, peak=90.0)
    return Pass(spent=spent, simulated=seconds, requests=requests, writes=writes, refused=0)


def test_the_fleet_that_is_measured_is_valid_and_as_large_as_it_says(tmp_path: Path) -> None:
    fleet = make_fleet(accounts=12, deployments=11)
    write_yaml(fleet, tmp_path / "desired")
    estate = load_estate((tmp_path / "desired",), ENVIRONMENT, None)
    assert estate.findings == ()
    [loaded] = estate.fleets
    assert len(loaded.desired) == fleet.resources == 10 + 12 + 132


def test_both_clients_are_given_the_same_fleet(tmp_path: Path) -> None:
    fleet = make_fleet(accounts=3, deployments=2)
    write_yaml(fleet, tmp_path / "desired")
    write_json(fleet, tmp_path / "fleet.json")
    [loaded] = load_estate((tmp_path / "desired",), ENVIRONMENT, None).fleets
    told = json.loads((tmp_path / "fleet.json").read_text())
    ids = {
        (account["group"], account["name"], member["name"], member["model"], member["version"], member["capacity"])
        for account in told["accounts"]
        for member in account["deployments"]
    }
    declared = {
        (id.group, id.segments[0][1], id.name, each.fields["model.name"], each.fields["model.version"],
         each.fields["sku.capacity"])
        for id, each in loaded.desired.items()
        if len(id.segments) == 2
    }  # fmt: skip
    assert ids == declared


def test_a_missed_aim_is_said_in_the_table_and_in_the_json() -> None:
    aims = {"requests": Aim(10), "of them writes": Aim(0), "seconds": Aim(5, inclusive=False)}
    section = Section("pass", rows_of(ran(10, 1, 5.0), ran(20, 0, 10.0), aims))
    run = Run("a fleet", {"python": "3"}, (section,))
    assert describe(run)["missed"] == ["pass: of them writes", "pass: seconds"]
    lines = {line[:26].strip(): line for line in render(run).splitlines()}
    assert lines["requests"].endswith("yes")
    assert lines["of them writes"].endswith("NO")
    assert all(len(line) <= 80 for line in render(run).splitlines())
