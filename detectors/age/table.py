"""Columns of profile signals, whatever they come from: a table's file, or the fields of events.

A cell is kept as the place of its value among the column's different values, so that a value is understood once however
often it occurs, and a million rows cost what their different values cost.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MISSING: Final = -1
_NOTHING: Final = frozenset({"", "na", "n/a", "nan", "null", "none"})


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """n cells. `codes`: (n,) int64, the place of each cell's value in `values`, -1 where there is none."""

    codes: NDArray[np.int64]
    values: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: NDArray[np.intp]) -> "Column":
        """The same column at other rows, with the values that occur there."""
        return Column(self.codes[rows], self.values).in_use()

    @property
    def present(self) -> NDArray[np.bool_]:
        """(n,) where there is a value."""
        return np.asarray(self.codes != MISSING, bool)

    def without(self, words: Sequence[str]) -> "Column":
        """With these values (as text, or the same number) missing too."""
        unwanted = frozenset(word.strip() for word in words)
        drop = [str(value).strip() in unwanted or _as_whole(value) in unwanted for value in self.values]
        return self if not any(drop) else self.where_not(np.array(drop))

    def where_not(self, drop: NDArray[np.bool_]) -> "Column":
        """Missing where the value is one of those with True in `drop`, one for each of `values`."""
        return Column(np.where(np.append(drop, False)[self.codes], MISSING, self.codes), self.values)

    def spread(self, of_values: NDArray[Any], otherwise: Any) -> NDArray[Any]:
        """One thing known of each value, (values, …), as one of each cell (n, …); `otherwise` where it is missing."""
        filler = np.full((1, *of_values.shape[1:]), otherwise, of_values.dtype)
        return np.concatenate([of_values, filler])[self.codes]  # -1 is the last

    def in_use(self) -> "Column":
        """Only values that occur."""
        used, codes = np.unique(self.codes[self.present], return_inverse=True)
        found = np.full(len(self.codes), MISSING, np.int64)
        found[self.present] = codes
        return Column(found, tuple(self.values[place] for place in used.tolist()))


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Columns of equal length by name. A column that is not there is one without any value."""

    columns: Mapping[str, Column]
    rows: int

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, name: str) -> Column:
        return self.columns.get(name) or Column(np.full(self.rows, MISSING, np.int64), ())

    def take(self, rows: NDArray[np.intp]) -> "Table":
        """The same columns at other rows."""
        return Table({name: column.take(rows) for name, column in self.columns.items()}, len(rows))


def column_of(cells: Sequence[Any]) -> Column:
    """Cells as Python has them. None, NaN, and text that says no more than they, are missing."""
    places: dict[Any, int] = {}
    codes = np.fromiter((_place(cell, places) for cell in cells), np.int64, len(cells))
    return Column(codes, tuple(value for _, value in places))


def table_of(columns: Mapping[str, Sequence[Any]]) -> Table:
    """Fields of events, as columns of equal length: text, numbers, truth values, lists of words, or None."""
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) > 1:
        raise ValueError("columns of different lengths")
    return Table({name: column_of(cells) for name, cells in columns.items()}, lengths.pop() if lengths else 0)


def is_nothing(cell: Any) -> bool:
    """Whether a cell has no value."""
    if isinstance(cell, float):
        return math.isnan(cell)
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in _NOTHING)


def _place(cell: Any, places: dict[Any, int]) -> int:
    if is_nothing(cell):
        return MISSING
    value = tuple(cell) if isinstance(cell, list | np.ndarray) else cell
    return places.setdefault((type(value), value), len(places))  # True, 1 and 1.0 are different


def _as_whole(value: Any) -> str | None:
    """A whole number as one writes it, whatever its type."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not float(value).is_integer():
        return None
    return str(int(value))
