"""The events: comments of many accounts, as a platform team would produce them, at once or at a steady rate."""

import io
import itertools
import random
import time
from collections.abc import Iterator, Sequence

import fastavro
from confluent_kafka import Producer

from schemas.registry import open_registry
from schemas.topics import COMMENTS
from schemas.wire import frame

ACCOUNTS = 5000
TEXT = "the song of my summer thanks for sharing this I never knew what you mean play it again tomorrow please"


def comments(seed: int, texts: Sequence[str] = ()) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of one comment after the other: 13 fields; `texts` in turn, or about 60 characters of words."""
    chance = random.Random(seed)
    schema = open_registry().latest(COMMENTS)
    words, number = TEXT.split(), 0
    while True:
        number += 1
        account = f"account-{chance.randrange(ACCOUNTS):08d}"
        record = {
            "event_id": f"{chance.getrandbits(128):032x}",
            "account_id": account,
            "content_id": f"{chance.getrandbits(128):032x}",
            "revision": 1,
            "operation": "create",
            "surface": "track",
            "created_at": time.time_ns() // 1_000_000,
            "text": texts[number % len(texts)] if texts else " ".join(chance.choices(words, k=chance.randint(4, 20))),
            "language": "en",
            "region": "SE",
        }
        body = io.BytesIO()
        body.write(frame(schema.id))
        fastavro.schemaless_writer(body, schema.parsed, record)
        yield account.encode(), body.getvalue()


def produce(bootstrap: str, count: int, seed: int, rate: float | None = None, texts: Sequence[str] = ()) -> None:
    """Produce `count` comments, encoded beforehand, at once or at `rate` a second."""
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 5})
    made = list(itertools.islice(comments(seed, texts), count))
    began = time.monotonic()
    for number, (key, value) in enumerate(made):
        while rate and number > rate * (time.monotonic() - began):
            producer.poll(0.002)
        while True:
            try:
                producer.produce(COMMENTS, value, key)
                break
            except BufferError:
                producer.poll(0.05)
    producer.flush()


if __name__ == "__main__":
    import sys

    produce(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]) if len(sys.argv) > 4 else None)
