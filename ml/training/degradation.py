"""Known damage done to a good text, so that its quality is known too.

There is no corpus of texts with trustworthy quality marks that a package ships. Debian's descriptions are reviewed by
people, so they stand for quality 1.0; a copy in which the share `severity` of the words was damaged stands for
`1 - severity`. A model that finds the damage without the original has learned what a well-formed text looks like.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ml.training.dataset import Package, Split, bounded_sample, split_of
from ml.training.examples import Example

_MINIMUM_WORDS: Final = 20
"""Shorter texts have too little to damage: a severity of 0.1 would be less than two words."""
_SEVERITY_RANGE: Final = (0.1, 0.9)
_COPIES_PER_TEXT: Final = 2
_BOILERPLATE: Final = (
    "click here to learn more and do not forget to share this page with your friends",
    "all rights reserved see the terms of service and the privacy notice for details",
    "this is the best product on the market and everybody agrees that it is amazing",
    "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor",
    "subscribe now for the latest news offers and updates straight to your inbox",
)


def shuffle_words(words: Sequence[str], severity: float, rng: random.Random) -> list[str]:
    """Move the share `severity` of the words to each other's places."""
    places = rng.sample(range(len(words)), _affected(words, severity))
    targets = places[1:] + places[:1]
    shuffled = list(words)
    for place, target in zip(places, targets, strict=True):
        shuffled[target] = words[place]
    return shuffled


def truncate(words: Sequence[str], severity: float, _rng: random.Random) -> list[str]:
    """Cut the share `severity` of the words off the end."""
    return list(words[: len(words) - _affected(words, severity)])


def repeat_start(words: Sequence[str], severity: float, _rng: random.Random) -> list[str]:
    """Replace the share `severity` of the words, from the end, by the text's beginning over and over."""
    affected = _affected(words, severity)
    kept = list(words[: len(words) - affected])
    return kept + [kept[position % len(kept)] for position in range(affected)]


def replace_by_boilerplate(words: Sequence[str], severity: float, rng: random.Random) -> list[str]:
    """Replace a run of the share `severity` of the words by advertising and legal phrases."""
    affected = _affected(words, severity)
    start = rng.randrange(len(words) - affected + 1)
    filler: list[str] = []
    while len(filler) < affected:
        filler.extend(rng.choice(_BOILERPLATE).split())
    return [*words[:start], *filler[:affected], *words[start + affected :]]


def garble_letters(words: Sequence[str], severity: float, rng: random.Random) -> list[str]:
    """Shuffle the letters inside the share `severity` of the words."""
    garbled = list(words)
    for place in rng.sample(range(len(words)), _affected(words, severity)):
        letters = list(words[place])
        rng.shuffle(letters)
        garbled[place] = "".join(letters)
    return garbled


Degradation = Callable[[Sequence[str], float, random.Random], list[str]]
DEGRADATIONS: Final[dict[str, Degradation]] = {
    "shuffle_words": shuffle_words,
    "truncate": truncate,
    "repeat_start": repeat_start,
    "replace_by_boilerplate": replace_by_boilerplate,
    "garble_letters": garble_letters,
}


def quality_examples(packages: Iterable[Package], *, split: Split, limit: int, seed: int) -> list[Example]:
    """Return originals and damaged copies of at most `limit` packages of one split, in an order decided by `seed`.

    Original and copies are made of the same normalised words, so that layout cannot give the damage away.
    """
    long_enough = [
        package
        for package in packages
        if split_of(package) == split and len(package.description.split()) >= _MINIMUM_WORDS
    ]
    texts: list[Example] = []
    for package in bounded_sample(long_enough, limit=limit, seed=seed):
        words = package.description.split()
        texts.append(Example(" ".join(words), 1.0))
        rng = random.Random(f"{seed}:{package.package}")  # noqa: S311 reproducible damage, not a secret
        for name in rng.sample(sorted(DEGRADATIONS), _COPIES_PER_TEXT):
            severity = rng.uniform(*_SEVERITY_RANGE)
            texts.append(Example(" ".join(DEGRADATIONS[name](words, severity, rng)), 1.0 - severity))
    random.Random(seed).shuffle(texts)  # noqa: S311 reproducible order, not a secret
    return texts


def _affected(words: Sequence[str], severity: float) -> int:
    if not 0.0 <= severity < 1.0:
        raise ValueError(f"severity={severity}: allowed is 0 or more and less than 1")
    return round(severity * len(words))
