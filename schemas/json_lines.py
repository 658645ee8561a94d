"""Events as JSON Lines: what `produce` and `score` read and `tail` writes.

A line is an object under the Avro field names. What the schema gives a default may be left out, and so may `content_id`
(the `event_id`), `operation` (`create`) and `created_at` (now). Bytes are base64. The key `_kafka` says where a line
comes from and is ignored, so that what `tail` writes can be produced again.
"""

import base64
import binascii
import difflib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from schemas.registry import Schema

PLACE: Final = "_kafka"
_RANGES: Final = {"int": 2**31, "long": 2**63}
_Convert: TypeAlias = Callable[[Any], Any]


class BadLine(ValueError):
    """A line that is no event; the message begins with the field, and never quotes a value."""


class _Wrong(Exception):
    """A value that can't be; collects the path of its field on the way up, innermost first."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what, self.path = what, list[str]()


class LineReader:
    """Reads lines of one schema."""

    def __init__(self, schema: Schema) -> None:
        """Compile the schema: one function a type, made once."""
        self._convert = _compile(schema.parsed, {})
        self._fields = [field["name"] for field in schema.parsed["fields"]]

    def read(self, line: bytes) -> dict[str, Any]:
        """The record of a line, ready for Avro.

        Raises:
            BadLine: no JSON, no object, an unknown or missing field, a value of another type.
        """
        record = _object(line)
        record.pop(PLACE, None)
        if "content_id" in self._fields and "event_id" in record:
            record.setdefault("content_id", record["event_id"])
        if "operation" in self._fields:
            record.setdefault("operation", "create")
        if "created_at" in self._fields:
            record.setdefault("created_at", time.time_ns() // 1_000_000)
        try:
            return self._convert(record)  # type: ignore[no-any-return]
        except _Wrong as wrong:
            where = ".".join(reversed(wrong.path))
            raise BadLine(f"{where}: {wrong.what}" if where else wrong.what) from None


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.decode("utf-8").strip(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise BadLine(f"not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise BadLine(f"not JSON at column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise BadLine("not JSON that can be meant: nested too deeply") from None
    except ValueError:
        raise BadLine("not JSON that can be meant: a number of thousands of digits") from None
    except _Wrong as wrong:
        raise BadLine(wrong.what) from None
    if not isinstance(found, dict):
        raise BadLine(f"an object is expected, not {_said(found)}")
    return found


def _no_constant(name: str) -> None:
    raise _Wrong(f"{name} is no JSON")


def _compile(kind: Any, named: dict[str, _Convert]) -> _Convert:
    """The function that checks and converts values of a type."""
    if isinstance(kind, list):
        return _union(kind, named)
    if not isinstance(kind, Mapping):
        kind = {"type": kind}
    name = kind["type"]
    if not isinstance(name, str):
        return _compile(name, named)
    if name in _SIMPLE:
        return _simple(name)
    if name in _MAKERS:
        return _MAKERS[name](kind, named)
    return lambda value: named[name](value)  # noqa: PLW0108  # named before, perhaps the one being compiled


_SIMPLE: Final[dict[str, tuple[type | tuple[type, ...], str]]] = {
    "null": (type(None), "null"),
    "boolean": (bool, "true or false"),
    "float": ((int, float), "a number"),
    "double": ((int, float), "a number"),
    "string": (str, "a string"),
}


def _simple(name: str) -> _Convert:
    types, words = _SIMPLE[name]

    def convert(value: Any) -> Any:
        if not isinstance(value, types) or (isinstance(value, bool) and name != "boolean"):
            raise _Wrong(f"{words} is expected, not {_said(value)}")
        if isinstance(value, str) and not value.isascii():
            _check_surrogates(value)
        return value

    return convert


def _check_surrogates(value: str) -> None:
    r"""JSON can spell half a character (`\ud800`); UTF-8 can't."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Wrong("half of a surrogate pair, which UTF-8 can't hold") from None


