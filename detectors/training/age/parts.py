"""Which rows train, calibrate and test: by a digest of the account, or of what the row says where the spec names none.

So the same people are in the same part in whatever file, order or company they come, equal rows are in one part, and
whoever has the card can find those that were held apart.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.age.cells import word
from detectors.age.spec import Signal, Spec
from detectors.age.table import Column, Table
from schemas.errors import UserMistake

SMALL: Final = 5_000  # rows: with fewer, all train, and each is calibrated and tested by those who had not seen it
_SHARE: Final = 0.2  # of the rows to test, and as many to calibrate
FINGERPRINTS: Final = 256
_MOST_TRAINED: Final = 200_000
_MOST_APART: Final = 50_000
_AS_IT_IS: Final = Signal(kind="category")

Digests = NDArray[np.uint64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Row numbers. In small tables all are in `train`."""

    train: NDArray[np.intp]
    calibration: NDArray[np.intp]
    test: NDArray[np.intp]


def split(digests: Digests, verified: Truths | None = None) -> Parts:
    """A share each to test and to calibrate; of very many rows only as many as are of use.

    Only `verified` (n,) calibrate and test, and a third of them at most each.
    """
    order = np.argsort(digests, kind="stable")
    share = apart(len(digests), verified)
    tests = held_apart(digests, share, verified)[order]
    held = held_apart(digests, 2 * share, verified)[order]
    test, calibration, train = order[tests], order[held & ~tests], order[~held]
    return Parts(train[:_MOST_TRAINED], calibration[:_MOST_APART], test[:_MOST_APART])


def apart(rows: int, verified: Truths | None = None) -> float:
    """The share of the rows, or of the verified ones, that tests; as many calibrate. 0 in small tables."""
    if rows < SMALL:
        return 0.0
    return _SHARE if verified is None else min(1 / 3, _SHARE * rows / float(verified.sum()))


def held_apart(digests: Digests, share: float, verified: Truths | None = None) -> Truths:
    """(n,) those with the lowest digests, of all or of the verified."""
    found = digests < np.uint64(min(int(share * 2**64), 2**64 - 1))
    return np.asarray(found if verified is None else found & verified, bool)


def digests_of(table: Table, spec: Spec, seed: int) -> Digests:
    """(n,) one of each row. UserMistake without the account column that the spec names: people would not be known."""
    if spec.account and spec.account not in table.columns:
        raise UserMistake(f"the column {spec.account}, the spec's account, is not in the table: it says who is who")
    said = (spec.target.column, *spec.signals)  # not the groups: who evaluates may lack them
    named = (spec.account,) if spec.account else said
    found = np.full(len(table), seed, np.uint64)
    for name in named:
        found = _mixed(found ^ _of_cells(table[name], name))
    return found


def fingerprints(digests: Digests, learnt: NDArray[np.intp]) -> list[str]:
    """For the card: the lowest of the rows that a model has learnt from or was calibrated on, if of one row only."""
    found, count = np.unique(digests[learnt], return_counts=True)
    return [f"{each:016x}" for each in found[count == 1][:FINGERPRINTS].tolist()]


def recognised(digests: Digests, known: Sequence[str]) -> int:
    """How many of a card's fingerprints are among the digests."""
    return int(np.isin(np.array([int(each, 16) for each in known], np.uint64), digests).sum())


def folds(rows: int, number: int, seed: int) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pairs of the rows to learn from and the others, which are each row once."""
    of_row = np.random.default_rng(seed).permutation(rows) % number
    return [(np.flatnonzero(of_row != one), np.flatnonzero(of_row == one)) for one in range(number)]


def _of_cells(column: Column, name: str) -> Digests:
    said = [hashlib.blake2b(f"{name}={word(value, _AS_IT_IS)}".encode(), digest_size=8) for value in column.values]
    found = np.array([int.from_bytes(each.digest(), "big") for each in said], np.uint64)
    return column.spread(found, np.uint64(len(name)))


def _mixed(state: Digests) -> Digests:
    """SplitMix64: every bit depends on every bit (Steele, Lea, Flood 2014)."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
