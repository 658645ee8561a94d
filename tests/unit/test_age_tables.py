"""Tables of any quality: an error that names row and column, or a model and a warning; never a stack trace."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.age.reading import read
from detectors.age.spec import Spec, read_spec
from detectors.age.table import table_of
from detectors.training.age.learning import learn
from detectors.training.age.rows import LEAST_ROWS, checked
from schemas.errors import UserMistake
from tests.people import SPEC, people, write_csv

SPECS = Path(__file__).parents[2] / "detectors" / "training" / "age" / "specs"


def wrong(columns: dict[str, list[Any]], spec: Spec = SPEC) -> str:
    with pytest.raises(UserMistake) as raised:
        checked(table_of(columns), spec)
    return str(raised.value)


@pytest.mark.parametrize("age", [-3, 999, "abc", 121])
def test_an_age_that_nobody_can_have_is_named_by_row_and_column(age: Any) -> None:
    columns = people(300)
    columns["age"][16] = columns["age"][40] = age
    assert wrong(columns).startswith(f"row 17, column age: '{age}' is no age from 0 to 120 (and 1 more rows)")


def test_an_age_that_means_unknown_is_left_out() -> None:
    columns = people(300)
    columns["age"][16] = 999
    columns["age"][17] = None
    spec = SPEC.model_copy(update={"target": SPEC.target.model_copy(update={"missing": ("999",)})})
    found = checked(table_of(columns), spec)
    assert len(found) == 298
    assert "2 rows have no age" in found.warnings[0]


def test_tables_of_which_nothing_can_be_learnt() -> None:
    columns = people(300)
    assert "age" in wrong({name: cells for name, cells in columns.items() if name != "age"})
    assert wrong(people(1)) == f"1 rows have an age in age: at least {LEAST_ROWS} are needed"
    assert "every age is 30" in wrong(columns | {"age": [30] * 300})
    assert f"at least {LEAST_ROWS}" in wrong(columns | {"age": [None] * 300})


def test_mixed_types_are_an_error_if_many_and_a_warning_if_few() -> None:
    columns = people(300, missing=0.0)
    columns["evenings"][4] = "many"
    assert any("1 cells are no number" in one and "row 5" in one for one in checked(table_of(columns), SPEC).warnings)
    columns["evenings"][::2] = ["many"] * 150
    assert wrong(columns).startswith("row 1, column evenings: 'many' is no number")


def test_signals_that_say_nothing_are_left_out_with_a_warning() -> None:
    columns = people(300) | {"topic": ["same"] * 300, "bio": [None] * 300, "age": [30 + i % 20 for i in range(300)]}
    del columns["followers"]
    rows = checked(table_of(columns), SPEC)
    for said in ("followers is not in the table", "bio has no value", "the same in every row", "below 13"):
        assert any(said in warning for warning in rows.warnings)
    features, _ = learn(rows.table, rows.ages, SPEC)
    assert set(features.statistics) == {"evenings", "school", "interests"}


def test_new_words_and_missing_columns_are_legal() -> None:
    rows = checked(table_of(people(400)), SPEC)
    features, _ = learn(rows.table, rows.ages, SPEC)
    matrix = features.matrix(table_of({"topic": ["unheard of", None], "evenings": [1e9, "?"], "shoe_size": [40, 41]}))
    assert matrix.shape == (2, features.width)
    assert np.isfinite(matrix).all()
    assert np.abs(matrix).max() <= 6
    known = (~features.missing(matrix)).sum(axis=1)
    assert known.tolist() == [2, 0]


def test_a_million_rows_are_read_in_seconds(tmp_path: Path) -> None:
    n = 1_000_000
    table = pa.table({"age": np.arange(n) % 60 + 10, "followers": np.arange(n) % 1000, "topic": ["a", "b"] * (n // 2)})
    pq.write_table(table, tmp_path / "t.parquet")
    rows = checked(read([tmp_path / "t.parquet"], SPEC), SPEC)
    assert len(rows) == n
    assert rows.ages[-1] == (n - 1) % 60 + 10


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    columns = people(300)
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    one, other = (read([path], SPEC) for path in (write_csv(tmp_path / "t.csv", columns), tmp_path / "t.parquet"))
    features, _ = learn(one, checked(one, SPEC).ages, SPEC)
    assert np.allclose(features.matrix(one), features.matrix(other))


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    broken = {
        "empty.csv": (b"", "empty"),
        "twice.csv": (b"age,age\n1,2\n", "the column age is there twice"),
        "short.csv": (b"age,topic\n20,a\n21\n", "Row #3"),
        "latin.csv": (b"age,topic\n20,caf\xe9\n", "invalid UTF8"),
        "not.parquet": (b"age,topic\n20,a\n", "not readable"),
    }
    for name, (content, said) in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserMistake, match=said) as raised:
            read([tmp_path / name], SPEC)
        assert name in str(raised.value)
    with pytest.raises(UserMistake, match="no such file"):
        read([tmp_path / "nowhere.csv"], SPEC)


def test_rows_of_other_tables_are_gathered_by_account(tmp_path: Path) -> None:
    spec = Spec.model_validate(
        {
            "target": "age",
            "account": "id",
            "signals": {"post": "text", "likes": "count", "mood": "number", "tag": "tags"},
        }
    )
    accounts = write_csv(tmp_path / "a.csv", {"id": [7, 8, 9], "age": [20, 30, 40]})
    posts = {"id": [8, 7, 8, 99], "post": ["b", "a", "c", "x"], "likes": [1, 2, 3, 4], "mood": [1, 2, 4, 9]}
    table = read([accounts, write_csv(tmp_path / "p.csv", posts | {"tag": ["p", "q", "r", "s"]})], spec)
    cells = {name: [(*table[name].values, None)[code] for code in table[name].codes] for name in spec.signals}
    assert cells["post"] == ["a", "b\nc", None]
    assert cells["likes"] == [2, 4, None]
    assert cells["mood"] == [2, 2.5, None]
    assert cells["tag"][:2] == [("q",), ("p", "r")]


def test_an_account_stands_once_in_the_first_table(tmp_path: Path) -> None:
    spec = Spec.model_validate({"target": "age", "account": "id", "signals": {"post": "text"}})
    accounts = write_csv(tmp_path / "a.csv", {"id": [7, 7], "age": [20, 30]})
    with pytest.raises(UserMistake, match="row 2: account 7 is there already"):
        read([accounts], spec)


@pytest.mark.parametrize("name", ["okcupid", "blog_authors"])
def test_the_specs_of_the_documented_experiments_are_right(name: str) -> None:
    assert read_spec(SPECS / f"{name}.yaml").signals


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target: age\nsignals: {sex: category}\ngroups: [sex]\n", "sex: a column has one role only"),
        ("target: age\nsignals: {a: colour}\n", "signals.a.kind"),
        ("signals: {a: number}\n", "target"),
        ("target: age\nsignals: {}\n", "signals"),
        ("target: [\n", "not readable as YAML"),
    ],
)
def test_a_wrong_spec_is_named_by_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(UserMistake, match=said):
        read_spec(tmp_path / "spec.yaml")
