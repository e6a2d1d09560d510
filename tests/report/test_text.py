"""The text of a plan and of a run, to the letter: it is what people agree to."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from reconciler.model.finding import Finding, Origin
from reconciler.model.ids import Ref
from reconciler.model.outcome import Result
from reconciler.model.plan import DecisionState, FieldChange, Plan
from reconciler.report.paint import Style
from reconciler.report.text import render_findings, render_plan, render_run
from reconciler.report.words import RESULT_ADVICE
from tests.report.samples import (
    BLOCKED,
    CONVERGED,
    CREATE,
    CREATE_STEP,
    DELETE,
    DELETE_STEP,
    FORBIDDEN,
    GROUP,
    HOSTILE,
    MIXED,
    SECRET,
    SHRINK,
    UPDATE,
    UPDATE_STEP,
    outcome,
    report,
)

PLAIN = Style()

MIXED_TEXT = """\
Fleet prod  subscription 11111111-1111-1111-1111-111111111111

Read this first
  ! delete Account/aoai-old: is destroyed
  ! delete Account/aoai-old: deleting an account takes its fine-tuned models
    with it
  ! update Account/aoai-swc: opens Account/aoai-swc to 203.0.113.0/24 on port
    443 by public endpoint

Account/aoai-old  westeurope
  - delete   aoai-old                  no document declares it

Account/aoai-swc  swedencentral  prod.yaml:12:1
  ~ update   aoai-swc                  differs from its document
      opens   Account/aoai-swc to 203.0.113.0/24 on port 443 by public endpoint
      closes  Account/aoai-swc to 198.51.100.0/24 on port 443 by public endpoint
      disableLocalAuth     false -> true  (closes)
      networkAcls.ipRules  +203.0.113.0/24  -198.51.100.0/24  (opens)
      tags.team            a -> none
  + create   deployments/gpt-4o        does not exist
      model.name gpt-4o, model.version 0613, sku.capacity 50
  ... 1 more left alone

Account/aoai-weu  westeurope  prod.yaml:40:1
  ! blocked  aoai-weu
      exists but does not carry our tag reconciler-fleet: it was made by
      somebody else, or the tag was removed
      to permit: set lifecycle.adopt: true in its document to take it over

Account/aoai-busy  swedencentral
  > waiting  aoai-busy                 Azure is still working on it (Creating)

Findings
prod.yaml:22:9: warning: gpt-4o 0613 is retired soon
    declare a newer version

Plan: 1 to add, 1 to change, 1 to destroy, 0 to purge; 1 blocked; 1 in progress;
  2 in sync
1 change opens something: Account/aoai-swc.
1 change closes something: Account/aoai-swc.
8 requests spent on reading; about 25 more to apply and check, in about 41 s.
"""

CONVERGED_TEXT = """\
Fleet prod  subscription 11111111-1111-1111-1111-111111111111

Plan: 0 to add, 0 to change, 0 to destroy, 0 to purge; 2 in sync
4 requests spent on reading; nothing to write.
Nothing to do: Azure is as declared.
"""

RUN_TEXT = """\
  - delete   Account/aoai-old                                   done in 41 s
  + create   Account/aoai-swc/deployments/gpt-4o                blocked in 41 s
      AuthorizationFailed: The client has no permission
      next: grant the role Reader on the subscription
      request id: req-1
  ~ update   Account/aoai-swc                                not started in 41 s
      Account/aoai-swc/deployments/gpt-4o#create is blocked

Left as it is

Account/aoai-weu  westeurope  prod.yaml:40:1
  ! blocked  aoai-weu
      exists but does not carry our tag reconciler-fleet: it was made by
      somebody else, or the tag was removed
      to permit: set lifecycle.adopt: true in its document to take it over

Account/aoai-busy  swedencentral
  > waiting  aoai-busy                 Azure is still working on it (Creating)

