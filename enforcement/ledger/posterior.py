"""Many estimates of one age into one distribution, as of a moment.

Estimates of one account see nearly the same signals with the same eyes: they are correlated (by r), and n of them are
worth n / (1 + (n - 1) r) (the effective sample size of equicorrelated observations, Kish 1965). The fused
distribution is their weighted geometric mean raised to that power (a logarithmic opinion pool, Genest and Zidek
1986), so that it can never be surer than 1 / r of them however many come. Recent ones weigh more. Each is first moved
to the moment: who was within the year 15 half a year ago is by now as likely 15 as 16.

The constants are assumptions, not fitted: no data of ours has verified ages and estimates over time.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from enforcement.ledger.state import DayEstimate
from schemas.ages import YEARS

CORRELATION: Final = 0.9  # r: nine tenths of an error come again in the next estimate
HALF_LIFE_DAYS: Final = 90.0  # an estimate so much older than the newest weighs half
_FLOOR: Final = 0.01  # share of each estimate that is spread over all ages: none can rule an age out for good
_YEAR_MS: Final = 365.2425 * 24 * 3600 * 1000
_DAY_MS: Final = 24 * 3600 * 1000
_AGES: Final = np.arange(YEARS)

Floats = NDArray[np.float64]


def fused(days: Sequence[DayEstimate], as_of_ms: int) -> Floats:
    """(121,) P(age in completed years at the moment), of one model's estimates, of which there is at least one."""
    logs = np.log(_moved(days, as_of_ms))
    weights = _weights(days)
    worth = weights.sum() ** 2 / (weights**2).sum()
    worth /= 1 + (worth - 1) * CORRELATION
    pooled = worth * (weights / weights.sum()) @ logs
    found = np.exp(pooled - pooled.max())
    return np.asarray(found / found.sum(), np.float64)


def _weights(days: Sequence[DayEstimate]) -> Floats:
    """(n,) by age."""
    times = np.array([each.estimated_at for each in days], np.float64)
    return np.asarray(0.5 ** ((times.max() - times) / _DAY_MS / HALF_LIFE_DAYS), np.float64)


def _moved(days: Sequence[DayEstimate], as_of_ms: int) -> Floats:
    """(n, 121) distributions of the age at the moment, none of it 0."""
    pmf = np.array([_pmf(each) for each in days])
    years = np.clip([(as_of_ms - each.event_time) / _YEAR_MS for each in days], 0, YEARS - 1)
    whole = np.floor(years).astype(int)
    part = (years - whole)[:, None]
    moved = (1 - part) * _shifted(pmf, whole) + part * _shifted(pmf, whole + 1)
    return np.asarray((1 - _FLOOR) * moved / moved.sum(axis=1, keepdims=True) + _FLOOR / YEARS, np.float64)


def _shifted(pmf: Floats, years: NDArray[np.int64]) -> Floats:
    """(n, 121) with every age some whole years older; who would be over 120 is 120."""
    at = _AGES - years[:, None]
    found = np.where(at >= 0, np.take_along_axis(pmf, np.maximum(at, 0), axis=1), 0.0)
    found[:, -1] += 1.0 - found.sum(axis=1)
    return found


def _pmf(day: DayEstimate) -> Floats:
    found = np.zeros(YEARS)
    logs = np.frombuffer(day.log_pmf, ">u2") / -2048.0
    found[day.first : day.first + len(logs)] = np.exp(logs)
    return np.asarray(found / found.sum(), np.float64)


def between(pmf: Floats, fewest: int, most: int) -> Floats | None:
    """(121,) given that the age is within two years, both included; None where the models thought that impossible."""
    inside = np.where((fewest <= _AGES) & (most >= _AGES), pmf, 0.0)
    mass = inside.sum()
    return np.asarray(inside / mass, np.float64) if mass > 0 else None


def reaching(pmf: Floats, gate: int) -> float:
    """P(age ≥ gate)."""
    return float(pmf[gate:].sum().clip(0.0, 1.0))
