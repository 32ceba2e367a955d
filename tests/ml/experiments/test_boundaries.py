"""Group sequential boundaries: exact, monotone, the same one look at a time, and refusing what makes no sense."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.experiments.boundaries import (
    Look,
    SpendingPath,
    crossing_probability,
    naive_peeking_error,
    obrien_fleming_boundaries,
    pocock_boundary,
    spending_boundaries,
    wang_tsiatis_boundaries,
)
from ml.experiments.looks import forget_paths, spending_path
from ml.experiments.spending import OBRIEN_FLEMING, POCOCK, Spending

steps = st.lists(st.floats(0.01, 1.0), min_size=1, max_size=12).map(lambda parts: np.cumsum(parts))
spendings = st.sampled_from([OBRIEN_FLEMING, POCOCK, Spending("power", 2.0), Spending("hwang-shih-decani", -4.0)])


@settings(max_examples=60, deadline=None)
@given(steps, spendings, st.sampled_from([0.01, 0.05, 0.2]), st.sampled_from([1, 2]))
def test_crossing_probability_is_alpha_when_all_is_spent(
    information: np.ndarray, spending: Spending, alpha: float, sides: int
) -> None:
    looks = spending_boundaries(information, spending=spending, alpha=alpha, sides=sides)  # pyright: ignore[reportArgumentType] drawn from the allowed values
    crossed = crossing_probability(information, [look.boundary for look in looks], sides=sides)  # pyright: ignore[reportArgumentType] as above
    # Two sides count a path that would cross both twice, which is rare and never understated.
    assert crossed == pytest.approx(alpha, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(steps, spendings)
def test_looks_one_by_one_equal_all_at_once_when_alpha_is_spent(information: np.ndarray, spending: Spending) -> None:
    fractions = (information / information[-1]).tolist()
    path = SpendingPath(spending, 0.025, 2)
    for fraction in fractions:
        path = path.next(fraction)
    assert path.looks == SpendingPath(spending, 0.025, 2).extend(fractions).looks


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40))
def test_obrien_fleming_boundaries_fall_when_looks_go_on(looks: int) -> None:
    by_spending = [look.boundary for look in spending_boundaries(np.arange(1, looks + 1))]
    assert all(later < earlier for earlier, later in pairwise(by_spending) if earlier < 30)
    assert all(later < earlier for earlier, later in pairwise(obrien_fleming_boundaries(looks)))


@settings(max_examples=30, deadline=None)
@given(steps, st.sampled_from([0.01, 0.05]), spendings)
def test_boundaries_are_higher_when_alpha_is_smaller(information: np.ndarray, alpha: float, spending: Spending) -> None:
    strict = spending_boundaries(information, alpha=alpha / 2, spending=spending)
    loose = spending_boundaries(information, alpha=alpha, spending=spending)
    assert all(a.boundary >= b.boundary - 1e-9 for a, b in zip(strict, loose, strict=True))


def test_boundary_does_not_depend_on_the_unit_of_information() -> None:
    a = spending_boundaries([1, 2, 4, 8])
    b = spending_boundaries([1000, 2000, 4000, 8000])
    assert [look.boundary for look in a] == pytest.approx([look.boundary for look in b], abs=1e-10)


def test_first_look_equals_fixed_sample_value_when_it_is_the_only_one() -> None:
    assert spending_boundaries([1.0])[0].boundary == pytest.approx(1.959964, abs=1e-6)
    assert pocock_boundary(1) == pytest.approx(1.959964, abs=1e-6)
    assert wang_tsiatis_boundaries([5.0], delta=0.25, sides=1, alpha=0.025)[0] == pytest.approx(1.959964, abs=1e-6)


def test_nothing_is_spent_when_the_first_look_comes_very_early() -> None:
    look = spending_boundaries([1e-4, 1.0])[0]
    assert look == Look(1e-4, 37.0, look.spent)
    assert look.spent < 1e-300


def test_rest_of_alpha_is_spent_when_a_look_is_final() -> None:
    path = SpendingPath(OBRIEN_FLEMING, 0.025, 1).extend([0.3, 0.6]).next(0.7, final=True)
    bounds = [look.boundary for look in path.looks]
    assert crossing_probability([0.3, 0.6, 0.7], bounds, sides=1) == pytest.approx(0.025, rel=1e-7)


def test_overrunning_look_spends_nothing_more_when_alpha_is_gone() -> None:
    path = SpendingPath(OBRIEN_FLEMING, 0.025, 1).extend([0.5, 1.0, 1.1])
    assert path.looks[-1].boundary == 37.0
    assert path.looks[-1].spent == 0.025


def test_remembered_path_equals_forgotten_one_when_rebuilt() -> None:
    fractions = tuple(np.linspace(0.1, 1.0, 25).tolist())
    grown = SpendingPath(OBRIEN_FLEMING, 0.0125, 1)
    for count in range(1, len(fractions) + 1):
        grown = spending_path(OBRIEN_FLEMING, 0.0125, fractions[:count])
    forget_paths()
    assert spending_path(OBRIEN_FLEMING, 0.0125, fractions).looks == grown.looks


@pytest.mark.parametrize(("looks", "error"), [(1, 0.05), (10, 0.1934), (50, 0.3205), (480, 0.4839)])
def test_naive_peeking_costs_what_armitage_computed_when_looks_repeat(looks: int, error: float) -> None:
    assert naive_peeking_error(looks) == pytest.approx(error, abs=1e-4)


@settings(max_examples=50, deadline=None)
@given(spendings, st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.floats(0.001, 0.2))
def test_spending_grows_to_alpha_when_information_grows(spending: Spending, a: float, b: float, alpha: float) -> None:
    low, high = sorted((a, b))
    assert 0.0 <= spending.spent(low, alpha) <= spending.spent(high, alpha) + 1e-15 <= alpha + 2e-15
    assert spending.spent(1.0, alpha) == alpha
    assert spending.spent(3.0, alpha) == alpha


@pytest.mark.parametrize(
    ("information", "name"),
    [
        ([1.0, 1.0], "information"),
        ([2.0, 1.0], "information"),
        ([0.0, 1.0], "information"),
        ([], "information"),
        ([math.nan], "information"),
    ],
)
def test_information_is_refused_when_it_does_not_grow(information: list[float], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        spending_boundaries(information)


def test_step_back_is_refused_when_one_look_at_a_time() -> None:
    path = SpendingPath(OBRIEN_FLEMING, 0.025, 2).next(0.5)
    with pytest.raises(ValueError, match="never goes backwards"):
        path.next(0.4)
    with pytest.raises(ValueError, match="fraction"):
        path.next(math.inf)
