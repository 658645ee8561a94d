"""The reach of intervals, from people held apart: by leaves of a shallow tree, then for the worst group.

A third of the calibration part grows the tree, on what its scores depend; the others give the leaves their conformal
quantiles, so that the leaves were not made for the people who are counted in them.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from detectors.age.conformal import Reach, Tree, quantile
from detectors.age.distribution import Floats, central

LEAST_LEAF: Final = 300  # people in a leaf, of those that grow the tree
LEAST_GROUP: Final = 500  # people in a group, to be covered in its own right
TOLERANCE: Final = 0.01  # a group whose coverage is short by no more is left alone: chance alone does that to some
DEPTH: Final = 3
_SEED: Final = 9


def learn(
    scores: Floats, matrix: NDArray[np.float32], groups: Mapping[str, NDArray[np.bool_]], coverage: float
) -> Reach:
    """The reach for `scores` (n,) of people with features `matrix` (n, F).

    Args:
        scores: `detectors.age.distribution.off_centre` of the calibration part.
        matrix: its features.
        groups: its people by group, (n,) each; those with fewer than `LEAST_GROUP` are left out.
        coverage: share wanted within the interval.
    """
    order = np.random.default_rng(_SEED).permutation(len(scores))
    grow, count = order[: len(order) // 3], order[len(order) // 3 :]
    if len(grow) < 2 * LEAST_LEAF:
        return Reach(coverage=coverage, of_node=(quantile(scores, coverage),))
    tree = _grown(scores[grow], matrix[grow])
    leaf = tree.leaf(matrix[count])
    of_node = tuple(
        quantile(scores[count][leaf == node], coverage) if tree.feature[node] < 0 else 0.5
        for node in range(len(tree.feature))
    )
    reach = Reach(coverage=coverage, tree=tree, of_node=of_node)
    return reach.model_copy(update={"addition": _addition(scores, reach.of(matrix), groups, coverage)})


def _grown(scores: Floats, matrix: NDArray[np.float32]) -> Tree:
    """Fitted to the rank of the score: the quantile shifts where ranks do, and outliers don't lead it."""
    ranks = np.argsort(np.argsort(scores)) / len(scores)
    target = np.maximum(ranks - 0.5, 0.0) ** 2  # what matters is how far the far ones are
    found = DecisionTreeRegressor(max_depth=DEPTH, min_samples_leaf=LEAST_LEAF, random_state=_SEED)
    tree = found.fit(matrix, target).tree_
    return Tree(
        feature=tuple(int(each) if each >= 0 else -1 for each in tree.feature),
        threshold=tuple(map(float, tree.threshold)),
        left=tuple(map(int, tree.children_left)),
        right=tuple(map(int, tree.children_right)),
    )


def _addition(scores: Floats, reach: Floats, groups: Mapping[str, NDArray[np.bool_]], coverage: float) -> float:
    """The least that makes every group's coverage what is wanted, but for the tolerance; never below 0."""
    beyond = scores - reach
    needed = [quantile(beyond[rows], coverage - TOLERANCE) for rows in groups.values() if rows.sum() >= LEAST_GROUP]
    return max([0.0, *needed])


def price(pmf: Floats, scores: Floats, matrix: NDArray[np.float32], reach: Reach) -> dict[str, float]:
    """Mean width in years of the intervals of the calibration part: what covering each kind of people costs."""
    plain = np.full(len(pmf), quantile(scores, reach.coverage))
    ways = {
        "one_quantile": plain,
        "by_leaf": reach.model_copy(update={"addition": 0.0}).of(matrix),
        "by_leaf_and_worst_group": reach.of(matrix),
    }
    ends = {name: central(pmf, one) for name, one in ways.items()}
    return {name: round(float((high - low + 1).mean()), 2) for name, (low, high) in ends.items()}
