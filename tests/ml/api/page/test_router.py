"""The page's addresses over real HTTP: who may see what, and what comes back when something is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from fastapi import Request, Response

from ml.api.page.security import BASE_PATH, COOKIE, LONGEST_TOKEN, keep_session
from ml.api.page.source import DecisionRow, RefusedError
from ml.events.ports import StoreUnavailableError
from ml.kubernetes import ApiError
from tests.ml.api.page.serving import DECIDE_TOKEN, READ_TOKEN, WRITE_TOKEN, MemorySource, page_app, serving
from tests.ml.api.page.simulated import simulate
from tests.ml.api.page.site import RUNNING, Site, form_of

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
    "token", ["", " ", "x" * 40, WRITE_TOKEN, "a;b", "\N{SNOWMAN}" * 40, "x" * LONGEST_TOKEN, f"{READ_TOKEN}, x"]
)
def test_sign_in_is_refused_when_the_token_is_no_good(site: Site, token: str) -> None:
    with site.client() as client:
        answer = client.post("/sign-in", data={"token": token})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "not valid" in answer.text
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize("length", [LONGEST_TOKEN + 1, 9000])
def test_sign_in_says_what_to_do_when_no_browser_would_keep_the_token(site: Site, length: int) -> None:
    with site.client() as client:
        answer = client.post("/sign-in", data={"token": "r" * length, "next": f"{BASE_PATH}/experiments/x"})
    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers
    assert f"{length:,} characters" in answer.text
    assert f"at most {LONGEST_TOKEN:,}" in answer.text
    assert "fewer claims" in answer.text
    assert f'value="{BASE_PATH}/experiments/x"' in answer.text


def test_cookie_is_one_that_browsers_keep_when_the_token_is_as_long_as_allowed() -> None:
    response = Response()
    request = Request({"type": "http", "scheme": "https", "headers": [], "path": "/", "method": "GET"})
    keep_session(request, response, "r" * LONGEST_TOKEN)
    assert len(response.headers["set-cookie"].encode()) <= 4096


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


def test_page_says_try_again_when_kubernetes_is_away() -> None:
    class Away(MemorySource):
        async def models(self) -> Sequence[str]:
            raise ApiError("the API server is away")

    source = Away()
    with serving(page_app(source, RUNNING.now)) as url, Site(url, source).client(READ_TOKEN) as client:
        answer = client.get("")
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("text/html")
    assert "The Kubernetes API does not answer" in answer.text


def test_refusal_is_a_page_when_a_cursor_is_bad(site: Site) -> None:
    with site.client(READ_TOKEN) as client:
        answer = client.get("", params={"cursor": "nonsense"})
    assert answer.status_code == 400
    assert RefusedError.__name__ not in answer.text
    assert "Bad cursor" in answer.text
