"""The page in a real browser: what assistive technology is told, the keyboard, small screens, life without script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ml.api.page.security import BASE_PATH
from tests.ml.api.page.serving import DECIDE_TOKEN, READ_TOKEN, MemorySource, page_app, serving
from tests.ml.api.page.simulated import BETTER, simulate
from tests.support.browser import Visit, Visitor, browsing

pytestmark = pytest.mark.slow
RUNNING = simulate("new-ranking", looks=40)
_CONTRAST = """() => {
  const channels = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (element) => { for (let e = element; e; e = e.parentElement) {
    const c = channels(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; }
    return [255, 255, 255]; };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const silent = ["TITLE", "DESC", "NOSCRIPT"].includes(element.tagName.toUpperCase());
    if (silent || !node.textContent.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const text = channels(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(text), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${node.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@dataclass
class Site:
    url: str
    source: MemorySource

    def sign_in(self, visitor: Visitor, token: str = DECIDE_TOKEN, path: str = "", **options: object) -> Visit:
        visit = visitor.visit(f"{self.url}{BASE_PATH}{path}", **options)  # type: ignore[arg-type]
        visit.page.get_by_label("Access token").fill(token)
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_url(lambda url: "sign-in" not in url)
        return visit


@pytest.fixture(name="site")
def _site() -> Iterator[Site]:
    source = MemorySource()
    source.put(RUNNING)
    with serving(page_app(source, RUNNING.now)) as url:
        yield Site(url, source)


def test_assistive_technology_is_told_everything_when_an_experiment_is_open(site: Site) -> None:
    with browsing() as visitor:
        visit = site.sign_in(visitor, path="/experiments/new-ranking")
        page = visit.page
        tree = page.locator("body").aria_snapshot()
        visit.screenshot("page-detail")
        assert page.title() == "new-ranking \N{MIDDLE DOT} ML platform"
        assert page.locator("html").get_attribute("lang") == "en"
        levels = [int(text[1]) for text in page.locator("h1,h2,h3").evaluate_all("all => all.map(e => e.tagName)")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(level == 2 for level in levels[1:])
        assert page.get_by_role("img").count() == 2
        descriptions = page.locator("svg desc").all_text_contents()
        assert any("promotion needs at least +" in text for text in descriptions)
        assert visit.complaints == []
        assert visit.foreign_origins() == set()
    for line in (
        "- banner:",
        "- main:",
        "- contentinfo:",
        '- navigation "Main":',
        '- navigation "Commands":',
        '- heading "new-ranking" [level=1]',
        '- region "State":',
        '- img "Difference of conversion, candidate-a minus stable, over time"',
        '- img "Share of the requests per arm over time"',
        '- table "What must not get worse; promotion or rollback may follow from it at any look":',
        '- table "Decision log, newest first":',
        '- columnheader "Hash before"',
        '- rowheader "latency"',
        '- progressbar "Sample so far"',
    ):
        assert line in tree, f"{line} is not in\n{tree}"


def test_keyboard_is_enough_when_somebody_rolls_back(site: Site) -> None:
    with browsing() as visitor:
        visit = site.sign_in(visitor, path="/experiments/new-ranking")
        page = visit.page
        page.keyboard.press("Tab")
        assert page.locator(":focus").inner_text() == "Skip to content"
        assert page.locator(":focus").evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
        walked: list[str] = []
        for _ in range(12):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            walked.append((focused.get_attribute("aria-label") or focused.inner_text()).strip())
        assert walked[:8] == [
            "ML platform",
            "Experiments",
            "Sign out",
            "Pause\N{HORIZONTAL ELLIPSIS}",
            "Promote\N{HORIZONTAL ELLIPSIS}",
            "Roll back\N{HORIZONTAL ELLIPSIS}",
            "Stop\N{HORIZONTAL ELLIPSIS}",
            "The same as a table",
        ]
        page.get_by_role("link", name="Roll back").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/rollback")
        assert page.locator(":focus").get_attribute("id") == "why"
        page.keyboard.type("P95 too high")
        page.keyboard.press("Tab")
        visit.screenshot("page-confirm")
        page.keyboard.press("Enter")
        page.wait_for_url("**/experiments/new-ranking?done=rollback")
        assert "Asked for: roll back" in page.get_by_role("status").first.inner_text()
        assert visit.complaints == []
    assert site.source.issued == [("grace", "new-ranking", "rollback", None, "P95 too high")]


def test_page_renews_itself_without_losing_the_reader_s_place_when_something_happens(site: Site) -> None:
    with browsing() as visitor:
        visit = site.sign_in(visitor, READ_TOKEN, path="/experiments/new-ranking")
        page = visit.page
        before = page.locator(".sentence").inner_text()
        page.locator("#traffic-data summary").focus()
        page.keyboard.press("Enter")
        assert page.locator("#heard").inner_text() == ""
        site.source.put(simulate("new-ranking", looks=60))
        page.wait_for_function("text => document.querySelector('.sentence').textContent !== text", arg=before)
        assert page.locator("#traffic-data").get_attribute("open") is not None
        assert page.locator(":focus").evaluate("e => e.parentElement.id") == "traffic-data"
        assert page.locator("#heard").inner_text() == page.locator(".sentence").inner_text()
        assert page.locator("#heard").get_attribute("aria-live") == "polite"
        assert visit.complaints == []


def test_commands_go_away_when_the_experiment_ends_while_somebody_looks(site: Site) -> None:
    with browsing() as visitor:
        visit = site.sign_in(visitor, path="/experiments/new-ranking")
        commands = visit.page.get_by_role("navigation", name="Commands")
        commands.get_by_role("link", name="Roll back").wait_for()
        site.source.put(simulate("new-ranking", BETTER, looks=120))
        commands.wait_for(state="detached")
        assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_and_fits_when_the_screen_is_small(site: Site, scheme: str) -> None:
    with browsing() as visitor:
        for path in ("", "/experiments/new-ranking", "/experiments/new-ranking/stop"):
            visit = site.sign_in(visitor, path=path, viewport=(360, 740), color_scheme=scheme, reduced_motion=True)
            page = visit.page
            page.locator("details").evaluate_all("all => all.forEach(e => { e.open = true; })")
            visit.screenshot(f"page-small-{scheme}{re.sub('[^a-z]+', '-', path)}")
            assert page.evaluate("document.documentElement.scrollWidth") == 360, path
            assert page.evaluate(_CONTRAST) == [], path
            durations = "() => [...document.querySelectorAll('*')].map(e => getComputedStyle(e).transitionDuration)"
            assert set(page.evaluate(durations)) == {"0s"}
            assert visit.complaints == []


def test_everything_can_be_seen_and_done_when_there_is_no_script(site: Site) -> None:
    with browsing() as visitor:
        visit = site.sign_in(visitor, javascript=False)
        page = visit.page
        page.get_by_role("link", name="new-ranking").click()
        assert page.get_by_role("heading", level=1).inner_text() == "new-ranking"
        assert page.locator("svg.chart").count() == 2
        refresh = page.locator("meta[http-equiv=refresh]")
        assert refresh.count() == 1
        page.get_by_role("link", name="Pause").click()
        page.get_by_label("Why").fill("upgrade")
        page.get_by_role("button", name="Pause").click()
        page.wait_for_url("**?done=pause")
        assert visit.foreign_origins() == set()
    assert site.source.issued == [("grace", "new-ranking", "pause", None, "upgrade")]
