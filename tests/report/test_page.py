"""The page as HTML: well formed, no script, nothing from elsewhere, and a hostile name is text wherever it stands."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from math import inf

import pytest

from reconciler.model.alert import Journal, Letter, Turn
from reconciler.model.health import FleetHealth, Health
from reconciler.model.pause import Pause
from reconciler.model.plan import Plan
from reconciler.model.quota import Ledger
from reconciler.report.look import STYLE
from reconciler.report.markup import Html, fold, moment, name, table, text, title, when
from reconciler.report.page import POLICY, render_page
from tests.report import healths
from tests.report.samples import ACCOUNT, FORBIDDEN, SECRET

ALL = [healths.quiet(), healths.bad(), healths.large(20), healths.hostile(), healths.health()]
ALONE = {"meta", "link", "br", "rect", "path", "circle"}


class Reader(HTMLParser):
    """Every element with its attributes, and all text; refuses what is not closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], (self.open, tag)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def shown(health: Health) -> str:
    """What somebody reads, with its spaces folded."""
    return re.sub(r"\s+", " ", " ".join(read(render_page(health)).words))


def in_order(words: str, *parts: str) -> bool:
    """Whether all of them are there, each after the one before."""
    return re.search(".*?".join(re.escape(part) for part in parts), words) is not None


@pytest.mark.parametrize("health", ALL)
def test_it_is_well_formed_and_made_of_known_elements(health: Health) -> None:
    known = (
        "html head meta title link style body header strong span time a main div h1 h2 h3 p dl dt dd section article "
        "table caption thead tbody tr th td details summary ul li bdi svg defs pattern rect path circle footer b "
        "br code"
    )
    assert {tag for tag, _ in read(render_page(health)).elements} <= {*known.split()}


@pytest.mark.parametrize("health", ALL)
def test_it_runs_nothing_and_loads_nothing(health: Health) -> None:
    for tag, attributes in read(render_page(health)).elements:
        assert not [key for key in attributes if key.startswith("on") or key in ("src", "style", "srcset", "action")]
        if tag == "a":
            assert attributes["href"] in ("/", "/status", "/metrics", "/?every=30")
        if tag == "link":
            assert attributes["href"].startswith("data:image/svg+xml,")
    assert "url(" not in STYLE.replace("url(#", "")
    assert "@import" not in STYLE


