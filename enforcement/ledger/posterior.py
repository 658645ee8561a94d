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
from schemas.ages import GATES, YEARS

CORRELATION: Final = 0.9  # r: nine tenths of an error come again in the next estimate
HALF_LIFE_DAYS: Final = 90.0  # an estimate so much older than the newest weighs half
_FLOOR: Final = 0.01  # share of each estimate that is spread over all ages: none can rule an age out for good
_YEAR_MS: Final = 365.2425 * 24 * 3600 * 1000
_DAY_MS: Final = 24 * 3600 * 1000
_AGES: Final = np.arange(YEARS)

Floats = NDArray[np.float64]


def fused(accounts: Sequence[Sequence[DayEstimate]], as_of_ms: int) -> Floats:
    """(n, 121) P(age in completed years at the moment), each of one model's one or more estimates."""
    days = [day for each in accounts for day in each]
    lengths = np.array([len(each) for each in accounts])
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    weights = _weights(days, starts, lengths)
    total = np.add.reduceat(weights, starts)
    worth = total**2 / np.add.reduceat(weights**2, starts)
    worth /= 1 + (worth - 1) * CORRELATION
    logs = np.log(_moved(days, as_of_ms)) * (weights * np.repeat(worth / total, lengths))[:, None]
    pooled = np.add.reduceat(logs, starts)
    found = np.exp(pooled - pooled.max(axis=1, keepdims=True))
    return np.asarray(found / found.sum(axis=1, keepdims=True), np.float64)


def _weights(days: Sequence[DayEstimate], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Floats:
    """(days,) by age; each account's days begin at its start."""
    times = np.array([each.estimated_at for each in days], np.float64)
    newest = np.repeat(np.maximum.reduceat(times, starts), lengths)
    return np.asarray(0.5 ** ((newest - times) / _DAY_MS / HALF_LIFE_DAYS), np.float64)


def _moved(days: Sequence[DayEstimate], as_of_ms: int) -> Floats:
    """(n, 121) distributions of the age at the moment, none of it 0."""
    pmf = _pmfs(days)
    years = np.clip((as_of_ms - np.array([each.event_time for each in days])) / _YEAR_MS, 0, YEARS - 1)
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


def _pmfs(days: Sequence[DayEstimate]) -> Floats:
    """(n, 121) as they were estimated."""
    steps = np.full((len(days), YEARS), np.inf)
    for row, day in zip(steps, days, strict=True):
        said = np.frombuffer(day.log_pmf, ">u2")
        row[day.first : day.first + len(said)] = said
    found = np.exp(steps / -2048.0)
    return np.asarray(found / found.sum(axis=1, keepdims=True), np.float64)


def between(pmf: Floats, fewest: int, most: int) -> Floats | None:
    """(121,) given that the age is within two years, both included; None where the models thought that impossible."""
    inside = np.where((fewest <= _AGES) & (most >= _AGES), pmf, 0.0)
    mass = inside.sum()
    return np.asarray(inside / mass, np.float64) if mass > 0 else None


def reaching(pmf: Floats) -> dict[int, float]:
    """Gate → P(age ≥ gate)."""
    return {gate: min(1.0, float(pmf[gate:].sum())) for gate in GATES}
