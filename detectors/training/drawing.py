"""Which rows a round of training sees, in which batches: by the recipe's shares, seeded by the round's number."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors.text.tokenisation import Vocabulary
from detectors.training.identities import exchanged
from detectors.training.obfuscation import obfuscated
from detectors.training.recipe import Recipe
from detectors.training.rows import CATEGORIES, Examples
from schemas.categories import Category

_RARE = [CATEGORIES.index(c) for c in (Category.THREAT, Category.SEXUAL, Category.SPAM, Category.SCAM)]
_RARE_WEIGHT = 3.0
_OTHER_LANGUAGES = {"germeval2018": "de", "korean_hate": "ko"}
_OWN = "contrast_"


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Texts of one step, padded to the longest."""

    ids: Tensor  # (rows, pieces)
    mask: Tensor  # the same shape: 0 where padded
    labels: Tensor  # (rows, categories), NaN where unknown
    twins: Tensor  # (pairs, 2): rows that say the same about different groups

    @property
    def drawn(self) -> int:
        """Rows that the recipe drew: all but the second of each pair of twins."""
        return len(self.ids) - len(self.twins)


class Pools:
    """The examples by source, with how likely each row is to be drawn."""

    def __init__(self, examples: Examples, recipe: Recipe) -> None:
        self._recipe = recipe
        self._fillings: dict[str, list[int]] = {}
        for i, (source, group) in enumerate(zip(examples.sources, examples.groups, strict=True)):
            if source.startswith(_OWN):
                self._fillings.setdefault(group, []).append(i)
        self._examples = examples
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

    def text(self, row: int, exchange: float, rng: random.Random) -> str:
        """The row's, or with the probability `exchange` about other groups."""
        text = self._examples.texts[row]
        return exchanged(text, _language(self._examples.sources[row]), rng) if rng.random() < exchange else text

    def twin(self, row: int, text: str, rng: random.Random) -> str:
        """The same about another group: another filling of a contrast case, or the text with its groups exchanged."""
        source = self._examples.sources[row]
        if source.startswith(_OWN):
            return self._examples.texts[rng.choice(self._fillings[self._examples.groups[row]])]
        return exchanged(text, _language(source), rng)


def batches(examples: Examples, pools: Pools, vocabulary: Vocabulary, recipe: Recipe, number: int) -> Iterator[Batch]:
    """A round, in random order: texts of near-equal length together, twins in one batch."""
    rng = random.Random(f"{recipe.seed}/{number}")  # noqa: S311 - reproducible, not secret
    drawn = pools.draw(number).tolist()
    phase = recipe.phase(number)
    said: list[tuple[str, str]] = []  # a text and its twin, or itself
    for row in drawn:
        plain = pools.text(row, phase.exchange, rng)
        twin = pools.twin(row, plain, rng) if rng.random() < phase.twins else plain
        text = obfuscated(plain, rng) if rng.random() < recipe.obfuscate else plain
        said.append((text, twin if phase.twins else text))
    pieces = iter(vocabulary.pieces([text for both in said for text in both]))
    most = recipe.most_pieces - 2
    rows: list[list[list[int]]] = []
    for first in pieces:
        both = [[vocabulary.first, *ids[:most], vocabulary.last] for ids in (first, next(pieces))]
        rows.append(both if both[0] != both[1] else both[:1])
    order = sorted(range(len(rows)), key=lambda i: (max(map(len, rows[i])), rng.random()))
    cut = list(_cut([(len(rows[i]), max(map(len, rows[i]))) for i in order], recipe.batch_pieces))
    rng.shuffle(cut)
    for run in cut:
        batch = order[run]
        sizes = [len(rows[i]) for i in batch]
        starts = [0, *accumulate(sizes)]
        twins = [[start, start + 1] for start, size in zip(starts, sizes, strict=False) if size > 1]
        yield Batch(
            *padded([row for i in batch for row in rows[i]]),
            torch.from_numpy(examples.labels[[drawn[i] for i in batch for _ in rows[i]]]),
            torch.tensor(twins, dtype=torch.long).reshape(-1, 2),
        )


def padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Ids with zeros after the shorter rows, and where they are not: both (rows, longest)."""
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])


def _cut(units: list[tuple[int, int]], budget: int) -> Iterator[slice]:
    """Runs of units (rows, longest) by ascending length, of at most `budget` pieces once padded to the longest."""
    first = rows = 0
    for i, (size, length) in enumerate(units):
        if rows and (rows + size) * length > budget:
            yield slice(first, i)
            first, rows = i, 0
        rows += size
    if rows:
        yield slice(first, len(units))


def _language(source: str) -> str:
    return source.removeprefix(_OWN) if source.startswith(_OWN) else _OTHER_LANGUAGES.get(source, "en")


def _own_weights(examples: Examples) -> NDArray[np.float64]:
    """Of contrast cases: a template that can be filled in many ways counts for more, but not for as much more."""
    fillings = Counter(examples.groups)
    weight = np.array([fillings[group] ** -0.5 for group in examples.groups])
    rare = (examples.labels[:, _RARE] == 1).any(axis=1)
    return np.asarray(np.where(rare, _RARE_WEIGHT, 1.0) * weight, np.float64)
