"""Which rows train, calibrate and test. One row is one account, so no account is in two parts."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SMALL: Final = 5_000  # rows: with fewer, all train, and each is calibrated and tested by those who had not seen it
_SHARE: Final = 0.2  # of the rows to test, and as many to calibrate
_MOST_TRAINED: Final = 200_000
_MOST_APART: Final = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Row numbers. In small tables all are in `train`."""

    train: NDArray[np.intp]
    calibration: NDArray[np.intp]
    test: NDArray[np.intp]


def split(rows: int, seed: int, verified: NDArray[np.bool_] | None = None) -> Parts:
    """At random; of very many rows only as many as are of use. Only `verified` (rows,) calibrate and test."""
    order = np.random.default_rng(seed).permutation(rows)
    apart = 0 if rows < SMALL else min(int(rows * _SHARE), _MOST_APART)
    if verified is not None:
        order = order[np.argsort(~verified[order], kind="stable")]
        apart = min(apart, int(verified.sum()) // 3)
    test, calibration, train = np.split(order, [apart, 2 * apart])
    if verified is not None:
        train = np.random.default_rng(seed).permutation(train)
    return Parts(train[:_MOST_TRAINED], calibration, test)


def folds(rows: int, number: int, seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pairs of the rows to learn from and the others, which are each row once."""
    of_row = np.random.default_rng(seed).permutation(rows) % number
    return [(np.flatnonzero(of_row != one), np.flatnonzero(of_row == one)) for one in range(number)]
