"""Raw samples become counts, or nothing: what is not known must never look like zero."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ml.controller.ports import RequestCounts, RequestWindow
from ml.controller.request_windows import Series, window
from ml.experiments.prometheus import counter_increase

Sample = tuple[float, float]


def requests(samples: list[Sample], *, instance: str = "a", slot: str = "stable", code: str = "2xx") -> Series:
    return Series(instance=instance, slot=slot, key=code, samples=samples)


def bucket(le: str, samples: list[Sample], *, instance: str = "a", slot: str = "stable") -> Series:
    return Series(instance=instance, slot=slot, key=le, samples=samples)


def total(found: RequestWindow, slot: str = "stable") -> float:
    return sum(count.requests for count in found.counts if count.slot == slot)


def test_increases_are_counted_when_all_is_well() -> None:
    found = window(
        [requests([(0, 100), (15, 130), (30, 130)]), requests([(0, 1), (15, 3), (30, 3)], code="5xx")],
        [bucket("100", [(0, 90), (15, 110), (30, 110)]), bucket("+Inf", [(0, 101), (15, 133), (30, 133)])],
        since=0,
    )
    assert found == RequestWindow(
        counts=[
            RequestCounts(slot="stable", started_at=0, ended_at=15, requests=32, failed=2, above={100: 12}),
            RequestCounts(slot="stable", started_at=15, ended_at=30, requests=0, failed=0, above={100: 0}),
        ],
        newest_at=30,
    )


def test_nothing_is_known_when_there_are_no_series_or_one_sample() -> None:
    assert window([], [], since=0) == RequestWindow(counts=[], newest_at=None)
    assert window([requests([(5, 10)])], [], since=0) == RequestWindow(counts=[], newest_at=5)


def test_only_stretches_from_the_moment_on_count_when_samples_are_older() -> None:
    found = window([requests([(0, 1), (15, 2), (30, 4)])], [], since=15)
    assert [(count.started_at, count.requests) for count in found.counts] == [(15, 2)]


def test_instances_are_summed_when_all_have_samples() -> None:
    found = window([requests([(0, 0), (15, 5)]), requests([(0, 100), (15, 107)], instance="b")], [], since=0)
    assert total(found) == 12


def test_stretch_is_left_out_when_an_instance_comes_or_goes_in_it() -> None:
    steady = requests([(t, 10.0 * t) for t in range(0, 75, 15)])
    comes = window([steady, requests([(30, 1), (45, 2), (60, 3)], instance="b")], [], since=0)
    assert [count.started_at for count in comes.counts] == [0, 30, 45]
    goes = window([steady, requests([(0, 1), (15, 2), (30, 3)], instance="b")], [], since=0)
    assert [count.started_at for count in goes.counts] == [0, 15, 45]


def test_gap_of_one_instance_is_bridged_when_it_is_short_and_left_out_when_long() -> None:
    steady = requests([(t, 10.0 * t) for t in range(0, 75, 15)])
    gap = requests([(0, 1), (45, 7), (60, 8)], instance="b")
    found = window([steady, gap], [], since=0)
    assert [(count.started_at, count.ended_at, count.requests) for count in found.counts] == [
        (0, 45, 456),
        (45, 60, 151),
    ]
    assert window([steady, gap], [], since=0, longest_seconds=20).counts[0].started_at == 45


def test_counter_begins_at_zero_when_its_process_restarted() -> None:
    found = window([requests([(0, 100), (15, 7), (30, 10)])], [], since=0)
    assert [count.requests for count in found.counts] == [7, 3]


def test_whole_slot_begins_at_zero_when_one_of_its_counters_fell() -> None:
    """The bucket has outgrown its old value after the restart; taken alone it would hide slow requests."""
    found = window(
        [requests([(0, 100), (15, 50)])],
        [bucket("100", [(0, 30), (15, 45)]), bucket("+Inf", [(0, 100), (15, 50)])],
        since=0,
    )
    assert found.counts[0].above == {100: 5}


def test_first_failures_count_when_their_counter_was_not_there_before() -> None:
    found = window([requests([(0, 100), (15, 110)]), requests([(15, 4)], code="5xx")], [], since=0)
    assert (found.counts[0].requests, found.counts[0].failed) == (14, 4)


def test_new_slot_counts_from_zero_when_the_instance_was_there() -> None:
    found = window([requests([(0, 100), (15, 110)]), requests([(15, 6)], slot="candidate-a")], [], since=0)
    assert total(found, "candidate-a") == 6


def test_latencies_are_unknown_when_requests_have_none() -> None:
    series = [requests([(0, 0), (15, 9)]), requests([(0, 0), (15, 9)], slot="candidate-a")]
    found = window(series, [bucket("100", [(0, 0), (15, 9)]), bucket("+Inf", [(0, 0), (15, 9)])], since=0)
    assert {count.slot: dict(count.above) for count in found.counts} == {"stable": {100: 0}, "candidate-a": {}}


def test_latencies_are_unknown_when_one_of_two_instances_tells_none() -> None:
    series = [requests([(0, 0), (15, 9)]), requests([(0, 0), (15, 9)], instance="b")]
    found = window(series, [bucket("100", [(0, 0), (15, 9)]), bucket("+Inf", [(0, 0), (15, 9)])], since=0)
    assert found.counts[0].above == {}


def test_slow_requests_are_no_more_than_requests_when_latencies_come_late() -> None:
    found = window(
        [requests([(0, 0), (15, 3)])], [bucket("100", [(0, 0), (15, 0)]), bucket("+Inf", [(0, 0), (15, 8)])], since=0
    )
    assert found.counts[0].above == {100: 3}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_moment_is_left_out_when_a_sample_is_no_count(bad: float) -> None:
    found = window(
        [requests([(0, 1), (15, 5), (30, 9)]), requests([(0, 0), (15, bad), (30, 0)], code="5xx")], [], since=0
    )
    assert [(count.started_at, count.ended_at, count.requests) for count in found.counts] == [(0, 30, 8)]


def test_moment_is_left_out_when_it_has_two_samples_that_differ() -> None:
    found = window([requests([(0, 1), (15, 5), (15, 6), (30, 9)])], [], since=0)
    assert [(count.started_at, count.ended_at) for count in found.counts] == [(0, 30)]


def test_data_are_old_when_all_newer_samples_are_nonsense() -> None:
    assert window([requests([(0, 1), (15, 2), (30, math.nan)])], [], since=0).newest_at == 15


_values = st.lists(st.integers(0, 50), min_size=2, max_size=8)
_junk = st.sampled_from([math.nan, math.inf, -math.inf, -3.0])


@given(values=_values, seed=st.randoms())
def test_sum_equals_the_librarys_increase_when_samples_come_in_any_order_and_twice(
    values: list[int], seed: random.Random
) -> None:
    samples = [(15.0 * k, float(v)) for k, v in enumerate(values)]
    shuffled = [*samples, *samples[::2]]
    seed.shuffle(shuffled)
    assert total(window([requests(shuffled)], [], since=0)) == counter_increase([float(v) for v in values])


@given(
    grown=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 3)), min_size=2, max_size=10),
    holes=st.sets(st.integers(0, 9), max_size=6),
    junk=st.dictionaries(st.integers(0, 9), _junk, max_size=4),
)
def test_never_more_than_happened_whatever_is_missing_or_nonsense(
    grown: list[tuple[int, int, int]], holes: set[int], junk: dict[int, float]
) -> None:
    """Two instances that never restart: counted is what grew between the outermost sound moments, or less."""
    series: list[Series] = []
    for index, instance in enumerate("ab"):
        running, samples = 0.0, list[Sample]()
        for k, step in enumerate(grown):
            running += step[index]
            if instance == "b" and k in holes:
                continue
            value = junk.get(k, running) if instance == "b" else running
            samples.append((15.0 * k, value))
        series.append(requests(samples, instance=instance))
    found = window(series, [], since=0)
    for count in found.counts:
        first, last = int(count.started_at // 15), int(count.ended_at // 15)
        assert count.requests == sum(
            a + (b if _alive(series[1], count) else 0) for a, b, _ in grown[first + 1 : last + 1]
        )
    spans = sorted((count.started_at, count.ended_at) for count in found.counts)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def _alive(series: Series, count: RequestCounts) -> bool:
    moments = [at for at, _ in series.samples]
    return bool(moments) and min(moments) <= count.started_at and count.ended_at <= max(moments)


@given(first=st.lists(st.integers(0, 20), min_size=3, max_size=12), cut=st.integers(1, 10))
def test_nothing_is_counted_twice_or_lost_when_read_in_two_parts(first: list[int], cut: int) -> None:
    assume(cut < len(first) - 1)
    running, samples = 0.0, list[Sample]()
    for k, step in enumerate(first):
        running += step
        samples.append((1_700_000_000.123 + 15.0 * k, running))
    whole = window([requests(samples)], [], since=0)
    early = window([requests(samples[: cut + 1])], [], since=0)
    late = window([requests(samples)], [], since=early.counts[-1].ended_at)
    assert [*early.counts, *late.counts] == list(whole.counts)