Fleet prod: 1 done, 1 blocked, 1 not started, in 1 min 12 s with 17 requests.
"""


def test_a_plan_tells_dangers_first_and_counts_what_is_left_alone() -> None:
    assert render_plan(MIXED, PLAIN) == MIXED_TEXT


def test_a_converged_plan_is_three_lines() -> None:
    assert render_plan(CONVERGED, PLAIN) == CONVERGED_TEXT


def test_a_run_tells_what_failed_with_the_next_step_and_what_is_left() -> None:
    done = outcome(DELETE_STEP, Result.DONE)
    refused = outcome(CREATE_STEP, Result.BLOCKED, fault=FORBIDDEN, because=str(FORBIDDEN))
    held = outcome(UPDATE_STEP, Result.NOT_STARTED, because="Account/aoai-swc/deployments/gpt-4o#create is blocked")
    assert render_run((report(MIXED, done, refused, held),), PLAIN) == RUN_TEXT


def test_no_line_but_a_single_word_is_wider_than_the_terminal() -> None:
    for width in (64, 80, 100):
        for line in render_plan(MIXED, Style(width=width)).splitlines():
            assert len(line) <= width or " " not in line.strip()


def test_colour_changes_nothing_but_colour() -> None:
    colored = render_plan(MIXED, Style(color=True))
    assert "\x1b[" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == MIXED_TEXT


def test_without_colour_nothing_can_steer_the_terminal() -> None:
    text = render_plan(HOSTILE, PLAIN)
    assert all(each.isprintable() or each == "\n" for each in text)
    assert "\\x1b[31m" in text


def test_a_sensitive_value_is_masked() -> None:
    text = render_plan(SECRET, PLAIN)
    assert "hunter" not in text
    assert "(sensitive) -> (sensitive)" in text


def test_verbose_lists_what_needs_nothing() -> None:
    text = render_plan(MIXED, Style(verbose=True))
    assert "  . in sync  deployments/mini          as declared" in text
    assert "left alone" not in text


def test_a_stopped_plan_says_so_at_the_end() -> None:
    text = render_plan(replace(MIXED, stopped="the plan would destroy 9 of 10", steps=()), PLAIN)
    tail = text.split("spent on reading; nothing to write.")[1]
    assert "Stopped by a safety limit, nothing will be written: the plan would destroy 9" in tail


def test_what_could_not_be_read_is_told_with_its_next_step() -> None:
    text = render_plan(replace(CONVERGED, blind=(("accounts in /subscriptions/1", FORBIDDEN),)), PLAIN)
    assert "  ? accounts in /subscriptions/1\n      AuthorizationFailed: The client has no" in text
    assert "next: grant the role Reader on the subscription" in text
    assert "Nothing to do" not in text


def test_one_fault_that_hides_many_places_is_told_once() -> None:
    blind = tuple((f"deployments in {number}", FORBIDDEN) for number in range(30))
    hidden = tuple(
        replace(
            BLOCKED, id=BLOCKED.id.child("x", str(number)), code="unknown", reason="could not be read", permit="look"
        )
        for number in range(30)
    )
    text = render_plan(Plan(fleet="prod", decisions=hidden, steps=(), blind=blind), PLAIN)
    assert text.count("AuthorizationFailed") == 1
    assert text.count("next: ") == 1
    assert "  ? deployments in 7\n  ? ... and 22 more\n" in text
    assert "to permit" not in text


def test_what_was_not_selected_is_never_called_as_declared() -> None:
    aside = replace(UPDATE, state=DecisionState.IGNORED, action=None, code="not_selected", reason="not selected")
    text = render_plan(Plan(fleet="prod", decisions=(aside,), steps=()), PLAIN)
    assert text.endswith("Nothing to do: what was selected is as declared.\n")


def test_what_is_only_observed_is_never_called_as_declared() -> None:
    drifted = replace(UPDATE, state=DecisionState.DRIFTED, action=None)
    plan = Plan(fleet="prod", decisions=(drifted,), steps=())
    for text in (render_plan(plan, PLAIN), render_run((report(plan),), PLAIN)):
        assert "as declared" not in text
        assert "hat differs is only observed." in text


def test_many_dangers_are_cut_and_counted_and_the_destructive_ones_come_first() -> None:
    decisions = tuple(
        replace(UPDATE, id=UPDATE.id.child("deployments", str(number)), ref=replace(UPDATE.ref, name=f"a{number}"))
        for number in range(40)
    )
    text = render_plan(Plan(fleet="prod", decisions=(*decisions, MIXED.decisions[1]), steps=()), PLAIN)
    first = text.split("\n\n")[1].splitlines()
    assert first[1] == "  ! delete Account/aoai-old: is destroyed"
    assert first[-1] == "  ! ... and 30 more, marked below"


def test_a_blocked_resource_with_an_action_says_which_action() -> None:
    decision = replace(BLOCKED, action=MIXED.decisions[1].action, reason="no permission", permit="")
    text = render_plan(Plan(fleet="prod", decisions=(decision,), steps=()), PLAIN)
    assert "delete not allowed: no permission" in text


def test_the_second_write_of_a_resource_says_which_part_it_is() -> None:
    opening = replace(CREATE_STEP, name=f"{CREATE.ref}#open")
    text = render_run((report(CONVERGED, outcome(opening, Result.DONE)),), PLAIN)
    assert "deployments/gpt-4o (open)" in text


def test_a_failure_that_a_later_cycle_mended_is_not_told() -> None:
    failed = report(MIXED, outcome(CREATE_STEP, Result.FAILED, because="a hiccup"))
    mended = report(MIXED, outcome(CREATE_STEP, Result.DONE))
    text = render_run((failed, mended, report(CONVERGED)), PLAIN)
    assert "hiccup" not in text
    assert "Fleet prod: 1 done, in 1 min 12 s with 51 requests. Azure is as declared." in text


def test_a_refusal_is_told_in_its_words() -> None:
    text = render_run((report(MIXED, refused="the saved plan is stale"),), PLAIN)
    assert text.startswith("Fleet prod: the saved plan is stale\nFleet prod: nothing written")


@pytest.mark.parametrize(("result", "word"), [(Result.NOT_CONVERGING, "Azure Policy"), (Result.STALE, "run it again")])
def test_what_ended_without_a_fault_has_a_next_step_too(result: Result, word: str) -> None:
    text = render_run((report(MIXED, outcome(UPDATE_STEP, result, because="it moved")),), PLAIN)
    assert f"      next: {RESULT_ADVICE[result][:12]}" in text
    assert word in text


def test_many_done_writes_are_only_counted() -> None:
    steps = [replace(CREATE_STEP, name=f"s{n}", id=CREATE.id.child("x", str(n))) for n in range(30)]
    text = render_run((report(CONVERGED, *(outcome(step, Result.DONE) for step in steps)),), PLAIN)
    assert text == "Fleet prod: 30 done, in 1 min 12 s with 17 requests. Azure is as declared.\n"


def test_findings_come_in_the_order_of_their_places() -> None:
    findings = [
        Finding(code="b", message="second", origin=Origin(file="a.yaml", line=9, column=1)),
        Finding(code="a", message="nowhere"),
        Finding(code="c", message="first", hint="mend it", origin=Origin(file="a.yaml", line=2, column=3)),
    ]
    assert render_findings(findings, PLAIN) == (
        "a.yaml:2:3: error: first\n    mend it\na.yaml:9:1: error: second\nerror: nowhere\n"
    )


def test_a_document_without_news_is_left_out() -> None:
    assert "ResourceGroup" not in render_plan(MIXED, PLAIN)
    assert SHRINK.ref.name not in render_plan(CONVERGED, PLAIN)


def test_what_a_long_change_does_stands_beside_its_name() -> None:
    long = replace(UPDATE.changes[1], before=None, after=[f"10.0.{number}.0/24" for number in range(20)])
    lines = render_plan(Plan(fleet="prod", decisions=(replace(UPDATE, changes=(long,)),), steps=()), PLAIN).splitlines()
    at = lines.index("      networkAcls.ipRules  (opens)")
    assert lines[at + 1].startswith("        none -> 10.0.0.0/24, 10.0.1.0/24, ")


ZONE = GROUP.resource("Microsoft.Network/privateDnsZones", "privatelink.cognitiveservices.azure.com")
LINK = replace(
    CREATE,
    id=ZONE.child("virtualNetworkLinks", "vnet-ai-private"),
    ref=Ref(kind="PrivateDnsZone", name="privatelink.cognitiveservices.azure.com/virtualNetworkLinks/vnet-ai-private"),
    origin=Origin(file="desired_state/examples/private-endpoints/dns.yaml", line=10, column=1),
    changes=(
        FieldChange(
            path="ipConfigurations",
            before=None,
            after=[{"groupId": "account", "memberName": "default", "privateIPAddress": "10.20.4.10"}],
        ),
        FieldChange(path="privateDnsZones", before=None, after=[str(ZONE), str(ZONE), str(ZONE)]),
    ),
)


def test_nothing_but_a_name_is_wider_than_80_columns_whatever_it_is_about() -> None:
    step = replace(CREATE_STEP, id=LINK.id, name=f"{LINK.ref}#create")
    for result in (Result.DONE, Result.NOT_CONVERGING):
        told = render_run((report(Plan(fleet="prod", decisions=(LINK,), steps=()), outcome(step, result)),), PLAIN)
        told += render_plan(Plan(fleet="prod", decisions=(LINK,), steps=()), PLAIN)
        for line in told.splitlines():
            assert len(line) <= 80 or len(line.split()) <= 3, line
        assert f"PrivateDnsZone/{ZONE.name}/virtualNetworkLinks/vnet-ai-private\n      " in told


def test_the_last_line_of_a_run_is_broken_too() -> None:
    plan = replace(CONVERGED, fleet="a-fleet-with-a-rather-long-name")
    told = render_run((report(plan, outcome(CREATE_STEP, Result.DONE)),), PLAIN)
    assert max(len(line) for line in told.splitlines()) <= 80
    assert told.endswith(" requests.\n  Azure is as declared.\n")


def test_the_heading_of_a_resource_of_which_only_a_child_changes_keeps_its_region() -> None:
    whole = replace(SHRINK, id=UPDATE.id, ref=UPDATE.ref, location="swedencentral", origin=UPDATE.origin)
    plan = Plan(fleet="prod", decisions=(whole, CREATE), steps=())
    assert "Account/aoai-swc  swedencentral  prod.yaml:12:1\n  + create" in render_plan(plan, PLAIN)
    stuck = replace(CREATE, state=DecisionState.BLOCKED)
    left = render_run((report(replace(plan, decisions=(whole, stuck)), outcome(CREATE_STEP, Result.FAILED)),), PLAIN)
    assert "Account/aoai-swc  swedencentral  prod.yaml:12:1\n  ! blocked" in left


def test_what_is_put_off_says_what_will_be_done() -> None:
    put_off = replace(CREATE, state=DecisionState.IN_PROGRESS, reason="waits for Account/aoai-swc: Azure is at it")
    text = render_plan(Plan(fleet="prod", decisions=(put_off,), steps=()), PLAIN)
    assert "  > waiting  deployments/gpt-4o\n      create follows: waits for Account/aoai-swc: Azure is at it\n" in text
    assert "1 more when what it waits for is done: create\n  Account/aoai-swc/deployments/gpt-4o.\n" in text


def test_what_goes_with_what_it_lies_in_is_told_apart_as_a_limit_counts_it() -> None:
    below = replace(DELETE, id=DELETE.id.child("deployments", "d"), warnings=())
    text = render_plan(Plan(fleet="prod", decisions=(DELETE, below), steps=()), PLAIN)
    assert "Plan: 0 to add, 0 to change, 2 to destroy (1 with what it lies in), 0 to purge\n" in text
