"""The two models as one kind of thing: what each learns from, how it is built, judged and tried out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from ml.contracts import CONTENT_QUALITY_MODEL, RESEARCH_PATTERN_PREDICTOR
from ml.training.dataset import Package, Split
from ml.training.degradation import quality_examples
from ml.training.evaluation import Evaluation, evaluate_quality, evaluate_topics
from ml.training.examples import Example
from ml.training.topics import TOPICS, topic_examples

Outputs = Mapping[str, Any]
"""What the serving signature returned: output name to array, one row per text."""


@dataclasses.dataclass(frozen=True)
class Output:
    """One output of a serving signature.

    Attributes:
        name: what clients read it by.
        element_type: numpy's name of its elements' type.
        shape: its shape, -1 for the number of texts.
    """

    name: str
    element_type: str
    shape: tuple[int, ...] = (-1,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelDefinition:
    """Everything the pipeline needs to know about one model.

    Attributes:
        name: name in the registry and in the model server.
        task: one sentence on what it does.
        outputs: what its serving signature returns.
        default_sample: how many packages to learn from (per topic for the classifier) unless told otherwise.
        examples: makes the examples of a split from packages, a sample size and a seed.
        build: makes the untrained model; imports TensorFlow, so it is called in training steps only.
        evaluate: judges the outputs for the test examples.
    """

    name: str
    task: str
    outputs: tuple[Output, ...]
    default_sample: int
    examples: Callable[[Iterable[Package], Split, int, int], list[Example]]
    build: Callable[[], Any]
    evaluate: Callable[[Sequence[Example], Sequence[Example], Outputs], Evaluation]


WARM_UP_TEXTS: Final = (
    "",
    "test data",
    "Library for reading and writing image files. It supports many formats and is used by desktop programs.",
    "Command line client for a mail server.\n" + "It can search, sort and move messages between folders. " * 12,
)
"""From nothing to long, so that every path of the graph has run before the first client asks."""


def definition(name: str) -> ModelDefinition:
    """Return the definition of a model.

    Raises:
        ValueError: there is no model of that name.
    """
    if name not in _DEFINITIONS:
        raise ValueError(f"model={name!r}: allowed are {sorted(_DEFINITIONS)}")
    return _DEFINITIONS[name]


def _topics(packages: Iterable[Package], split: Split, sample: int, seed: int) -> list[Example]:
    return topic_examples(packages, split=split, per_topic_limit=sample, seed=seed)


def _qualities(packages: Iterable[Package], split: Split, sample: int, seed: int) -> list[Example]:
    return quality_examples(packages, split=split, limit=sample, seed=seed)


def _build_pattern_predictor() -> Any:
    from ml.training.pattern_predictor import PatternPredictor

    return PatternPredictor()


def _build_quality_model() -> Any:
    from ml.training.quality_model import QualityModel

    return QualityModel()


def _judge_topics(train: Sequence[Example], test: Sequence[Example], outputs: Outputs) -> Evaluation:
    return evaluate_topics(train, test, np.argmax(outputs["scores"], axis=1).astype(np.int64))


def _judge_quality(train: Sequence[Example], test: Sequence[Example], outputs: Outputs) -> Evaluation:
    return evaluate_quality(train, test, np.asarray(outputs["score"], dtype=np.float64))


_DEFINITIONS: Final = {
    RESEARCH_PATTERN_PREDICTOR: ModelDefinition(
        name=RESEARCH_PATTERN_PREDICTOR,
        task=f"Says which of {len(TOPICS)} topics a text is about.",
        outputs=(
            Output("label", "str"),
            Output("confidence", "float32"),
            Output("scores", "float32", (-1, len(TOPICS))),
        ),
        default_sample=1_000,
        examples=_topics,
        build=_build_pattern_predictor,
        evaluate=_judge_topics,
    ),
    CONTENT_QUALITY_MODEL: ModelDefinition(
        name=CONTENT_QUALITY_MODEL,
        task="Scores how well formed a text is, from 0 to 1.",
        outputs=(Output("score", "float32"), Output("words", "int32")),
        default_sample=6_000,
        examples=_qualities,
        build=_build_quality_model,
        evaluate=_judge_quality,
    ),
}