def _integer(kind: Mapping[str, Any], _: dict[str, _Convert]) -> _Convert:
    name = kind["type"]
    limit = _RANGES[name]

    def convert(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _Wrong(f"a whole number is expected, not {_said(value)}")
        if not -limit <= value < limit:
            raise _Wrong(f"outside of Avro's {name}")
        return value

    return convert


def _bytes(kind: Mapping[str, Any], named: dict[str, _Convert]) -> _Convert:
    """Bytes of any number, or of a `fixed` type's."""
    size = kind.get("size")

    def convert(value: Any) -> bytes:
        if not isinstance(value, str):
            raise _Wrong(f"base64 in a string is expected, not {_said(value)}")
        try:
            found = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise _Wrong("not base64") from None
        if size is not None and len(found) != size:
            raise _Wrong(f"{len(found)} bytes, {size} are expected")
        return found

    return named.setdefault(kind.get("name", "bytes"), convert)


def _enum(kind: Mapping[str, Any], named: dict[str, _Convert]) -> _Convert:
    symbols = list(kind["symbols"])

    def convert(value: Any) -> Any:
        if not isinstance(value, str) or value not in symbols:
            raise _Wrong(f"one of {', '.join(symbols)} is expected")
        return value

    return named.setdefault(kind["name"], convert)


def _array(kind: Mapping[str, Any], named: dict[str, _Convert]) -> _Convert:
    item = _compile(kind["items"], named)

    def convert(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise _Wrong(f"an array is expected, not {_said(value)}")
        return [_at(str(index), item, each) for index, each in enumerate(value)]

    return convert


def _map(kind: Mapping[str, Any], named: dict[str, _Convert]) -> _Convert:
    item = _compile(kind["values"], named)

    def convert(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _Wrong(f"an object is expected, not {_said(value)}")
        return {key: _at(key, item, each) for key, each in value.items()}

    return convert


def _record(kind: Mapping[str, Any], named: dict[str, _Convert]) -> _Convert:
    fields: dict[str, _Convert] = {}
    required = [field["name"] for field in kind["fields"] if "default" not in field]

    def convert(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _Wrong(f"an object is expected, not {_said(value)}")
        for name in value:
            if name not in fields:
                close = difflib.get_close_matches(name, fields, n=1)
                raise _Wrong(f"no field is called {name}" + (f", did you mean {close[0]}?" if close else ""))
        missing = [name for name in required if name not in value]
        if missing:
            raise _Wrong(f"{', '.join(missing)} is missing")
        return {name: _at(name, fields[name], each) for name, each in value.items()}

    named[kind["name"]] = convert
    fields |= {field["name"]: _compile(field["type"], named) for field in kind["fields"]}
    return convert


def _union(kinds: list[Any], named: dict[str, _Convert]) -> _Convert:
    """The first branch that fits; where only one isn't null, its complaint."""
    branches = [_compile(kind, named) for kind in kinds if kind != "null"]
    nullable = len(branches) < len(kinds)

    def convert(value: Any) -> Any:
        if value is None and nullable:
            return None
        if len(branches) == 1:
            return branches[0](value)
        for branch in branches:
            try:
                return branch(value)
            except _Wrong:
                continue
        raise _Wrong("fits none of the types that it may have")

    return convert


_MAKERS: Final[Mapping[str, Callable[[Mapping[str, Any], dict[str, _Convert]], _Convert]]] = {
    "record": _record,
    "enum": _enum,
    "fixed": _bytes,
    "bytes": _bytes,
    "array": _array,
    "map": _map,
    "int": _integer,
    "long": _integer,
}


def _at(name: str, convert: _Convert, value: Any) -> Any:
    try:
        return convert(value)
    except _Wrong as wrong:
        wrong.path.append(name)
        raise


def _said(value: Any) -> str:
    """What kind of JSON this is; never the value itself."""
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "null")


def jsonable(value: Any) -> Any:
    """A decoded datum as JSON has it: bytes in base64, everything else as it is."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {key: jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(each) for each in value]
    return value
