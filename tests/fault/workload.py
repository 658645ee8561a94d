"""The traffic of a fault run, from a seed: the same seed gives the same records in the same order.

Three content types, a few hundred accounts of which some are loud, texts with a listed word now and then. 1 % can't be
decoded, in every way there is; some are odd and must be decided all the same (absurd times, a key that isn't the
account, very long texts, the same event twice). Now and then an order, which has a leaf and no decision. Every
record says in its headers what it was made to be; only the oracle reads them.
"""

import itertools
import json
import random
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer

from tests.fault.avro import decode, encode, encode_string
from tests.fault.history import Source
from tests.fault.oracle import ACCOUNT_ID, EVENT_ID, EXPECTED

CONTENT: Final = ("content.comments", "content.messages", "content.profile-signals")
WEIGHTS: Final = (6, 3, 1)
ACCOUNTS: Final = 400
MALFORMED: Final = 0.01
ODD: Final = 0.005
RECORDED: Final = 0.001  # orders and reviews
MAX_EVENT_BYTES: Final = 150_000  # worker.max_event_bytes of these runs, so that a record over it is cheap
LONG_TEXT: Final = 100_000  # characters
UNKNOWN_ID: Final = 1_999_999
HEADLESS_ID: Final = 2_000_000  # of a schema without account_id, in the run's own schema folder

WORDS: Final = tuple(
    "the and of a great video thanks for sharing this I never knew what you mean by that where did they go tomorrow "  # noqa: SIM905
    "maybe we should all try again music food city rain train coffee night answer question please".split()
)
LISTED: Final = ("fuck", "stupid", "idiot", "shit")


@dataclass(frozen=True, slots=True)
class Record:
    """What is to be produced."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def records(seed: int, count: int | None = None) -> Iterator[Record]:
    """The first `count` records of a seed; without end if None."""
    chance = random.Random(seed)
    last: Record | None = None
    for number in itertools.count() if count is None else range(count):
        draw = chance.random()
        if draw < RECORDED:
            yield recorded(chance, number)
            continue
        if draw < RECORDED + ODD and last is not None:
            yield odd(chance, number, last)
            continue
        record = event(chance, number)
        if draw > 1 - MALFORMED:
            record = malformed(chance, record)
        else:
            last = record
        yield record


def event(chance: random.Random, number: int, **changes: Any) -> Record:
    """An ordinary event of one of the three types."""
    topic = chance.choices(CONTENT, WEIGHTS)[0]
    account = f"account-{min(int(chance.expovariate(0.02)), ACCOUNTS)}"
    fields = {
        "event_id": f"event-{number}-{chance.getrandbits(32):08x}",
        "account_id": account,
        "content_id": f"content-{number}",
        "operation": chance.choices(("create", "edit", "delete"), (90, 8, 2))[0],
        "created_at": 1_790_000_000_000 + number,
        "language": "en",
    }
    written = text(chance)
    fields |= {"display_name": written[:20], "bio": written} if topic == CONTENT[2] else {"text": written}
    return _record(topic, fields | changes)


def text(chance: random.Random) -> str:
    """A few words; one in fifteen texts has a word of the lexicon's list."""
    words = chance.choices(WORDS, k=chance.randint(3, 18))
    if chance.random() < 1 / 15:
        words[chance.randrange(len(words))] = chance.choice(LISTED)
    return " ".join(words)


