"""`safestream train age`: a model and its figures on the screen, or one line that says what is wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from detectors.age.model import open_model
from safestream import cli
from tests.people import people, write_csv

SPEC = "target: age\nsignals: {followers: count, evenings: number, topic: category}\ngroups: [sex]\n"


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def safestream_train(tmp_path: Path, *more: str) -> int:
    (tmp_path / "spec.yaml").write_text(SPEC)
    table, out = tmp_path / "t.csv", tmp_path / "model"
    return cli.run(
        ["train", "age", "--table", str(table), "--spec", str(tmp_path / "spec.yaml"), "--out", str(out), *more]
    )


def test_a_table_becomes_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = people(300) | {"topic": ["same"] * 300}
    write_csv(tmp_path / "t.csv", columns)
    assert safestream_train(tmp_path) == 0
    captured = capsys.readouterr()
    assert "warning: column topic is 'same' in every row" in captured.err
    assert "CRPS" in captured.out
    assert "gate 18" in captured.out
    assert open_model(tmp_path / "model").version


def test_a_bad_cell_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = people(300)
    columns["age"][8] = -3
    write_csv(tmp_path / "t.csv", columns)
    assert safestream_train(tmp_path) == 2
    assert capsys.readouterr().err.count("row 9, column age: '-3' is no age") == 1
    assert safestream_train(tmp_path, "--head", "crystal-ball") == 2
    assert not (tmp_path / "model").exists()


Columns = dict[str, list[Any]]


def with_cells(column: str, cells: dict[int, Any]) -> Callable[[Columns], Columns]:
    """The table with other values in a column, by row counted from 0."""
    return lambda table: table | {column: [cells.get(row, cell) for row, cell in enumerate(table[column])]}


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda table: {name: cells for name, cells in table.items() if name != "age"}, "the column age, the spec's"),
        (with_cells("age", {16: 999}), "row 17, column age: '999' is no age from 0 to 120"),
        (with_cells("age", {3: "young"}), "row 4, column age: 'young' is no age"),
        (with_cells("age", dict.fromkeys(range(300), 30)), "column age: every age is 30"),
        (with_cells("age", dict.fromkeys(range(300))), "0 rows have an age in age"),
        (lambda table: {name: cells[:1] for name, cells in table.items()}, "1 rows have an age in age"),
        (lambda table: {name: [] for name in table}, "0 rows have an age in age"),
        (
            with_cells("evenings", dict.fromkeys(range(0, 300, 2), "many")),
            "row 1, column evenings: 'many' is no number",
        ),
        (
            lambda table: {"age": table["age"], "followers": [1] * 300, "evenings": [2] * 300, "topic": ["x"] * 300},
            "no signal tells one person from another",
        ),
        (
            lambda table: {"age": table["age"], "topic": [f"only {row}" for row in range(300)]},
            "no signal says anything",
        ),
    ],
)
def test_a_table_that_nothing_can_be_learnt_from_is_one_line(
    spoilt: Callable[[Columns], Columns], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv(tmp_path / "t.csv", spoilt(people(300, missing=0.0)))
    assert safestream_train(tmp_path) == 2
    told = capsys.readouterr().err
    assert said in told.splitlines()[-1]
    assert "Traceback" not in told
    assert not (tmp_path / "model").exists()


def test_few_strange_cells_are_a_warning_and_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "t.csv", with_cells("evenings", {4: "many"})(people(300)))
    assert safestream_train(tmp_path, "--members", "1") == 0
    assert "warning: column evenings: 1 cells are no number" in capsys.readouterr().err
