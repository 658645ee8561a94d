"""Whether the cells of a table are what its spec says of their columns. Rows are counted from 1, after the header."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from detectors.age import cells
from detectors.age.declared import ages_of
from detectors.age.spec import OLDEST, Spec
from detectors.age.table import Column, Table
from schemas.errors import UserMistake

MOST_UNREADABLE: Final = 0.01  # of a column's values: more than that, and its kind is a mistake


def readable(table: Table, spec: Spec) -> Table:
    """Without values of another kind than the spec says, if they are few; UserMistake if they are many."""
    columns = dict(table.columns)
    for name, signal in spec.signals.items():
        column = table[name].without(signal.missing)
        bad = np.append(cells.unreadable(column, signal), False)[column.codes]
        if bad.sum() > MOST_UNREADABLE * max(column.present.sum(), 1):
            row = int(np.argmax(bad))
            raise UserMistake(
                f"row {row + 1}, column {name}: {shown(column, row)} is no {signal.kind}, and "
                f"{int(bad.sum()) - 1} more cells are none: name another kind in the spec, or the value under missing"
            )
        if name in columns:
            columns[name] = column
    return Table(columns, len(table))


def unlike_kind(table: Table, spec: Spec) -> Iterator[str]:
    """A line for each column with cells that count as missing, because they are not what the spec says.

    Without the cell: these lines go into model cards, and the cells are people's.
    """
    for name, signal in spec.signals.items():
        bad = np.append(cells.unreadable(table[name], signal), False)[table[name].codes]
        if bad.any():
            row = int(np.argmax(bad))
            said = f"{int(bad.sum())} cells are no {signal.kind} and count as missing"
            yield f"column {name}: {said}, the first in row {row + 1}"
    if spec.declared:
        column = table[spec.declared.column].without(spec.declared.missing)
        bad = column.present & (ages_of(column, spec.declared) < 0)
        if bad.any():
            row = int(np.argmax(bad))
            yield (
                f"column {spec.declared.column}: {int(bad.sum())} cells are no age from 0 to {OLDEST} and count as "
                f"missing, the first in row {row + 1}"
            )


def shown(column: Column, row: int) -> str:
    """A cell's value, short."""
    return repr(str(column.values[column.codes[row]])[:40])
