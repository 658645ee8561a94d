"""Rival (b): faust-streaming with processing_guarantee=exactly_once, one agent, two sends an event."""

import sys

import faust

from work import Work

bootstrap, source, decisions, audit, _ = sys.argv[1:6]
app = faust.App(
    decisions,
    broker=f"kafka://{bootstrap}",
    processing_guarantee="exactly_once",
    topic_disable_leader=True,
    topic_allow_declare=False,
    consumer_auto_offset_reset="earliest",
    store="memory://",
    web_enabled=False,
)
RAW = {"key_serializer": "raw", "value_serializer": "raw"}
events = app.topic(source, key_type=bytes, value_type=bytes, **RAW)
decided = app.topic(decisions, key_type=bytes, value_type=bytes, **RAW)
leaves = app.topic(audit, key_type=bytes, value_type=bytes, **RAW)
moderate = Work().moderate


@app.agent(events)
async def moderation(stream: "faust.StreamT[bytes]") -> None:
    """One event after the other, as its documentation shows."""
    async for event in stream.events():
        key, decision, leaf = moderate(event.value, event.message.partition, event.message.offset)
        await decided.send(key=key, value=decision)
        await leaves.send(key=key, value=leaf, partition=event.message.partition)


if __name__ == "__main__":
    app.worker_init()
    worker = faust.Worker(app, loglevel="warning")
    worker.execute_from_commandline()
