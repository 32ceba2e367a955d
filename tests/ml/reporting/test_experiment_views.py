"""Words, charts and markup of an experiment: right for every input, not only for the usual one."""

from __future__ import annotations

import math
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.events.records import CommandRecord
from ml.events.types import FINAL_PHASES
from ml.reporting.experiment import words
from ml.reporting.experiment.axes import ticks, time_ticks
from ml.reporting.experiment.build import ExperimentFacts, is_paused, results_of
from ml.reporting.experiment.charts import effect_chart, traffic_chart
from ml.reporting.experiment.markup import tag
from ml.reporting.experiment.report import html_report, markdown_report
from tests.ml.api.page.simulated import START, Simulated, simulate

RUNNING = simulate("new-ranking", looks=30)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_markup_gives_back_every_text_when_it_is_read(content: str, value: str) -> None:
    reader = _Reader()
    reader.feed(str(tag("p", content, title=value)))
    reader.close()
    assert reader.tags == [("p", {"title": value})]
    assert reader.text == content


@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9))
def test_ticks_are_few_round_and_inside_when_there_is_any_range(low: float, width: float) -> None:
    width = max(width, 1e-6 * abs(low))  # below that the numbers themselves are not exact enough
    high = low + width
    found = ticks(low, high)
    slack = 1e-6 * max(abs(low), abs(high), width)
    assert len(found) <= 8
    assert all(low - slack <= value <= high + slack for value in found)
    assert found == sorted(found)


@given(st.floats(0, 4e8))
def test_time_axis_begins_at_zero_and_is_readable_when_it_is_short_or_long(seconds: float) -> None:
    found = time_ticks(seconds)
    assert found[0][0] == 0
    assert len(found) <= 14
    assert all(at <= seconds for at, _ in found)


@pytest.mark.parametrize("simulated", [RUNNING, simulate("one", looks=1), simulate("few", looks=5)])
def test_charts_are_sound_svg_with_a_title_when_drawn(simulated: Simulated) -> None:
    results = simulated.results()
    for chart in (effect_chart(results, "candidate-a"), traffic_chart(results, simulated.now)):
        root = ET.fromstring(str(chart))  # noqa: S314 our own markup
        if root.tag == "p":
            continue
        assert root.find("{*}title") is not None
        assert root.find("{*}desc") is not None
        for element in root.iter():
            for name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy"):
                assert math.isfinite(float(element.get(name, "0")))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (5400, "1 h 30 min"), (86_400, "1 day"),
     (180_000, "2 days 2 h"), (400_000, "4 days"), (-5, "0 s")],
)  # fmt: skip
def test_durations_have_at_most_two_units_when_written(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_state_is_said_in_one_sentence_when_the_phase_is_any() -> None:
    results = RUNNING.results()
    now = results.started_at
    assert now is not None
    for phase in words.PHASES:
        changed = results.model_copy(update={"phase": phase, "ended_at": now + 90_000})
        sentence = words.state_sentence(changed, now + 100_000)
        assert sentence.startswith(words.PHASES[phase].split(":")[0])
        assert ("after 1 day 1 h" in sentence) == (phase in FINAL_PHASES)
    paused = words.state_sentence(results.model_copy(update={"paused": True}), now)
    assert paused.startswith("Paused (running), day 1 of 14")


def test_share_is_never_rounded_up_to_everything_when_something_is_missing() -> None:
    assert words.percent(0.9999) == "99 %"
    assert words.percent(1.0) == "100 %"


def test_control_comes_first_when_weights_come_in_any_order() -> None:
    assert words.traffic({"candidate-a": 505, "stable": 495}) == "stable 49.5 %, candidate-a 50.5 %"
    assert words.traffic({"candidate-a": 0, "stable": 0}) == "changing"


def test_results_of_a_refused_experiment_say_why_when_it_has_no_specification() -> None:
    results = results_of(
        ExperimentFacts(
            id="x",
            name="bad",
            namespace="n",
            model="m",
            phase="Invalid",
            message="spec.model='m': allowed is nothing",
            spec={"arms": [{"slot": "stable"}, {"slot": "candidate-a"}], "primary": {"name": "a"}},
            specification={},
            created_at=START,
        ),
        None,
        [],
        [],
    )
    assert results.treatments == ("candidate-a",)
    assert words.state_sentence(results, START) == "Invalid (spec.model='m': allowed is nothing)"
    assert "spec.model" in markdown_report(results, START)
    assert "Nothing to draw yet" in html_report(results, START)


@pytest.mark.parametrize(
    ("commands", "paused"),
    [
        ([], False),
        ([("pause", True)], True),
        ([("pause", None)], False),
        ([("pause", True), ("resume", True)], False),
        ([("pause", True), ("resume", False)], True),
        ([("pause", True), ("stop", True)], True),
    ],
)
def test_pause_is_known_when_the_controller_has_accepted_it(
    commands: list[tuple[str, bool | None]], paused: bool
) -> None:
    records = [
        CommandRecord(
            command=str(k),
            experiment="x",
            position=k,
            at=0.0,
            action=action,
            arm=None,
            by="",
            why="",
            source="api",
            accepted=accepted,
            message="",
        )
        for k, (action, accepted) in enumerate(commands)
    ]
    assert is_paused(reversed(records)) is paused
