"""Security rules in plans: a new one is one line, a changed one tells what changed."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.ids import Ref
from reconciler.model.plan import Action, Decision, DecisionState, FieldChange, Plan
from reconciler.model.wire import Json
from reconciler.report.paint import Style
from reconciler.report.rules import fold_rules
from reconciler.report.text import render_plan
from tests.report.samples import GROUP

ALLOW: dict[str, Json] = {
    "access": "Allow",
    "description": None,
    "direction": "Inbound",
    "priority": 100,
    "protocol": "Tcp",
    "sourceAddressPrefixes": ["10.0.1.0/24"],
    "sourceApplicationSecurityGroups": [],
    "sourcePortRanges": ["*"],
    "destinationAddressPrefixes": ["10.0.2.0/24"],
    "destinationApplicationSecurityGroups": [],
    "destinationPortRanges": ["443"],
}
DENY: dict[str, Json] = {
    **ALLOW,
    "access": "Deny",
    "priority": 4096,
    "protocol": "*",
    "sourceAddressPrefixes": ["*"],
    "destinationAddressPrefixes": ["*"],
    "destinationPortRanges": ["*"],
}


def new(name: str, rule: dict[str, Json], *, opens: bool = False) -> tuple[FieldChange, ...]:
    return tuple(
        FieldChange(path=f"securityRules[{name}].{attribute}", before=None, after=value, opens=opens)
        for attribute, value in sorted(rule.items())
    )


def told(*changes: FieldChange) -> list[tuple[str, Json]]:
    return [(change.path, change.after) for change in fold_rules(changes)]


def test_a_new_rule_is_one_line_and_rules_stand_in_the_order_in_which_they_are_asked() -> None:
    changes = (*new("a-last", DENY), *new("b-first", ALLOW), *new("c-out", {**ALLOW, "direction": "Outbound"}))
    assert told(*changes) == [
        ("securityRules[b-first]", "Inbound 100: Allow Tcp from 10.0.1.0/24 to 10.0.2.0/24 on 443"),
        ("securityRules[a-last]", "Inbound 4096: Deny any protocol from anywhere to anywhere on any port"),
        ("securityRules[c-out]", "Outbound 100: Allow Tcp from 10.0.1.0/24 to 10.0.2.0/24 on 443"),
    ]


def test_everything_that_a_rule_says_is_in_its_line() -> None:
    groups: list[Json] = [str(GROUP.resource("Microsoft.Network/applicationSecurityGroups", "asg-app"))]
    rule: dict[str, Json] = {
        **ALLOW,
        "description": "from the app",
        "sourceAddressPrefixes": [],
        "sourceApplicationSecurityGroups": groups,
        "sourcePortRanges": ["1000-2000"],
        "destinationPortRanges": ["443", "8443"],
    }
    assert told(*new("app", rule)) == [
        (
            "securityRules[app]",
            (
                "Inbound 100: Allow Tcp from applicationSecurityGroups/asg-app port 1000-2000 to 10.0.2.0/24 "
                'on 443, 8443 "from the app"'
            ),
        )
    ]


def test_a_new_rule_opens_if_any_part_of_it_does() -> None:
    (folded,) = fold_rules(new("web", ALLOW, opens=True))
    assert folded.opens
    assert not folded.closes


def test_of_the_list_of_rules_only_those_that_go_are_left() -> None:
    names = FieldChange(path="securityRules", before=["keep", "old"], after=["keep", "web"], opens=True)
    kept, rule = fold_rules((names, *new("web", ALLOW)))
    assert (kept.before, kept.after, kept.opens) == (["keep", "old"], ["keep"], True)
    assert rule.path == "securityRules[web]"
    assert len(fold_rules((replace(names, before=["keep"]), *new("web", ALLOW)))) == 1


def test_a_changed_rule_and_one_that_is_not_whole_stay_as_they_are() -> None:
    changed = FieldChange(path="securityRules[web].priority", before=100, after=110)
    partly = tuple(each for each in new("part", ALLOW) if not each.path.endswith(".access"))
    assert fold_rules((changed, *partly)) == (changed, *partly)


def test_a_new_group_reads_as_its_rules() -> None:
    decision = Decision(
        id=GROUP.resource("Microsoft.Network/networkSecurityGroups", "nsg-ai"),
        ref=Ref(kind="NetworkSecurityGroup", name="nsg-ai"),
        state=DecisionState.ACT,
        action=Action.CREATE,
        reason="does not exist",
        changes=(
            FieldChange(path="securityRules", before=None, after=["web", "none"]),
            *new("none", DENY),
            *new("web", ALLOW, opens=True),
        ),
    )
    text = render_plan(Plan(fleet="prod", decisions=(decision,), steps=()), Style(width=120))
    assert (
        "      securityRules[web]   Inbound 100: Allow Tcp from 10.0.1.0/24 to 10.0.2.0/24 on 443  (opens)\n"
        "      securityRules[none]  Inbound 4096: Deny any protocol from anywhere to anywhere on any port\n"
    ) in text
