"""What the two models learn from."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.training.dataset import SPLITS, Package, read_packages
from ml.training.degradation import DEGRADATIONS, quality_examples, shuffle_words, truncate
from ml.training.examples import Example, read_examples, write_examples
from ml.training.topics import TOPICS, topic_examples
from tests.ml.training.corpus import seeded, write_corpus

SENTENCE = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Package]:
    return read_packages(write_corpus(tmp_path_factory.mktemp("corpus") / "d.gz", topics=[*TOPICS, "libs"]))


def test_topics_are_balanced_and_known_when_examples_are_made(packages: list[Package]) -> None:
    examples = topic_examples(packages, split="train", per_topic_limit=10, seed=1)
    counts = Counter(int(example.target) for example in examples)
    assert set(counts) == set(range(len(TOPICS)))
    assert set(counts.values()) == {10}
    assert topic_examples(packages, split="train", per_topic_limit=10, seed=1) == examples
    assert topic_examples(packages, split="train", per_topic_limit=10, seed=2) != examples


def test_no_test_text_is_learned_when_examples_are_made(packages: list[Package]) -> None:
    sources = {" ".join(package.description.split()): package.source for package in packages}

    def sources_of(examples: list[Example]) -> set[str]:
        return {sources[text] for text in (" ".join(example.text.split()) for example in examples) if text in sources}

    topics_train, topics_test = (
        sources_of(topic_examples(packages, split=split, per_topic_limit=100, seed=1)) for split in SPLITS
    )
    quality_train, quality_test = (
        sources_of(quality_examples(packages, split=split, limit=500, seed=1)) for split in SPLITS
    )
    assert topics_train
    assert topics_test
    assert not topics_train & topics_test
    assert not quality_train & quality_test
    assert not topics_train & quality_test


def test_originals_and_damaged_copies_are_made_when_texts_are_scored(packages: list[Package]) -> None:
    examples = quality_examples(packages, split="train", limit=30, seed=1)
    assert len(examples) == 90
    originals = [example for example in examples if example.target == 1.0]
    assert len(originals) == 30
    assert all(0.1 <= example.target <= 0.9 for example in examples if example.target < 1.0)
    assert all("\n" not in example.text for example in examples)
    assert quality_examples(packages, split="train", limit=30, seed=1) == examples


def test_short_texts_are_left_out_when_texts_are_scored(packages: list[Package]) -> None:
    short = [dataclasses.replace(package, description="too short to damage") for package in packages]
    assert quality_examples(short, split="train", limit=30, seed=1) == []


@given(
    name=st.sampled_from(sorted(DEGRADATIONS)),
    words=st.lists(st.text(alphabet="abcdef", min_size=2, max_size=6), min_size=20, max_size=60),
    severity=st.floats(0.1, 0.9),
    seed=st.integers(0, 100),
)
def test_damage_is_bounded_and_repeatable_when_severity_is_given(
    name: str, words: list[str], severity: float, seed: int
) -> None:
    damaged = DEGRADATIONS[name](words, severity, seeded(seed))
    assert damaged == DEGRADATIONS[name](words, severity, seeded(seed))
    affected = round(severity * len(words))
    assert len(damaged) == len(words) - affected if name == "truncate" else len(damaged) == len(words)
    changed = sum(one != other for one, other in zip(words, damaged, strict=False))
    assert changed <= affected


def test_damage_is_done_when_words_all_differ() -> None:
    for name, damage in DEGRADATIONS.items():
        damaged = damage(SENTENCE * 3, 0.5, seeded(1))
        assert damaged != SENTENCE * 3, name
    assert sorted(shuffle_words(SENTENCE, 0.8, seeded(2))) == sorted(SENTENCE)
    assert truncate(SENTENCE, 0.3, seeded(1)) == SENTENCE[:7]
    with pytest.raises(ValueError, match=r"severity=1\.0"):
        truncate(SENTENCE, 1.0, seeded(1))


def test_examples_come_back_when_they_were_written(tmp_path: Path) -> None:
    examples = [Example("zwei\nZeilen \u2028 'quoted'", 0.25), Example("", 3.0)]
    write_examples(tmp_path / "e.jsonl", examples)
    assert read_examples(tmp_path / "e.jsonl") == examples
