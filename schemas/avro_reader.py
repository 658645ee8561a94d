"""Avro's binary encoding, read strictly: any bytes give a value or a `Poison`, in time linear in their number.

fastavro's reader is not strict: it takes a union or enum index of -1 for the last branch, lets integers run over their
width, tells a truncated integer by an IndexError, fills memory with as many nulls as an array's count claims, and a
recursive schema can overflow its C stack. Here every length and count is checked against the bytes that
are left. A schema becomes one closure a type, made once; reading a comment takes a few microseconds. A contract test
holds every result against fastavro's.

Logical types are read as the type below them: a timestamp stays a number of milliseconds.
Source: Apache Avro 1.12 specification, "Binary Encoding".
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from schemas.errors import Poison, PoisonReason

Reader: TypeAlias = Callable[[bytes, int], tuple[Any, int]]  # (bytes, position) → (value, position after it)


class Unreadable(ValueError):
    """A schema that can't be read safely: recursive, or with array items that take no bytes."""


class _Bad(Exception):
    """A value that can't be. Collects the field path on its way up, innermost first."""

    def __init__(self, reason: PoisonReason, what: str) -> None:
        super().__init__(what)
        self.reason, self.what, self.path = reason, what, list[str]()


def _truncated(wanted: int, left: int) -> _Bad:
    return _Bad(PoisonReason.TRUNCATED, f"{wanted} bytes or items announced, {max(left, 0)} bytes left")


def _wrong(what: str) -> _Bad:
    return _Bad(PoisonReason.WRONG_TYPE, what)


def compile_reader(parsed: Any) -> Callable[[bytes, int], Any]:
    """A function (value, start) → datum that reads one datum of this schema from `start` to the very end.

    Args:
        parsed: a schema as `fastavro.parse_schema` gives it (names resolved).

    Raises:
        Unreadable: the schema itself can't be read safely. The function returned raises Poison.
    """
    read, _ = _compile(parsed, {})

    def whole(value: bytes, start: int) -> Any:
        try:
            datum, end = read(value, start)
        except _Bad as bad:
            raise Poison(bad.reason, _where(bad.path) + bad.what) from None
        except IndexError:
            raise Poison(PoisonReason.TRUNCATED, "the bytes end before the first field") from None
        if end != len(value):
            raise Poison(PoisonReason.TRAILING_BYTES, f"{len(value) - end} bytes after the last field")
        return datum

    return whole


def _where(path: Sequence[str]) -> str:
    return f"field {'.'.join(reversed(path))}: " if path else ""


_Names: TypeAlias = dict[str, tuple[Reader, int] | None]  # None: being compiled, so a reference is recursion


def _compile(schema: Any, names: _Names) -> tuple[Reader, int]:
    """The reader of a schema, and the fewest bytes that a value of it takes."""
    if isinstance(schema, list):
        return _union([_compile(branch, names) for branch in schema], schema)
    kind = schema if isinstance(schema, str) else schema["type"]
    if isinstance(kind, dict | list):
        return _compile(kind, names)
    if kind in _PRIMITIVES:
        return _PRIMITIVES[kind]
    if kind in names:
        return _referenced(kind, names)
    return _COMPLEX[kind](schema, names)


def _referenced(name: str, names: _Names) -> tuple[Reader, int]:
    known = names[name]
    if known is None:
        raise Unreadable(f"type {name} contains itself")
    return known


def _read_null(_data: bytes, at: int) -> tuple[None, int]:
    return None, at


def _read_boolean(data: bytes, at: int) -> tuple[bool, int]:
    byte = data[at]
    if byte > 1:
        raise _wrong(f"a boolean of {byte}")
    return byte == 1, at + 1


