"""References between documents, beyond what today's kinds can express."""

from __future__ import annotations

from pathlib import Path

from reconciler.desired.graph import Member, connect, find_conflicts
from reconciler.kinds.base import Expansion
from reconciler.model.finding import Origin
from reconciler.model.ids import ArmId, Ref
from reconciler.model.resource import Desired
from tests.desired.trees import FLEET, account, load, plant

GROUP = ArmId(subscription="s", group="g")


def member(name: str, *needs: str) -> Member:
    place = Origin(file="f.yaml", line=ord(name[0]), column=1)
    ref = Ref(kind="Account", name=name)
    type_ = "Microsoft.CognitiveServices/accounts"
    wanted = Desired(
        id=GROUP.resource(type_, name),
        ref=ref,
        fields={},
        needs=tuple(GROUP.resource(type_, need) for need in needs),
        origin=place,
    )
    return Member(fleet="x", ref=ref, origin=place, name_origin=place, expansion=Expansion(desired=(wanted,)))


def test_a_circle_is_one_finding_that_names_everyone_in_it() -> None:
    everyone = [member("a", "b"), member("b", "c"), member("c", "a"), member("d", "a")]
    (conflict,) = find_conflicts(everyone)
    assert "Account/a → Account/b → Account/c → Account/a" in conflict.finding.message
    assert {each.ref.name for each in conflict.members} == {"a", "b", "c"}


def test_two_circles_are_two_findings() -> None:
    everyone = [member("a", "b"), member("b", "a"), member("c", "d"), member("d", "c")]
    assert [conflict.finding.origin for conflict in find_conflicts(everyone)] == [
        everyone[0].origin,
        everyone[2].origin,
    ]


def test_what_needs_something_broken_falls_with_it_however_far_away() -> None:
    a, b, c, d = member("a"), member("b", "a"), member("c", "b"), member("d")
    connected = connect([a, b, c, d], [a])
    assert [each.ref.name for each in connected.desired.values()] == ["d"]
    assert [ref.name for ref in connected.fallen] == ["b", "c"]


def test_a_name_said_three_times_is_two_findings(tmp_path: Path) -> None:
    estate = load(tmp_path, account(), account(), account())
    assert [finding.code for finding in estate.findings] == ["duplicate_name", "duplicate_name"]


def test_an_account_that_two_fleets_declare_is_not_also_said_of_its_deployments(tmp_path: Path) -> None:
    spec = (
        "publicNetworkAccess: Disabled, deployments: [{name: d, model: {name: m}, sku: {name: Standard, capacity: 1}}]"
    )
    for name in ("a", "b"):
        plant(tmp_path, {f"{name}/f.yaml": FLEET.replace("prod", name) + "---\n" + account(spec=spec)})
    estate = load(tmp_path)
    assert [finding.code for finding in estate.findings] == ["duplicate_id"]