def test_its_one_sheet_is_the_one_that_the_policy_knows() -> None:
    page = render_page(healths.quiet())
    sheet = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert sheet is not None
    digest = b64encode(sha256(sheet[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in POLICY
    assert "unsafe" not in POLICY
    assert "script-src" not in POLICY  # so it is 'none'
    assert POLICY.startswith("default-src 'none'; ")


@pytest.mark.parametrize("health", ALL)
def test_headings_go_down_one_by_one_and_every_table_says_what_it_is(health: Health) -> None:
    elements = read(render_page(health)).elements
    levels = [int(tag[1]) for tag, _ in elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    tags = [tag for tag, _ in elements]
    assert [tags[place + 1] for place, tag in enumerate(tags) if tag == "table"] == ["caption"] * tags.count("table")
    assert all("scope" in attributes for tag, attributes in elements if tag == "th")
    assert all(attributes.get("aria-label") for tag, attributes in elements if attributes.get("role") == "img")


def test_a_hostile_name_is_text_wherever_it_stands() -> None:
    page = render_page(healths.hostile())
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "\u2066" not in page
    words = " ".join(read(page).words)
    assert "<script>alert(1)</script>" in words
    assert "\\u202eevil" in words


def test_a_hostile_name_takes_little_room() -> None:
    assert max(len(word) for word in read(render_page(healths.hostile())).words if word not in STYLE) <= 620


def test_a_quiet_night_says_so_first() -> None:
    words = shown(healths.quiet())
    assert in_order(words, "All is as declared", "Fleet prod", "Quota", "Last passes")
    assert "What is wrong" not in words
    assert "16 of 16 resources" in words


def test_a_bad_night_says_what_since_when_who_and_what_is_done_in_this_order() -> None:
    words = shown(healths.bad())
    order = (
        "3 things need attention now",
        "Not ready: the credential of fleet test does not work",
        "What is wrong",
        "Account/aoai-swc: publicNetworkAccess is Enabled, declared Disabled (and 1 more field)",
        "4 min ago 15:29:08 UTC",
        "mallory@example.com",
        "It is not put right: outside the hours",
        f"{ACCOUNT}",
        "Under way",
        "Paused",
        "Left alone",
        "Fleets",
        "Quota",
        "Models that retire",
        "Last passes",
        "This process",
    )
    assert in_order(words, *order)


def test_what_is_wrong_with_documents_stands_there_at_once() -> None:
    errors = tuple(replace(healths.bad().findings[0], message=f"error {number}") for number in range(12))
    page = render_page(replace(healths.quiet(), findings=errors))
    before, _, _ = page.partition("<details")
    assert "prod.yaml:21:31: error: error 0 (a whole number)" in before
    assert "error 11 (a whole number)" in page


def test_fleets_that_are_not_seen_are_no_part_of_what_is_as_declared() -> None:
    seen = healths.quiet().fleets[0]
    health = healths.health(seen, FleetHealth(name="broken", fault=FORBIDDEN), FleetHealth(name="new"))
    words = shown(health)
    assert "1 of 3 seen" in words
    assert "16 of 16 resources" in words


def test_of_many_fleets_quota_is_a_line_each_but_for_what_falls_short() -> None:
    plan = healths.quiet().fleets[0].report
    assert plan is not None
    fleets = [healths.fleet(replace(plan.plan, fleet=f"fleet-{number}")) for number in range(5)]
    tight = replace(fleets[2], ledger=Ledger(pools=(healths.pool(takes=60, short=340), healths.pool("westeurope"))))
    page = render_page(healths.health(*fleets[:2], tight, *fleets[3:]))
    unfolded = re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)
    assert unfolded.count('class="bar"') == 1
    assert "2 roomier pools, the tightest with 90 of 300 left of OpenAI.Standard.gpt-4o in swedencentral" in page


def test_answers_are_counted_behind_their_status() -> None:
    assert "200: 410,000; 202: 12; 429: 3" in shown(healths.quiet())


def test_messages_that_do_not_arrive_say_for_how_long() -> None:
    alert = healths.bad().journal.alerts["invalid"]
    letters = tuple(
        Letter(sink="hook", turn=Turn.OPENED, alert=alert, written=healths.NOW - age) for age in (30.0, 660.0)
    )
    assert "2 messages on the way for up to 11 min" in shown(healths.health(journal=Journal(letters=letters)))


def test_a_long_name_does_not_hide_what_is_wrong_with_it() -> None:
    assert title("Account/" + "x" * 400 + ": sku is gone", 240).endswith("x: sku is gone")
    assert title("a < b", 240) == "a &lt; b"


def test_a_time_by_the_clock_says_its_day_where_that_is_another_one() -> None:
    assert moment(healths.NOW - 252, healths.NOW).endswith(">15:29:08 UTC</span>")
    assert moment(healths.NOW - 90_000, healths.NOW).endswith(">2026-11-27 14:33:20 UTC</span>")
    assert moment(inf, 0.0) == moment(None, 0.0) == ""


def test_numbers_stand_beside_every_bar() -> None:
    words = shown(healths.bad())
    assert "210 of 300 used, 90 left: 90k TPM" in words
    assert "150 ours, 40 others', up to 20 held by soft-deleted accounts; the plan takes 60" in words
    assert "uksouth: quota could not be read, so nothing is known about it" in words


def test_what_retires_soon_is_told_with_its_day_and_what_helps() -> None:
    words = shown(healths.bad())
    assert "gpt-35-turbo 2024-08-06" in words
    assert "in 4 days" in words
    assert "declare gpt-4.1 2025-04-14 instead; it fits" in words


def test_many_are_grouped_and_only_counted_until_somebody_looks() -> None:
    page = render_page(healths.large(500))
    assert len(page) < 250_000
    assert "Account: 500 as declared, 5500 resources in all" in shown(healths.large(500))
    assert page.count("<article") < 10
    assert "56 more" in page


def test_who_stands_by_or_only_observes_says_so() -> None:
    assert "stands by" in shown(replace(healths.quiet(), leads=False))
    assert "never: it only observes" in shown(replace(healths.quiet(), observes=True))


def test_a_secret_is_masked() -> None:
    assert "hunter" not in render_page(healths.health(healths.fleet(SECRET)))


def test_a_stopped_plan_says_why() -> None:
    plan = Plan(fleet="prod", decisions=(), steps=(), stopped="7 deletes, and 5 are allowed")
    assert "7 deletes, and 5 are allowed" in shown(healths.health(healths.fleet(plan)))


def test_a_pause_without_an_end_says_that() -> None:
    words = shown(replace(healths.quiet(), pauses=(Pause(until=inf, reason="they cannot be read"),)))
    assert "everything until somebody looks nobody said they cannot be read" in words


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.2, "now"),
        (41, "41 s ago"),
        (-41, "in 41 s"),
        (600, "10 min ago"),
        (7300, "2 h ago"),
        (-200_000, "in 2 days"),
    ],
)
def test_a_time_is_told_as_how_far_it_is(seconds: float, told: str) -> None:
    assert f">{told}</time>" in when(healths.NOW - seconds, healths.NOW)


def test_no_time_is_nothing() -> None:
    assert when(None, 1.0) == when(inf, 1.0) == ""


def test_a_long_name_keeps_both_its_ends_and_is_whole_on_demand() -> None:
    told = name("begin" + "x" * 200 + "end")
    assert told.startswith('<bdi title="begin')
    assert ">begin" in told
    assert told.endswith("end</bdi>")
    assert len(re.sub(r' title="[^"]*"', "", told)) < 150


def test_nothing_makes_no_element() -> None:
    assert (name(""), text(""), table("x", ("a",), []), fold(Html("x"), Html(""))) == ("", "", "", "")
