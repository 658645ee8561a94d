"""Changes of a schema with the verdicts that Avro's rules give, for our gate and for a real registry's."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Evolution:
    """One change. `reads_old` and `is_read` as in BACKWARD and FORWARD."""

    name: str
    old: dict[str, Any]
    new: dict[str, Any]
    reads_old: bool
    is_read: bool
    avro_only: bool = True  # False: stricter than Avro, a registry would let it pass


def record(*fields: tuple[Any, ...], name: str = "R", **more: Any) -> dict[str, Any]:
    """A record of (name, type) or (name, type, default)."""
    made = [{"name": f[0], "type": f[1], **({"default": f[2]} if len(f) > 2 else {})} for f in fields]
    return {"type": "record", "name": name, "fields": made, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def fixed(size: int) -> dict[str, Any]:
    return {"type": "fixed", "name": "F", "size": size}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def mapping(values: Any) -> dict[str, Any]:
    return {"type": "map", "values": values}


ID = ("id", "string")
INNER = record(("x", "int"), name="Inner")
INNER_MORE = record(("x", "int"), ("y", "int"), name="Inner")


def change(name: str, old: Any, new: Any, reads_old: bool, is_read: bool, **more: Any) -> Evolution:
    """A change of one field's type."""
    return Evolution(name, record(ID, ("a", old)), record(ID, ("a", new)), reads_old, is_read, **more)


EVOLUTIONS = [
    Evolution("nothing", record(ID), record(ID), True, True),
    Evolution("field with default added", record(ID), record(ID, ("a", "int", 0)), True, True),
    Evolution("field without default added", record(ID), record(ID, ("a", "int")), False, True),
    Evolution("field with default removed", record(ID, ("a", "int", 0)), record(ID), True, True),
    Evolution("field without default removed", record(ID, ("a", "int")), record(ID), True, False),
    Evolution("field renamed", record(ID, ("a", "int")), record(ID, ("b", "int")), False, False),
    Evolution(
        "field renamed with alias",
        record(ID, ("a", "int")),
        {**record(ID), "fields": [{"name": "id", "type": "string"}, {"name": "b", "type": "int", "aliases": ["a"]}]},
        True,
        False,
    ),
    Evolution("fields reordered", record(ID, ("a", "int")), record(("a", "int"), ID), True, True),
    Evolution("record renamed", record(ID), record(ID, name="S"), False, False),
    Evolution("record renamed with alias", record(ID), record(ID, name="S", aliases=["R"]), True, False),
    change("int to long", "int", "long", True, False),
    change("long to int", "long", "int", False, True),
    change("int to double", "int", "double", True, False),
    change("float to double", "float", "double", True, False),
    change("long to float", "long", "float", True, False),
    change("string to bytes", "string", "bytes", True, True),
    change("string to int", "string", "int", False, False),
    change("boolean to int", "boolean", "int", False, False),
    change("made nullable", "string", ["null", "string"], True, False),
    change("made not nullable", ["null", "string"], "string", False, True),
    change("union grown", ["null", "string"], ["null", "string", "long"], True, False),
    change("union branch replaced", ["null", "string"], ["null", "long"], False, False),
    change("union reordered", ["null", "string"], ["string", "null"], True, True),
    change("union promoted within", ["null", "int"], ["null", "long"], True, False),
    change("enum grown, no default", enum("a"), enum("a", "b"), True, False),
    change("enum grown, with default", enum("a", default="a"), enum("a", "b", default="a"), True, True),
    change("enum shrunk, no default", enum("a", "b"), enum("a"), False, True),
    change("enum to string", enum("a"), "string", False, False),
    change("fixed resized", fixed(4), fixed(5), False, False),
    change("array items promoted", array("int"), array("long"), True, False),
    change("map values changed", mapping("int"), mapping("string"), False, False),
    change("array to map", array("int"), mapping("int"), False, False),
    change("inner field added without default", INNER, INNER_MORE, False, True),
    change("inner field in an array", array(INNER), array(INNER_MORE), False, True),
    change("inner field in a union", ["null", INNER], ["null", INNER_MORE], False, True),
    change(
        "milliseconds to microseconds",
        {"type": "long", "logicalType": "timestamp-millis"},
        {"type": "long", "logicalType": "timestamp-micros"},
        False,
        False,
        avro_only=False,
    ),
]
