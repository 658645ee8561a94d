"""Whatever stands in a table: a line that names row and column and exit code 2, or a model, or lines and a warning."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safestream import cli
from tests.people import people, write_csv

SPEC = "target: age\nsignals: {followers: count, evenings: number, topic: category}\ndeclared: declared_age\n"
PROFILES: dict[str, list[Any]] = {
    "followers": [12, 300, 40] * 100,
    "following": [40, 120, 80] * 100,
    "minor_reports": [1, 0, 0] * 100,
    "contacts_median_age": [12.5, 44.0, None] * 100,
    "guardian_linked": ["yes", "no", ""] * 100,
    "declared_age": [19, 45, None] * 100,
}


def changed(columns: Mapping[str, Sequence[Any]], name: str, cells: Mapping[int, Any]) -> dict[str, list[Any]]:
    """The same with other cells: row, counted from 1 → value."""
    return {key: [cells.get(row + 1, c) if key == name else c for row, c in enumerate(v)] for key, v in columns.items()}


def train(folder: Path, columns: Mapping[str, Sequence[Any]]) -> int:
    (folder / "spec.yaml").write_text(SPEC)
    table = write_csv(folder / "t.csv", columns)
    return cli.run(
        ["train", "age", "--table", str(table), "--spec", str(folder / "spec.yaml"), "--out", str(folder / "m")]
    )


def score(table: Path, *more: str) -> int:
    return cli.run(["score", "age", "--table", str(table), *more])


PEOPLE = people(300)
UNTRAINABLE: dict[str, tuple[Mapping[str, Sequence[Any]], str]] = {
    "no target": (
        {name: cells for name, cells in PEOPLE.items() if name != "age"},
        "the column age, the spec's target",
    ),
    "-3": (changed(PEOPLE, "age", {7: -3}), "row 7, column age: '-3' is no age from 0 to 120"),
    "999": (
        changed(PEOPLE, "age", {1: 999, 5: 999}),
        "row 1, column age: '999' is no age from 0 to 120 (and 1",
    ),
    "words": (changed(PEOPLE, "age", {300: "forty"}), "row 300, column age: 'forty' is no age"),
    "one age": ({**PEOPLE, "age": [30] * 300}, "column age: every age is 30"),
    "one row": ({name: cells[:1] for name, cells in PEOPLE.items()}, "1 rows have an age in age"),
    "no row": ({name: [] for name in PEOPLE}, "0 rows have an age in age"),
    "mixed": (
        changed(PEOPLE, "followers", dict.fromkeys(range(20, 60), "many")),
        "row 20, column followers: 'many' is no count, and 39 more cells are none",
    ),
    "constant": (
        {**PEOPLE, "followers": [3] * 300, "evenings": [0.5] * 300, "topic": ["x"] * 300},
        "no signal tells one person from another: column followers is the same in every row",
    ),
    "only rare words": (
        {"age": PEOPLE["age"], "topic": [f"only {row}" for row in range(300)]},
        "no signal says anything: each is missing",
    ),
}


@pytest.mark.parametrize("case", UNTRAINABLE)
def test_what_nothing_can_be_learnt_from_is_one_line(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    columns, said = UNTRAINABLE[case]
    assert train(tmp_path, columns) == 2
    error = capsys.readouterr().err
    assert said in error.splitlines()[-1]
    assert "Traceback" not in error
    assert not (tmp_path / "m").exists()


UNSCORABLE: dict[str, tuple[Mapping[str, Sequence[Any]], str]] = {
    "other columns": ({"colour": ["red"]}, "none of the columns that the model reads is there: account_age_days, "),
    "no row": ({name: [] for name in PROFILES}, "t.csv: no rows"),
    "mixed": (
        changed(PROFILES, "contacts_median_age", dict.fromkeys(range(4, 100), "old")),
        "row 4, column contacts_median_age: 'old' is no number",
    ),
}


@pytest.mark.parametrize("case", UNSCORABLE)
def test_what_can_not_be_scored_is_one_line(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    columns, said = UNSCORABLE[case]
    assert score(write_csv(tmp_path / "t.csv", columns)) == 2
    captured = capsys.readouterr()
    assert said in captured.err.splitlines()[-1]
    assert captured.out == ""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b""),
        ("t.csv", bytes(range(256)) * 9),
        ("t.parquet", b"PAR1 no"),
        ("t.csv", b"a,a\n1,2\n"),
    ],
)
def test_what_is_no_table_is_one_line(name: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / name).write_bytes(content)
    assert score(tmp_path / name) == 2
    assert str(tmp_path / name) in capsys.readouterr().err.splitlines()[-1]


def test_what_counts_as_missing_is_told_with_its_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    columns = changed(changed(PROFILES, "declared_age", {2: -3, 3: 999}), "followers", {8: "many"})
    assert score(write_csv(tmp_path / "t.csv", {**columns, "account_age_days": [""] * 300})) == 0
    captured = capsys.readouterr()
    assert "column followers: 1 cells are no count and count as missing, the first in row 8\n" in captured.err
    assert "column declared_age: 2 cells are no age from 0 to 120" in captured.err
    assert "the first in row 2\n" in captured.err
    assert "bio" in captured.err  # not in the table
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [line["row"] for line in lines] == list(range(1, 301))
    assert {line["status"] for line in lines} == {"scored"}
    assert lines[0]["age"]["p_ge_18"] < 0.5 < lines[1]["age"]["p_ge_18"]


def test_a_row_scores_the_same_alone_and_among_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rng = np.random.default_rng(2)
    n = 20_000
    columns = {name: rng.integers(0, 500, n) for name in ("followers", "following")}
    columns["contacts_median_age"] = rng.uniform(9, 60, n)
    pq.write_table(pa.table({**columns, "unread": ["x"] * n}), tmp_path / "t.parquet")
    assert score(tmp_path / "t.parquet") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == n
    one = {name: [cells[n - 1].item(), ""] for name, cells in columns.items()}
    assert score(write_csv(tmp_path / "t.csv", one)) == 0
    alone, empty = map(json.loads, capsys.readouterr().out.splitlines())
    last = json.loads(lines[-1])
    assert alone["age"] == pytest.approx(last["age"], abs=2e-3)
    assert (empty["status"], empty["reason"]) == ("abstained", "unsure")


def test_a_table_is_for_age_and_instead_of_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    table = write_csv(tmp_path / "t.csv", PROFILES)
    assert cli.run(["score", "lexicon", "--table", str(table)]) == 2
    assert "--table is for detectors of age" in capsys.readouterr().err
    assert cli.run(["score", "age", str(table), "--table", str(table)]) == 2
    assert cli.run(["score", "age"]) == 2
    assert score(table, "--model", str(tmp_path)) == 2
    assert "is not a model directory" in capsys.readouterr().err.splitlines()[-1]
