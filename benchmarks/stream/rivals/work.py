"""What every rival does with an event: decode it, allow it, write the same two records that our worker writes.

Only fastavro and the standard library: each rival runs in its own environment. The leaf has a header of zeros: no rival
chains or hashes, and none of them looks for malformed, misplaced or absurd events.
"""

import io
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

import fastavro

SCHEMAS = Path(__file__).parents[3] / "schemas" / "avro"
FRAME = b"\x00\x00\x0f\x42\x40"
CATEGORIES = ("hate", "harassment", "profanity")
VERSION = "0" * 64


def _schema(topic: str) -> Any:
    return fastavro.parse_schema(json.loads((SCHEMAS / f"{topic}.avsc").read_text()))


class Work:
    """Turns the value of a comment into the values of a decision and a leaf."""

    def __init__(self) -> None:
        self._event = _schema("content.comments")
        self._decision = _schema("moderation.decisions")
        self._leaf = _schema("moderation.audit")
        self._models = [{"detector": "null", "version": VERSION}]

    def moderate(self, value: bytes, partition: int, offset: int) -> tuple[bytes, bytes, bytes]:
        """Key, decision, leaf."""
        source = io.BytesIO(value)
        source.seek(5)
        event: Any = fastavro.schemaless_reader(source, self._event, None)
        now = time.time_ns() // 1_000_000
        shared = {
            "decision_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"cluster/topic/{partition}/{offset}")),
            "event_time": now,
            "content_type": "comments",
            "surface": event["surface"],
            "operation": event["operation"],
            "flags": [],
            "score": None,
            "action": "allow",
            "review": False,
            "degraded": False,
            "sequence": 0,
            "decided_at": now,
            "pack": "default",
            "pack_version": VERSION,
        }
        decision = shared | {
            "source_topic": "content.comments",
            "source_partition": partition,
            "source_offset": offset,
            "event_id": event["event_id"],
            "content_id": event["content_id"],
            "account_id": event["account_id"],
            "revision": event["revision"],
            "commitment_salt": os.urandom(16),
            "missing": [],
            "models": self._models,
        }
        body = shared | {
            "commitment": bytes(32),
            "audience": event.get("audience"),
            "attempts": 0,
            "scores": [0.0, 0.0, 0.0],
            "statuses": ["scored"],
            "reasons": ["none"],
            "fired": [],
            "thresholds": [],
            "models": self._models,
            "columns": [{"detector": "null", "category": category} for category in CATEGORIES],
        }
        leaf = {"header": bytes(96), "decision": body}
        return event["account_id"].encode(), self._write(self._decision, decision), self._write(self._leaf, leaf)

    @staticmethod
    def _write(schema: Any, record: dict[str, Any]) -> bytes:
        out = io.BytesIO()
        out.write(FRAME)
        fastavro.schemaless_writer(out, schema, record)
        return out.getvalue()
