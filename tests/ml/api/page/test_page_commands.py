"""What people ask for on the page, over real HTTP: who may, what is issued, and what comes back when it is refused."""

from __future__ import annotations

import re

import pytest

from ml.api.page.security import BASE_PATH
from tests.ml.api.page.serving import DECIDE_TOKEN, READ_TOKEN
from tests.ml.api.page.site import Site, form_of


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


@pytest.mark.parametrize("field", ["why", "once", "arm", "form", "other\x00"])
def test_nothing_is_issued_when_a_text_of_the_form_cannot_be_stored(site: Site, field: str) -> None:
    with site.client(DECIDE_TOKEN) as client:
        path = "/experiments/new-ranking/stop"
        data = {"form": form_of(client, path), "why": "reason", field: "a\x00b"}
        answer = client.post(path, data=data)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert "U+0000" in answer.text
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
