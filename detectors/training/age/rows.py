"""The rows of a training table: their ages, checked, and what else a person should be told of the table."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.age import cells
from detectors.age.checking import readable, shown, unlike_kind
from detectors.age.spec import OLDEST, Spec
from detectors.age.table import Column, Table
from detectors.training.age.parts import SMALL
from schemas.errors import UserMistake

LEAST_ROWS: Final = 200
LEAST_VERIFIED: Final = 1_500  # ages, where a column says which are: two thirds calibrate and test


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A table whose every row has an age."""

    table: Table
    ages: NDArray[np.int64]  # (n,) completed years
    warnings: tuple[str, ...] = ()
    verified: NDArray[np.bool_] | None = None  # (n,) whose age is; None: nothing says so

    def __len__(self) -> int:
        return len(self.ages)

    def take(self, rows: NDArray[np.intp]) -> "Rows":
        """The same of other rows; warnings are told once."""
        verified = None if self.verified is None else self.verified[rows]
        return Rows(self.table.take(rows), self.ages[rows], verified=verified)

    @property
    def doubtful(self) -> NDArray[np.bool_]:
        """(n,) whose age has the noise that the spec states."""
        return np.ones(len(self), bool) if self.verified is None else ~self.verified


def checked(table: Table, spec: Spec) -> Rows:
    """The rows that have an age. UserMistake, with row and column, if nothing can be learnt from the table.

    Rows are counted from 1, the first after the header.
    """
    if spec.target.column not in table.columns:
        raise UserMistake(f"the column {spec.target.column}, the spec's target, is not in the table")
    column = table[spec.target.column].without(spec.target.missing)
    ages = _ages(column, spec.target.column)
    kept = np.flatnonzero(column.present)
    if len(kept) < LEAST_ROWS:
        raise UserMistake(f"{len(kept)} rows have an age in {spec.target.column}: at least {LEAST_ROWS} are needed")
    if len(np.unique(ages[kept])) == 1:
        raise UserMistake(f"column {spec.target.column}: every age is {ages[kept[0]]}, so there is nothing to learn")
    table = readable(table, spec)
    silent = list(_telling_nothing(table, spec))
    if len(silent) == len(spec.signals):
        raise UserMistake(
            f"no signal tells one person from another: {silent[0].removesuffix(': the signal is left out')}"
        )
    left_out = len(column) - len(kept)
    warnings = [f"{left_out} rows have no age in {spec.target.column} and are left out"] if left_out else []
    warnings += [*unlike_kind(table, spec), *silent, *_one_sided(ages[kept], spec)]
    return Rows(table.take(kept), ages[kept], tuple(warnings), _verified(table.take(kept), spec))


def _verified(table: Table, spec: Spec) -> NDArray[np.bool_] | None:
    """(n,) None if the spec names no column; UserMistake if too few are to calibrate on."""
    if (name := spec.target.verified) is None:
        return None
    if name not in table.columns:
        raise UserMistake(f"the column {name}, the spec's target.verified, is not in the table")
    found = cells.flags(table[name]) == 1
    if len(found) < SMALL or found.sum() < LEAST_VERIFIED:
        raise UserMistake(
            f"column {name}: {int(found.sum())} of {len(found)} ages are verified: at least {LEAST_VERIFIED} of "
            f"{SMALL} are needed; without target.verified in the spec all count as they are"
        )
    return np.asarray(found, bool)


def _ages(column: Column, name: str) -> NDArray[np.int64]:
    """(n,) -1 where missing; UserMistake with the first row whose age is none that anyone can have."""
    found = cells.numbers(column)
    wrong = column.present & ~((found >= 0) & (found < OLDEST + 1))
    if wrong.any():
        row = int(np.argmax(wrong))
        others = int(wrong.sum()) - 1
        more = f" (and {others} more rows)" if others else ""
        raise UserMistake(
            f"row {row + 1}, column {name}: {shown(column, row)} is no age from 0 to {OLDEST}{more}; put it right, or "
            f"name the value under target.missing in the spec"
        )
    return np.where(column.present, np.floor(np.nan_to_num(found)), -1).astype(np.int64)


def _telling_nothing(table: Table, spec: Spec) -> Iterator[str]:
    for name in spec.signals:
        column = table[name]
        if name not in table.columns:
            yield f"column {name} is not in the table: the signal is left out"
        elif not column.present.any():
            yield f"column {name} has no value: the signal is left out"
        elif column.present.all() and len(np.unique(column.codes)) == 1:
            yield f"column {name} is the same in every row: the signal is left out"


def _one_sided(ages: NDArray[np.int64], spec: Spec) -> Iterator[str]:
    for gate in spec.gates:
        if ages.min() >= gate or ages.max() < gate:
            side = "below" if ages.min() >= gate else "at or above"
            yield f"nobody in the table is {side} {gate}: that gate can be neither calibrated nor tested"
