"""Reading Avro strictly: any bytes give a datum or a Poison, and the Poison says what is really wrong."""

import io
import tracemalloc
from contextlib import suppress
from typing import Any

import fastavro
import pytest
from avro_data import EVERYTHING, data
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.avro_reader import Unreadable, compile_reader
from schemas.errors import Poison, PoisonReason

PARSED = fastavro.parse_schema(EVERYTHING)
READ = compile_reader(PARSED)


def encoded(datum: Any, parsed: Any = PARSED) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parsed, datum)
    return out.getvalue()


def zigzag(number: int) -> bytes:
    """A long as Avro writes it."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number & ~0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def reason_of(schema: Any, value: bytes) -> PoisonReason:
    with pytest.raises(Poison) as caught:
        compile_reader(fastavro.parse_schema(schema))(value, 0)
    return caught.value.reason


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_record_or_a_poison(value: bytes) -> None:
    with suppress(Poison):
        assert isinstance(READ(value, 0), dict)


@settings(max_examples=300, deadline=None)
@given(data(EVERYTHING))
def test_what_fastavro_writes_is_read_back_as_fastavro_reads_it(datum: Any) -> None:
    value = encoded(datum)
    assert READ(value, 0) == fastavro.schemaless_reader(io.BytesIO(value), PARSED, None)


@settings(max_examples=200, deadline=None)
@given(data(EVERYTHING), st.data())
def test_every_shorter_value_is_truncated_and_nothing_else(datum: Any, draw: st.DataObject) -> None:
    value = encoded(datum)
    cut = draw.draw(st.integers(0, len(value) - 1))
    with pytest.raises(Poison) as caught:
        READ(value[:cut], 0)
    assert caught.value.reason is PoisonReason.TRUNCATED


@settings(max_examples=100, deadline=None)
@given(data(EVERYTHING), st.binary(min_size=1, max_size=9))
def test_bytes_after_the_last_field_are_found(datum: Any, more: bytes) -> None:
    with pytest.raises(Poison) as caught:
        READ(encoded(datum) + more, 0)
    assert caught.value.reason is PoisonReason.TRAILING_BYTES


@settings(max_examples=300, deadline=None)
@given(data(EVERYTHING), st.data())
def test_a_flipped_bit_gives_a_record_or_a_poison(datum: Any, draw: st.DataObject) -> None:
    value = bytearray(encoded(datum))
    value[draw.draw(st.integers(0, len(value) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    with suppress(Poison):
        READ(bytes(value), 0)


ENUM = {"type": "enum", "name": "E", "symbols": ["a", "b"]}


@pytest.mark.parametrize(
    ("schema", "value", "reason"),
    [
        ("string", b"\x04\xff\xfe", PoisonReason.INVALID_UTF8),
        ("string", b"\x06\xed\xa0\x80", PoisonReason.INVALID_UTF8),  # a lone surrogate
        ("string", b"\x06ab", PoisonReason.TRUNCATED),
        ("string", zigzag(2**40) + b"abc", PoisonReason.TRUNCATED),
        ("string", zigzag(-5) + b"abc", PoisonReason.WRONG_TYPE),
        ("bytes", zigzag(-1), PoisonReason.WRONG_TYPE),
        (["null", "string"], b"\x04", PoisonReason.WRONG_TYPE),  # branch 2 of 2
        (["null", "string"], zigzag(-1), PoisonReason.WRONG_TYPE),  # fastavro takes the last branch
        (["null", "string"], zigzag(-2), PoisonReason.WRONG_TYPE),
        (["null", "string", "long"], zigzag(3), PoisonReason.WRONG_TYPE),
        (ENUM, zigzag(2), PoisonReason.WRONG_TYPE),
        (ENUM, zigzag(-1), PoisonReason.WRONG_TYPE),  # fastavro takes the last symbol
        ("boolean", b"\x02", PoisonReason.WRONG_TYPE),
        ("int", zigzag(2**31), PoisonReason.WRONG_TYPE),
        ("long", b"\xff" * 10 + b"\x01", PoisonReason.WRONG_TYPE),
        ("long", b"\xff" * 9 + b"\x7f", PoisonReason.WRONG_TYPE),  # 70 bits in ten bytes
        ("long", b"\xff" * 9, PoisonReason.TRUNCATED),  # fastavro raises IndexError
        ("double", b"\x00" * 7, PoisonReason.TRUNCATED),
        ({"type": "fixed", "name": "F", "size": 4}, b"abc", PoisonReason.TRUNCATED),
        ({"type": "array", "items": "int"}, zigzag(2**62) + b"\x00", PoisonReason.TRUNCATED),
        ({"type": "array", "items": "int"}, zigzag(-(2**62)) + b"\x00\x00", PoisonReason.TRUNCATED),
        ({"type": "map", "values": "null"}, zigzag(2**40) + b"\x00", PoisonReason.TRUNCATED),
        ("null", b"\x00", PoisonReason.TRAILING_BYTES),
    ],
)
def test_each_failure_has_its_reason(schema: Any, value: bytes, reason: PoisonReason) -> None:
    assert reason_of(schema, value) is reason


def test_array_blocks_with_their_size_in_bytes_are_read() -> None:
    """Java's blocking encoder writes a negative count and the block's size."""
    read = compile_reader(fastavro.parse_schema({"type": "array", "items": "int"}))
    assert read(zigzag(-2) + zigzag(2) + b"\x02\x04" + zigzag(1) + b"\x06" + b"\x00", 0) == [1, 2, 3]


def test_a_union_index_in_more_bytes_than_needed_is_read() -> None:
    read = compile_reader(fastavro.parse_schema(["null", "string"]))
    assert read(b"\x82\x00\x02x", 0) == "x"


def test_the_message_names_the_field_and_quotes_no_content() -> None:
    inner = {"type": "record", "name": "I", "fields": [{"name": "secret", "type": "string"}]}
    schema = {"type": "record", "name": "R", "fields": [{"name": "list", "type": {"type": "array", "items": inner}}]}
    with pytest.raises(Poison, match=r"^field list\.secret: not UTF-8 at byte 6 of 7$"):
        compile_reader(fastavro.parse_schema(schema))(b"\x02\x0esecret\xff\x00", 0)


def test_a_false_length_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        reason_of({"type": "array", "items": "boolean"}, zigzag(2**33) + b"\x01" * 1000)
        reason_of("bytes", zigzag(2**33) + b"\x01" * 1000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "record", "name": "R", "fields": [{"name": "next", "type": ["null", "R"]}]},
        {"type": "array", "items": "null"},
        {"type": "array", "items": {"type": "record", "name": "Z", "fields": []}},
        {"type": "array", "items": {"type": "fixed", "name": "Z", "size": 0}},
    ],
)
def test_a_schema_whose_records_have_no_bound_is_refused(schema: Any) -> None:
    """fastavro overflows its stack on the first, and fills memory on the others."""
    with pytest.raises(Unreadable):
        compile_reader(fastavro.parse_schema(schema))
