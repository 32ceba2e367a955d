"""The P95 guardrail: requests of one user resemble each other, and the test must know."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.simulate.report import Line, at_least, at_most
from ml.experiments.exceedance import sequential_exceedance_test, sequential_quantile_ratio_test
from ml.experiments.ratio import RatioSums
from ml.experiments.validation import FloatArray

ALPHA = 0.05
Z95 = 1.6448536269514722
REQUESTS = 10
LOOKS = 20


def slow_counts(rng: np.random.Generator, users: int, correlation: float, shift: float) -> FloatArray:
    """Slow requests per user out of REQUESTS, lognormal latency over its own P95; shift is in log units / sigma."""
    user = np.sqrt(correlation) * rng.standard_normal((users, 1))
    noise = np.sqrt(1.0 - correlation) * rng.standard_normal((users, REQUESTS))
    return (user + noise + shift > Z95).sum(axis=1).astype(np.float64)


def by_user(slow: FloatArray) -> RatioSums:
    """Sums with the user as the unit."""
    n = slow.size
    return RatioSums(
        n,
        float(slow.sum()),
        float(n * REQUESTS),
        float(slow @ slow),
        float(n * REQUESTS**2),
        float(slow.sum() * REQUESTS),
    )


def by_request(slow: FloatArray) -> RatioSums:
    """The same data as if every request were a user of its own: wrong when requests resemble each other."""
    total, n = float(slow.sum()), slow.size * REQUESTS
    return RatioSums(n, total, float(n), total, float(n), total)


def ever_found(rng: np.random.Generator, users: int, correlation: float, shift: float) -> tuple[bool, bool]:
    """Whether the clustered and the iid test ever find harm over LOOKS looks."""
    control, treatment = slow_counts(rng, users, correlation, 0.0), slow_counts(rng, users, correlation, shift)
    clustered = independent = False
    for n in np.linspace(users / LOOKS, users, LOOKS).astype(int).tolist():
        c, t = control[:n], treatment[:n]
        tests = (
            sequential_exceedance_test(by_user(c), by_user(t), tuned_for=users / 4, alpha=ALPHA),
            sequential_exceedance_test(by_request(c), by_request(t), tuned_for=users * REQUESTS / 4, alpha=ALPHA),
        )
        clustered |= tests[0].p_value <= ALPHA
        independent |= tests[1].p_value <= ALPHA
    return clustered, independent


def quantile_found(rng: np.random.Generator, users: int, correlation: float, factor: float, sigma: float) -> bool:
    """Whether the test of the two P95 values themselves finds harm at one of four looks."""
    samples: list[FloatArray] = []
    for scale in (1.0, factor):
        user = np.sqrt(correlation) * rng.standard_normal((users, 1))
        noise = np.sqrt(1.0 - correlation) * rng.standard_normal((users, 3))
        samples.append(scale * 100.0 * np.exp(sigma * (user + noise)))
    for n in (users // 4, users // 2, 3 * users // 4, users):
        labels = np.repeat(np.arange(n, dtype=np.float64), 3)
        test = sequential_quantile_ratio_test(
            samples[0][:n].ravel(), labels, samples[1][:n].ravel(), labels, 0.95, tuned_for=users / 2
        )
        if test.p_value <= ALPHA:
            return True
    return False


def lines(runs: int, seed: int) -> Iterator[Line]:
    """Yield type I error per correlation, and power for +20 % P95."""
    for correlation in (0.0, 0.25, 0.5):
        rng = np.random.default_rng(seed)
        found = [ever_found(rng, 2_000, correlation, 0.0) for _ in range(runs)]
        iid = sum(b for _, b in found) / runs
        hits = sum(a for a, _ in found)
        yield at_most(
            f"P95 exceedance, equal arms, correlation {correlation}: false rollback",
            hits,
            runs,
            ALPHA,
            f"iid version {iid:.3f}",
        )
    power_runs = max(50, runs // 20)
    for sigma in (0.5, 1.0):
        for correlation in (0.0, 0.5):
            rng = np.random.default_rng(seed + 7)
            shift = float(np.log(1.2)) / sigma
            hits = sum(ever_found(rng, 10_000, correlation, shift)[0] for _ in range(power_runs))
            yield at_least(
                f"P95 exceedance, +20 % P95, sigma {sigma}, correlation {correlation}, 10,000 users/arm: power",
                hits,
                power_runs,
                0.8,
            )
    quantile_runs = max(50, runs // 20)
    rng = np.random.default_rng(seed + 11)
    hits = sum(quantile_found(rng, 2_000, 0.5, 1.0, 0.5) for _ in range(quantile_runs))
    yield at_most("P95 ratio test, equal arms, correlation 0.5: false rollback", hits, quantile_runs, ALPHA)
    hits = sum(quantile_found(rng, 10_000, 0.5, 1.2, 0.5) for _ in range(quantile_runs))
    yield at_least("P95 ratio test, +20 % P95, correlation 0.5, 10,000 users/arm: power", hits, quantile_runs, 0.8)
