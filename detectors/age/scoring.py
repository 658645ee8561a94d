"""Anyone's table through an age model: the same model and the same numbers as for events, without a process apart."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detectors.age.abstain import Why
from detectors.age.checking import readable, unlike_kind
from detectors.age.detector import rows_of
from detectors.age.model import AgeModel
from detectors.age.reading import read
from detectors.age.spec import Spec
from detectors.age.table import Column, Table
from schemas.ages import published
from schemas.errors import UserMistake
from schemas.statuses import Reason, Status

_BLOCK = 8_192  # rows computed at once


def opened(paths: Sequence[Path], spec: Spec) -> tuple[Table, list[str]]:
    """The tables as one, and what a person should be told of it.

    Raises UserMistake, with row and column, if it can't be read, or not as the model's spec says.
    """
    table = read(paths, spec)
    wanted = [*spec.signals, *([spec.declared.column] if spec.declared else [])]
    absent = [name for name in wanted if name not in table.columns]
    if len(absent) == len(wanted):
        raise UserMistake(f"{paths[0]}: none of the columns that the model reads is there: {', '.join(wanted[:20])}")
    if not len(table):
        raise UserMistake(f"{paths[0]}: no rows")
    table = readable(table, spec)
    warnings = [f"columns {', '.join(absent)} are not in the table: missing in every row"] if absent else []
    return table, [*warnings, *unlike_kind(table, spec)]


def lines(model: AgeModel, table: Table) -> Iterator[dict[str, Any]]:
    """A line for each row, counted from 1; with its account where the spec names that column."""
    accounts = table[model.estimator.spec.account or ""]
    for first in range(0, len(table), _BLOCK):
        rows = np.arange(first, min(first + _BLOCK, len(table)))
        found = model.predict(table.take(rows))
        said = published(rows_of(found))
        for row, why, age in zip(rows.tolist(), found.abstained.tolist(), said, strict=True):
            line = {"row": row + 1, **_account(accounts, row), "detector": "age", "model_version": model.version}
            if why == Why.none:
                yield line | {"status": Status.scored.name, "scores": {}, "age": age}
            else:
                yield line | {"status": Status.abstained.name, "scores": {}, "reason": Reason.unsure.name}


def _account(accounts: Column, row: int) -> dict[str, Any]:
    code = int(accounts.codes[row])
    return {"account_id": str(accounts.values[code])} if code >= 0 else {}