def _read_long(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    at += 1
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at
    number, shift = byte & 0x7F, 7
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise _wrong("an integer of more than ten bytes")
    if number >> 64:
        raise _wrong("an integer of more than 64 bits")
    return (number >> 1) ^ -(number & 1), at


def _read_int(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    number, at = _read_long(data, at)
    if not -0x80000000 <= number <= 0x7FFFFFFF:
        raise _wrong("an int of more than 32 bits")
    return number, at


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = _read_long(data, at)
    end = at + length
    if length < 0:
        raise _wrong(f"a length of {length}")
    if end > len(data):
        raise _truncated(length, len(data) - at)
    return data[at:end], end


def _read_string(data: bytes, at: int) -> tuple[str, int]:
    length = data[at]
    if length < 0x80 and not length & 1:  # one byte, not negative: nearly always
        at += 1
        length >>= 1
    else:
        length, at = _read_long(data, at)
    end = at + length
    if length < 0:
        raise _wrong(f"a length of {length}")
    if end > len(data):
        raise _truncated(length, len(data) - at)
    try:
        return data[at:end].decode(), end
    except UnicodeDecodeError as error:
        raise _Bad(PoisonReason.INVALID_UTF8, f"not UTF-8 at byte {error.start} of {length}") from None


def _number(layout: str) -> tuple[Reader, int]:
    unpack_from, size = struct.Struct(layout).unpack_from, struct.calcsize(layout)

    def read(data: bytes, at: int) -> tuple[float, int]:
        if at + size > len(data):
            raise _truncated(size, len(data) - at)
        return unpack_from(data, at)[0], at + size

    return read, size


_PRIMITIVES: Final[Mapping[str, tuple[Reader, int]]] = {
    "null": (_read_null, 0),
    "boolean": (_read_boolean, 1),
    "int": (_read_int, 1),
    "long": (_read_long, 1),
    "float": _number("<f"),
    "double": _number("<d"),
    "bytes": (_read_bytes, 1),
    "string": (_read_string, 1),
}


def _union(branches: Sequence[tuple[Reader, int]], schema: Sequence[Any]) -> tuple[Reader, int]:
    readers = [read for read, _ in branches]
    smallest = 1 + min((size for _, size in branches), default=0)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        index, at = _read_long(data, at)
        if not 0 <= index < len(readers):
            raise _wrong(f"union branch {index} of {len(readers)}")
        return readers[index](data, at)

    if len(schema) != 2 or "null" not in schema:
        return read, smallest
    null = schema.index("null") * 2  # an index as Avro writes it: 0 → 0, 1 → 2
    other, inner = 2 - null, readers[1 - null // 2]

    def read_nullable(data: bytes, at: int) -> tuple[Any, int]:
        byte = data[at]
        if byte == null:
            return None, at + 1
        return inner(data, at + 1) if byte == other else read(data, at)

    return read_nullable, smallest


def _enum(schema: Mapping[str, Any], names: _Names) -> tuple[Reader, int]:
    symbols = schema["symbols"]

    def read(data: bytes, at: int) -> tuple[str, int]:
        index, at = _read_long(data, at)
        if not 0 <= index < len(symbols):
            raise _wrong(f"enum symbol {index} of {len(symbols)}")
        return symbols[index], at

    names[schema["name"]] = read, 1
    return read, 1


def _fixed(schema: Mapping[str, Any], names: _Names) -> tuple[Reader, int]:
    size = schema["size"]

    def read(data: bytes, at: int) -> tuple[bytes, int]:
        if at + size > len(data):
            raise _truncated(size, len(data) - at)
        return data[at : at + size], at + size

    names[schema["name"]] = read, size
    return read, size


def _record(schema: Mapping[str, Any], names: _Names) -> tuple[Reader, int]:
    names[schema["name"]] = None
    compiled = [(field["name"], *_compile(field["type"], names)) for field in schema["fields"]]
    fields = [(name, read) for name, read, _ in compiled]

    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        record: dict[str, Any] = {}
        name = ""
        try:
            for name, read_field in fields:
                record[name], at = read_field(data, at)
        except _Bad as bad:
            bad.path.append(name)
            raise
        except IndexError:
            ended = _Bad(PoisonReason.TRUNCATED, "the bytes end here")
            ended.path.append(name)
            raise ended from None
        return record, at

    names[schema["name"]] = read, sum(size for _, _, size in compiled)
    return names[schema["name"]]  # type: ignore[return-value]


def _blocks(data: bytes, at: int, smallest: int) -> tuple[int, int]:
    """The count of the next block of an array or map; 0 is the end."""
    count, at = _read_long(data, at)
    if count < 0:  # the block's size in bytes follows, for readers that skip
        count = -count
        _, at = _read_long(data, at)
    if count * smallest > len(data) - at:
        raise _truncated(count, len(data) - at)
    return count, at


def _array(schema: Mapping[str, Any], names: _Names) -> tuple[Reader, int]:
    read_item, smallest = _compile(schema["items"], names)
    if smallest == 0:
        raise Unreadable("the items of an array take no bytes, so its length is not bounded by the record's")

    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        if not data[at]:
            return items, at + 1
        count, at = _blocks(data, at, smallest)
        while count:
            for _ in range(count):
                item, at = read_item(data, at)
                items.append(item)
            count, at = _blocks(data, at, smallest)
        return items, at

    return read, 1


def _map(schema: Mapping[str, Any], names: _Names) -> tuple[Reader, int]:
    read_value, smallest = _compile(schema["values"], names)

    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        items: dict[str, Any] = {}
        count, at = _blocks(data, at, smallest + 1)
        while count:
            for _ in range(count):
                key, at = _read_string(data, at)
                items[key], at = read_value(data, at)
            count, at = _blocks(data, at, smallest + 1)
        return items, at

    return read, 1


_COMPLEX: Final[Mapping[str, Callable[[Mapping[str, Any], _Names], tuple[Reader, int]]]] = {
    "record": _record,
    "error": _record,
    "enum": _enum,
    "fixed": _fixed,
    "array": _array,
    "map": _map,
}
