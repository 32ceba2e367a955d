"""Rare outcomes in arms of very different size, as in a ramp: what one arm has hardly seen proves nothing about it."""

from __future__ import annotations

import numpy as np
import pytest

from bench.simulate.report import at_most
from ml.experiments.evidence import SMALLEST_EVENT_COUNT, Verdict, contrast, harm_evidence, too_little
from ml.experiments.validation import FloatArray

ALPHA = 0.05
LOOKS = 40
RUNS = 250


def counted(hits: float, n: float) -> FloatArray:
    return np.array([[n, hits, n, hits, n, hits]], dtype=np.float64)


def verdicts(
    rng: np.random.Generator, arrivals: tuple[int, int], rates: tuple[float, float], margin: float
) -> set[Verdict]:
    """Return every verdict of a guardrail that is looked at again and again while users come to both arms."""
    units, hits, found = np.zeros(2), np.zeros(2), set[Verdict]()
    for _ in range(LOOKS):
        units += arrivals
        hits += rng.binomial(arrivals, rates)
        found.add(
            harm_evidence(
                "failed",
                "candidate-a",
                "guardrail",
                contrast(counted(hits[0], units[0]), counted(hits[1], units[1])),
                harmful_increase=True,
                null_value=margin,
                alpha=ALPHA,
                tuned_for=5_000.0,
                minimum_n=100,
            ).verdict
        )
    return found


@pytest.mark.parametrize(("control", "treatment", "rate"), [(500, 5_000, 0.001), (50, 500, 0.01), (500, 500, 0.01)])
def test_equal_treatment_is_called_harmful_as_seldom_as_promised_when_control_is_small(
    control: int, treatment: int, rate: float
) -> None:
    rng = np.random.default_rng(7)
    found = sum("worse" in verdicts(rng, (control, treatment), (rate, rate), 0.0) for _ in range(RUNS))
    assert at_most("false alarms", found, RUNS, ALPHA).holds, found


@pytest.mark.parametrize(("control", "treatment", "rate"), [(9_900, 100, 0.001), (5_000, 500, 0.001), (990, 10, 0.01)])
def test_harmful_treatment_is_called_safe_as_seldom_as_promised_when_it_is_small(
    control: int, treatment: int, rate: float
) -> None:
    rng = np.random.default_rng(7)
    found = sum("safe" in verdicts(rng, (control, treatment), (rate, 2 * rate), rate) for _ in range(RUNS))
    assert at_most("false safety", found, RUNS, ALPHA).holds, found


@pytest.mark.parametrize(("control", "treatment"), [(1_000, 1_000), (9_000, 1_000), (1_000, 9_000)])
def test_rarer_outcome_of_the_larger_arm_counts_as_far_as_equal_arms_would_have_seen_it(
    control: int, treatment: int
) -> None:
    needed = SMALLEST_EVENT_COUNT * (control + treatment) / (2 * min(control, treatment))

    def seen(count: float) -> Verdict | None:
        in_control, in_treatment = (count, 0.0) if control >= treatment else (0.0, count)
        return too_little(contrast(counted(in_control, control), counted(in_treatment, treatment)), 100)

    assert (seen(needed - 1), seen(needed)) == ("too early", None)


@pytest.mark.parametrize(
    ("control", "treatment"),
    [
        ((225_000, 0), (2_252, 338)),
        ((225_000, 225), (2_252, 113)),
        ((110_000, 110), (2_252, 90)),
        ((43_000, 21), (2_252, 45)),
        ((2_252, 2), (225_000, 9_000)),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_harm_is_called_harm_when_a_small_arm_has_seen_it_or_lacks_it(
    control: tuple[int, int], treatment: tuple[int, int], turned: bool
) -> None:
    """The same whether "yes" is the rarer outcome or "no"."""
    (n_control, failed_control), (n_treatment, failed_treatment) = control, treatment
    if turned:
        failed_control, failed_treatment = n_control - failed_control, n_treatment - failed_treatment
    found = harm_evidence(
        "failed",
        "candidate-a",
        "guardrail",
        contrast(counted(failed_control, n_control), counted(failed_treatment, n_treatment)),
        harmful_increase=not turned,
        null_value=0.0,
        alpha=ALPHA,
        tuned_for=5_000.0,
        minimum_n=100,
    )
    assert found.verdict == "worse"
