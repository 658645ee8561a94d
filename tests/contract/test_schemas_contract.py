"""What others rely on in the schemas: names, ids, headers, and that fastavro and we agree on every one of them."""

import io
from typing import Any

import fastavro
import pytest
from avro_data import data
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import headers, topics
from schemas.avro_reader import compile_reader
from schemas.decode import require_fields
from schemas.folder import BUILT_IN, FIRST_ID, Folder, read_schema
from schemas.registry import open_registry
from schemas.roles import walk

REGISTRY = open_registry()
ALL = REGISTRY.topics()


def test_every_topic_of_ours_has_a_released_schema() -> None:
    named = {value for name, value in vars(topics).items() if name.isupper() and isinstance(value, str)}
    assert named - {topics.PIPELINE} <= set(ALL)  # that one holds JSON: settings, not events


def test_ids_begin_where_no_registry_numbers() -> None:
    assert min(release.id for release in Folder(BUILT_IN).releases()) == FIRST_ID


def test_the_fields_of_a_dead_letter_are_its_headers() -> None:
    """One field a header: `safestream-` and the field's name with dashes."""
    ours = {value for name, value in vars(headers).items() if name.isupper() and name != "PREFIX"}
    fields = {each.name for each in walk(REGISTRY.latest(topics.DEAD_LETTERS).raw)}
    assert {headers.PREFIX + name.replace("_", "-") for name in fields} == ours


@pytest.mark.parametrize("topic", ALL)
def test_every_field_says_what_it_means(topic: str) -> None:
    for each in walk(read_schema(Folder(BUILT_IN).drafts()[topic])):
        assert len(each.raw["doc"]) > 8, each.name


@pytest.mark.parametrize("topic", topics.CONTENT)
def test_content_events_have_what_a_decision_needs(topic: str) -> None:
    schema = REGISTRY.latest(topic)
    require_fields(schema.raw)
    names = {each["name"] for each in schema.raw["fields"]}
    assert {"content_id", "revision", "operation", "surface", "created_at", "language", "region", "audience"} <= names
    assert schema.roles["account"] == (("account_id",),)
    assert schema.roles.text


@pytest.mark.parametrize("topic", ALL)
@settings(max_examples=30, deadline=None)
@given(draw=st.data())
def test_fastavro_and_we_read_the_same(topic: str, draw: st.DataObject) -> None:
    """Logical types aside, which we leave as numbers."""
    parsed = fastavro.parse_schema(_without_logical_types(REGISTRY.latest(topic).raw))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed, draw.draw(data(parsed)))
    value = out.getvalue()
    theirs = fastavro.schemaless_reader(io.BytesIO(value), parsed, None)
    assert compile_reader(REGISTRY.latest(topic).parsed)(value, 0) == theirs


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    return [_without_logical_types(each) for each in schema] if isinstance(schema, list) else schema
