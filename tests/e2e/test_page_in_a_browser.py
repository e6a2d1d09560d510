"""The page as a real browser has it: nothing is refused by its policy, nothing scrolls sideways, and text is text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from reconciler.model.health import Health
from reconciler.report.metrics import render_metrics
from reconciler.report.page import POLICY, render_page
from reconciler.report.status import render_status
from reconciler.runtime.clock import SystemClock
from reconciler.runtime.server import Front, Place, Ringer, Views, open_front
from tests.report import healths
from tests.support.browser import Browser, Tab, browser

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

HEALTHS = {"quiet": healths.quiet, "bad": healths.bad, "large": healths.large, "hostile": healths.hostile}
# What somebody sees of an element, laid over what is behind it.
CONTRAST = """
(() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  let worst = [99, ''];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.closest('svg') || !element.getClientRects().length) continue;
    const pair = [light(parse(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < worst[0]) worst = [ratio, element.tagName + '.' + element.className];
  }
  return worst;
})()
"""
WIDEST = """
Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll('body *')]
  .filter(each => !each.closest('svg') && !each.closest('thead')).map(each => each.getBoundingClientRect().right))
"""


@asynccontextmanager
async def served(health: Health) -> AsyncIterator[str]:
    clock = SystemClock()
    views = Views(
        look=lambda: health,
        live=lambda _: "",
        ready=lambda _: "",
        metrics=render_metrics,
        status=render_status,
        page=render_page,
        policy=POLICY,
    )
    async with open_front(
        Place(host="127.0.0.1", port=0), Front(views, Ringer("", lambda: None, clock), clock)
    ) as place:
        yield f"http://127.0.0.1:{place.port}/"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


async def unfold(tab: Tab) -> None:
    """Open whatever is only shown on demand."""
    await tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", HEALTHS)
async def test_nothing_is_refused_and_nothing_has_to_be_scrolled_sideways(
    chromium: Browser, kind: str, scheme: str
) -> None:
    async with served(HEALTHS[kind]()) as url:
        for width in (390, 1280):
            tab = await chromium.open(url, width, scheme)
            await unfold(tab)
            assert await tab.evaluate("document.documentElement.clientWidth") == width
            assert await tab.evaluate("document.documentElement.scrollWidth") <= width
            assert await tab.evaluate(WIDEST) <= width + 0.5
            assert tab.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_word_can_be_read(chromium: Browser, scheme: str) -> None:
    for kind in ("quiet", "bad"):
        async with served(HEALTHS[kind]()) as url:
            tab = await chromium.open(url, 1280, scheme)
            await unfold(tab)
            ratio, where = await tab.evaluate(CONTRAST)
            assert ratio >= 4.5, where


async def test_the_scheme_that_somebody_prefers_is_the_one_that_is_shown(chromium: Browser) -> None:
    async with served(healths.quiet()) as url:
        grounds = [
            await (await chromium.open(url, 390, scheme)).evaluate("getComputedStyle(document.body).backgroundColor")
            for scheme in ("light", "dark")
        ]
    assert grounds == ["rgb(247, 246, 243)", "rgb(18, 21, 24)"]


async def test_a_hostile_name_is_text(chromium: Browser) -> None:
    async with served(healths.hostile()) as url:
        tab = await chromium.open(url, 390)
        await unfold(tab)
        assert await tab.evaluate("document.querySelectorAll('script, img, iframe, object').length") == 0
        text = await tab.evaluate("document.body.innerText")
        assert "<script>alert(1)</script>" in text
        assert "\u202e" not in text


async def test_a_policy_that_is_broken_would_be_seen(chromium: Browser) -> None:
    """The other tests hear nothing, and that must mean something."""
    async with served(healths.quiet()) as url:
        tab = await chromium.open(url)
        await tab.evaluate("document.body.setAttribute('style', 'color: red')")
        await tab.evaluate("document.body.append(Object.assign(new Image(), {src: '/metrics'}))")
        await asyncio.wait_for(tab.complained.wait(), 10)
    assert "Content Security Policy" in str(tab.complaints) or "ContentSecurityPolicy" in str(tab.complaints)
