"""Roles: what a schema says its fields are for, and what is read by them."""

from typing import Any

import pytest
from evolutions import record

from schemas.roles import BadRole, Roles, borrow, resolve, values_at, walk


def with_role(name: str, kind: Any, role: str) -> dict[str, Any]:
    return {"name": name, "type": kind, "role": role}


def schema(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "R", "namespace": "n", "fields": list(fields)}


MEDIA = {"type": "record", "name": "Media", "fields": [with_role("alt", ["null", "string"], "text")]}
NESTED = schema(
    with_role("title", "string", "text"),
    with_role("tags", {"type": "array", "items": "string"}, "text"),
    with_role("names", ["null", {"type": "map", "values": "string"}], "text"),
    {"name": "media", "type": ["null", {"type": "array", "items": MEDIA}]},
    {"name": "cover", "type": "Media"},
    with_role("age", ["null", "int"], "age_signal"),
)


def test_every_text_is_found_wherever_it_lies() -> None:
    """Through nullable fields, arrays, maps and named types that are used twice; in schema order."""
    roles = resolve(NESTED)
    assert roles.text == (("title",), ("tags",), ("names",), ("media", "alt"), ("cover", "alt"))
    text = roles.join_text(
        {
            "title": "one",
            "tags": ["two", "", "three"],
            "names": {"en": "four"},
            "media": [{"alt": "five"}, {"alt": None}],
            "cover": {"alt": "six"},
            "age": 13,
        }
    )
    assert text == "one\ntwo\nthree\nfour\nfive\nsix"


def test_nulls_and_absent_fields_have_no_text() -> None:
    roles = resolve(NESTED)
    assert roles.join_text({"title": "", "tags": [], "names": None, "media": None}) == ""


def test_the_values_of_other_roles_are_found_too() -> None:
    assert [list(values_at({"age": 13}, path)) for path in resolve(NESTED)["age_signal"]] == [[13]]
    assert resolve(NESTED)["audio"] == ()


def test_a_recursive_type_is_walked_once() -> None:
    tree = schema(with_role("text", "string", "text"), {"name": "next", "type": ["null", "R"]})
    assert [each.name for each in walk(tree)] == ["text", "next"]


@pytest.mark.parametrize(
    ("role", "kind", "message"),
    [
        ("texts", "string", "field a: unknown role 'texts'"),
        ("text", "int", "field a: the role text needs strings, not int"),
        ("image", {"type": "array", "items": "bytes"}, "field a: the role image needs strings, not bytes"),
    ],
)
def test_a_wrong_role_is_named_with_its_field(role: str, kind: Any, message: str) -> None:
    with pytest.raises(BadRole, match=message):
        resolve(schema(with_role("a", kind, role)))


def test_a_writer_without_roles_borrows_those_it_has_fields_for() -> None:
    bare = record(("title", "string"), ("cover", "string"))
    assert borrow(resolve(NESTED), bare) == Roles({"text": (("title",),), "age_signal": ()})
