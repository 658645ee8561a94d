"""A thread that reads moderation.account-state into the store on disk, from where it was read last.

A partition is read anew from its beginning where the topic was created again or cut off, and where the store is so old
that it may have missed that accounts were forgotten: a compacted topic drops its tombstones after a while.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import Fatal, Retriable, SafestreamError
from schemas.topics import ACCOUNT_STATE
from stream.account_store import AccountStore, Read
from stream.kafka_errors import error_of, translate
from stream.lanes import offset_of

_BATCH: Final = 5000
_POLL_SECONDS: Final = 0.1
_ANSWER_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 30.0  # between looks at the topic's id, and notes of having read everything
_PAUSE_SECONDS: Final = 1.0  # after the broker gave no answer
_OLD_MS: Final = 12 * 3600 * 1000  # half of what the topic keeps a tombstone for (delete.retention.ms)
_CUT_OFF: Final = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Partition:
    """How far a partition is read."""

    turn: int  # which request this is about
    offset: int  # the next to read
    end: int  # where the log ended when it was asked for
    fresh_ms: int  # see `account_store.Read`
    at_end: bool = False  # nothing is left to read


class Follower:
    """Reads what it is asked for, for as long as it is asked for.

    Attributes:
        reached: partition → the last request that it has read to the end for, as the end was then.
    """

    def __init__(self, store: AccountStore, properties: Mapping[str, Any], topic_id: Callable[[], bytes]) -> None:
        """Nothing is read yet.

        Args:
            properties: of a reader, see `stream.properties`.
            topic_id: asks the broker for the topic's id.
        """
        self.reached: dict[int, int] = {}
        self._store, self._ask = store, topic_id
        self._properties = dict(properties)
        self._consumer = Consumer(self._properties)
        self._wanted: Mapping[int, int] = {}
        self._partitions: dict[int, _Partition] = {}
        self._id = ""
        self._looked = 0.0
        self._stop = Event()
        self._trouble: SafestreamError | None = None
        self._thread = Thread(target=self._run, name="account-states", daemon=True)
        self._thread.start()

    def want(self, turns: Mapping[int, int]) -> None:
        """Ask for partitions, each with the number of the request: a higher one asks for the end anew."""
        self._wanted = dict(turns)

    def check(self) -> None:
        """Raise what ended it.

        Raises:
            Fatal: the store can't be written, or the topic is gone or has another number of partitions.
        """
        if self._trouble is not None:
            raise self._trouble

    def close(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._turn()
            except Retriable as trouble:
                _log.warning("accounts' states can't be read at present", reason=str(trouble))
                self._stop.wait(_PAUSE_SECONDS)
            except SafestreamError as trouble:
                self._trouble = trouble
                return
            except Exception as raised:  # noqa: BLE001 - a thread that dies unseen leaves every account as it was
                _log.exception("the follower of accounts' states broke")
                self._trouble = Fatal(f"accounts' states can't be followed: {raised!r}")
                return

    def _turn(self) -> None:
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._look()
        self._take_up(self._wanted)
        if not self._partitions:
            self._stop.wait(_POLL_SECONDS)
            return
        self._keep(self._consumer.consume(_BATCH, _POLL_SECONDS))

    def _look(self) -> None:
        """Whether it is still the same topic; and note for how long nothing was missed."""
        found = self._ask().hex()
        if self._id and found != self._id:
            self._begin_anew(self._partitions, "the topic was created again")
            # The client would wait for ever for a leader's epoch that the former topic had (librdkafka, seen on 2.16).
            self._consumer.close()
            self._consumer = Consumer(self._properties)
        self._id = found
        for number, each in self._partitions.items():
            if each.at_end:
                each.fresh_ms = _now_ms()
                self._store.write(number, {}, self._read_to(each))
        self._looked = time.monotonic()

    def _take_up(self, wanted: Mapping[int, int]) -> None:
        for number in self._partitions.keys() - wanted.keys():
            self._consumer.incremental_unassign([_place(number)])
            del self._partitions[number]
        for number, turn in wanted.items():
            found = self._partitions.get(number)
            if found is None:
                self._begin(number, turn)
            elif found.turn != turn:
                found.turn, found.end = turn, self._ends(number)[1]
            self._note(number)

    def _begin(self, number: int, turn: int) -> None:
        """Go on where the store ends; without anything to rely on, from the log's beginning."""
        begin, end = self._ends(number)
        read = self._store.read(number)
        if read is not None and (why := self._outdated(read, begin, end)):
            _log.warning("accounts' states are read anew", partition=number, reason=why)
            self._store.forget(number)
            read = None
        offset, fresh_ms = (read.offset, read.fresh_ms) if read else (begin, _now_ms())
        self._partitions[number] = _Partition(turn, offset, end, fresh_ms)
        self._consumer.incremental_assign([_place(number, offset)])
        _log.info("following accounts' states", partition=number, offset=offset, end=end)

    def _outdated(self, read: Read, begin: int, end: int) -> str | None:
        """Why what is on disk can't be gone on from."""
        if read.topic_id != self._id:
            return "the topic was created again"
        if not begin <= read.offset <= end:
            return f"the log goes from {begin} to {end}, and was read up to {read.offset}"
        if _now_ms() - read.fresh_ms > _OLD_MS:
            return "the store is so old that it may have missed that accounts were forgotten"
        return None

    def _begin_anew(self, numbers: Iterable[int], why: str) -> None:
        for number in list(numbers):
            _log.warning("accounts' states are read anew", partition=number, reason=why)
            self._consumer.incremental_unassign([_place(number)])
            del self._partitions[number]
            self.reached.pop(number, None)
            self._store.forget(number)

    def _keep(self, messages: Iterable[Message]) -> None:
        """Write what came, and how far it goes, a partition at a time; only then what is said beside it."""
        rows: dict[int, dict[bytes, list[bytes | None]]] = {}
        said = []
        for message in messages:
            number = int(message.partition() or 0)
            if (error := message.error()) is not None:
                said.append((error, number, message))
            elif (found := self._partitions.get(number)) and (key := message.key()) is not None:
                rows.setdefault(number, {}).setdefault(_bytes(key), []).append(_value(message))
                found.offset, found.at_end = offset_of(message) + 1, False
        for number, values in rows.items():
            self._store.write(number, values, self._read_to(self._partitions[number]))
            self._note(number)
        for each in said:
            self._met(*each)

    def _met(self, error: KafkaError, number: int, message: Message) -> None:
        found = self._partitions.get(number)
        if error.code() == KafkaError._PARTITION_EOF:
            if found is not None and offset_of(message) >= found.offset:  # else more came after it
                found.offset, found.at_end = offset_of(message), True  # past markers, which are no records
                found.fresh_ms = _now_ms()
                self._note(number)
        elif error.code() in _CUT_OFF:
            self._begin_anew([number] if found else [], error.str())
        elif not isinstance(trouble := translate(error, "reading accounts' states"), Retriable):
            raise trouble

    def _note(self, number: int) -> None:
        """Whether the end that was asked for is reached."""
        found = self._partitions[number]
        if found.offset >= found.end and self.reached.get(number) != found.turn:
            self._store.write(number, {}, self._read_to(found))
            self.reached[number] = found.turn

    def _read_to(self, found: _Partition) -> Read:
        return Read(self._id, found.offset, found.fresh_ms)

    def _ends(self, number: int) -> tuple[int, int]:
        try:
            ends = self._consumer.get_watermark_offsets(_place(number), timeout=_ANSWER_SECONDS)
        except KafkaException as raised:
            raise translate(error_of(raised), f"asking for the ends of {ACCOUNT_STATE}") from None
        if ends is None:
            raise Retriable(f"the broker does not say where {ACCOUNT_STATE} partition {number} ends")
        return int(ends[0]), int(ends[1])


def _place(number: int, offset: int | None = None) -> TopicPartition:
    return TopicPartition(ACCOUNT_STATE, number) if offset is None else TopicPartition(ACCOUNT_STATE, number, offset)


def _bytes(key: str | bytes) -> bytes:
    return key if isinstance(key, bytes) else key.encode()


def _value(message: Message) -> bytes | None:
    value = message.value()
    return value if value is None or isinstance(value, bytes) else value.encode()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
