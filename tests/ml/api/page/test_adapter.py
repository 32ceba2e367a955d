"""The page inside the real API on a real PostgreSQL: the same data and the same commands as REST."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ml.api.page.security import BASE_PATH, COOKIE, form_token
from ml.events.ports import StoreUnavailableError
from ml.events.types import DecisionMade
from tests.ml.api import service as full
from tests.ml.api.page.simulated import simulate
from tests.ml.cli.experiment.live import TOKENS, LiveApi, live_api
from tests.support.browser import browsing
from tests.support.postgres import shared_postgres

pytestmark = pytest.mark.slow
RUNNING = simulate("new-ranking", looks=40)


@pytest.fixture(name="api", scope="module")
def _api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    with live_api(tmp_path_factory.mktemp("tokens")) as api:
        api.put(RUNNING)
        yield api


def client(api: LiveApi, scope: str) -> httpx.Client:
    return httpx.Client(base_url=f"{api.url}{BASE_PATH}", cookies={COOKIE: TOKENS[scope]}, trust_env=False)


def test_page_shows_what_rest_says_when_an_experiment_runs(api: LiveApi) -> None:
    with client(api, "read") as page:
        listed, detail = page.get(""), page.get("/experiments/new-ranking")
        older = page.get("/experiments/new-ranking", params={"before": "40"})
    assert (listed.status_code, detail.status_code, older.status_code) == (200, 200, 200)
    assert "new-ranking" in listed.text
    text = html.unescape(detail.text)
    assert "stable 50 %, candidate-a 50 %" in text
    made = [event for event in RUNNING.events if isinstance(event, DecisionMade)]
    shown = re.findall(r'class="hash"[^>]*>|title="([0-9a-f]{64})"', detail.text)
    hashes = [found for found in shown if found]
    assert hashes[0] == made[-1].hash
    assert hashes[1] == made[-1].previous_hash
    assert hashes[2] == made[-2].hash
    assert max(int(row) for row in re.findall(r'<th scope="row">(\d+)</th>', older.text)) < 40
    with client(api, "write") as page:
        assert page.get("/experiments/new-ranking").status_code == 200  # this token reads as well


def test_command_reaches_the_stream_and_the_audit_when_confirmed_on_the_page(api: LiveApi) -> None:
    path = "/experiments/new-ranking/pause"
    with client(api, "decide") as page:
        form = dict(re.findall(r'name="(form|once)" value="([0-9a-f]+)"', page.get(path).text))
        first = page.post(path, data={**form, "why": "upgrade at noon"})
        again = page.post(path, data={**form, "why": "upgrade at noon"})
        refused = page.post(path.replace("pause", "approve"), data={**form, "once": "0", "why": "x"})
    assert (first.status_code, again.status_code) == (303, 303)
    assert refused.status_code == 409
    history = httpx.get(
        f"{api.url}/ml/ab-tests/new-ranking/history",
        params={"after": len(RUNNING.events), "limit": 100},
        headers={"Authorization": f"Bearer {TOKENS['read']}"},
        trust_env=False,
    ).json()["items"]
    issued = [item["event"] for item in history]
    assert [(event["type"], event["action"], event["by"], event["why"]) for event in issued] == [
        ("CommandIssued", "pause", "local:decide", "upgrade at noon")
    ]
    with shared_postgres().connect(api.database.database) as administrator:
        rows = administrator.execute("SELECT subject, target, why FROM api_audit ORDER BY id").fetchall()
    assert ("local:decide", "new-ranking", "upgrade at noon") in rows


def test_command_is_one_when_the_form_comes_again_after_a_lost_connection(service: full.Service) -> None:
    name = service.seed()
    events: Any = service.context.ports.events

    async def lost(*given: Any) -> int:
        del events.append
        await events.append(*given)
        raise StoreUnavailableError("the connection was lost after the commit")

    events.append = lost
    token = full.TOKENS["decide"]
    with httpx.Client(base_url=f"{service.url}{BASE_PATH}", cookies={COOKIE: token}, trust_env=False) as page:
        form = {"form": form_token(token), "once": "a" * 32, "why": "upgrade"}
        answers = [page.post(f"/experiments/{name}/pause", data=form).status_code for _ in range(3)]
    assert answers == [503, 303, 303]
    assert len(service.commands(name)) == 1


def test_page_works_in_a_browser_when_it_is_served_by_the_api(api: LiveApi) -> None:
    with browsing() as visitor:
        visit = visitor.visit(f"{api.url}{BASE_PATH}")
        visit.page.get_by_label("Access token").fill(TOKENS["read"])
        visit.page.keyboard.press("Enter")
        visit.page.get_by_role("link", name="new-ranking").click()
        visit.page.wait_for_selector("svg.chart")
        visit.screenshot("page-from-the-api")
        assert visit.complaints == []
        assert visit.foreign_origins() == set()
