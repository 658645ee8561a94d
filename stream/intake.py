"""The first stage: fetch, share out, decode. Bounded: what is not asked for waits on the broker.

Fetched records wait in their lanes until a batch takes them: a weighted share a topic, and a cap for each account.
When too many wait, lanes are paused, and resumed once few are left: pausing throws away what librdkafka has prefetched,
so it must not happen at every batch. The poll loop goes on all the while, and with it the group membership.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import Abortable, Retriable
from schemas.leaf_header import Kind
from stream.kafka_errors import error_of, translate
from stream.lanes import Lane, offset_of
from stream.shares import shares

_HIGH: Final = 2.0  # batches waiting: pause
_LOW: Final = 0.5  # batches waiting: resume
_RETAKE_SECONDS: Final = 0.005
_WAITING_BYTES: Final = 64 * 2**20

# The log no longer has our offset, or never had it: positions are to be resolved again.
_OFF_THE_LOG: Final = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})
# librdkafka goes on by itself after these.
_PASSING: Final = frozenset(
    {
        KafkaError._PARTITION_EOF,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
    }
)


class Intake:
    """The lanes of this worker, and the fetching that fills them."""

    def __init__(
        self,
        consumer: Consumer,
        weights: Mapping[str, float],
        batch_size: int,
        window: float,
        account_share: float,
    ) -> None:
        """`window` is how long, in seconds, the first record of a batch waits for others at most."""
        self.lanes: dict[tuple[str, int], Lane] = {}
        self._consumer = consumer
        self._weights = weights
        self._size = batch_size
        self._window = window
        self._cap = max(1, int(batch_size * account_share))
        self._paused = False
        self._awaited: frozenset[int] = frozenset()
        self._alone = 0  # how many records went alone
        self._suspects_turn = True
        self._not_before = 0.0  # nothing could be taken: wait a moment for what is under way
        self._oldest: float | None = None  # when the first waiting record was fetched

    @property
    def waiting(self) -> int:
        """Records fetched and not yet in a batch."""
        return sum(len(lane.waiting) for lane in self.lanes.values() if not lane.held)

    def add(self, lane: Lane) -> None:
        """A partition was assigned."""
        self.lanes[lane.topic, lane.partition] = lane
        lane.held = self._is_awaited(lane)
        if self._paused or lane.held:
            self._consumer.pause([TopicPartition(lane.topic, lane.partition)])

    def wait_for(self, partitions: frozenset[int]) -> None:
        """Take no content of these partitions: the states of their accounts are not read yet."""
        if partitions == self._awaited:
            return
        self._awaited = partitions
        changed = [lane for lane in self.lanes.values() if lane.held != self._is_awaited(lane)]
        for lane in changed:
            lane.held = not lane.held
        self._fetch(changed)
        self._oldest = time.monotonic() if self.waiting else None

    def _is_awaited(self, lane: Lane) -> bool:
        return lane.partition in self._awaited and lane.kind is Kind.decision

    def _fetch(self, lanes: Iterable[Lane]) -> None:
        """Fetch from those of these lanes that may be, and from the others not."""
        for stopped, act in ((True, self._consumer.pause), (False, self._consumer.resume)):
            places = [
                TopicPartition(each.topic, each.partition) for each in lanes if (self._paused or each.held) == stopped
            ]
            if places:
                act(places)

    def remove(self, topic: str, partition: int) -> None:
        """A partition is no longer ours: what waits is dropped, what is in flight won't be published."""
        lane = self.lanes.pop((topic, partition), None)
        if lane is not None:
            lane.alive = False

    def poll(self, timeout: float) -> None:
        """Fetch what there is within `timeout` seconds; serves rebalances as a side effect.

        Raises:
            Abortable: positions must be resolved again.
            Fatal: the broker refuses for good.
        """
        if self._paused and self._load() < _LOW:
            self._switch(pause=False)
        wanted = max(1, self._size - self.waiting)
        if self._oldest is None:  # the window begins with the first record, not when a call returns
            self._keep_all(self._consumer.consume(1, timeout))
            wanted, timeout = wanted - 1, 0.0
        self._keep_all(self._consumer.consume(max(1, wanted), timeout))
        if not self._paused and self._load() > _HIGH:
            self._switch(pause=True)

    def due(self) -> float:
        """Seconds until a batch should be taken; 0 when it is time."""
        if self._oldest is None:
            return self._window
        now = time.monotonic()
        if self.waiting >= self._size:
            return max(0.0, self._not_before - now)
        return max(0.0, self._oldest + self._window - now)

    def take(self) -> list[tuple[Lane, Message]]:
        """A batch: a weighted share of each topic, and at most `account_share` for one account while others wait."""
        waiting = Counter[str]()
        ready = self._ready()
        for lane in ready:
            waiting[lane.topic] += lane.room
        granted = shares(waiting, self._weights, self._size)
        cap = self._cap if len(ready) > 1 else self._size
        taken: list[tuple[Lane, Message]] = []
        for lane in ready:
            fair = -(-granted[lane.topic] * lane.room // waiting[lane.topic])
            run = _run(lane, min(fair, granted[lane.topic], lane.room), cap)
            waiting[lane.topic] -= lane.room
            granted[lane.topic] -= len(run)
            taken += [(lane, message) for message in run]
        now = time.monotonic()
        self._oldest = now if self.waiting else None
        if not taken:
            self._not_before = now + _RETAKE_SECONDS
        return taken

    def restart(self, lanes: Sequence[Lane], reassign: Callable[[list[TopicPartition]], None]) -> None:
        """Put fresh lanes in the place of all, and fetch from their positions again.

        Where the log no longer had our offset librdkafka has ended fetching, and there is nothing to seek in; then
        `reassign` begins it anew.

        Raises:
            KafkaException: a partition is none of this consumer's.
        """
        for lane in self.lanes.values():
            lane.alive = False
        self.lanes = {(lane.topic, lane.partition): lane for lane in lanes}
        for lane in lanes:
            lane.held = self._is_awaited(lane)
        self._oldest = None
        starts = [TopicPartition(lane.topic, lane.partition, lane.position.offset) for lane in lanes]
        try:
            for start in starts:
                self._consumer.seek(start)
        except KafkaException as raised:
            if error_of(raised).code() != KafkaError._STATE:
                raise
            reassign(starts)
        self._switch(pause=False)

    def _ready(self) -> list[Lane]:
        """The lanes that the next batch is taken from.

        A suspect goes alone: nothing else is with the detectors while its record is. Suspects and others take turns.
        """
        busy = [lane for lane in self.lanes.values() if lane.in_flight]
        ready = [lane for lane in self.lanes.values() if lane.room and not lane.held]
        suspects = [lane for lane in ready if lane.suspect]
        others = [lane for lane in ready if not lane.suspect]
        if any(lane.suspect for lane in busy):
            return []
        if not suspects or (others and not self._suspects_turn):
            self._suspects_turn = True
            return others
        if busy:
            return []
        self._suspects_turn = False
        self._alone += 1
        return [suspects[self._alone % len(suspects)]]

    def _load(self) -> float:
        """How full the lanes are, in batches."""
        held = sum(lane.waiting_bytes for lane in self.lanes.values())
        return max(self.waiting / self._size, _HIGH * held / _WAITING_BYTES)

    def _switch(self, *, pause: bool) -> None:
        self._paused = pause
        self._fetch(self.lanes.values())

    def _keep_all(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._keep(message)
        if self._oldest is None and self.waiting:
            self._oldest = time.monotonic()

    def _keep(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            _refuse(error)
            return
        lane = self.lanes.get((str(message.topic()), int(message.partition() or 0)))
        if lane is None:  # revoked within this very call
            return
        if (offset := offset_of(message)) < lane.tail:
            raise Abortable(f"{lane.topic} partition {lane.partition} went back from {lane.tail} to {offset}")
        lane.put(message)


def _refuse(error: KafkaError) -> None:
    """Raise what an error event calls for; nothing for those that pass."""
    if error.code() in _OFF_THE_LOG:
        raise Abortable(f"the log does not reach to our position: {error.str()}")
    if error.code() not in _PASSING:
        found = translate(error, "fetching")
        if not isinstance(found, Retriable):
            raise found


def _run(lane: Lane, most: int, cap: int) -> Sequence[Message]:
    """The lane's oldest records, in order, up to the first that would give its account more than `cap`."""
    if most <= cap:
        return [lane.take() for _ in range(most)]
    run: list[Message] = []
    accounts = Counter[bytes | None]()
    while len(run) < most:
        key = lane.waiting[0].key()
        if accounts[key] == cap:
            break
        accounts[key] += 1
        run.append(lane.take())
    return run
