"""Decoding a record's value: the frame, the schema behind its id, and what every content event must have."""

import io
import json
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.decode import Decoder
from schemas.errors import Poison, PoisonReason, Retriable, UserMistake
from schemas.folder import Folder
from schemas.registry import Registry, Schema, open_registry
from schemas.wire import frame, schema_id, subject_of, topic_of

COMMENTS = "content.comments"
EVENT = {"event_id": "e", "account_id": "a", "content_id": "c", "created_at": 0, "text": "hello"}


def written(schema: Schema, event: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, event)
    return frame(schema.id) + out.getvalue()


@pytest.fixture(scope="module")
def registry() -> Registry:
    return open_registry()


@pytest.fixture(scope="module")
def comment(registry: Registry) -> bytes:
    return written(registry.latest(COMMENTS), EVENT)


def reason_of(decoder: Decoder, topic: str, value: bytes | None) -> PoisonReason:
    with pytest.raises(Poison) as caught:
        decoder.decode(topic, value)
    return caught.value.reason


def test_a_comment_comes_back_with_its_defaults_and_its_schema(registry: Registry, comment: bytes) -> None:
    schema, record = Decoder(registry).decode(COMMENTS, comment)
    assert record == {
        **EVENT,
        "revision": 0,
        "operation": "create",
        "surface": "comments",
        "language": None,
        "region": None,
        "audience": None,
        "media": [],
        "parent_id": None,
    }
    assert (schema.subject, schema.version) == ("content.comments-value", 1)
    assert schema.roles.join_text(record) == "hello"


def test_each_failure_of_the_frame_has_its_reason(registry: Registry, comment: bytes) -> None:
    decoder = Decoder(registry, max_bytes=len(comment))
    assert reason_of(decoder, COMMENTS, None) is PoisonReason.TOMBSTONE
    assert reason_of(decoder, COMMENTS, b"") is PoisonReason.TOO_SHORT
    assert reason_of(decoder, COMMENTS, comment[:4]) is PoisonReason.TOO_SHORT
    assert reason_of(decoder, COMMENTS, comment + b"x") is PoisonReason.TOO_LARGE
    assert reason_of(decoder, COMMENTS, b'{"text": 1}') is PoisonReason.WRONG_MAGIC_BYTE
    assert reason_of(decoder, COMMENTS, frame(1_999_999) + comment[5:]) is PoisonReason.UNKNOWN_SCHEMA_ID
    assert reason_of(decoder, COMMENTS, frame(7) + comment[5:]) is PoisonReason.UNKNOWN_SCHEMA_ID
    assert reason_of(decoder, COMMENTS, b"\x00\xff\xff\xff\xff" + comment[5:]) is PoisonReason.UNKNOWN_SCHEMA_ID
    assert reason_of(decoder, "content.messages", comment) is PoisonReason.WRONG_SUBJECT
    assert reason_of(decoder, COMMENTS, comment[:-1]) is PoisonReason.TRUNCATED


@settings(max_examples=300, deadline=None)
@given(value=st.none() | st.binary(max_size=100), framed=st.booleans())
def test_any_value_gives_a_record_or_a_poison(value: bytes | None, framed: bool) -> None:
    """Nothing else ever leaves the decoder, so nothing that a producer sends can stop a worker."""
    if framed and value is not None:
        value = frame(1_000_000) + value
    with suppress(Poison):
        assert isinstance(DECODER.decode(COMMENTS, value)[1]["event_id"], str)


DECODER = Decoder(open_registry())


@given(st.integers(0, 2**31 - 1), st.binary(max_size=20))
def test_a_frame_says_its_id(number: int, body: bytes) -> None:
    assert schema_id(frame(number) + body, 100) == number


def test_subject_and_topic_belong_together() -> None:
    assert topic_of(subject_of("a.b-value")) == "a.b-value"


def own_folder(root: Path, topic: str, fields: list[dict[str, Any]]) -> Folder:
    folder = Folder(root)
    folder.release(topic, json.dumps({"type": "record", "name": "R", "fields": fields}))
    return folder


ACCOUNT = {"name": "account_id", "type": {"type": "string", "avro.java.string": "String"}, "role": "account"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([ACCOUNT], PoisonReason.MISSING_FIELD),
        ([ACCOUNT, {"name": "event_id", "type": ["null", "string"]}], PoisonReason.WRONG_TYPE),
        ([ACCOUNT, {"name": "event_id", "type": "long"}], PoisonReason.WRONG_TYPE),
        (
            [
                ACCOUNT,
                {"name": "event_id", "type": "string"},
                {"name": "r", "type": {"type": "array", "items": "null"}},
            ],
            PoisonReason.WRONG_TYPE,
        ),
    ],
)
def test_a_schema_that_no_event_can_be_decided_by_is_poison(
    tmp_path: Path, fields: list[dict[str, Any]], reason: PoisonReason
) -> None:
    registry = Registry([own_folder(tmp_path, "content.x", fields)])
    assert reason_of(Decoder(registry), "content.x", frame(2_000_000) + b"\x02a\x02e\x00") is reason


def test_our_own_topics_need_no_account(tmp_path: Path) -> None:
    folder = own_folder(tmp_path, "moderation.x", [{"name": "n", "type": "int"}])
    assert Decoder(Registry([folder])).decode("moderation.x", frame(2_000_000) + b"\x02")[1] == {"n": 1}


def test_two_folders_with_the_same_id_are_refused(tmp_path: Path) -> None:
    one = own_folder(tmp_path / "one", "content.x", [ACCOUNT])
    two = own_folder(tmp_path / "two", "content.y", [ACCOUNT])
    with pytest.raises(UserMistake, match="id 2000000 is already"):
        Registry([one, two])


def test_a_topic_without_a_schema_is_the_users_to_put_right() -> None:
    with pytest.raises(UserMistake, match=r"safestream schemas register content\.none"):
        open_registry().latest("content.none")


@pytest.mark.parametrize(
    ("url", "properties", "said"),
    [
        ("nonsense", {}, "Invalid url nonsense"),
        ("http://127.0.0.1:9", {"retries": "1"}, "Unrecognized properties: retries"),
        ("http://127.0.0.1:9", {"max.retries": "many"}, "max.retries must be numbers"),
    ],
)
def test_a_wrong_setting_of_the_registry_is_named(url: str, properties: dict[str, str], said: str) -> None:
    with pytest.raises(UserMistake, match=said):
        open_registry(url=url, properties=properties)


def test_no_password_of_a_registry_is_shown() -> None:
    with closing(open_registry(url="http://me:secret@127.0.0.1:9", properties={"max.retries": "0"})) as registry:
        with pytest.raises(Retriable) as caught:
            registry.by_id(1)
        assert "secret" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(UserMistake, match=r"schema_registry\.folder: there is no folder /nowhere"):
        open_registry(Path("/nowhere"))
