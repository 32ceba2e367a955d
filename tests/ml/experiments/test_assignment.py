"""The offline assignment against the gateway's own choices (recorded from Envoy 1.40.0) and xxHash's specification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml.experiments.assignment import (
    assign,
    assignment_hashes,
    place,
    product_rendezvous_shares,
    rendezvous_shares,
    salt_pattern,
    weighted_rendezvous,
)
from ml.experiments.srm import sample_ratio_test
from ml.experiments.xxhash64 import xxhash64

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "reference" / "envoy_assignment.json").read_text())


@pytest.mark.parametrize("split", RECORDED["splits"], ids=lambda split: f"{split['salt']}-{split['weights']}")
def test_choice_equals_envoys_when_hashing_recorded_users(split: dict[str, Any]) -> None:
    chosen = assign(RECORDED["user_ids"], split["weights"], split["salt"])
    assert chosen.tolist() == split["chosen"]


def test_hash_equals_published_vectors_when_given_envoys_test_strings() -> None:
    keys = [b"foo", b"bar", b"foo\nbar", b"lyft", b""]
    expected = [
        3728699739546630719,
        5234164152756840025,
        8917841378505826757,
        4400747396090729504,
        17241709254077376921,
    ]
    assert xxhash64(keys).tolist() == expected


def test_hash_equals_reference_package_when_lengths_cross_all_branches() -> None:
    xxhash = pytest.importorskip("xxhash")
    rng = np.random.default_rng(0)
    keys = [rng.bytes(length) for length in range(200)]
    for seed in (0, 7, 2**64 - 1):
        assert xxhash64(keys, seed).tolist() == [xxhash.xxh64_intdigest(key, seed) for key in keys]


def test_nobody_leaves_the_candidate_when_its_share_grows() -> None:
    hashes = assignment_hashes([f"user-{k}" for k in range(20_000)], "experiment-7")
    before = np.zeros(20_000, dtype=np.int64)
    for weight in range(0, 501, 5):
        now = place(hashes, [1000 - weight, weight])
        assert not np.any((before == 1) & (now == 0)), weight
        assert abs(int(now.sum()) - 20 * weight) <= 3 * np.sqrt(20_000 * 0.25) + 1
        before = now


def test_two_salts_split_independently_when_hashing_the_same_users() -> None:
    users = [f"user-{k}" for k in range(20_000)]
    first, second = assign(users, [500, 500], "a"), assign(users, [500, 500], "b")
    table = np.bincount(2 * first + second, minlength=4)
    assert sample_ratio_test(table, [1, 1, 1, 1]).p_value > 1e-4


def test_ratio_holds_when_many_salts_are_tried() -> None:
    users = [f"u{k}" for k in range(2_000)]
    p_values = [
        sample_ratio_test(np.bincount(assign(users, [900, 100], f"salt-{s}"), minlength=2), [900, 100]).p_value
        for s in range(300)
    ]
    assert np.mean(np.array(p_values) < 0.001) <= 0.01


def test_salt_pattern_keeps_the_id_when_substituted() -> None:
    assert salt_pattern("exp") == ("^(.*)$", "exp:\\1")


@pytest.mark.parametrize("weights", [[0, 0], [2**32, 1], [1, -1], [0.5, 0.5]])
def test_weights_are_refused_when_envoy_would(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        place(xxhash64([b"a"]), weights)


@pytest.mark.parametrize(
    ("users", "salt", "name"),
    [(["a", ""], "s", "user_ids"), (["a\n"], "s", "user_ids"), (["a"], "", "salt"), (["a"], "\\1", "salt")],
)
def test_ids_and_salts_are_refused_when_no_header_could_hold_them(users: list[str], salt: str, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        assign(users, [1, 1], salt)


@pytest.mark.slow
def test_rendezvous_gives_the_promised_shares_when_the_log_rule_is_used() -> None:
    rng = np.random.default_rng(3)
    picks = [weighted_rendezvous(rng.uniform(size=3), [10, 30, 60]) for _ in range(20_000)]
    assert sample_ratio_test(np.bincount(picks), [10, 30, 60]).p_value > 1e-3
    assert rendezvous_shares([10, 30, 60]) == pytest.approx((0.1, 0.3, 0.6))


def test_product_rule_starves_small_arms_when_simulated() -> None:
    rng = np.random.default_rng(4)
    weights = np.array([1.0, 2.0, 5.0])
    wins = np.bincount(np.argmax(weights * rng.uniform(size=(200_000, 3)), axis=1)) / 200_000
    assert product_rendezvous_shares(weights) == pytest.approx(tuple(wins), abs=5e-3)
