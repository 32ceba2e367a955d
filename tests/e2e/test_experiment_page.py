"""People at work on an experiment that runs behind the gateway: with `mlp`, in a browser, and against other people."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from ml import contracts
from tests.e2e.application import Application
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.experiments import (
    CANDIDATE,
    HARD_TO_FIND,
    MODEL,
    STABLE,
    champion_kept,
    create,
    deploy,
    events,
    of_type,
    reaches,
    spec,
    status_of,
    version_of,
)
from tests.support.browser import Visit, Visitor, browsing

pytestmark = pytest.mark.e2e

_NAME = "a-longer-explanation-below-every-score-for-readers-of-abstracts"
"""As long as a name may be."""
_PAGE = "/ml/ab-tests/ui"
_PLAIN_HTTP = "The Cross-Origin-Opener-Policy header has been ignored"
"""What a browser says of every page with this header that did not come over HTTPS, as in the embedded cluster."""
_DRIFTS = 5
_HALVES = {STABLE: 500, CANDIDATE: 500}
_OPTIONS = (
    *("--model", MODEL, "--metric", "converted", "--baseline", "0.3", "--effect", "0.01"),
    *("--users-per-day", "20000000", "--days", "0.007", "--ramp-minutes", "0"),
)


def mlp(cluster: Cluster, *arguments: str) -> str:
    """Run `mlp experiment` and return what it prints."""
    done: CompletedProcess[str] = cluster.mlp("experiment", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def champion_version(cluster: Cluster) -> Iterator[str]:
    with champion_kept(cluster) as version:
        yield version


@pytest.fixture(scope="module")
def watched(cluster: Cluster, champion_version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An experiment from a file, half of the users on each arm, some decisions old, with users who go on coming."""
    assigned = cluster.mlp("assign", f"{MODEL}/{CANDIDATE}", champion_version)
    assert f"{CANDIDATE}: version {champion_version}" in assigned.stdout, assigned.stdout + assigned.stderr
    deploy(cluster, CANDIDATE, champion_version)
    file = tmp_path_factory.mktemp("asked") / "spec.json"
    ramp = {"durationSeconds": 0, "steps": 1}
    secondary = [{"name": "minutes_until_the_reader_came_back", "aggregation": "mean"}]
    rails = [*spec()["guardrails"], {"kind": "outcome", "name": "minutes_until_the_reader_came_back"}]
    file.write_text(json.dumps(spec(**HARD_TO_FIND, ramp=ramp, secondary=secondary, guardrails=rails)))
    made = mlp(cluster, "create", _NAME, "--file", str(file))
    assert f"experiment {_NAME} on {MODEL} is created" in made
    rates = {"converted": 0.3, "correct": 0.9, "minutes_until_the_reader_came_back": 0.5}
    with Application(cluster, MODEL, {STABLE: rates, CANDIDATE: rates}, concurrency=2):
        eventually(
            lambda: len(of_type(events(cluster, _NAME), "DecisionMade")) >= 5,
            within_seconds=90,
            what="some decisions are taken",
        )
        yield _NAME


def test_weights_are_repaired_within_one_reconcile_when_somebody_changes_them(
    cluster: Cluster, champion_version: str
) -> None:
    """Counted from the moment the wrong weights were written, until the gateway was seen to have the right ones again.

    Nobody reports outcomes meanwhile: users who came between two weights would make the sample ratio suspect, and this
    happens before other tests begin to send some.
    """
    deploy(cluster, CANDIDATE, champion_version)
    create(cluster, "drifting", **HARD_TO_FIND, ramp={"durationSeconds": 0, "steps": 1})
    reaches(cluster, "drifting", "Running", "HoldNoData")
    eventually(lambda: cluster.gateway_weights(MODEL) == _HALVES, within_seconds=30, what="half of the users")
    seconds: list[float] = []
    for stable in range(100, 100 + _DRIFTS):
        began = time.time()
        cluster.set_weights(MODEL, {STABLE: stable, CANDIDATE: 1000 - stable})
        written = time.time()
        eventually(
            lambda since=began: repaired_at(cluster, "drifting", since) is not None,
            within_seconds=30,
            what="the repair",
        )
        seconds.append((repaired_at(cluster, "drifting", began) or 0.0) - written)
        assert cluster.gateway_weights(MODEL) == _HALVES
    print(f"drifted weights repaired after {', '.join(f'{value:.2f}' for value in seconds)} s")
    mlp(cluster, "stop", "drifting", "--why", "all has been seen")
    reaches(cluster, "drifting", "Cancelled")


def repaired_at(cluster: Cluster, name: str, since: float) -> float | None:
    """Return when the weights were seen to be right again after they were seen to be wrong."""
    epochs = [event for event in of_type(events(cluster, name), "EpochStarted") if event["at"] > since]
    right = [event["at"] for event in epochs if event["weights"] == _HALVES]
    return right[-1] if right and not any(epochs[0]["weights"].values()) else None


