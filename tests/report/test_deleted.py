"""Soft-deleted accounts as people and programs read them, and how a purge by hand ended."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler.model.burial import Burial, Graveyard
from reconciler.model.finding import Fault, FaultClass
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Phase, Step, Verb
from reconciler.model.quota import Pool
from reconciler.model.resource import DeletedAccount
from reconciler.report.deleted import (
    render_burial,
    render_deleted,
    render_deleted_json,
    render_deleted_markdown,
    render_purge,
    render_purge_json,
)
from reconciler.report.document import Envelope
from reconciler.report.paint import Style
from tests.support.builders import account_id

HOUR = 3600.0
GPT = Pool(
    subscription="s",
    location="swedencentral",
    usage="OpenAI.GlobalStandard.gpt-4o",
    limit=400,
    used=400,
    surveyed=True,
    tokens=(1000,),
    requests=(6.0,),
)
PTU = replace(GPT, usage="OpenAI.GlobalProvisionedManaged", used=50, tokens=(), requests=(), billed=True)


def burial(
    name: str, *pools: Pool, age: float | None = 5, left: float | None = 43, owner: str = "", fate: str = "x"
) -> Burial:
    deleted = DeletedAccount(
        id=account_id(name),
        location="Sweden Central",
        deleted_at="2025-10-01T00:00:00Z",
        purge_after="2025-10-03T00:00:00Z",
        wire={"kind": "OpenAI", "tags": {"reconciler-fleet": owner} if owner else {}},
    )
    return Burial(
        deleted=deleted,
        name=name,
        fleet="prod",
        age=None if age is None else age * HOUR,
        left=None if left is None else left * HOUR,
        pools=pools,
        fate=fate,
    )


def yard(*burials: Burial, **more: object) -> Graveyard:
    return replace(Graveyard(subscription="s-1", fleets=("prod", "test"), burials=burials), **more)  # type: ignore[arg-type]


def test_a_subscription_reads_well_at_eighty_columns() -> None:
    shown = yard(
        burial("old", GPT, PTU, owner="prod", fate="left alone until a plan needs what it holds"),
        burial("older", GPT, PTU, age=74, left=-26, fate="left alone: it was fleet other's"),
    )
    assert render_deleted([shown], Style()) == (
        "Subscription s-1  of 2 fleets: prod and test\n"
        "\n"
        "swedencentral\n"
        "  together they hold at most 400 of OpenAI.GlobalStandard.gpt-4o (400k TPM, 2.4k\n"
        "    RPM), 50 of OpenAI.GlobalProvisionedManaged.\n"
        "  old in rg-ai, OpenAI\n"
        "      deleted 5 h ago, gone by itself in 1 d 19 h; of fleet prod\n"
        "      left alone until a plan needs what it holds\n"
        "  older in rg-ai, OpenAI\n"
        "      deleted 3 d 2 h ago, should have been gone 1 d 2 h ago: Azure is overdue\n"
        "      with it; of no fleet\n"
        "      left alone: it was fleet other's\n"
        "\n"
        "What one account holds Azure does not tell: each of a region may hold all that\n"
        "is told there, or nothing. It stays held until that account is purged or\n"
        "expires: reconciler purge NAME.\n"
        "Provisioned units of a soft-deleted account are billed until it is purged.\n"
    )


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_longer_than_asked(width: int) -> None:
    text = render_deleted([yard(burial("old", GPT))], Style(width=width))
    assert max(len(line) for line in text.splitlines()) <= max(width, 45)


def test_nothing_and_nothing_known_are_told_apart() -> None:
    assert "No account is deleted softly here." in render_deleted([yard()], Style())
    assert "  holds no quota.\n" in render_deleted([yard(burial("a"))], Style())
    assert "  they hold no quota.\n" in render_deleted([yard(burial("a"), burial("b"))], Style())
    unknown = replace(burial("a", age=None, left=None), pools=None)
    text = render_deleted([yard(unknown)], Style())
    assert "what they hold is not known: the quota of this region could not be read" in " ".join(text.split())
    assert "deleted at an unknown time; of no fleet" in text


def test_what_could_not_be_listed_is_not_called_none() -> None:
    fault = Fault(cls=FaultClass.FORBIDDEN, code="AuthorizationFailed", message="no", status=403)
    blind = yard(unread=(("Microsoft.CognitiveServices/deletedAccounts in s-1", fault),))
    told = (
        "What is deleted softly here is not known: Microsoft.CognitiveServices/deletedAccounts in s-1 could not be read"
    )
    text = render_deleted([blind], Style())
    assert told in " ".join(text.split())
    assert "No account is deleted" not in text
    markdown = render_deleted_markdown([blind])
    assert told in markdown.replace("`", "")
    assert "There is none." not in markdown


def test_markdown_is_a_table_per_subscription() -> None:
    text = render_deleted_markdown([yard(burial("old", GPT, owner="prod")), yard(subscription="s-2")])
    assert "### Soft-deleted accounts of subscription `s-1`" in text
    assert (
        "| `rg-ai/old` | `swedencentral` | `OpenAI` | `deleted 5 h ago, gone by itself in 1 d 19 h; of fleet prod` "
        "| `400 of OpenAI.GlobalStandard.gpt-4o (400k TPM, 2.4k RPM)` | `x` |"
    ) in text
    assert text.rstrip().endswith("There is none.")
    assert "| `?` |" in render_deleted_markdown([yard(replace(burial("old"), pools=None))])
    assert render_deleted_markdown([]) == "No fleet is declared.\n"


def test_json_tells_all_of_it() -> None:
    fault = Fault(cls=FaultClass.FORBIDDEN, code="AuthorizationFailed", message="no", status=403)
    shown = yard(burial("old", PTU, left=-1), replace(burial("b"), pools=None), unread=(("quota of x", fault),))
    document = json.loads(render_deleted_json([shown], Envelope(exit_code=1)))
    assert (document["kind"], document["exit_code"]) == ("deleted", 1)
    (subscription,) = document["subscriptions"]
    assert subscription["fleets"] == ["prod", "test"]
    assert subscription["unread"][0]["what"] == "quota of x"
    old, unknown = subscription["accounts"]
    assert old["may_hold"] == [
        {"usage": "OpenAI.GlobalProvisionedManaged", "at_most": 50, "tokens_per_unit": [], "billed": True}
    ]
    assert (old["overdue"], old["age_seconds"], old["purge_date"]) == (True, 18000, "2025-10-03T00:00:00Z")
    assert unknown["may_hold"] is None


def test_what_somebody_is_about_to_purge_is_shown_with_what_is_lost() -> None:
    text = " ".join(
        render_burial(burial("old", GPT, PTU, owner="other", fate="left alone: it was other's"), Style()).split()
    )
    assert text == (
        f"old: {account_id('old')} OpenAI in swedencentral, deleted 5 h ago, gone by itself in 1 d 19 h; of fleet "
        "other holds at most 400 of OpenAI.GlobalStandard.gpt-4o (400k TPM, 2.4k RPM), 50 of "
        "OpenAI.GlobalProvisionedManaged, which all that is deleted softly in its region hold together Provisioned "
        "units of a soft-deleted account are billed until it is purged. left alone: it was other's ! Its fine-tuned "
        "models and uploaded files are lost for good, and it cannot be restored any more."
    )
    assert "holds no quota" in render_burial(burial("old", fate=""), Style())


STEP = Step(
    name="DeletedAccount/old#purge", id=account_id("old"), verb=Verb.PURGE, action=Action.PURGE, phase=Phase.RELEASE
)


def ended(result: Result, because: str = "", fault: Fault | None = None) -> Outcome:
    return Outcome(step=STEP, result=result, because=because, fault=fault, began=0, ended=91, requests=7)


def test_how_a_purge_ended_is_told_with_what_to_do_next() -> None:
    assert render_purge(ended(Result.DONE, "gave back 5 of P after 60 s"), Style()) == (
        "x purge DeletedAccount/old done in 1 min 31 s: gave back 5 of P after 60 s\n"
    )
    fault = Fault(cls=FaultClass.FORBIDDEN, code="A", message="no", status=403, advice="ask for a role")
    assert render_purge(ended(Result.BLOCKED, "A: no", fault), Style()).endswith(": A: no\n  next: ask for a role\n")
    assert "next: run it again" in render_purge(ended(Result.STALE), Style())


def test_as_json_a_purge_that_nobody_agreed_to_has_no_outcome() -> None:
    document = json.loads(render_purge_json(burial("old"), None, Envelope(exit_code=4)))
    assert (document["kind"], document["outcome"], document["exit_code"]) == ("purge", None, 4)
    done = json.loads(render_purge_json(burial("old"), ended(Result.DONE, "x"), Envelope(exit_code=0)))
    assert done["outcome"] == {"result": "done", "because": "x", "fault": None, "seconds": 91, "requests": 7}
    fault = Fault(cls=FaultClass.FORBIDDEN, code="A", message="no", status=403)
    failed = json.loads(render_purge_json(burial("old"), ended(Result.BLOCKED, "", fault), Envelope(exit_code=3)))
    assert failed["outcome"]["fault"]["code"] == "A"
