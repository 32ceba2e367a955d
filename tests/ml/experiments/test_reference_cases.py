"""Every published or recomputed reference number, through the public functions.

The adapters translate a case's inputs into calls. What a case expects is compared key by key, so that a key without an
answer fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from tests.ml.experiments.adapters import fixed, health, sequential

Answer = Mapping[str, Any]
Inputs = Mapping[str, Any]
CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "reference" / "ab_reference_public.json").read_text()
)["cases"]

ADAPTERS: dict[str, Callable[[Inputs], Answer]] = {
    "two_proportion": fixed.two_proportion,
    "two_proportion_ci": fixed.two_proportion_ci,
    "proportion_ci": fixed.proportion_ci,
    "fisher_exact": fixed.fisher_exact,
    "welch_t": fixed.welch_t,
    "mann_whitney": fixed.mann_whitney,
    "sample_size_proportions": fixed.sample_size_proportions,
    "sample_size_means": fixed.sample_size_means,
    "power_means": fixed.power_means,
    "noninferiority_sample_size": fixed.noninferiority_sample_size,
    "noninferiority_test": fixed.noninferiority_test,
    "mde": fixed.mde,
    "group_sequential_bounds": sequential.group_sequential_bounds,
    "alpha_spending": sequential.alpha_spending,
    "group_sequential_asn": sequential.group_sequential_asn,
    "naive_peeking_type1": sequential.naive_peeking_type1,
    "conditional_power": sequential.conditional_power,
    "anytime_valid_ci": sequential.anytime_valid_ci,
    "anytime_valid_ci_proportion": sequential.anytime_valid_ci_proportion,
    "anytime_valid_quantile_ab": sequential.anytime_valid_quantile_ab,
    "msprt": sequential.msprt,
    "sprt": sequential.wald_sprt,
    "simple_sequential": sequential.simple_sequential,
    "srm": health.srm_test,
    "srm_sequential": health.srm_sequential,
    "srm_ramp": health.srm_ramp,
    "cuped": fixed.cuped_case,
    "delta_method": fixed.delta_method,
    "multiple_testing": fixed.multiple_testing,
    "quantile_ci": fixed.quantile_ci,
    "quantile_test": fixed.quantile_test,
    "bootstrap": fixed.bootstrap_case,
    "quantile_point": fixed.quantile_point,
    "prometheus_histogram_quantile": health.prometheus_histogram_quantile,
    "drift": health.drift_case,
    "bayesian": health.bayesian_case,
    "bandit": health.bandit,
    "cluster_robust_se": fixed.cluster_robust_se,
    "sequential_efficiency": sequential.sequential_efficiency,
    "assignment": health.assignment_case,
    "ramp_stratification": health.ramp_stratification,
}


def answer(case: Mapping[str, Any]) -> Answer:
    if case["topic"] == "anytime_valid_boundary":
        return sequential.anytime_valid_boundary(case["inputs"], case)
    return ADAPTERS[case["topic"]](case["inputs"])


def assert_close(path: str, expected: Any, got: Any, tolerance: Mapping[str, float]) -> None:
    if isinstance(expected, Mapping):
        for key, value in cast("Mapping[str, Any]", expected).items():
            assert key in got, f"{path}: no answer for {key}"
            assert_close(f"{path}.{key}", value, got[key], tolerance)
    elif isinstance(expected, str | bool):
        assert got == expected, f"{path}: {got} is not {expected}"
    elif isinstance(expected, Sequence):
        wanted = cast("Sequence[Any]", expected)
        assert len(got) == len(wanted), f"{path}: {got} is not {wanted}"
        for position, (value, mine) in enumerate(zip(wanted, got, strict=True)):
            assert_close(f"{path}[{position}]", value, mine, tolerance)
    else:
        gap = abs(float(got) - float(expected))
        allowed = max(tolerance.get("abs", 0.0), tolerance.get("rel", 0.0) * abs(float(expected)))
        # A reference printed as 0.0 with a relative tolerance stands for "too small to print".
        allowed = max(allowed, 1e-300 if expected == 0.0 else 0.0)
        assert gap <= allowed, f"{path}: {got} differs from {expected} by {gap}, allowed {allowed}"


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_public_function_matches_reference_when_given_its_inputs(case: dict[str, Any]) -> None:
    assert_close(case["id"], case["expected"], answer(case), case["tolerance"])


def test_every_topic_has_an_adapter_when_the_file_is_read() -> None:
    assert {case["topic"] for case in CASES} == {*ADAPTERS, "anytime_valid_boundary"}
    assert len(CASES) == 70
