"""What a detector of age says of an event: one row of numbers, the distribution over years first.

    0 to 120   P(age = a) in completed years, calibrated: the mass of 13 and up is P(age ≥ 13), and so at every gate
    121        mean, years
    122, 123   first and last completed year of the interval that holds the age in 90 % of cases

A row is NaN wherever the detector's status is not `scored`. On moderation.age-estimates the distribution goes as its
logarithms: 121 big-endian uint16, each -ln P(age = a) · 2048, at most 65535. A mass is right to 0.03 % down to e^-32,
and products of distributions can be taken as sums.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

YEARS: Final = 121
MEAN: Final = YEARS
LOW: Final = YEARS + 1
HIGH: Final = YEARS + 2
WIDTH: Final = YEARS + 3  # columns
GATES: Final = (13, 16, 18)  # published with every estimate
_STEPS: Final = 2048  # of a unit of the natural logarithm
_MOST: Final = 65_535
_BIG_ENDIAN: Final = np.dtype(">u2")

Ages = NDArray[np.float32]  # (n, WIDTH)


def unknown(rows: int) -> Ages:
    """Nothing is said of any row."""
    return np.full((rows, WIDTH), np.nan, np.float32)


def reaching(ages: Ages, gate: int) -> NDArray[np.float64]:
    """(n,) P(age ≥ gate)."""
    return np.asarray(ages[:, gate:YEARS].sum(axis=1, dtype=np.float64).clip(0.0, 1.0), np.float64)


def published(ages: Ages) -> list[dict[str, float]]:
    """Each row as people read it, of rows that are scored."""
    names = ("mean", "low", "high", *(f"p_ge_{gate}" for gate in GATES))
    numbers = np.column_stack([ages[:, [MEAN, LOW, HIGH]], *(reaching(ages, gate) for gate in GATES)])
    places = (2, 0, 0, *[6] * len(GATES))
    columns = (np.round(column.astype(np.float64), place) for column, place in zip(numbers.T, places, strict=True))
    return [dict(zip(names, row, strict=True)) for row in np.column_stack(list(columns)).tolist()]


def plausible(ages: Ages) -> NDArray[np.bool_]:
    """(n,) which rows are a distribution with a mean and an interval."""
    pmf, rest = ages[:, :YEARS], ages[:, YEARS:]
    with np.errstate(invalid="ignore"):
        mass = (pmf >= 0).all(axis=1) & (np.abs(pmf.sum(axis=1, dtype=np.float64) - 1) < 1e-3)
        return np.asarray(mass & ((rest >= 0) & (rest < YEARS)).all(axis=1), bool)


def encode_log_pmf(pmf: NDArray[np.floating]) -> list[bytes]:
    """Distributions (n, 121) as they are published: 242 bytes each."""
    with np.errstate(divide="ignore"):
        steps = np.rint(-np.log(pmf.astype(np.float64)) * _STEPS)
    packed = np.clip(steps, 0, _MOST).astype(_BIG_ENDIAN)
    return [row.tobytes() for row in packed]


def decode_log_pmf(packed: bytes) -> NDArray[np.float64]:
    """(121,) log P(age = a), of which the exponentials add up to 1. ValueError if it is no such thing."""
    if len(packed) != YEARS * _BIG_ENDIAN.itemsize:
        raise ValueError(f"{len(packed)} bytes in place of {YEARS * _BIG_ENDIAN.itemsize}")
    found = -np.frombuffer(packed, _BIG_ENDIAN).astype(np.float64) / _STEPS
    return np.asarray(found - np.logaddexp.reduce(found), np.float64)
