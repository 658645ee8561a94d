"""Rival (c): quixstreams with processing_guarantee=exactly-once, two output topics, a commit every so many events."""

import sys
from typing import Any

from quixstreams import Application, message_context

from work import Work


def main(bootstrap: str, source: str, decisions: str, audit: str, batch: int) -> None:
    """Run until killed."""
    app = Application(
        broker_address=bootstrap,
        consumer_group=decisions,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_every=batch,
        auto_create_topics=False,
        loglevel="WARNING",
        producer_extra_config={"compression.type": "lz4", "linger.ms": 5},
    )
    raw: dict[str, Any] = {"key_serializer": "bytes", "value_serializer": "bytes"}
    events = app.topic(source, key_deserializer="bytes", value_deserializer="bytes")
    moderate = Work().moderate

    def work(value: bytes, key: Any, timestamp: int, headers: Any) -> tuple[bytes, bytes]:
        context = message_context()
        _, decision, leaf = moderate(value, context.partition, context.offset)
        return decision, leaf

    moderated = app.dataframe(events).apply(work, metadata=True)
    moderated.apply(lambda both: both[0]).to_topic(app.topic(decisions, **raw))
    moderated.apply(lambda both: both[1]).to_topic(app.topic(audit, **raw))
    app.run()


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]))
