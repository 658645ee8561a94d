"""The first draft of a new content type: a schema that passes the gate, to be changed to what the events have."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.checks import TOPIC_NAME
from schemas.decode import OUR_TOPICS
from schemas.errors import UserMistake


def topic_for(name: str) -> str:
    """The topic of a new content type: `content.NAME`, or NAME itself where it has a dot.

    Raises:
        UserMistake: no name for a topic, or one of Safestream's own.
    """
    topic = name if "." in name else f"content.{name}"
    if not TOPIC_NAME.fullmatch(topic):
        raise UserMistake(f"{name!r} can't be a topic's name; letters, digits, dots, dashes and underscores can")
    if topic.startswith(OUR_TOPICS):
        raise UserMistake(f"{topic}: names that begin with {OUR_TOPICS} are Safestream's own; take another")
    return topic


def draft(topic: str) -> str:
    """The text of the .avsc of a new content type."""
    noun = " ".join(re.split(r"[-_]+", topic.rpartition(".")[2])).strip() or topic
    record = {
        "type": "record",
        "name": _type_name(noun),
        "namespace": "content",
        "doc": f"A {noun} was created, edited or deleted. The record's key is account_id.",
    }
    head = "".join(f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in record.items())
    lines = ",\n".join(f"    {json.dumps(field)}" for field in _fields(noun))
    return f'{{\n{head}  "fields": [\n{lines}\n  ]\n}}\n'


def _type_name(noun: str) -> str:
    """The noun as Avro takes it for a name: it may not begin with a digit."""
    name = re.sub("[^A-Za-z0-9]", "", noun.title())
    return name if name[:1].isalpha() else f"Event{name}"


def write(folder: Path, topic: str) -> Path:
    """Write the draft into a folder, which is made where there is none.

    Raises:
        UserMistake: there is one already, or the folder can't be written.
    """
    path = folder / "avro" / f"{topic}.avsc"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(draft(topic))
    except FileExistsError:
        raise UserMistake(f"{path}: there already; change it, or delete it first") from None
    except OSError as error:
        raise UserMistake(f"{path}: can't be written ({error.strerror}); take another --folder") from None
    return path


def _fields(noun: str) -> list[Mapping[str, Any]]:
    surface = noun.replace(" ", "_")
    operation = {"type": "enum", "name": "Operation", "symbols": ["create", "edit", "delete"], "default": "create"}
    return [
        _field("event_id", "string", "id", "Unique id of this event; the same event sent again keeps it."),
        _field("account_id", "string", "account", "Account that acted; as raw UTF-8 also the record's key."),
        _field("content_id", "string", "id", f"Id of the {noun}; stays the same over its edits."),
        _field("revision", "int", "context", "0 when created, one more with each edit.", default=0),
        _field("operation", operation, "context", f"What happened to the {noun}.", default="create"),
        _field("surface", "string", "context", "Where it is shown, as policy names it.", default=surface),
        _field("created_at", "long", "time", "When the account acted, milliseconds since 1970-01-01 UTC."),
        _field("text", ["null", "string"], "text", "What was written; null for a delete.", default=None),
        _field("language", ["null", "string"], "context", "Of the text, a BCP 47 tag; null if unknown.", default=None),
        _field("region", ["null", "string"], "context", "ISO 3166-1 alpha-2 code; null if unknown.", default=None),
    ]


def _field(name: str, kind: Any, role: str, doc: str, **default: Any) -> Mapping[str, Any]:
    return {"name": name, "type": kind, **default, "role": role, "doc": doc}
