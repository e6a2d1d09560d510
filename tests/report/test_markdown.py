"""Plans as Markdown: fit for a comment, whatever the names are and however much there is."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.finding import Finding
from reconciler.model.outcome import Result
from reconciler.model.plan import Plan
from reconciler.report.markdown import LONGEST, code, render_markdown, render_markdown_runs
from tests.report.samples import CONVERGED, CREATE_STEP, FORBIDDEN, HOSTILE, MIXED, UPDATE, UPDATE_STEP, outcome, report

EXPECTED = """\
### Fleet `prod`

**Plan: 0 to add, 1 to change, 0 to destroy, 0 to purge**

`1 change opens something: Account/aoai-swc`

`1 change closes something: Account/aoai-swc`

0 requests spent on reading; about 7 more to apply and check, in about 36 s.

**Read this first**

- :warning: update `Account/aoai-swc`: `opens Account/aoai-swc to 203.0.113.0/24 on port 443 by public endpoint`

**Who gets through to which account**

| | account | who | how | by |
|---|---|---|---|---|
| **opens** | `Account/aoai-swc` | `203.0.113.0/24` | `on port 443 by public endpoint` | update `Account/aoai-swc` |
| closes | `Account/aoai-swc` | `198.51.100.0/24` | `on port 443 by public endpoint` | update `Account/aoai-swc` |

| | action | resource | why |
|---|---|---|---|
| `~` | update | `Account/aoai-swc` | `differs from its document` |

<details><summary><code>Account/aoai-swc</code> — 3 fields</summary>

```text
~ update aoai-swc
    disableLocalAuth     false -> true  (closes)
    networkAcls.ipRules  +203.0.113.0/24  -198.51.100.0/24  (opens)
    tags.team            a -> none
```

</details>
"""


def test_a_plan_is_a_table_with_its_fields_folded_away() -> None:
    assert render_markdown([Plan(fleet="prod", decisions=(UPDATE,), steps=(UPDATE_STEP,))]) == EXPECTED


def test_a_converged_plan_says_so() -> None:
    assert render_markdown([CONVERGED]).endswith("Nothing to do: Azure is as declared.\n")


def test_a_hostile_name_cannot_leave_its_code() -> None:
    text = render_markdown([HOSTILE])
    spans = re.sub(r"(`+).+?(?<!`)\1(?!`)", "", text.replace("\n", " "))
    assert "@all" not in spans
    assert "<b>" not in spans
    assert text.count("</details>") == 2  # ours, and the one shown inside of the block
    assert "````text" in text
    row = next(line for line in text.splitlines() if line.startswith("| `~`"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 5


@given(st.text(alphabet="`a |\\", min_size=1, max_size=12))
def test_a_code_span_ends_where_it_should(text: str) -> None:
    span = code(text)
    fence = re.match("`+", span)
    assert fence is not None
    inner = span[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in re.findall("`+", inner)
    assert inner.strip() == text.strip() or inner == text


def test_however_much_there_is_it_fits_a_comment() -> None:
    decisions = tuple(
        replace(UPDATE, id=UPDATE.id.child("deployments", str(n)), ref=replace(UPDATE.ref, name=f"account-{n}"))
        for n in range(2000)
    )
    text = render_markdown([Plan(fleet="prod", decisions=decisions, steps=())])
    assert len(text) <= LONGEST
    assert "**Plan: 0 to add, 2000 to change" in text
    assert "left out for length" in text
    assert text.count("<details>") == text.count("</details>")
    assert text.count("```") % 2 == 0


def test_findings_and_blind_spots_and_a_stop_are_told() -> None:
    plan = replace(MIXED, blind=(("accounts in /s", FORBIDDEN),), stopped="too many deletes")
    text = render_markdown([plan], findings=(Finding(code="x", message="bad | thing"),))
    assert "> **Stopped by a safety limit, nothing will be written:** `too many deletes`" in text
    told = "`AuthorizationFailed: The client has no permission` — next: `grant the role Reader on the subscription`"
    assert f"- `accounts in /s`: {told}" in text
    assert "- `error: bad | thing`" in text


def test_a_run_tells_every_write() -> None:
    refused = outcome(CREATE_STEP, Result.BLOCKED, fault=FORBIDDEN, because="no right")
    text = render_markdown_runs([(report(MIXED, refused),)])
    assert text.startswith("### Fleet `prod`: 1 blocked, in 1 min 12 s")
    assert "| `+ create Account/aoai-swc/deployments/gpt-4o` | blocked | `no right grant the role Reader" in text


def test_no_fleet_is_said() -> None:
    assert render_markdown([]) == "No fleet is declared.\n"
