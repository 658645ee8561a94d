"""Dead letters sent back to the topic they came from, one transaction a letter.

The transaction holds the record and the position behind the letter, so a crash between two letters replays none
twice. There is a position for each reason, so that replaying the letters of one passes by no other. A replay says
whose it is (headers ORIGIN and ATTEMPT) and proves that we wrote so (stream.replay). Letters whose attempts are used
up stay where they are.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from schemas import headers
from schemas.errors import UserMistake
from schemas.topics import DEAD_LETTERS
from stream.kafka_errors import error_of, translate
from stream.lanes import offset_of
from stream.replay import headers_in, signature
from stream.transaction import TransactionalProducer

_STEP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, and what its headers say of it."""

    message: Message
    place: tuple[int, int]  # partition and offset among the dead letters
    topic: str
    partition: int
    offset: int
    origin: str  # topic id / partition / offset where the record first lay
    reason: str
    error: str
    attempt: int
    failed_at_ms: int


def letter(message: Message) -> Letter:
    """Read a record of moderation.dead-letters.

    Raises:
        UserMistake: it lacks our headers: something else was produced there.
    """
    found = {name: (data or b"").decode(errors="replace") for name, data in headers_in(message)}
    place = (int(message.partition() or 0), offset_of(message))
    try:
        partition, offset = int(found[headers.SOURCE_PARTITION]), int(found[headers.SOURCE_OFFSET])
        return Letter(
            message,
            place,
            found[headers.SOURCE_TOPIC],
            partition,
            offset,
            found.get(headers.ORIGIN) or f"{found[headers.SOURCE_TOPIC_ID]}/{partition}/{offset}",
            found[headers.ERROR_REASON],
            found[headers.ERROR_MESSAGE],
            int(found[headers.ATTEMPT]),
            int(found[headers.FAILED_AT]),
        )
    except (KeyError, ValueError):
        raise UserMistake(
            f"{DEAD_LETTERS} {place[0]}/{place[1]} is no dead letter of ours: its headers are missing"
        ) from None


class Replayer:
    """Replays letters under one transactional id, so that two at once fence each other."""

    def __init__(
        self, producer: TransactionalProducer, cursor: Callable[[str], Consumer], key: bytes, partitions: int
    ) -> None:
        """`cursor` makes a consumer whose group holds the positions of a reason; `key` signs."""
        self._producer = producer
        self._cursor = cursor
        self._cursors: dict[str, tuple[Consumer, Sequence[int]]] = {}
        self._key = key
        self._partitions = partitions

    def offered(self, found: Letter) -> bool:
        """Whether a replay of everything has been past this letter.

        Raises:
            Retriable: the broker doesn't say.
        """
        return found.place[1] < self._of(found.reason)[1][found.place[0]]

    def close(self) -> None:
        """End producer and consumers."""
        for cursor, _ in self._cursors.values():
            cursor.close()
        self._producer.close()

    def _of(self, reason: str) -> tuple[Consumer, Sequence[int]]:
        """The consumer of a reason's group, and where the group stood at first in each partition."""
        if reason not in self._cursors:
            cursor = self._cursor(reason)
            asked = [TopicPartition(DEAD_LETTERS, n) for n in range(self._partitions)]
            try:
                committed = cursor.committed(asked, timeout=_STEP_SECONDS)
            except KafkaException as raised:
                cursor.close()
                raise translate(error_of(raised), "asking how far replays are") from None
            self._cursors[reason] = cursor, [each.offset for each in committed]
        return self._cursors[reason]

    def replay(self, found: Letter, *, advance: bool) -> None:
        """One step: the record back to its topic, and with `advance` the position behind the letter.

        Raises:
            Abortable, Retriable: nothing was replayed. Fenced: another replay runs.
        """
        value, own = found.message.value(), headers_in(found.message)
        carried = [(name, data) for name, data in own if not name.startswith(headers.PREFIX)]
        proof = {
            headers.ORIGIN: found.origin,
            headers.ATTEMPT: found.attempt,
            headers.REPLAY_SIGNATURE: signature(self._key, found.origin, found.attempt, value),
        }
        carried += [(name, str(text).encode()) for name, text in proof.items()]
        behind = [TopicPartition(DEAD_LETTERS, found.place[0], found.place[1] + 1)] if advance else []
        with self._producer.transaction(time.monotonic() + _STEP_SECONDS) as step:
            step.send_one(found.topic, found.partition, {"key": found.message.key(), "value": value}, carried)
            step.flush()
            step.commit(behind, self._of(found.reason)[0].consumer_group_metadata())
