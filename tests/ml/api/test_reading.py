"""Reading experiments over HTTP, from a real event store."""

from __future__ import annotations

import pytest

from ml.api.page.security import BASE_PATH as PAGE_PATH
from ml.api.page.security import COOKIE
from ml.events.decisions import replay
from ml.events.ports import Stored
from ml.events.types import EXPERIMENT_EVENTS, CommandIssued
from tests.ml.api.service import TOKENS, Service, pages

pytestmark = pytest.mark.slow
BASE = "/ml/ab-tests"


def test_show_gives_the_experiment_with_what_it_promised_when_it_exists(service: Service) -> None:
    name = service.seed()
    with service.client() as client:
        shown = client.get(f"{BASE}/{name}").raise_for_status().json()
    assert (shown["name"], shown["phase"], shown["createdBy"], shown["namespace"]) == (
        name,
        "Running",
        "ann",
        "platform",
    )
    assert shown["weights"] == {"stable": 500, "candidate-a": 500}
    assert shown["specification"]["primary"]["name"] == "conversion"
    assert shown["lastDecision"]["action"] == "continue"
    assert shown["position"] == 6


def test_show_finds_by_id_when_given_one(service: Service) -> None:
    name = service.seed()
    with service.client() as client:
        assert client.get(f"{BASE}/uid-{name}").json()["name"] == name


def test_show_answers_not_modified_when_the_client_has_it(service: Service) -> None:
    name = service.seed()
    with service.client() as client:
        etag = client.get(f"{BASE}/{name}").headers["etag"]
        again = client.get(f"{BASE}/{name}", headers={"if-none-match": f'"other", {etag}'})
        other = client.get(f"{BASE}/{name}", headers={"if-none-match": '"other"'})
    assert (again.status_code, again.content) == (304, b"")
    assert other.status_code == 200


def test_list_gives_every_experiment_once_when_paged(service: Service) -> None:
    names = [service.seed(f"paged-{number}") for number in range(5)]
    with service.client() as client:
        listed = [item["name"] for item in pages(client, BASE, name="paged-")]
        ended = client.get(BASE, params={"phase": "Promoted"}).json()["items"]
    assert sorted(listed) == sorted(names)
    assert ended == []


def test_history_replays_bit_for_bit_when_downloaded(service: Service) -> None:
    name = service.seed(looks=4)
    events: list[Stored] = []
    after = 0
    with service.client() as client:
        while True:
            page = client.get(f"{BASE}/{name}/history", params={"after": after, "limit": 3}).raise_for_status().json()
            events += [
                Stored(
                    stream=item["stream"],
                    position=item["position"],
                    event=EXPERIMENT_EVENTS.validate_python(item["event"]),
                )
                for item in page["items"]
            ]
            if page["nextAfter"] is None:
                break
            after = page["nextAfter"]
    replayed = replay(events)
    assert len(replayed) == 4
    assert all(decision.ok for decision in replayed)


def test_decisions_come_in_order_with_their_evidence_when_paged(service: Service) -> None:
    name = service.seed(looks=3)
    with service.client() as client:
        first = client.get(f"{BASE}/{name}/decisions", params={"limit": 2}).json()
        rest = client.get(f"{BASE}/{name}/decisions", params={"after": first["nextAfter"]}).json()
    positions = [item["position"] for item in (*first["items"], *rest["items"])]
    assert positions == [4, 5, 6]
    assert rest["nextAfter"] is None
    assert {item["metric"] for item in first["items"][0]["decision"]["evidence"]} >= {"conversion", "correct"}


def test_results_give_intervals_and_the_way_there_when_decisions_were_made(service: Service) -> None:
    name = service.seed(looks=5)
    with service.client() as client:
        found = client.get(f"{BASE}/{name}/results").raise_for_status().json()
    assert found["control"] == "stable"
    assert found["treatments"] == ["candidate-a"]
    assert found["primary"]["plannedPerArm"] > 1000
    assert len(found["timeline"]) == 5
    assert found["sampleRatio"]["sound"] is True
    assert {(item["metric"], item["role"]) for item in found["evidence"]} >= {("conversion", "primary")}


@pytest.mark.parametrize("part", ["", "/history", "/decisions", "/results", "/commands"])
def test_reading_is_a_404_when_there_is_no_such_experiment(service: Service, part: str) -> None:
    with service.client() as client:
        answer = client.get(f"{BASE}/nobody{part}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "nobody" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"limit": "0"}, "query/limit"),
        ({"limit": "201"}, "query/limit"),
        ({"limit": "many"}, "query/limit"),
        ({"phase": "running"}, "query/phase"),
        ({"model": "No Model"}, "query/model"),
        ({"cursor": "bogus"}, "query/cursor"),
        ({"colour": "blue"}, "query/colour"),
    ],
)
def test_list_names_the_parameter_when_it_is_wrong(service: Service, query: dict[str, str], pointer: str) -> None:
    with service.client() as client:
        answer = client.get(BASE, params=query)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_everything_can_be_read_when_a_reason_holds_characters_that_no_column_can(service: Service) -> None:
    name, said = service.seed(), "a\0b\ud800c"
    asked = CommandIssued(at=7000.0, command="odd", action="pause", by="ann", why=said, source="kubectl")
    stream = f"experiment-uid-{name}"
    service.call(service.context.ports.events.append(stream, 6, [asked]))
    service.wait_for(f"uid-{name}", 7)
    with service.client() as client:
        commands = client.get(f"{BASE}/{name}/commands").raise_for_status().json()["items"]
        history = client.get(f"{BASE}/{name}/history", params={"after": 6}).raise_for_status().json()["items"]
        query = "query($name: String!) { experiment(name: $name) { commands { why } } }"
        graph = client.post("/ml/graphql", json={"query": query, "variables": {"name": name}}).json()
        page = client.get(f"{PAGE_PATH}/experiments/{name}", headers={"cookie": f"{COOKIE}={TOKENS['read']}"})
    assert [item["why"] for item in commands] == ["a\ufffdb\ufffdc"]
    assert history[0]["event"]["why"] == said, "the log says what was said"
    assert graph["data"]["experiment"]["commands"] == [{"why": "a\ufffdb\ufffdc"}]
    assert (page.status_code, "a\ufffdb" in page.text) == (200, True)
