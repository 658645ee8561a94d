"""What an event says of its language and its media is found by role, in any content type."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.attachments import Attachment
from schemas.roles import Roles, resolve

DRAFTS = Path(__file__).parents[2] / "schemas" / "avro"
SHA = bytes(range(32))


def comment_roles() -> Roles:
    return resolve(json.loads((DRAFTS / "content.comments.avsc").read_text()))


def test_attachments_come_in_the_order_shown_with_what_the_producer_says_of_them():
    media = [
        {"image": "s3://b/one.png", "audio": None, "video": None, "sha256": SHA, "alt_text": "a dog"},
        {"image": None, "audio": "https://x.example/two.ogg", "video": None, "sha256": None, "alt_text": None},
        {"image": None, "audio": None, "video": None, "sha256": None, "alt_text": None},
        {"image": "data:image/png;base64,AA==", "audio": None, "video": None, "sha256": b"short", "alt_text": None},
    ]
    assert comment_roles().attachments_of({"media": media, "text": "hi"}) == (
        Attachment("image", "s3://b/one.png", SHA),
        Attachment("audio", "https://x.example/two.ogg"),
        Attachment("image", "data:image/png;base64,AA=="),
    )


def test_fields_may_be_left_out_as_in_a_json_line():
    assert comment_roles().attachments_of({"media": [{"image": "a"}]}) == (Attachment("image", "a"),)


@pytest.mark.parametrize("record", [{"media": []}, {"media": None}, {}, {"media": [{}, {"alt_text": "x"}]}])
def test_an_event_without_media_has_none(record: dict[str, Any]):
    assert comment_roles().attachments_of(record) == ()


@pytest.mark.parametrize(("said", "language"), [("pt-BR", "pt-BR"), (None, ""), ("", "")])
def test_the_language_is_what_the_platform_says(said: str | None, language: str):
    assert comment_roles().language_of({"language": said}) == language


def test_other_content_types_name_and_nest_their_media_as_they_like():
    text = {"type": "string"}
    clip = {"type": "record", "name": "Clip", "fields": [{"name": "film", "type": "string", "role": "video"}]}
    schema = {
        "type": "record",
        "name": "Post",
        "fields": [
            {"name": "language", "type": "string", "role": "text"},  # somebody's answer, not the post's language
            {"name": "avatar", "type": ["null", "string"], "role": "image"},
            {"name": "gallery", "type": {"type": "array", "items": text}, "role": "image"},
            {"name": "story", "type": {"type": "map", "values": clip}},
        ],
    }
    roles = resolve(schema)
    record = {"language": "French", "avatar": "a.png", "gallery": ["b.png", "c.png"], "story": {"x": {"film": "d.mp4"}}}
    assert roles.attachments_of(record) == (
        Attachment("image", "a.png"),
        Attachment("image", "b.png"),
        Attachment("image", "c.png"),
        Attachment("video", "d.mp4"),
    )
    assert roles.language_of(record) == ""
    assert roles.attachments_of({"language": "x", "avatar": None, "gallery": [], "story": {}}) == ()
