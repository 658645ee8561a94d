"""Hypothesis strategies for Avro: data of a given schema, and schemas themselves."""

from typing import Any

from hypothesis import strategies as st

INT = st.integers(-(2**31), 2**31 - 1)
LONG = st.integers(-(2**63), 2**63 - 1)
PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": INT,
    "long": LONG,
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "bytes": st.binary(max_size=20),
    "string": st.text(max_size=20),
}

EVERYTHING = {
    "type": "record",
    "name": "Everything",
    "fields": [
        *({"name": f"a_{name}", "type": name} for name in PRIMITIVES),
        {"name": "an_enum", "type": {"type": "enum", "name": "Colour", "symbols": ["red", "green", "blue"]}},
        {"name": "a_fixed", "type": {"type": "fixed", "name": "Three", "size": 3}},
        {"name": "an_array", "type": {"type": "array", "items": ["null", "long"]}},
        {"name": "a_map", "type": {"type": "map", "values": {"type": "array", "items": "string"}}},
        {"name": "a_nullable", "type": ["null", "string"]},
        {"name": "null_last", "type": ["string", "null"]},
        {"name": "a_union", "type": ["null", "string", "long", "Colour"]},
        {
            "name": "records",
            "type": {
                "type": "array",
                "items": {"type": "record", "name": "Inner", "fields": [{"name": "text", "type": "string"}]},
            },
        },
        {"name": "another", "type": "Inner"},
        {"name": "wrapped", "type": {"type": "string", "avro.java.string": "String"}},
    ],
}


def data(schema: Any, named: dict[str, Any] | None = None) -> st.SearchStrategy[Any]:
    """Data of a raw schema whose names have no namespace, or of a parsed one."""
    named = {} if named is None else named
    if isinstance(schema, list):
        return st.one_of([data(branch, named) for branch in schema])
    if isinstance(schema, str):
        return PRIMITIVES[schema] if schema in PRIMITIVES else data(named[schema], named)
    if "name" in schema:
        named[schema["name"]] = schema
    return _complex(schema, named)


def _complex(schema: dict[str, Any], named: dict[str, Any]) -> st.SearchStrategy[Any]:
    kind = schema["type"]
    if kind == "record":
        return st.fixed_dictionaries({field["name"]: data(field["type"], named) for field in schema["fields"]})
    if kind == "enum":
        return st.sampled_from(schema["symbols"])
    if kind == "fixed":
        return st.binary(min_size=schema["size"], max_size=schema["size"])
    if kind == "array":
        return st.lists(data(schema["items"], named), max_size=3)
    if kind == "map":
        return st.dictionaries(st.text(max_size=3), data(schema["values"], named), max_size=3)
    return data(kind, named)
