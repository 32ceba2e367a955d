"""Figures checked against other implementations, baselines, and when a model may be served."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.training import metrics
from ml.training.baselines import BagOfWordsClassifier, SurfaceRegressor, constant_quality, majority_labels, words_of
from ml.training.evaluation import ModelBelowBaselineError, evaluate_quality, evaluate_topics
from ml.training.examples import Example
from ml.training.topics import TOPICS

scipy_stats: Any = importlib.import_module("scipy.stats")
sklearn_metrics: Any = importlib.import_module("sklearn.metrics")
sklearn_bayes: Any = importlib.import_module("sklearn.naive_bayes")
sklearn_text: Any = importlib.import_module("sklearn.feature_extraction.text")

labels = st.lists(st.integers(0, 4), min_size=2, max_size=40)
numbers = st.lists(st.floats(0, 1, width=16), min_size=3, max_size=40)


@given(st.data())
def test_classification_figures_are_as_scikit_learn_has_them(data: st.DataObject) -> None:
    truth = np.array(data.draw(labels))
    predicted = np.array(data.draw(st.lists(st.integers(0, 4), min_size=len(truth), max_size=len(truth))))
    assert metrics.accuracy(truth, predicted) == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    expected = sklearn_metrics.f1_score(truth, predicted, labels=range(5), average="macro", zero_division=0)
    assert metrics.macro_f1(truth, predicted, classes=5) == pytest.approx(expected)


@given(st.data())
def test_rank_correlation_is_as_scipy_has_it(data: st.DataObject) -> None:
    truth = np.array(data.draw(numbers), dtype=np.float64)
    predicted = np.array(data.draw(st.lists(st.floats(0, 1, width=16), min_size=len(truth), max_size=len(truth))))
    if np.ptp(truth) == 0 or np.ptp(predicted) == 0:
        assert metrics.spearman(truth, predicted) == 0.0
    else:
        assert metrics.spearman(truth, predicted) == pytest.approx(scipy_stats.spearmanr(truth, predicted).statistic)
    assert metrics.mean_absolute_error(truth, predicted) == pytest.approx(np.abs(truth - predicted).mean())


def test_bag_of_words_predicts_like_scikit_learn_when_it_sees_the_same_words() -> None:
    texts = ["red apple pie", "green apple", "blue stone", "stone wall", "red wall stone", "apple"]
    classes = np.array([0, 0, 1, 1, 1, 0])
    unseen = ["apple wall", "stone pie", "blue blue apple", "nothing known"]
    ours = BagOfWordsClassifier(texts, classes, classes=2).predict(unseen)
    vectorizer = sklearn_text.CountVectorizer(token_pattern=r"[a-z0-9+#]+")
    theirs = sklearn_bayes.MultinomialNB(alpha=1.0).fit(vectorizer.fit_transform(texts), classes)
    assert ours.tolist() == theirs.predict(vectorizer.transform(unseen)).tolist()


def test_words_are_those_the_models_see_when_a_text_is_split() -> None:
    assert words_of("C++ & C#, libFoo-2.0 über") == ["c++", "c#", "libfoo", "2", "0", "ber"]


def test_simple_answers_are_the_obvious_ones() -> None:
    assert majority_labels(np.array([2, 1, 2]), 3).tolist() == [2, 2, 2]
    assert constant_quality(np.array([0.0, 0.2, 1.0]), 2).tolist() == [0.2, 0.2]
    long, short = "many different words in this text " * 1, "same same same same same same"
    regressor = SurfaceRegressor([long, short, long, short, "a b", "c"], np.array([1.0, 0.1, 1.0, 0.1, 0.9, 0.9]))
    predicted = regressor.predict([long, short, ""])
    assert predicted[0] > predicted[1]
    assert all(0.0 <= value <= 1.0 for value in predicted)


def topic_set(count: int) -> list[Example]:
    """Texts from which words tell nothing: a bag of words can only guess."""
    return [Example("the same words everywhere", number % len(TOPICS)) for number in range(count)]


def test_classifier_may_be_served_when_it_beats_both_baselines() -> None:
    train, test = topic_set(100), topic_set(60)
    right = np.array([int(example.target) for example in test])
    good = evaluate_topics(train, test, right)
    good.require_success("m")
    assert good.metrics["accuracy"] == 1.0
    assert {"baseline_majority_macro_f1", "baseline_bag_of_words_accuracy"} <= good.metrics.keys()
    bad = evaluate_topics(train, test, np.zeros(len(test), dtype=np.int64))
    with pytest.raises(ModelBelowBaselineError, match=r"m must not be served: accuracy 0\.050, at least 0\.070 needed"):
        bad.require_success("m")
    assert len(bad.shortfalls) == 2


def test_quality_model_may_be_served_when_it_beats_both_baselines() -> None:
    rng = np.random.default_rng(1)
    qualities = rng.random(80)
    examples = [Example("always the same words", float(quality)) for quality in qualities]
    evaluate_quality(examples, examples, qualities + 0.01).require_success("m")
    unrelated = evaluate_quality(examples, examples, rng.random(80))
    with pytest.raises(ModelBelowBaselineError) as refused:
        unrelated.require_success("m")
    assert "spearman" in str(refused.value)
    assert "mean_absolute_error" in str(refused.value)
