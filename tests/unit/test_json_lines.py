"""JSON Lines: a line becomes the record that was meant, or is refused by its field."""

import io
import json

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.json_lines import PLACE, BadLine, LineReader, jsonable
from schemas.registry import open_registry

COMMENTS = open_registry().latest("content.comments")
READER = LineReader(COMMENTS)
EVENT = {"event_id": "e", "account_id": "a", "created_at": 1}


def read(**changed: object) -> dict[str, object]:
    return READER.read(json.dumps(EVENT | changed).encode())


def test_what_may_be_left_out() -> None:
    """content_id is the event_id, operation is create; the schema's defaults are Avro's business."""
    assert read() == EVENT | {"content_id": "e", "operation": "create"}
    assert read(content_id="c", operation="edit") == EVENT | {"content_id": "c", "operation": "edit"}


def test_bytes_are_base64() -> None:
    """In both directions."""
    media = [{"image": "s3://x", "sha256": "aGVsbG8="}]
    assert read(media=media)["media"] == [{"image": "s3://x", "sha256": b"hello"}]
    assert jsonable({"sha256": b"hello", "nested": [b"hello"]}) == {"sha256": "aGVsbG8=", "nested": ["aGVsbG8="]}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"created_at": "now"}, "created_at: a whole number is expected, not a string"),
        ({"created_at": 1.5}, "created_at: a whole number is expected, not a number"),
        ({"created_at": True}, "created_at: a whole number is expected, not true or false"),
        ({"created_at": 2**63}, "created_at: outside of Avro's long"),
        ({"revision": 2**31}, "revision: outside of Avro's int"),
        ({"text": 5}, "text: a string is expected, not a number"),
        ({"text": "\ud800"}, "text: half of a surrogate pair"),
        ({"event_id": None}, "event_id: a string is expected, not null"),
        ({"operation": "remove"}, "operation: one of create, edit, delete is expected"),
        ({"txt": "x"}, "no field is called txt, did you mean text"),
        ({"media": {}}, "media: an array is expected, not an object"),
        ({"media": [{}, {"sha256": "!"}]}, "media.1.sha256: not base64"),
        ({"media": [{"imag": "x"}]}, "media.0: no field is called imag, did you mean image"),
    ],
)
def test_a_bad_value_is_named_by_its_field(changed: dict[str, object], said: str) -> None:
    """And never quoted: it may be content."""
    with pytest.raises(BadLine, match=said):
        read(**changed)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "not JSON at column 2"),
        (b'{"event_id": "\xff"}', "not UTF-8 at byte 15"),
        (b"[]", "an object is expected, not an array"),
        (b'{"event_id": NaN}', "NaN is no JSON"),
        (b'{"event_id": "e"}', "account_id is missing"),
        (b"{}", "event_id, account_id, content_id is missing"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"created_at": ' + b"9" * 5_000 + b"}", "a number of thousands of digits"),
    ],
)
def test_a_line_that_is_no_event(line: bytes, said: str) -> None:
    """Whatever the line, it is a BadLine and no other exception."""
    with pytest.raises(BadLine, match=said):
        READER.read(line)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from([*COMMENTS.roles["text"][0], "event_id", "media", "x"]), inner)
        ),
    )
)
def test_any_json_is_an_event_or_a_bad_line(value: object) -> None:
    """What passes, Avro can write."""
    try:
        record = READER.read(json.dumps(EVENT | value if isinstance(value, dict) else value).encode())
    except BadLine:
        return
    fastavro.schemaless_writer(io.BytesIO(), COMMENTS.parsed, record)


@given(st.text(), st.lists(st.fixed_dictionaries({"sha256": st.none() | st.binary()})))
def test_what_was_read_can_be_written_again(text: str, media: list[dict[str, object]]) -> None:
    """A decoded record, as JSON, reads as itself; where it lay in Kafka is ignored."""
    record = EVENT | {"content_id": "c", "operation": "create", "text": text, "media": media}
    line = json.dumps({PLACE: {"offset": 1}} | jsonable(record))
    assert READER.read(line.encode()) == record
