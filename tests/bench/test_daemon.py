"""What the daemon's benchmark is about stands in Azure as it is declared, and its arithmetic is right. No clock is
looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.daemon import Asked, Quiet, count, spent_until, tell_noticed, tell_quiet
from bench.estate import count_networks, make_edits, seed_estate, split, write_estate
from bench.fleet import make_fleet
from bench.table import Run, describe, missed, render
from bench.watched import Sample
from reconciler.desired import load_estate
from tests.support.simulated import azure, reconcile

ENVIRONMENT = {"AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001", "AZURE_TENANT_ID": "t"}
SUBSCRIPTION = "/subscriptions/s/resourceGroups/g/providers"


def test_the_whole_estate_has_no_mistakes_and_is_as_large_as_it_says(tmp_path: Path) -> None:
    fleet = make_fleet(accounts=100, deployments=10)
    regions = split(fleet, ENVIRONMENT["AZURE_SUBSCRIPTION_ID"])
    write_estate(fleet, regions, tmp_path / "desired")
    estate = load_estate((tmp_path / "desired",), ENVIRONMENT, None)
    assert estate.findings == ()
    [loaded] = estate.fleets
    kinds = [id.type.partition("/")[2] for id in loaded.desired]
    networks = ("networkSecurityGroups", "virtualNetworks", "privateDnsZones", "privateEndpoints")
    assert (kinds.count("accounts"), kinds.count("accounts/deployments")) == (100, 1000)
    assert sum(kinds.count(each) for each in networks) == count_networks(regions) == 200


def test_azure_holds_what_is_declared_until_each_edit_makes_its_resource_drift(tmp_path: Path) -> None:
    fleet = make_fleet(accounts=3, deployments=1)
    with azure(tmp_path, 1.0) as sim:
        regions = split(fleet, sim.subscription)
        write_estate(fleet, regions, tmp_path / "desired")
        sim.seed(resources=seed_estate(regions))
        look = ("once", "--dry-run", "--output", "json", str(tmp_path / "desired"))
        assert reconcile(sim, *look).code == 0
        edits = make_edits(regions[2])
        for edit in edits:
            sim.mutate(edit.method, edit.path, edit.body)
        [plan] = reconcile(sim, *look).document["fleets"]
    changed = {each["id"].lower() for each in plan["decisions"] if each["action"]}
    assert changed == {edit.drifts.lower() for edit in edits}


def test_requests_are_sorted_by_whose_budget_they_take_from() -> None:
    asked = [
        {"method": "GET", "path": f"{SUBSCRIPTION}/Microsoft.CognitiveServices/accounts/a/deployments", "status": 200},
        {"method": "GET", "path": f"{SUBSCRIPTION}/Microsoft.Network/virtualNetworks", "status": 429},
        {"method": "HEAD", "path": f"{SUBSCRIPTION}/microsoft.network/privateDnsZones/z", "status": 404},
        {"method": "GET", "path": f"{SUBSCRIPTION}/Microsoft.Network/privateEndpoints/e", "status": 200},
        {"method": "POST", "path": f"{SUBSCRIPTION}/Microsoft.CognitiveServices/checkDomain", "status": 200},
        {"method": "PUT", "path": f"{SUBSCRIPTION}/Microsoft.Network/virtualNetworks/v", "status": 409},
    ]
    assert count(asked, 60.0) == Asked(seconds=60.0, reads=4, network=2, dns=1, writes=2, refused=2)


@pytest.mark.parametrize(("moment", "spent"), [(9.0, 1.0), (10.0, 1.0), (11.0, 1.5), (12.0, 2.0), (99.0, 6.0)])
def test_processor_time_is_read_between_two_samples(moment: float, spent: float) -> None:
    samples = [Sample(10.0, 1.0, 90.0), Sample(12.0, 2.0, 95.0), Sample(20.0, 6.0, 91.0)]
    assert spent_until(samples, moment) == spent


def test_quiet_intervals_are_judged_by_the_worst_of_them_and_processor_time_by_all() -> None:
    calm = Quiet(
        asked=Asked(60.0, reads=150, network=100, dns=10),
        seconds=62.0,
        processor=3.0,
        of_pass=2.0,
        took=4.0,
        idle=100.0,
        resident=124.0,
    )
    busy = Quiet(
        asked=Asked(50.0, reads=250, network=100, dns=20),
        seconds=48.0,
        processor=8.0,
        of_pass=6.0,
        took=6.0,
        idle=120.0,
        resident=122.0,
    )
    section = tell_quiet([calm, busy], peak=130.0)
    rows = {row.name: row.ours for row in section.rows}
    assert rows["reads of a pass"] == 250
    assert rows["% of ARM's refill"] == 20.0  # of 25 a second
    assert rows["% of Network's"] == pytest.approx(6.0)  # of 10,000 in five minutes
    assert rows["% of private DNS's"] == pytest.approx(24.0)  # of 500 in five minutes
    assert rows["processor, % of a core"] == 10.0
    assert (rows["processor s of a pass"], rows["and until the next one"]) == (4.0, 1.5)
    assert (rows["idle memory, MiB"], rows["at its peak"], rows["since start"]) == (120.0, 124.0, 130.0)
    assert [*missed([section])] == [
        "2 quiet intervals: % of ARM's refill",
        "2 quiet intervals: processor, % of a core",
        "2 quiet intervals: idle memory, MiB",
    ]


def test_the_last_edit_may_be_noticed_an_interval_and_a_pass_later_and_no_more() -> None:
    waits = {"one": [3.0, 65.1], "another": [10.0, 20.0]}
    rows = {row.name: row.ours for row in tell_noticed(waits, longest=5.0).rows}
    assert (rows["one, s"], rows["half of all, s"], rows["95 of 100, s"], rows["the last one, s"]) == (
        65.1, 15.0, 65.1, 65.1,
    )  # fmt: skip
    assert [*missed([tell_noticed(waits, longest=5.0)])] == ["4 edits noticed after: the last one, s"]
    assert [*missed([tell_noticed(waits, longest=5.2)])] == []
    many = {"one": [float(each) for each in range(1, 101)]}
    assert {row.name: row.ours for row in tell_noticed(many, longest=5.0).rows}["95 of 100, s"] == 95.0


def test_figures_that_are_compared_with_nothing_are_told_without_a_ratio() -> None:
    run = Run("an estate", {"python": "3"}, (tell_noticed({"one": [1.0]}, longest=5.0),))
    lines = render(run).splitlines()
    assert lines[3].split() == ["1", "edits", "noticed", "after", "reconciler", "aim", "met"]
    assert lines[-1].split() == ["the", "last", "one,", "s", "1", "<=", "65", "yes"]
    assert all(len(line) <= 80 for line in lines)
    assert describe(run)["missed"] == []
