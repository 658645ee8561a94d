"""Tables from files: CSV (also compressed) and Parquet, only the columns that a spec names. Needs pyarrow.

Several files are joined on the spec's account column. The first says which rows there are; of the others any number of
rows may belong to an account, in time or not, and become one: texts and tags are put together, numbers averaged, counts
added, of flags and categories the last is taken.
"""

import csv
import importlib
import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.age import cells
from detectors.age.spec import Kind, Spec
from detectors.age.table import Column, Table, column_of
from schemas.errors import UserMistake

_PARQUET: Final = frozenset({".parquet", ".pq"})


def read(paths: Sequence[Path], spec: Spec) -> Table:
    """The tables as one, with the columns that the spec names and that are there.

    Raises UserMistake if a file can't be read, a column is there twice, or tables can't be joined.
    """
    tables = [_read(path, spec.columns) for path in paths]
    if spec.account in tables[0].columns:
        _check_accounts(paths[0], tables[0][spec.account or ""])
    if len(tables) == 1:
        return tables[0]
    if spec.account is None:
        raise UserMistake("several tables are joined on an account column, and the spec names none: add `account`")
    for path, table in zip(paths, tables, strict=True):
        if spec.account not in table.columns:
            raise UserMistake(f"{path}: the column {spec.account}, on which tables are joined, is missing")
    first = tables[0]
    columns = dict(first.columns)
    for path, table in zip(paths[1:], tables[1:], strict=True):
        for name in table.columns.keys() - {spec.account}:
            if name in columns:
                raise UserMistake(f"{path}: the column {name} is in another table too")
            columns[name] = _gathered(table[name], _places(first[spec.account], table[spec.account]), spec, name)
    return Table(columns, len(first))


def _read(path: Path, wanted: Sequence[str]) -> Table:
    if not path.is_file():
        raise UserMistake(f"{path}: no such file")
    arrow: Any = _library("pyarrow")
    try:
        found = _parquet(path, wanted) if path.suffix.lower() in _PARQUET else _csv(path, wanted)
    except (arrow.ArrowException, OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserMistake(f"{path}: not readable: {' '.join(str(error).split())[:300]}") from None
    return Table({name: _column(found.column(name)) for name in found.column_names}, found.num_rows)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserMistake("reading tables needs pyarrow: pip install 'safestream[train]'") from None


def _parquet(path: Path, wanted: Sequence[str]) -> Any:
    parquet = _library("pyarrow.parquet")
    there = _each_once(path, parquet.read_schema(path).names)
    return parquet.read_table(path, columns=[name for name in wanted if name in there])


def _csv(path: Path, wanted: Sequence[str]) -> Any:
    """Everything as text: what a cell says is for the spec to tell, so that a fault can be named by its row."""
    arrow, reader = _library("pyarrow"), _library("pyarrow.csv")
    with arrow.input_stream(str(path), compression="detect") as stream:
        header = _header(path, stream.read(1 << 20).decode("utf-8-sig", errors="replace"))
    columns = [name for name in wanted if name in header]
    if not columns:
        return arrow.table({})
    return reader.read_csv(
        path,
        read_options=reader.ReadOptions(use_threads=False),  # so that a bad row is named by its number
        parse_options=reader.ParseOptions(newlines_in_values=True),
        convert_options=reader.ConvertOptions(
            column_types=dict.fromkeys(columns, arrow.string()), include_columns=columns, strings_can_be_null=True
        ),
    )


def _header(path: Path, beginning: str) -> Sequence[str]:
    rows = csv.reader(io.StringIO(beginning))
    return _each_once(path, next(rows, []))


def _each_once(path: Path, names: Sequence[str]) -> Sequence[str]:
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise UserMistake(f"{path}: the column {twice[0]} is there twice")
    if not names:
        raise UserMistake(f"{path}: empty; a first line with the columns' names is needed")
    return names


def _column(cells_: Any) -> Column:
    """Its different values are made Python's once each."""
    arrow = _library("pyarrow")
    whole = cells_.combine_chunks()
    if arrow.types.is_nested(whole.type):
        return column_of(whole.to_pylist())
    encoded = whole if arrow.types.is_dictionary(whole.type) else whole.dictionary_encode()
    places = np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
    values = column_of(encoded.dictionary.to_pylist())
    return Column(np.append(values.codes, -1)[places], values.values)


def _check_accounts(path: Path, accounts: Column) -> None:
    codes = accounts.codes
    if (codes < 0).any():
        raise UserMistake(f"{path}: row {int(np.argmax(codes < 0)) + 1} has no account")
    first = np.unique(codes, return_index=True)[1]
    if len(first) < len(codes):
        row = int(np.setdiff1d(np.arange(len(codes)), first)[0])
        raise UserMistake(f"{path}: row {row + 1}: account {accounts.values[codes[row]]} is there already")


def _places(accounts: Column, of_rows: Column) -> list[NDArray[np.intp]]:
    """The rows of another table that belong to each account, in order."""
    place = {str(accounts.values[code]): row for row, code in enumerate(accounts.codes.tolist())}
    owner = of_rows.spread(np.array([place.get(str(value), -1) for value in of_rows.values], np.int64), -1)
    order = np.argsort(owner, kind="stable")
    cuts = np.searchsorted(owner[order], np.arange(len(accounts) + 1))
    return [order[begin:end] for begin, end in pairwise(cuts.tolist())]


def _gathered(column: Column, places: Sequence[NDArray[np.intp]], spec: Spec, name: str) -> Column:
    signal = spec.signals.get(name)
    kind: Kind = signal.kind if signal else "category"
    if signal:
        column = column.without(signal.missing)
    fold = cells.FOLDS[kind]
    if kind in {"number", "count"}:
        numbers = cells.numbers(column)
        return column_of([fold(numbers[rows][~np.isnan(numbers[rows])].tolist()) for rows in places])
    return column_of([fold([column.values[code] for code in column.codes[rows] if code >= 0]) for rows in places])
