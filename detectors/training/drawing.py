"""Which rows a round of training sees, in which batches: by the recipe's shares, seeded by the round's number."""

import random
from collections import Counter
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors.tokenisation import Vocabulary
from detectors.training.identities import exchanged
from detectors.training.obfuscation import obfuscated
from detectors.training.recipe import Recipe
from detectors.training.rows import CATEGORIES, Examples
from schemas.categories import Category

_RARE = [CATEGORIES.index(c) for c in (Category.THREAT, Category.SEXUAL, Category.SPAM, Category.SCAM)]
_RARE_WEIGHT = 3.0
_NOT_ENGLISH = {"germeval2018", "korean_hate"}


class Pools:
    """The examples by source, with how likely each row is to be drawn."""

    def __init__(self, examples: Examples, recipe: Recipe) -> None:
        self._recipe = recipe
        sources, hateful = np.array(examples.sources), examples.labels[:, 0] == 1
        self._public: list[tuple[NDArray[np.intp], NDArray[np.float64] | None, float]] = []
        for source, (hate, other) in recipe.public.items():
            self._public.append((np.flatnonzero((sources == source) & hateful), None, hate))
            self._public.append((np.flatnonzero((sources == source) & ~hateful), None, other))
        weight = _own_weights(examples)
        self._own: list[tuple[NDArray[np.intp], NDArray[np.float64] | None, float]] = []
        for source, share in recipe.own.items():
            mine = np.flatnonzero(sources == source)
            self._own.append((mine, weight[mine], share))

    def draw(self, number: int) -> NDArray[np.intp]:
        """The rows of a round, in no order: public ones and contrast cases."""
        rng = np.random.default_rng([self._recipe.seed, number])
        public = self._recipe.phase(number).public
        parts = [(self._public, public), (self._own, 1 - public)]
        drawn: list[NDArray[np.intp]] = []
        for pools, part in parts:
            there = [(rows, weight, share) for rows, weight, share in pools if len(rows) and share]
            whole = sum(share for _, _, share in there)
            for rows, weight, share in there:
                wanted = round(self._recipe.round_rows * part * share / whole)
                p = None if weight is None else weight / weight.sum()
                drawn.append(rng.choice(rows, wanted, replace=wanted > len(rows), p=p))
        return np.concatenate(drawn)


def batches(
    examples: Examples, pools: Pools, vocabulary: Vocabulary, recipe: Recipe, number: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """A round: padded batches of near-equal length, in random order: (ids, mask, labels)."""
    rng = random.Random(f"{recipe.seed}/{number}")  # noqa: S311 - reproducible, not secret
    drawn = pools.draw(number).tolist()
    share = recipe.phase(number).exchange
    texts = [_about_others(examples, i, share, rng) for i in drawn]
    texts = [obfuscated(text, rng) if rng.random() < recipe.obfuscate else text for text in texts]
    rows = [[vocabulary.first, *ids[: recipe.most_pieces - 2], vocabulary.last] for ids in vocabulary.pieces(texts)]
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i]), rng.random()))
    cut = list(_cut([len(rows[i]) for i in order], recipe.batch_pieces))
    rng.shuffle(cut)
    for run in cut:
        batch = order[run]
        yield *padded([rows[i] for i in batch]), torch.from_numpy(examples.labels[[drawn[i] for i in batch]])


def _about_others(examples: Examples, row: int, share: float, rng: random.Random) -> str:
    text = examples.texts[row]
    english = examples.sources[row] not in _NOT_ENGLISH and not examples.sources[row].startswith("contrast_")
    if (english or examples.sources[row] == "contrast_en") and share and rng.random() < share:
        return exchanged(text, rng)
    return text


def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Ids with zeros after the shorter rows, and where they are not: both (rows, longest)."""
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])


def _cut(lengths: list[int], budget: int) -> Iterator[slice]:
    """Runs of ascending lengths, each with at most `budget` pieces once padded to its longest."""
    first = 0
    for i, length in enumerate(lengths):
        if i > first and (i - first + 1) * length > budget:
            yield slice(first, i)
            first = i
    if first < len(lengths):
        yield slice(first, len(lengths))


def _own_weights(examples: Examples) -> NDArray[np.float64]:
    """Of contrast cases: a template that can be filled in many ways counts for more, but not for as much more."""
    fillings = Counter(examples.groups)
    weight = np.array([fillings[group] ** -0.5 for group in examples.groups])
    rare = (examples.labels[:, _RARE] == 1).any(axis=1)
    return np.asarray(np.where(rare, _RARE_WEIGHT, 1.0) * weight, np.float64)