def odd(chance: random.Random, number: int, last: Record) -> Record:
    """Odd, and decided all the same."""
    kind = chance.choice(("1970", "2200", "key", "no key", "long", "twice"))
    if kind == "1970":
        return event(chance, number, created_at=0)
    if kind == "2200":
        return event(chance, number, created_at=7_258_118_400_000)
    if kind == "long" and (made := event(chance, number)).topic != CONTENT[2]:
        words = " ".join(chance.choices(WORDS, k=LONG_TEXT // 5))
        return _record(made.topic, _fields(made) | {"text": words[:LONG_TEXT]})
    if kind == "twice":
        return last
    made = event(chance, number)
    key = f"other-{chance.randrange(ACCOUNTS)}".encode() if kind == "key" else None
    return Record(made.topic, key, made.value, made.headers)


def recorded(chance: random.Random, number: int) -> Record:
    """An order, which gets a leaf of its own kind and no decision."""
    account = f"account-{chance.randrange(ACCOUNTS)}"
    order = {"control_id": f"control-{number}", "account_id": account, "kind": "erase", "issued_by": "fault run"}
    return _record("moderation.controls", order | {"issued_at": 1_790_000_000_000 + number})


# --- what can't be decoded

_Spoil = Callable[[random.Random, Record], bytes | None]


def _truncated(chance: random.Random, of: Record) -> bytes:
    assert of.value is not None
    return of.value[: chance.randrange(8, len(of.value) // 2)]  # ends within the ids, which come first


def _invalid_utf8(_: random.Random, of: Record) -> bytes:
    assert of.value is not None
    at = of.value.index(b"event-")
    return of.value[:at] + b"\xff\xfe" + of.value[at + 2 :]


def _wrong_type(_: random.Random, of: Record) -> bytes:
    """An operation that is no symbol of its enum."""
    fields = _fields(of)
    assert of.value is not None
    ids = ("event_id", "account_id", "content_id")
    at = 5 + sum(len(encode_string(fields[name])) for name in ids) + 1  # the frame, three ids, revision 0
    return of.value[:at] + b"\x7e" + of.value[at + 1 :]


def _other_subject(_: random.Random, of: Record) -> bytes:
    other = next(topic for topic in CONTENT if topic != of.topic)
    assert of.value is not None
    return encode(other, _fields(of) | {"text": "elsewhere"})


def _headless(_: random.Random, of: Record) -> bytes:
    return b"\0" + struct.pack(">I", HEADLESS_ID) + encode_string(_fields(of)["event_id"])


SPOILS: Final[Mapping[str, _Spoil]] = {
    "tombstone": lambda _, of: None,
    "too_large": lambda _, of: (of.value or b"") + bytes(MAX_EVENT_BYTES),
    "too_short": lambda _, of: (of.value or b"")[:3],
    "wrong_magic_byte": lambda _, of: b"\x01" + (of.value or b"")[1:],
    "unknown_schema_id": lambda _, of: b"\0" + struct.pack(">I", UNKNOWN_ID) + (of.value or b"")[5:],
    "wrong_subject": _other_subject,
    "truncated": _truncated,
    "trailing_bytes": lambda _, of: (of.value or b"") + b"!",
    "invalid_utf8": _invalid_utf8,
    "wrong_type": _wrong_type,
    "missing_field": _headless,
}


def malformed(chance: random.Random, of: Record) -> Record:
    """A record spoilt in one of all the ways; its headers say in which."""
    reason = "missing_field" if of.topic == CONTENT[0] and chance.random() < 0.1 else chance.choice(ANYWHERE)
    headers = [(name, reason.encode() if name == EXPECTED else value) for name, value in of.headers]
    return Record(of.topic, of.key, SPOILS[reason](chance, of), headers)


ANYWHERE: Final = tuple(reason for reason in SPOILS if reason != "missing_field")  # that one has a schema of comments


def write_schema_folder(folder: Path) -> None:
    """A user's own schema folder with a version of comments that lacks the account: `missing_field`."""
    schema = {"type": "record", "name": "Comment", "fields": [{"name": "event_id", "type": "string", "role": "id"}]}
    release = folder / "released" / CONTENT[0]
    release.mkdir(parents=True)
    (release / "2.avsc").write_text(json.dumps(schema))
    (folder / "released" / "ids.json").write_text(json.dumps({str(HEADLESS_ID): f"{CONTENT[0]}/2"}))


# --- bytes


def _record(topic: str, fields: Mapping[str, Any]) -> Record:
    account, name = fields["account_id"], fields.get("event_id", fields.get("control_id"))
    headers = {"traceparent": f"00-{name}", EXPECTED: "", EVENT_ID: name, ACCOUNT_ID: account}
    return Record(topic, account.encode(), encode(topic, fields), [(k, v.encode()) for k, v in headers.items()])


def _fields(of: Record) -> dict[str, Any]:
    assert of.value is not None
    return decode(of.value, of.topic)


# --- into Kafka


class Flow:
    """Produces records from a thread of its own, at a rate, and counts acknowledgements. Outlives a dead broker."""

    def __init__(self, bootstrap: str, traffic: Iterator[Record], rate: float) -> None:
        self.acknowledged: Counter[Source] = Counter()
        self.sent = 0
        self.failed: list[str] = []
        self._traffic, self._rate = traffic, rate
        self._enough: int | None = None
        # every record is retried until it is in, in order and once: the workload's own mistakes are not to be judged
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "message.timeout.ms": 0,
                "linger.ms": 20,
                "log_level": 0,
            }
        )
        self._thread = threading.Thread(target=self._run, name="workload", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def finish(self, at_least: int) -> None:
        """End as soon as so many are sent: traffic without end otherwise goes on, so that every fault meets some."""
        self._enough = at_least

    def join(self, seconds: float) -> None:
        """Wait until all is acknowledged."""
        self._thread.join(seconds)
        assert not self.running, f"{len(self._producer)} records not acknowledged"
        assert not self.failed, self.failed[:3]

    def _run(self) -> None:
        began = time.monotonic()
        for record in self._traffic:
            if self._enough is not None and self.sent >= self._enough:
                break
            while self.sent > self._rate * (time.monotonic() - began):
                self._producer.poll(0.01)
            self._send(record)
        self._producer.flush(-1)

    def _send(self, record: Record) -> None:
        self.sent += 1
        while True:
            try:
                self._producer.produce(
                    record.topic, record.value, record.key, headers=record.headers, on_delivery=self._delivered
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failed.append(str(error))
        else:
            self.acknowledged[Source(message.topic(), message.partition())] += 1
