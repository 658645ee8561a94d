"""The demo's consumer: what Trust & Safety would run. Only what is committed is seen, so latency is what they have.

It reads accounts' states beside, which only workers may: so that the scene with three accounts goes on when it can.
"""

from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import Any, Final, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from safestream.demo_tally import Outcome, Place, Tally
from schemas import headers, topics
from schemas.decode import Decoder
from schemas.errors import Retriable
from schemas.registry import Registry
from stream.properties import reader_properties

_SECONDS: Final = 0.1
_PROMPT: Final[Mapping[str, Any]] = {"fetch.wait.max.ms": 50, "enable.partition.eof": False}


class Reading:
    """A thread that reads decisions and dead letters from the beginning, and tells the tally."""

    def __init__(
        self,
        bootstrap_servers: str,
        partitions: int,
        registry: Registry,
        tally: Tally,
        on_state: Callable[[bytes, bytes | None], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """`on_state` is told, on this thread, keys and values of accounts' states; `on_failure` what ended it."""
        self._consumer = Consumer(reader_properties(bootstrap_servers, {}) | dict(_PROMPT))
        read = (topics.DECISIONS, topics.DEAD_LETTERS, topics.ACCOUNT_STATE)
        self._consumer.assign([TopicPartition(name, n, OFFSET_BEGINNING) for name in read for n in range(partitions)])
        self._decoder = Decoder(registry)
        self._tally = tally
        self._on_state, self._on_failure = on_state, on_failure
        self._stop = Event()
        self._thread = Thread(target=self._run, name="reading")

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                message = self._consumer.poll(_SECONDS)  # `consume` would wait for its batch to be full
                if message is not None:
                    self._take(message, self._tally.clock())
        except BaseException as raised:  # noqa: BLE001  # the main thread says what happened
            self._on_failure(raised)

    def _take(self, message: Message, now: float) -> None:
        error = message.error()
        if error is not None:
            if error.fatal():  # anything else librdkafka tries again
                raise Retriable(f"reading decisions: {error.str()}")
        elif message.topic() == topics.ACCOUNT_STATE:
            self._on_state(message.key() or b"", message.value())
        elif message.topic() == topics.DEAD_LETTERS:
            self._tally.became(*_of_dead_letter(message, now))
        else:
            self._tally.became(*self._of_decision(message, now))

    def _of_decision(self, message: Message, now: float) -> tuple[Place, Outcome]:
        _, said = self._decoder.decode(topics.DECISIONS, message.value())
        place = said["source_topic"], said["source_partition"], said["source_offset"]
        taken = {name: said[name] for name in ("action", "category", "score", "rule", "degraded", "sequence")}
        gates = tuple(f"{each['gate']} {each['outcome']}" for each in said["gates"])
        return place, Outcome(now, **taken, provisional=bool(said["second_look"]), gates=gates)


def _of_dead_letter(message: Message, now: float) -> tuple[Place, Outcome]:
    found = cast("list[tuple[str, bytes]]", message.headers() or [])
    said = {name: value.decode() for name, value in found if name.startswith(headers.PREFIX)}
    place = said[headers.SOURCE_TOPIC], int(said[headers.SOURCE_PARTITION]), int(said[headers.SOURCE_OFFSET])
    return place, Outcome(now, reason=said[headers.ERROR_REASON])
