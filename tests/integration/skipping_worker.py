"""A worker with a defect: it passes over one offset of content.comments. `skipping_worker.py OFFSET worker …`."""

import sys

from confluent_kafka import Message

from safestream.cli import main
from schemas.topics import COMMENTS
from stream.lanes import Lane, offset_of

if __name__ == "__main__":
    skipped, keep = int(sys.argv.pop(1)), Lane.put

    def put(lane: Lane, message: Message) -> None:
        if (lane.topic, offset_of(message)) != (COMMENTS, skipped):
            keep(lane, message)

    Lane.put = put  # type: ignore[method-assign]
    main()
