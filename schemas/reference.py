"""The reference page of the schemas, made from the drafts: `python -m safestream.reference` writes it."""

import json
from collections.abc import Mapping
from typing import Any, Final

from schemas.decode import EVERY_EVENT_HAS
from schemas.errors import PoisonReason
from schemas.folder import BUILT_IN, FIRST_ID, FIRST_USER_ID, Folder, read_schema
from schemas.roles import MEANINGS, walk

_HEAD: Final = f"""# Schemas

What goes over our topics, field by field. The files are `schemas/avro/<topic>.avsc`; this page is made from them.

## Wire format

Values are Confluent wire format: a zero byte, the schema id as four big-endian bytes, then the Avro body. Any Kafka
client with an Avro serializer writes it. The subject of a topic is `<topic>-value`; a key is the raw UTF-8 account_id.

Every content event has {" and ".join(f"`{name}`" for name in EVERY_EVENT_HAS)}, plain strings. A topic whose name does
not begin with `moderation.` holds content events.

## Where ids come from

| id | comes from |
|---|---|
| 1 to {FIRST_ID - 1} | the Confluent-compatible registry at `schema_registry.url` |
| {FIRST_ID} to {FIRST_USER_ID - 1} | the folder that comes with Safestream |
| {FIRST_USER_ID} and up | your own folder, `schema_registry.folder` |

So a topic can move from a folder to a registry in mid-stream: `safestream schemas register` with a `url` registers
every released version, oldest first, under `FULL_TRANSITIVE`; producers then write the registry's ids, and records
written before keep theirs. If the registry does not answer, the worker waits and tries again; only its own "not found"
makes a dead letter, and is believed for 30 seconds.

A writer's schema that a registry knows without any `role` gets the roles of the topic's newest version in the folder,
field by field, so that text is scored even where a producer's tools drop unknown attributes.

Tested against Apicurio Registry 2.6.13 (its Confluent-compatible interface), not against Confluent's own server.

## A new content type

```
safestream schemas scaffold playlist-title --folder my-schemas
safestream schemas check --folder my-schemas
safestream schemas register --folder my-schemas
```

then name the folder and the topic in the configuration, as `scaffold` prints. A change is released the same way: edit
the draft, `check`, `register`. A version once released never changes: `sha256sum -c SHA256SUMS` in `released/` agrees.

## What may change

`FULL_TRANSITIVE`: a draft must read what every released version wrote, and be read by every released version. You may
add a field with a default, remove one that has a default, and add a symbol to an enum that has a default; the type of a
field stays. `check` names the field that breaks it.
"""


_REMEDIES: Final[Mapping[PoisonReason, str]] = {
    PoisonReason.TOMBSTONE: "send an event with `operation` delete; null values mean nothing here",
    PoisonReason.TOO_LARGE: "send media by address, or raise `worker.max_event_bytes`",
    PoisonReason.TOO_SHORT: "use an Avro serializer for Confluent wire format",
    PoisonReason.WRONG_MAGIC_BYTE: "use an Avro serializer for Confluent wire format: this may be JSON",
    PoisonReason.UNKNOWN_SCHEMA_ID: "register the schema where the worker looks for it, before producing",
    PoisonReason.WRONG_SUBJECT: "register the schema under `<topic>-value`: this event may be in the wrong topic",
    PoisonReason.TRUNCATED: "something cut the value, or it was written with another schema than its id says",
    PoisonReason.TRAILING_BYTES: "something was appended, or it was written with another schema than its id says",
    PoisonReason.INVALID_UTF8: "encode text as UTF-8, without lone surrogates",
    PoisonReason.WRONG_TYPE: "it was written with another schema than its id says",
    PoisonReason.WRONG_PARTITION: "set the producer's partitioner to murmur2 (librdkafka: `murmur2_random`)",
    PoisonReason.MISSING_FIELD: "give the schema the plain strings `event_id` and `account_id`",
}


def schemas_page() -> str:
    """docs/reference/schemas.md, without the line that says where it comes from."""
    roles = "".join(f"| `{role}` | {MEANINGS[role]} |\n" for role in MEANINGS)
    reasons = "".join(f"| `{reason}` | {_REMEDIES[reason]} |\n" for reason in PoisonReason)
    topics = "".join(_topic(topic, read_schema(path)) for topic, path in Folder(BUILT_IN).drafts().items())
    return (
        f"{_HEAD}\n## Roles\n\nThe attribute `role` of a field says what it is for.\n\n| role | meaning |\n|---|---|\n"
        f"{roles}\n## Why a value can't be decoded\n\n| reason | what the producer can do |\n|---|---|\n{reasons}"
        f"{topics}"
    )


def _topic(topic: str, raw: Mapping[str, Any]) -> str:
    rows = "".join(
        f"| `{each.name}` | {_type(each.raw['type'])} | {_default(each.raw)} | {each.role or ''} "
        f"| {each.raw['doc'].replace('|', '&#124;')} |\n"
        for each in walk(raw)
    )
    return (
        f"\n## `{topic}`\n\n{raw['doc']}\n\n| field | type | default | role | meaning |\n|---|---|---|---|---|\n{rows}"
    )


def _default(field: Mapping[str, Any]) -> str:
    return f"`{json.dumps(field['default'])}`" if "default" in field else ""


def _type(kind: Any) -> str:
    """A type in a few words: what can be null ends with a question mark."""
    if isinstance(kind, list):
        others = [_type(branch) for branch in kind if branch != "null"]
        return " or ".join(others) + ("?" if "null" in kind else "")
    if isinstance(kind, str):
        return kind
    return _complex(kind)


def _complex(kind: Mapping[str, Any]) -> str:
    if kind["type"] == "array":
        return f"array of {_type(kind['items'])}"
    if kind["type"] == "map":
        return f"map to {_type(kind['values'])}"
    if kind["type"] == "enum":
        return "enum: " + ", ".join(kind["symbols"])
    if kind["type"] == "fixed":
        return f"fixed, {kind['size']} bytes"
    return str(kind.get("name") or kind.get("logicalType") or _type(kind["type"]))