def test_mlp_tells_everything_when_an_experiment_runs(cluster: Cluster, watched: str, tmp_path: Path) -> None:
    listed: list[dict[str, Any]] = json.loads(mlp(cluster, "list", "--model", MODEL, "--json"))
    assert [item["phase"] for item in listed if item["name"] == watched] == ["Running"]
    assert watched in mlp(cluster, "list", "--phase", "Running")
    shown = mlp(cluster, "show", watched)
    assert "stable 50 %, candidate-a 50 %" in shown
    assert "converted: candidate-a minus stable" in shown
    assert "Sample ratio: Sound" in shown
    assert f"# Experiment {watched}" in mlp(cluster, "results", watched)
    report = tmp_path / "report.html"
    mlp(cluster, "results", watched, "--format", "html", "--output", str(report))
    assert report.read_text(encoding="utf-8").count("<svg") == 2
    assert "derived again" in mlp(cluster, "replay", watched)
    missing = cluster.mlp("experiment", "show", "nothing-of-this-name")
    assert missing.returncode == 1
    assert "remedy: see `mlp experiment list`" in missing.stderr


def test_person_rolls_back_in_the_browser_when_the_page_is_behind_the_gateway(cluster: Cluster, watched: str) -> None:
    host = str(cluster.outputs["hosts"]["api"])
    with browsing({host: cluster.instance.gateway_address}) as visitor:
        look_around(cluster, visitor, f"http://{host}{_PAGE}", watched)
        visit = signed_in(cluster, visitor, f"http://{host}{_PAGE}/experiments/{watched}", "decide")
        visit.page.get_by_role("link", name="Roll back").click()
        visit.page.get_by_label("Why").fill("the explanation hides the score on small screens")
        visit.screenshot("experiment-confirm")
        visit.page.get_by_role("button", name="Roll back").click()
        visit.page.wait_for_url("**?done=rollback")
        visit.page.get_by_text("the explanation hides the score").first.wait_for()
        reaches(cluster, watched, "RolledBack")
        visit.page.get_by_text("Rolled back", exact=True).first.wait_for()  # the page renews itself
        visit.screenshot("experiment-rolled-back")
        assert complaints(visit) == []
        assert visit.foreign_origins() == set()
    record = events(cluster, watched)
    asked = of_type(record, "CommandIssued")[-1]
    assert (asked["action"], asked["by"]) == ("rollback", "local:decide")
    gone = next(event["at"] for event in of_type(record, "StepDone") if event["step"] == "weight_to_control")
    print(f"rollback by hand: weight 0 {gone - asked['at']:.2f} s after it was asked for")
    assert cluster.gateway_weights(MODEL) == {STABLE: 1000}


def look_around(cluster: Cluster, visitor: Visitor, url: str, name: str) -> None:
    """Open the pages that a reader sees, on a large and on a small screen, in light and dark."""
    visit = visitor.visit(url)
    visit.screenshot("experiment-sign-in")
    visit = signed_in(cluster, visitor, url, "read")
    visit.page.get_by_role("link", name=name).wait_for()
    visit.screenshot("experiment-list")
    visit.page.goto(f"{url}?name=nothing-of-this-name")
    visit.page.get_by_text("No experiment matches").wait_for()
    visit.screenshot("experiment-list-empty")
    visit.page.goto(url)
    visit.page.get_by_role("link", name=name).click()
    visit.page.wait_for_selector("svg.chart")
    visit.screenshot("experiment-detail")
    assert visit.page.get_by_role("link", name="Roll back").count() == 0  # this token only reads
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 1280
    assert complaints(visit) == []
    small = signed_in(cluster, visitor, f"{url}/experiments/{name}", "read", viewport=(360, 740), color_scheme="dark")
    small.page.wait_for_selector("svg.chart")
    small.screenshot("experiment-detail-small-dark")
    assert small.page.evaluate("document.documentElement.scrollWidth") == 360
    small.page.goto(url)
    small.screenshot("experiment-list-small-dark")
    assert small.page.evaluate("document.documentElement.scrollWidth") == 360
    assert complaints(small) == []
    for made in (visit, small):
        assert made.foreign_origins() == set()


def complaints(visit: Visit) -> list[str]:
    """Return what the browser complained about, but for what plain HTTP brings with it."""
    return [text for text in visit.complaints if not text.startswith(_PLAIN_HTTP)]


def signed_in(cluster: Cluster, visitor: Visitor, url: str, scope: str, **screen: Any) -> Visit:
    """Open a page and sign in with the token of the stack's own Secret."""
    secret = cluster.get("secret", cluster.outputs["api"]["tokenSecret"])
    visit = visitor.visit(url, **screen)
    visit.page.get_by_label("Access token").fill(base64.b64decode(secret["data"][scope]).decode())
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url(lambda address: "sign-in" not in address)
    return visit


def test_mlp_stops_rolls_back_and_promotes_when_asked_to(cluster: Cluster, champion_version: str) -> None:
    newer = version_of(cluster)
    for name, action, phase in (
        ("stopped-by-hand", "stop", "Cancelled"),
        ("rolled-back-by-hand", "rollback", "RolledBack"),
        ("promoted-by-hand", "promote", "Promoted"),
    ):
        deploy(cluster, CANDIDATE, newer)
        mlp(cluster, "create", name, *_OPTIONS)
        reaches(cluster, name, "Running", "Ramping", "HoldNoData")
        assert f"asked for: {action} of {name}" in mlp(cluster, action, name, "--why", "rehearsal")
        reaches(cluster, name, phase, within_seconds=120)
        assert "rehearsal" in mlp(cluster, "watch", name)
        assert "derived again" in mlp(cluster, "replay", name)
        expected = newer if action == "promote" else champion_version
        assert cluster.alias_version(MODEL, contracts.CHAMPION_ALIAS) == expected
        assert cluster.gateway_weights(MODEL) == {STABLE: 1000}
    assert status_of(cluster, "promoted-by-hand")["winner"] == CANDIDATE
