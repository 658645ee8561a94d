"""Avro written a column at a time, against fastavro."""

import io
import json
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcement.records import Record, row_keys, varint, varints
from tests.decided_batches import PROPERTY

LONGS = st.integers(-(2**63), 2**63 - 1)
STRINGS = st.text(st.characters(codec="utf-8"))

SCHEMA = {
    "type": "record",
    "name": "Row",
    "fields": [
        {"name": "fixed", "type": {"type": "fixed", "name": "Four", "size": 4}},
        {"name": "text", "type": "string"},
        {"name": "maybe", "type": ["null", "string"], "default": None},
        {"name": "maybe_last", "type": ["string", "null"], "default": "said nothing"},
        {"name": "number", "type": "long"},
        {"name": "maybe_number", "type": ["null", "long"], "default": None},
        {"name": "score", "type": ["null", "float"], "default": None},
        {"name": "scores", "type": {"type": "array", "items": "float"}},
        {"name": "kind", "type": "string"},
        {"name": "again", "type": ["null", "Four"], "default": None},
    ],
}
PARSED = fastavro.parse_schema(json.loads(json.dumps(SCHEMA)))


def by_fastavro(row: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PARSED, row)
    return out.getvalue()


@PROPERTY
@given(st.lists(LONGS))
def test_varints_are_avro_longs(values: list[int]) -> None:
    written = varints(np.array(values, dtype=np.int64))
    assert written == [varint(value) for value in values]
    for value, code in zip(values, written, strict=True):
        assert fastavro.schemaless_reader(io.BytesIO(code), "long", None) == value


@pytest.mark.parametrize("power", range(0, 64, 7))
def test_varints_at_the_edges_of_their_lengths(power: int) -> None:
    half = 2**power // 2
    for value in (half - 1, half, -half, -half - 1):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, "long", value)
        assert varints(np.array([value])) == [varint(value)] == [out.getvalue()]


rows = st.lists(
    st.fixed_dictionaries(
        {
            "fixed": st.binary(min_size=4, max_size=4),
            "text": STRINGS,
            "maybe": st.none() | STRINGS,
            "maybe_last": st.none() | STRINGS,
            "number": LONGS,
            "maybe_number": LONGS,
            "score": st.none() | st.floats(width=32, allow_nan=False),
            "scores": st.lists(st.floats(width=32), min_size=3, max_size=3),
        }
    ),
    min_size=1,
)


@PROPERTY
@given(rows, st.sampled_from(["a", "b" * 2000]))
def test_every_kind_of_column_is_what_fastavro_writes(table: list[dict[str, Any]], kind: str) -> None:
    record = Record(SCHEMA, before=b"<", after=b">")
    column = {name: [row[name] for row in table] for name in table[0]}
    numbers = varints(np.array(column["number"], dtype=np.int64))
    scores = np.array([np.nan if score is None else score for score in column["score"]], dtype=np.float32)
    written = record.rows(
        len(table),
        {
            "kind again": record.run({"kind": kind, "again": b"1234"}),
            "fixed": record["fixed"].raw(column["fixed"]),
            "text": record["text"].strings(column["text"]),
            "maybe": record["maybe"].strings(column["maybe"]),
            "maybe_last": record["maybe_last"].choices(column["maybe_last"]),
            "number": record["number"].raw(numbers),
            "maybe_number": record["maybe_number"].raw(varints(np.array(column["maybe_number"], dtype=np.int64))),
            "score": record["score"].floats(scores),
            "scores": record["scores"].float_rows(np.array(column["scores"], dtype=np.float32)),
        },
    )
    assert written == [b"<" + by_fastavro(row | {"kind": kind, "again": b"1234"}) + b">" for row in table]


def test_long_strings_have_lengths_of_several_bytes() -> None:
    for length in (0, 63, 64, 1023, 1024, 8191, 8192, 200_000):
        record = Record({"type": "record", "name": "R", "fields": [{"name": "s", "type": "string"}]})
        [row] = record.rows(1, {"s": record["s"].strings(["é" * length])})
        assert fastavro.schemaless_reader(io.BytesIO(row), "string", None) == "é" * length


def test_a_field_that_is_not_given_takes_its_default() -> None:
    """A newer version of a schema, with one more field, is written by older code."""
    fields = [{"name": "a", "type": "int"}, {"name": "new", "type": ["null", "string"], "default": None}]
    record = Record({"type": "record", "name": "R", "fields": fields})
    assert record.rows(2, {"a": record["a"].constant(1)}) == [b"\x02\x00"] * 2


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({}, "text has no default"),
        ({"text kind": b"", "nonsense": b""}, "not neighbours"),
        ({"text": b"", "number": b"", "scores": b"", "kind": b"", "fixed": b"", "nonsense": b""}, "no field nonsense"),
    ],
)
def test_columns_that_do_not_fit_the_schema_are_refused(columns: dict[str, bytes], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Record(SCHEMA, skip=[] if "fixed" in columns else ["fixed"]).rows(1, columns)


def test_a_value_that_the_schema_does_not_allow_is_refused() -> None:
    with pytest.raises((ValueError, TypeError)):
        Record(SCHEMA)["number"].constant("seven")


def test_choices_that_producers_choose_freely_do_not_pile_up() -> None:
    """A million different values of a column take no memory for ever."""
    field = Record(SCHEMA)["kind"]
    for batch in range(20):
        field.choices(f"{batch}-{i}" for i in range(1000))
    assert len(field._known) < 6000


def test_row_keys_are_the_bytes_of_each_row() -> None:
    assert row_keys(np.array([[1, 0], [0, 1]], dtype=np.uint8)) == [b"\x01\x00", b"\x00\x01"]
    assert row_keys(np.zeros((3, 0), dtype=bool)) == [b"", b"", b""]
