"""Confluent wire format by fastavro and the released schemas, apart from the code of the worker."""

import io
import json
import struct
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import fastavro

RELEASED: Final = Path(__file__).parents[2] / "schemas" / "released"
FRAME: Final = 5  # a zero byte and the schema id


def decode(value: bytes, where: str) -> dict[str, Any]:
    """The record in `value` by its writer's schema; an AssertionError names `where`."""
    assert value[0] == 0, f"{where}: not in Confluent wire format"
    body = io.BytesIO(value)
    body.seek(FRAME)
    record = fastavro.schemaless_reader(body, _schema(int.from_bytes(value[1:FRAME], "big")), None)
    assert body.tell() == len(value), f"{where}: trailing bytes"
    return record  # type: ignore[return-value]


def encode(topic: str, fields: Mapping[str, Any]) -> bytes:
    """A record by the newest schema of a topic; fields that are not given have their defaults."""
    number = _newest(topic)
    body = io.BytesIO()
    fastavro.schemaless_writer(body, _schema(number), dict(fields))
    return struct.pack(">BI", 0, number) + body.getvalue()


def encode_string(text: str) -> bytes:
    """One Avro string."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, "string", text)
    return body.getvalue()


@lru_cache
def _ids() -> dict[int, str]:
    return {int(number): name for number, name in json.loads((RELEASED / "ids.json").read_text()).items()}


@lru_cache
def _newest(topic: str) -> int:
    versions = {int(name.split("/")[1]): number for number, name in _ids().items() if name.split("/")[0] == topic}
    return versions[max(versions)]


@lru_cache
def _schema(schema_id: int) -> Any:
    return fastavro.parse_schema(json.loads((RELEASED / f"{_ids()[schema_id]}.avsc").read_text()))
