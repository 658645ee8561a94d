"""The declared age: evidence that can lie. It is kept out of the network, where it would soon be the answer.

    P(true = a | signals, declared = d)  ∝  P(true = a | signals) · L(d | a)

L is stated, not learnt, because in tables whose ages are verified the declared ones are too honest: with a share
`denials` a declared age says nothing (any age is as likely), of those below a gate a share `lies` declare an age from
the gate they want to pass up, mostly just above it, and the others their own within a normal error. Whatever comes of
that, no declared age multiplies the odds of one age against another by more than `weight`; one below 18 by no more
than `weight_below`.

The shares are assumptions. Ofcom (Children's Online User Ages, 2022): of those aged 8 to 17 with a profile, 32 % have
one with an adult age; of those aged 8 to 12, 60 % one with an age of 13 or more.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.age.cells import numbers
from detectors.age.spec import PUBLISHED, YEARS, Declared
from detectors.age.table import Column

Floats = NDArray[np.float64]
_ABOVE: Final = 0.7  # each year above the gate is that much less often chosen by those who lie


@lru_cache(maxsize=8)
def likelihood(said: Declared) -> Floats:
    """(121 declared, 121 true) L(declared | true), up to a factor for each declared age."""
    years = np.arange(YEARS)
    honest = np.exp(-0.5 * ((years[:, None] - years[None]) / said.spread) ** 2)
    honest /= honest.sum(axis=0)
    lied = np.zeros((YEARS, YEARS))
    for age in range(max(PUBLISHED)):
        lied[:, age] = lie(age)
    share = np.where(years < max(PUBLISHED), said.lies, 0.0)
    told = (1 - share) * honest + share * lied
    found = (1 - said.denials) * told + said.denials / YEARS
    weight = np.where(years < max(PUBLISHED), said.weight_below, said.weight)[:, None]
    return np.asarray(np.maximum(found, found.max(axis=1, keepdims=True) / weight), np.float64)


def ages_of(column: Column, said: Declared) -> NDArray[np.int64]:
    """(n,) declared whole years; -1 where there is none, or none that anyone can have."""
    found = np.floor(numbers(column.without(said.missing)))
    return np.where((found >= 0) & (found < YEARS), found, -1).astype(np.int64)


def informed(pmf: Floats, declared: NDArray[np.int64], said: Declared) -> Floats:
    """(n, 121) the distribution after the declared ages (n,), unchanged where there is none."""
    weights = np.where(declared[:, None] < 0, 1.0, likelihood(said)[declared])
    found = pmf * weights
    return np.asarray(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-300), np.float64)


def lie(age: int) -> Floats:
    """(121,) what those of this age say who lie: each gate that is above them is wanted by as many."""
    gates = [gate for gate in PUBLISHED if gate > age]
    found = np.zeros(YEARS)
    for gate in gates:
        found[gate:] += _ABOVE ** np.arange(YEARS - gate)
    return np.asarray(found / found.sum(), np.float64)
