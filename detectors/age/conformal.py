"""Intervals that cover: how far from the middle of its distribution an age may be, learnt apart from training.

The score of a person is |P(age < a) + P(age = a) / 2 - 1/2| at the true age a (distributional conformal prediction:
Chernozhukov, Wüthrich, Zhu 2021, arXiv:1909.07889). Its conformal quantile makes intervals that cover as often as
wanted over all people. To cover as often for each kind of people, whose kind is not known when the model runs, the
quantile is taken within each leaf of a shallow tree on the features, grown where the distributions are wrong in
different ways; and a common addition makes the interval cover within each group that the calibration part names. The
groups are needed there only.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from detectors.age.distribution import Floats


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tree(_Strict):
    """A binary tree over features; at a leaf `feature` is -1."""

    feature: tuple[int, ...] = (-1,)
    threshold: tuple[float, ...] = (0.0,)  # up to it goes left
    left: tuple[int, ...] = (-1,)
    right: tuple[int, ...] = (-1,)

    def leaf(self, matrix: NDArray[np.float32]) -> NDArray[np.int64]:
        """(n,) the node in which each row of the features (n, F) ends."""
        feature, threshold = np.array(self.feature), np.array(self.threshold)
        left, right = np.array(self.left), np.array(self.right)
        node = np.zeros(len(matrix), np.int64)
        while (inner := feature[node] >= 0).any():
            rows = np.flatnonzero(inner)
            at = node[rows]
            node[rows] = np.where(matrix[rows, feature[at]] <= threshold[at], left[at], right[at])
        return node


class Reach(_Strict):
    """How far from the middle the interval goes, for `detectors.age.distribution.central`."""

    coverage: float = Field(gt=0, lt=1, description="Share of people whose age is within, as promised.")
    tree: Tree = Tree()
    of_node: tuple[float, ...] = Field(
        description="By node of the tree; 0.45 would be right of a perfect model at 90 %."
    )
    addition: float = Field(default=0.0, description="To all, so that the worst group of the calibration is covered.")

    def of(self, matrix: NDArray[np.float32]) -> Floats:
        """(n,) the reach of each row of the features (n, F)."""
        return np.clip(np.array(self.of_node)[self.tree.leaf(matrix)] + self.addition, 0.0, 0.5)


def quantile(scores: Floats, coverage: float) -> float:
    """The conformal quantile: of n scores the ⌈(n + 1) · coverage⌉-th smallest; 0.5, which is all, if n is small."""
    rank = int(np.ceil((len(scores) + 1) * coverage))
    return 0.5 if rank > len(scores) else float(np.partition(scores, rank - 1)[rank - 1])
