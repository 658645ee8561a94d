"""Groups of people that figures are split by: known in a table, unknown when the model runs."""

import numpy as np
from numpy.typing import NDArray

from detectors.age.features import said
from detectors.age.spec import Spec
from detectors.age.table import Table


def groups_of(table: Table, spec: Spec) -> dict[str, NDArray[np.bool_]]:
    """The rows (n,) of each group, by "column=word"; of tags one row may be in several."""
    found: dict[str, NDArray[np.bool_]] = {}
    for name, signal in spec.groups.items():
        column = table[name].without(signal.missing).in_use()
        words = [said(value, signal) for value in column.values]
        for word in sorted({word for each in words for word in each}):
            found[f"{name}={word}"] = column.spread(np.array([word in each for each in words], bool), False)
    return found
