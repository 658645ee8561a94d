"""Who is behind the accounts: true ages, how old they seem, what they declare."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.age.spec import OLDEST
from detectors.training.age.population.assumptions import Assumptions, Floats, along

Ages = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """n account holders. Unknown to the platform is all but `declared`, and `true` where it is verified."""

    true: Ages  # (n,) completed years
    declared: Ages  # (n,) -1: none
    verified: NDArray[np.bool_]  # (n,)
    seeming: Floats  # (n,) the age that what the account does speaks for: of family accounts in part the child's
    family: NDArray[np.bool_]  # (n,)

    def __len__(self) -> int:
        return len(self.true)


def drawn(rows: int, said: Assumptions, rng: np.random.Generator) -> People:
    """As many account holders."""
    true = ages(rows, said, rng)
    told = declared(true, said, rng)
    told[rng.random(rows) < said.undeclared] = -1
    exact = true + rng.random(rows)
    seeming = exact + along(said.seeming, exact) * rng.normal(size=rows)
    family = (true >= said.families.first) & (true <= said.families.last) & (rng.random(rows) < said.families.share)
    child = rng.uniform(said.families.child_first, said.families.child_last + 1, rows)
    part = rng.uniform(said.families.least, said.families.most, rows)
    mixed = np.where(family, part * child + (1 - part) * seeming, seeming)
    return People(true, told, rng.random(rows) < said.verified, mixed.clip(5, 95), family)


def ages(rows: int, said: Assumptions, rng: np.random.Generator) -> Ages:
    """(rows,) completed years."""
    years = np.arange(OLDEST + 1)
    weights = along(said.ages, years.astype(np.float64))
    return rng.choice(years, rows, p=weights / weights.sum())


def declared(true: Ages, said: Assumptions, rng: np.random.Generator) -> Ages:
    """What people of these ages (n,) declare."""
    found = np.floor(true + 0.5 + said.slips * rng.normal(size=len(true)))
    chance, above = rng.random(len(true)), rng.geometric(1 - said.above, len(true)) - 1
    for some in said.lies:
        here, reached = (true >= some.first) & (true <= some.last), 0.0
        for (age, share), after in zip(some.told.items(), [*list(some.told)[1:], OLDEST], strict=True):
            lying = here & (chance >= reached) & (chance < reached + share)
            found = np.where(lying, age + above % (after - age), found)
            reached += share
    nonsense = rng.random(len(true)) < said.nonsense
    return np.where(nonsense, rng.integers(13, 101, len(true)), found).clip(0, 100).astype(np.int64)
