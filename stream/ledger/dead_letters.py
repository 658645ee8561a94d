"""What the ledger can't fold, as a dead letter."""

import time
from typing import Any, Final

from schemas import headers, topics
from schemas.errors import Poison, PoisonReason
from stream.dead_letters import MOST_BYTES

# The worker reads these as well, and writes the dead letter of what can't be decoded.
_THE_WORKERS: Final = frozenset({topics.REVIEWS, topics.CONTROLS})


def is_ours(topic: str, poison: Poison) -> bool:
    """Whether the ledger writes the dead letter: else the worker does, who can decode whatever is misplaced."""
    return topic not in _THE_WORKERS or poison.reason is PoisonReason.WRONG_PARTITION


def letter(message: Any, topic_id: str, poison: Poison) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
    """Key, value and headers. Of an estimate of age, and of what the topic would refuse, only the size is told.

    Dead letters are kept for ever and read by people: how old somebody probably is has no place among them.

    Args:
        message: Faust's.
    """
    own = [(name, data) for name, data in (message.headers or ()) if not name.startswith(headers.PREFIX)]
    size = len(message.key or b"") + len(message.value or b"") + sum(len(n) + len(d or b"") for n, d in own)
    said: dict[str, object] = {
        headers.SOURCE_TOPIC: message.topic,
        headers.SOURCE_TOPIC_ID: topic_id,
        headers.SOURCE_PARTITION: message.partition,
        headers.SOURCE_OFFSET: message.offset,
        headers.SOURCE_TIMESTAMP: round(message.timestamp * 1000),
        headers.ERROR_REASON: poison.reason.value,
        headers.ERROR_MESSAGE: poison,
        headers.ATTEMPT: 1,
        headers.FAILED_AT: time.time_ns() // 1_000_000,
    }
    left_out = message.topic == topics.AGE_ESTIMATES or size > MOST_BYTES
    if left_out:
        said[headers.LEFT_OUT_BYTES] = size
    ours = [(name, str(text).encode()) for name, text in said.items()]
    return (None, None, ours) if left_out else (message.key, message.value, own + ours)
