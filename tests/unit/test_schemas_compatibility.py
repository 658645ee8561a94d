"""Which changes of a schema break whom, and how that is said.

A real registry judges the same table in tests/integration/test_registry_confluent.py.
"""

import io
from typing import Any

import fastavro
import pytest
from avro_data import data
from evolutions import EVOLUTIONS, Evolution, record
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.compatibility import mismatches


@pytest.mark.parametrize("evolution", EVOLUTIONS, ids=lambda each: each.name)
def test_who_can_still_read(evolution: Evolution) -> None:
    """`reads_old`: the new schema reads old records; `is_read`: the old schema reads new ones."""
    assert (mismatches(evolution.new, evolution.old) == []) is evolution.reads_old
    assert (mismatches(evolution.old, evolution.new) == []) is evolution.is_read


@pytest.mark.parametrize(
    ("reader", "writer", "field", "why"),
    [
        ([("a", "int")], [], "a", "it has no default"),
        ([("a", "int")], [("a", "string")], "a", "string can't be read as int"),
        ([("a", "string")], [("a", ["null", "string"])], "a", "null can't be read as string"),
        ([("a", ["null", "int"])], [("a", ["null", "string"])], "a", "string is not in the union [null, int]"),
    ],
)
def test_the_field_and_the_reason_are_named(reader: list[Any], writer: list[Any], field: str, why: str) -> None:
    found = mismatches(record(*reader), record(*writer))
    assert [each.field for each in found] == [field]
    assert why in found[0].why


def test_a_field_deep_inside_is_named_by_its_path() -> None:
    def outer(inner: list[Any]) -> dict[str, Any]:
        items = {"type": "record", "name": "Media", "fields": inner}
        return record(("media", ["null", {"type": "array", "items": items}]))

    new = outer([{"name": "uri", "type": "string"}, {"name": "width", "type": "int"}])
    old = outer([{"name": "uri", "type": "string"}])
    assert [each.field for each in mismatches(new, old)] == ["media.width"]


def test_all_that_is_broken_is_named_at_once() -> None:
    found = mismatches(record(("a", "int"), ("b", "string")), record(("b", "boolean")))
    assert [each.field for each in found] == ["a", "b"]


def test_a_recursive_schema_is_compared_to_its_end() -> None:
    tree = record(("next", ["null", "R"]))
    assert mismatches(tree, tree) == []


NULLABLE = [["null", "int"], ["null", "string"], ["int", "string"]]
TYPES = st.sampled_from(["int", "long", "float", "double", "string", "bytes", "boolean", *NULLABLE])


@settings(max_examples=300, deadline=None)
@given(TYPES, TYPES, st.data())
def test_what_is_called_compatible_fastavro_can_resolve(writer: Any, reader: Any, draw: st.DataObject) -> None:
    """No verdict is too kind: every datum of a writer is read by a reader that is said to be able to."""
    if mismatches(record(("a", reader)), record(("a", writer))):
        return
    out = io.BytesIO()
    parsed = fastavro.parse_schema(record(("a", writer)))
    fastavro.schemaless_writer(out, parsed, {"a": draw.draw(data(writer))})
    out.seek(0)
    try:
        fastavro.schemaless_reader(out, parsed, fastavro.parse_schema(record(("a", reader))))
    except UnicodeDecodeError:
        assert writer == "bytes"  # bytes are read as a string by Avro's rules, whether they are UTF-8 or not
