"""The page's addresses over real HTTP: who may see and do what, and what comes back when something is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx
import pytest

from ml.api.page.security import BASE_PATH, COOKIE
from ml.api.page.source import DecisionRow, RefusedError
from ml.events.ports import StoreUnavailableError
from tests.ml.api.page.serving import (
    DECIDE_TOKEN,
    READ_TOKEN,
    WRITE_TOKEN,
    MemorySource,
    page_app,
    serving,
)
from tests.ml.api.page.simulated import BETTER, World, simulate, specification

RUNNING = simulate("new-ranking")
ENDED = simulate(
    "shorter-prompt",
    BETTER,
)
THREE = simulate(
    "three-arms",
    World(
        conversion=dict.fromkeys(("stable", "candidate-a", "candidate-b"), 0.1),
        slow=dict.fromkeys(("stable", "candidate-a", "candidate-b"), 0.01),
        failed=dict.fromkeys(("stable", "candidate-a", "candidate-b"), 0.01),
    ),
    looks=20,
    spec=specification(("candidate-a", "candidate-b")),
)


@dataclass
class Site:
    url: str
    source: MemorySource

    def client(self, token: str = "") -> httpx.Client:
        cookies = {COOKIE: token} if token else {}
        return httpx.Client(base_url=f"{self.url}{BASE_PATH}", cookies=cookies, trust_env=False)


@pytest.fixture(name="site", scope="module")
def _site() -> Iterator[Site]:
    source = MemorySource()
    with serving(page_app(source, RUNNING.now)) as url:
        yield Site(url, source)


@pytest.fixture(autouse=True)
def _fresh(site: Site) -> None:
    site.source.experiments_by_name.clear()
    site.source.issued.clear()
    site.source.page_size = 50
    site.source.put(RUNNING, ENDED, THREE)


def form_of(client: httpx.Client, path: str) -> str:
    found = re.search(r'name="form" value="([0-9a-f]{64})"', client.get(path).text)
    assert found is not None
    return found[1]


# Signing in -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/experiments/new-ranking", "/experiments/new-ranking/stop"])
@pytest.mark.parametrize("token", ["", "x" * 40, WRITE_TOKEN])
def test_nothing_is_shown_when_the_token_may_not_read(site: Site, path: str, token: str) -> None:
    with site.client(token) as client:
        answer = client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{BASE_PATH}/sign-in")
    assert "new-ranking" not in answer.text


def test_cookie_is_out_of_reach_of_scripts_and_other_sites_when_signed_in(site: Site) -> None:
    with site.client() as client:
        answer = client.post("/sign-in", data={"token": f" {READ_TOKEN}\n", "next": f"{BASE_PATH}/experiments/x"})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{BASE_PATH}/experiments/x"
    cookie = answer.headers["set-cookie"]
    for part in (f"{COOKIE}={READ_TOKEN}", "HttpOnly", "SameSite=strict", f"Path={BASE_PATH}", "Max-Age="):
        assert part in cookie
    assert "Secure" not in cookie  # plain HTTP on loopback
    with site.client() as client:
        secure = client.post("/sign-in", data={"token": READ_TOKEN}, headers={"x-forwarded-proto": "https"})
    assert "Secure" in secure.headers["set-cookie"]


@pytest.mark.parametrize(
    "token", ["", " ", "x" * 40, WRITE_TOKEN, "a;b", "\N{SNOWMAN}" * 40, "r" * 9000, f"{READ_TOKEN}, x"]
)
def test_sign_in_is_refused_when_the_token_is_no_good(site: Site, token: str) -> None:
    with site.client() as client:
        answer = client.post("/sign-in", data={"token": token})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "not valid" in answer.text
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example",
        f"{BASE_PATH}/experiments/../../../x",
        "/ml/ab-tests/uix",
        "javascript:x",
    ],
)
def test_nobody_is_led_away_when_the_next_address_is_foreign(site: Site, path: str) -> None:
    with site.client() as client:
        answer = client.post("/sign-in", data={"token": READ_TOKEN, "next": path})
    assert answer.headers["location"] == BASE_PATH


def test_sign_in_is_refused_when_another_site_sends_the_form(site: Site) -> None:
    with site.client() as client:
        answer = client.post("/sign-in", data={"token": READ_TOKEN}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers


def test_session_ends_when_signing_out(site: Site) -> None:
    with site.client(READ_TOKEN) as client:
        assert client.post("/sign-out", data={"form": "0" * 64}).status_code == 403
        answer = client.post("/sign-out", data={"form": form_of(client, "")})
    assert answer.status_code == 303
    assert 'mlp_page_token="";' in answer.headers["set-cookie"]
    assert "Max-Age=0" in answer.headers["set-cookie"]


# Reading --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/sign-in", "/experiments/new-ranking", "/experiments/none", "/static/page.css"])
def test_headers_forbid_everything_foreign_when_anything_is_answered(site: Site, path: str) -> None:
    with site.client(READ_TOKEN) as client:
        answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=", answer.text)
    assert not re.search(r'(src|href|action)="(?!/|#)', answer.text)


def test_list_is_filtered_and_paged_when_asked(site: Site) -> None:
    with site.client(READ_TOKEN) as client:
        everything = client.get("").text
        promoted = client.get("", params={"phase": "Promoted"}).text
        named = client.get("", params={"name": "three"}).text
        nothing = client.get("", params={"phase": "Nonsense"}).text
        site.source.page_size = 2
        first = client.get("").text
        second = client.get("", params={"cursor": "2"}).text
    assert all(name in everything for name in ("new-ranking", "shorter-prompt", "three-arms"))
    assert "shorter-prompt" in promoted
    assert "new-ranking" not in promoted
    assert "three-arms" in named
    assert "new-ranking" not in named
    assert "No experiment matches" in nothing
    assert "cursor=2" in first
    assert "Older" not in second
    assert "Newest" in second


def test_detail_says_what_is_known_when_the_experiment_runs(site: Site) -> None:
    with site.client(READ_TOKEN) as client:
        text = client.get("/experiments/new-ranking").text
    results = RUNNING.results()
    assert "Running, day 2 of 14: not decided, 6" in text
    assert "Sound: the arms hold the promised shares" in text
    assert "gateway upgrade &lt;script&gt;" in text
    for heading in ("State", "Traffic", "Guardrails", "Metrics per arm", "Sample ratio", "Decisions", "Commands"):
        assert f">{heading}</h2>" in text
    last = [stored for stored in RUNNING.stored() if stored.event.type == "DecisionMade"][-1].event
    assert last.type == "DecisionMade"
    assert f'title="{last.hash}"' in text
    assert f'title="{last.previous_hash}"' in text
    assert f"{results.arms[0].units:,}" in text
    assert "<noscript><meta" in text
    assert "Roll back" not in text  # a read token is offered no command


def test_page_does_not_renew_itself_when_the_experiment_has_ended(site: Site) -> None:
    with site.client(DECIDE_TOKEN) as client:
        text = client.get("/experiments/shorter-prompt").text
    assert "Promoted: candidate-a is the new champion after" in text
    assert "live.js" not in text
    assert "http-equiv" not in text
    assert "/experiments/shorter-prompt/stop" not in text


def test_answer_is_empty_when_nothing_has_changed(site: Site) -> None:
    with site.client(READ_TOKEN) as client:
        first = client.get("/experiments/new-ranking")
        again = client.get("/experiments/new-ranking", headers={"If-None-Match": first.headers["etag"]})
        site.source.put(simulate("new-ranking", looks=61))
        changed = client.get("/experiments/new-ranking", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize("before", ["30", "1", "-1", "x", "9" * 40, "\N{SUPERSCRIPT TWO}"])
def test_log_goes_back_in_time_when_asked(site: Site, before: str) -> None:
    with site.client(READ_TOKEN) as client:
        answer = client.get("/experiments/new-ranking", params={"before": before})
    assert answer.status_code == 200
    rows = [int(found) for found in re.findall(r'<tr><th scope="row">(\d+)</th>', answer.text)]
    if before == "30":
        assert max(rows) < 30
        assert "Newest decisions" in answer.text


@pytest.mark.parametrize("name", ["none", "a%2Fb", "%3Cscript%3E", "..%2f..", "x" * 300])
def test_a_page_says_so_when_there_is_no_such_experiment(site: Site, name: str) -> None:
    with site.client(READ_TOKEN) as client:
        answer = client.get(f"/experiments/{name}")
    assert answer.status_code == 404
    assert "<script>" not in answer.text
    assert answer.headers["content-type"].startswith("text/")


@pytest.mark.parametrize("name", ["page.css", "live.js", "icon.svg"])
def test_asset_is_kept_by_browsers_when_fetched(site: Site, name: str) -> None:
    with site.client() as client:
        answer = client.get(f"/static/{name}")
        missing = client.get("/static/..%2f__init__.py")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert missing.status_code == 404


def test_page_says_try_again_when_the_store_is_gone() -> None:
    class Gone(MemorySource):
        async def decisions(self, experiment: str, before: int | None, limit: int) -> Sequence[DecisionRow]:
            raise StoreUnavailableError(f"no answer for {experiment}, {before}, {limit}")

    source = Gone()
    source.put(RUNNING)
    with serving(page_app(source, RUNNING.now)) as url, Site(url, source).client(READ_TOKEN) as client:
        answer = client.get("/experiments/new-ranking")
    assert answer.status_code == 503
    assert "The event store does not answer" in answer.text


# Commands -------------------------------------------------------------------------------------------------------------


def test_command_is_issued_with_name_and_reason_when_confirmed(site: Site) -> None:
    with site.client(DECIDE_TOKEN) as client:
        path = "/experiments/new-ranking/rollback"
        answer = client.post(path, data={"form": form_of(client, path), "why": " too\r\nslow "})
        after = client.get(answer.headers["location"].removeprefix(BASE_PATH))
    assert answer.status_code == 303
    assert site.source.issued == [("grace", "new-ranking", "rollback", None, "too slow")]
    assert "Asked for: roll back" in after.text


def test_command_is_issued_once_when_the_button_is_pressed_twice(site: Site) -> None:
    with site.client(DECIDE_TOKEN) as client:
        path = "/experiments/new-ranking/pause"
        once = re.search(r'name="once" value="([0-9a-f]{32})"', client.get(path).text)
        assert once is not None
        data = {"form": form_of(client, path), "once": once[1], "why": "x"}
        answers = [client.post(path, data=data).status_code for _ in range(2)]
    assert answers == [303, 303]
    assert len(site.source.issued) == 1


def test_arm_is_asked_for_when_there_are_several(site: Site) -> None:
    with site.client(DECIDE_TOKEN) as client:
        path = "/experiments/three-arms/promote"
        assert 'name="arm"' in client.get(path).text
        client.post(path, data={"form": form_of(client, path), "why": "x", "arm": "candidate-b"})
    assert site.source.issued == [("grace", "three-arms", "promote", "candidate-b", "x")]


@pytest.mark.parametrize(
    ("changes", "headers", "status"),
    [
        ({"form": ""}, {}, 403),
        ({"form": "0" * 64}, {}, 403),
        ({"form": "\N{SNOWMAN}"}, {}, 403),
        ({}, {"sec-fetch-site": "cross-site"}, 403),
        ({}, {"content-type": "text/plain"}, 403),
        ({"why": "  "}, {}, 422),
        ({"why": "x" * 501}, {}, 422),
        ({"why": "x" * 20_000}, {}, 403),
    ],
)
def test_nothing_is_issued_when_the_form_is_not_right(
    site: Site, changes: dict[str, str], headers: dict[str, str], status: int
) -> None:
    with site.client(DECIDE_TOKEN) as client:
        path = "/experiments/new-ranking/stop"
        data = {"form": form_of(client, path), "why": "reason", **changes}
        answer = client.post(path, data=data, headers=headers)
    assert answer.status_code == status
    assert site.source.issued == []


def test_form_of_another_session_is_refused_when_sent(site: Site) -> None:
    with site.client(READ_TOKEN) as client:
        foreign = form_of(client, "")
    with site.client(DECIDE_TOKEN) as client:
        answer = client.post("/experiments/new-ranking/stop", data={"form": foreign, "why": "x"})
    assert answer.status_code == 403
    assert site.source.issued == []


def test_command_is_refused_when_the_token_may_only_read(site: Site) -> None:
    with site.client(READ_TOKEN) as client:
        form = form_of(client, "")
        shown = client.get("/experiments/new-ranking/stop")
        answer = client.post("/experiments/new-ranking/stop", data={"form": form, "why": "x"})
    assert shown.status_code == answer.status_code == 403
    assert "decide token" in answer.text
    assert site.source.issued == []


def test_reason_is_kept_in_the_form_when_the_phase_is_wrong(site: Site) -> None:
    with site.client(DECIDE_TOKEN) as client:
        path = "/experiments/shorter-prompt/stop"
        answer = client.post(path, data={"form": form_of(client, path), "why": "my reason"})
    assert answer.status_code == 409
    assert "Wrong phase" in answer.text
    assert ">my reason</textarea>" in answer.text


@pytest.mark.parametrize("action", ["explode", "Stop", "pause%20"])
def test_not_found_when_the_command_does_not_exist(site: Site, action: str) -> None:
    with site.client(DECIDE_TOKEN) as client:
        assert client.get(f"/experiments/new-ranking/{action}").status_code == 404
        form = form_of(client, "")
        assert client.post(f"/experiments/new-ranking/{action}", data={"form": form, "why": "x"}).status_code == 404
    assert site.source.issued == []


def test_refusal_is_a_page_when_a_cursor_is_bad(site: Site) -> None:
    with site.client(READ_TOKEN) as client:
        answer = client.get("", params={"cursor": "nonsense"})
    assert answer.status_code == 400
    assert RefusedError.__name__ not in answer.text
    assert "Bad cursor" in answer.text
