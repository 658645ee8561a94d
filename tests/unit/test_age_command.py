"""`safestream train age`: a model and its figures on the screen, or one line that says what is wrong."""

from pathlib import Path

import pytest

from detectors.age.model import open_model
from safestream import cli
from tests.people import people, write_csv

pytestmark = pytest.mark.usefixtures("one_thread")

SPEC = "target: age\nsignals: {followers: count, evenings: number, topic: category}\ngroups: [sex]\n"


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
    assert "warning: column topic is the same in every row" in captured.err
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
