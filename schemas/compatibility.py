"""Can records written by one schema be read by another? Avro's resolution rules, each failure with field and reason.

No Python library has them apart from reading actual data, so they stand here; a test holds the verdicts against a real
registry's. FULL_TRANSITIVE, which we ask for, means both directions against every version ever released.
Source: Apache Avro 1.12 specification, "Schema Resolution".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import fastavro

PROMOTIONS: Final[Mapping[str, frozenset[str]]] = {  # writer's type → types that a reader may have instead
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a reader can't read what a writer writes."""

    field: str  # path of field names with dots; "" for the record itself
    why: str


def mismatches(reader: Any, writer: Any) -> list[Mismatch]:
    """Everything that keeps `reader` from reading every record of `writer`; [] if nothing does.

    Args:
        reader, writer: raw schemas, valid ones.
    """
    reader, writer = fastavro.parse_schema(reader), fastavro.parse_schema(writer)
    return list(dict.fromkeys(_Resolution(reader, writer).of(reader, writer, "")))


_Schema: TypeAlias = Any
_Rule: TypeAlias = Callable[[_Schema, _Schema, str], Iterator[Mismatch]]


class _Resolution:
    """One comparison: the named types of both sides, and the pairs of records already being compared."""

    def __init__(self, reader: _Schema, writer: _Schema) -> None:
        self._reader_types = dict(_definitions(reader))
        self._writer_types = dict(_definitions(writer))
        self._open: set[tuple[str, str]] = set()
        self._rules: Mapping[str, _Rule] = {
            "record": self._record,
            "error": self._record,
            "enum": _enum,
            "fixed": _fixed,
            "array": self._array,
            "map": self._map,
        }

    def of(self, reader: _Schema, writer: _Schema, path: str) -> Iterator[Mismatch]:
        reader, writer = _look_up(reader, self._reader_types), _look_up(writer, self._writer_types)
        if isinstance(writer, list):
            for branch in writer:
                yield from self.of(reader, branch, path)
        elif isinstance(reader, list):
            yield from self._some_branch(reader, writer, path)
        elif _kind(reader) == _kind(writer):
            yield from _unit(reader, writer, path)
            if _kind(writer) in self._rules:
                yield from self._rules[_kind(writer)](reader, writer, path)
        elif _kind(reader) not in PROMOTIONS.get(_kind(writer), ()):
            yield Mismatch(path, f"{_name(writer)} can't be read as {_name(reader)}")

    def _some_branch(self, reader: Sequence[_Schema], writer: _Schema, path: str) -> Iterator[Mismatch]:
        attempts = [list(self.of(branch, writer, path)) for branch in reader]
        if all(attempts):
            alike = [
                found
                for branch, found in zip(reader, attempts, strict=True)
                if _kind(_look_up(branch, self._reader_types)) == _kind(writer)
            ]
            names = ", ".join(_name(_look_up(branch, self._reader_types)) for branch in reader)
            yield from alike[0] if alike else [Mismatch(path, f"{_name(writer)} is not in the union [{names}]")]

    def _record(self, reader: _Schema, writer: _Schema, path: str) -> Iterator[Mismatch]:
        yield from _names_differ(reader, writer, path)
        pair = reader["name"], writer["name"]
        if pair in self._open:  # a recursive type: its fields are being compared further out
            return
        self._open.add(pair)
        written = {each["name"]: each for each in writer["fields"]}
        for each in reader["fields"]:
            below = f"{path}.{each['name']}".lstrip(".")
            source = next((written[n] for n in (each["name"], *each.get("aliases", ())) if n in written), None)
            if source is not None:
                yield from self.of(each["type"], source["type"], below)
            elif "default" not in each:
                yield Mismatch(below, "the reader needs it, it has no default, and the writer does not have it")
        self._open.discard(pair)

    def _array(self, reader: _Schema, writer: _Schema, path: str) -> Iterator[Mismatch]:
        return self.of(reader["items"], writer["items"], path)

    def _map(self, reader: _Schema, writer: _Schema, path: str) -> Iterator[Mismatch]:
        return self.of(reader["values"], writer["values"], path)


def _enum(reader: _Schema, writer: _Schema, path: str) -> Iterator[Mismatch]:
    yield from _names_differ(reader, writer, path)
    unknown = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
    if unknown and "default" not in reader:
        yield Mismatch(path, f"the reader's enum lacks {', '.join(unknown)} and has no default")


def _fixed(reader: _Schema, writer: _Schema, path: str) -> Iterator[Mismatch]:
    yield from _names_differ(reader, writer, path)
    if reader["size"] != writer["size"]:
        yield Mismatch(path, f"fixed of {writer['size']} bytes can't be read as fixed of {reader['size']}")


def _names_differ(reader: _Schema, writer: _Schema, path: str) -> Iterator[Mismatch]:
    """Named types match by their name without namespace, or by an alias of the reader."""
    aliases = {_short(alias) for alias in reader.get("aliases", ())}
    if _short(writer["name"]) not in {_short(reader["name"]), *aliases}:
        yield Mismatch(path, f"{_kind(writer)} {writer['name']} became {reader['name']} without an alias")


def _unit(reader: _Schema, writer: _Schema, path: str) -> Iterator[Mismatch]:
    """Logical types are no part of Avro's rules, but a reader that takes microseconds for milliseconds misreads all."""
    old, new = _logical(writer), _logical(reader)
    if old and new and old != new:
        yield Mismatch(path, f"{old} can't be read as {new}")


def _logical(schema: _Schema) -> str:
    if not isinstance(schema, Mapping) or "logicalType" not in schema:
        return ""
    scale = f"({schema['precision']}, {schema.get('scale', 0)})" if schema["logicalType"] == "decimal" else ""
    return f"{schema['logicalType']}{scale}"


def _kind(schema: _Schema) -> str:
    return schema if isinstance(schema, str) else str(schema["type"])


def _name(schema: _Schema) -> str:
    return _kind(schema) if isinstance(schema, str) else str(schema.get("name", _kind(schema)))


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _look_up(schema: _Schema, types: Mapping[str, _Schema]) -> _Schema:
    """A reference followed, and the braces of {"type": "string"} or {"type": {…}} taken off."""
    if isinstance(schema, str):
        return types.get(schema, schema)
    if isinstance(schema, Mapping) and isinstance(schema["type"], Mapping | list):
        return _look_up(schema["type"], types)
    return schema


def _definitions(schema: _Schema) -> Iterator[tuple[str, _Schema]]:
    """The named types defined in a parsed schema, by full name."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _definitions(branch)
    elif isinstance(schema, Mapping):
        if "name" in schema:
            yield schema["name"], schema
        for each in schema.get("fields", ()):
            yield from _definitions(each["type"])
        for inner in (schema.get("items"), schema.get("values"), schema["type"]):
            yield from _definitions(inner)
