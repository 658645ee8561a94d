"""The demo's producer: what a platform team would run, at a steady pace with bursts.

Nothing of the worker is used to produce: any Kafka client that writes Confluent-framed Avro under the raw account_id,
partitioned by murmur2, does the same.
"""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, Final, Protocol

import fastavro
from confluent_kafka import KafkaError, Message, Producer

from safestream.demo_tally import Sent, Tally
from safestream.sample_events import SampleEvent
from safestream.sample_malformed import REASONS, spoil
from schemas import topics
from schemas.errors import PoisonReason
from schemas.registry import Registry, Schema
from schemas.wire import frame
from stream.properties import producer_properties

_STEADY: Final = 80.0  # events a second, most of the time
_BURST: Final = 320.0  # events a second, in the last two seconds of every ten
_CYCLE_SECONDS: Final = 10.0
_BURST_SECONDS: Final = 2.0
_TURN_SECONDS: Final = 0.02
_FLUSH_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Ready:
    """A record that only has to be sent; `record` is None where the value is spoilt and stays as it is."""

    topic: str
    key: bytes
    value: bytes | None
    record: dict[str, Any] | None
    text: str
    spoilt: PoisonReason | None
    kind: str = ""


def due(seconds: float) -> int:
    """How many events are to be out so many seconds after the start."""
    cycles, within = divmod(seconds, _CYCLE_SECONDS)
    steady = _CYCLE_SECONDS - _BURST_SECONDS
    cycle = steady * _STEADY + _BURST_SECONDS * _BURST
    return int(cycles * cycle + min(within, steady) * _STEADY + max(0.0, within - steady) * _BURST)


def prepare(events: Sequence[SampleEvent], registry: Registry, max_event_bytes: int) -> list[Ready]:
    """Encode the events, and spoil about 1 % of them: every reason comes up, spread over the whole run."""
    schemas = {topic: registry.latest(topic) for topic in topics.CONTENT}
    spoilt = _which_to_spoil(events)
    return [_ready(event, schemas, spoilt.get(number), max_event_bytes) for number, event in enumerate(events)]


def encoded(event: SampleEvent, registry: Registry) -> Ready:
    """One event that is not spoilt."""
    return _ready(event, {event.topic: registry.latest(event.topic)}, None, 0)


def _which_to_spoil(events: Sequence[SampleEvent]) -> dict[int, PoisonReason]:
    """Event's number → reason. Only what is created: an edit's original would have been another event."""
    comments = [n for n, event in enumerate(events) if event.record["operation"] == "create" and not event.kind]
    wanted = max(len(REASONS), len(events) // 100)
    step = max(1, len(comments) // wanted)
    chosen = comments[step // 2 :: step][:wanted]
    return {number: REASONS[turn % len(REASONS)] for turn, number in enumerate(chosen)}


def _ready(
    event: SampleEvent, schemas: Mapping[str, Schema], reason: PoisonReason | None, max_event_bytes: int
) -> Ready:
    topic, record = event.topic, dict(event.record)
    if reason is PoisonReason.MISSING_FIELD:
        topic = topics.COMMENTS  # the schema that lacks the account is one of comments
    key = str(record["account_id"]).encode()
    if reason is None:
        return Ready(topic, key, None, record, event.text or f"[{event.kind}]", None, event.kind)
    value = encode(schemas[event.topic], record)
    other = next(schemas[name].id for name in topics.CONTENT if name != topic)
    return Ready(topic, key, spoil(reason, value, record, max_event_bytes, other), None, event.text, reason)


def encode(schema: Schema, record: Mapping[str, Any]) -> bytes:
    """Avro in Confluent's wire format."""
    buffer = io.BytesIO(frame(schema.id))
    buffer.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(buffer, schema.parsed, record)
    return buffer.getvalue()


class Staged(Protocol):
    """Events that wait for something."""

    @property
    def over(self) -> bool:
        """Whether everything has been sent."""

    def due(self, now: float) -> Sequence[Ready]:
        """What is to be sent now, once; monotonic seconds."""


class Traffic:
    """A thread that produces the records at their pace, and tells the tally where each came to lie."""

    def __init__(
        self,
        bootstrap_servers: str,
        ready: Sequence[Ready],
        registry: Registry,
        tally: Tally,
        scene: "Staged",
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """`scene` goes out beside the rest. `on_failure` is told, on this thread, what ended it."""
        self._scene = scene
        self._producer = Producer(producer_properties(bootstrap_servers, {}))
        self._ready = ready
        self._schemas = {topic: registry.latest(topic) for topic in topics.CONTENT}
        self._tally = tally
        self._on_failure = on_failure
        self._stop = Event()
        self._thread = Thread(target=self._run, name="traffic")

    def start(self) -> None:
        """Begin to produce."""
        self._thread.start()

    def close(self) -> None:
        """Stop producing; what is under way is given up."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._producer.purge()
        self._producer.poll(0)

    @property
    def finished(self) -> bool:
        """Whether everything has been sent and answered."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._produce()
        except BaseException as raised:  # noqa: BLE001  # the main thread says what happened
            self._on_failure(raised)

    def _produce(self) -> None:
        began, sent = time.monotonic(), 0
        while (sent < len(self._ready) or not self._scene.over) and not self._stop.is_set():
            until = min(due(time.monotonic() - began), len(self._ready))
            for record in (*self._ready[sent:until], *self._scene.due(time.monotonic())):
                self._send(record)
            sent = max(sent, until)
            self._producer.poll(_TURN_SECONDS)
        deadline = time.monotonic() + _FLUSH_SECONDS
        while len(self._producer) and time.monotonic() < deadline and not self._stop.is_set():
            self._producer.poll(_TURN_SECONDS)

    def _send(self, ready: Ready) -> None:
        value = ready.value
        if ready.record is not None:
            ready.record["created_at"] = time.time_ns() // 1_000_000
            value = encode(self._schemas[ready.topic], ready.record)
        sent = Sent(self._tally.clock(), ready.topic, ready.text, ready.spoilt, ready.kind)

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._tally.not_produced()
            else:
                self._tally.produced((ready.topic, message.partition() or 0, message.offset() or 0), sent)

        self._producer.produce(ready.topic, key=ready.key, value=value, on_delivery=delivered)
