"""Every place where we reach into Faust, which has no settings for them. Written against one version, and checked.

What they are for is said in docs/explanation/ledger.md: Faust 0.15.3 reads uncommitted records, can't commit past a
transaction's marker, forgets no acknowledgement at a rebalance, and takes the last row of a changelog for the best.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any, Final

import faust
from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from schemas.errors import Fatal
from stream.ledger.ending import end

_VERSIONS: Final = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}
_PARAMETERS: Final[Mapping[str, tuple[Callable[..., Any], tuple[str, ...]]]] = {
    "AIOKafkaConsumerThread._create_worker_consumer": (
        driver.AIOKafkaConsumerThread._create_worker_consumer,
        ("self", "transport"),
    ),
    "Consumer._new_consumer_thread": (driver.Consumer._new_consumer_thread, ("self",)),
    "Consumer._add_gap": (driver.Consumer._add_gap, ("self", "tp", "offset_from", "offset_to")),
    "Consumer.perform_seek": (driver.Consumer.perform_seek, ("self",)),
    "Consumer.on_partitions_revoked": (driver.Consumer.on_partitions_revoked, ("self", "revoked")),
    "Table.apply_changelog_batch": (faust.Table.apply_changelog_batch, ("self", "batch")),
    "Table.send_changelog": (
        faust.Table.send_changelog,
        ("self", "partition", "key", "value", "key_serializer", "value_serializer"),
    ),
}
_FIELDS: Final = ("_gap", "_acked", "_acked_index", "_unacked_messages")


def check() -> None:
    """Make sure that Faust is what these hooks were written for.

    Raises:
        Fatal: it is not, and the ledger would lose or double records.
    """
    found = {name: version(name) for name in _VERSIONS}
    if found != _VERSIONS:
        raise Fatal(
            f"the ledger was proven with {_VERSIONS} and finds {found}: install what requirements/lock.txt says"
        )
    odd = [name for name, (what, names) in _PARAMETERS.items() if tuple(inspect.signature(what).parameters) != names]
    odd += [name for name in _FIELDS if not _has(name)]
    if odd:
        raise Fatal(f"the ledger reaches into Faust where it has changed: {', '.join(odd)}")


def _has(field: str) -> bool:
    return any(field in vars(kind).get("__annotations__", {}) for kind in driver.Consumer.__mro__)


class _Thread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        """Inputs come in transactions, some of which are aborted; Faust has no setting for that."""
        consumer = super()._create_worker_consumer(transport)
        if not hasattr(consumer, "_isolation_level"):
            end("aiokafka's consumer has no isolation level where the ledger sets it")
        consumer._isolation_level = "read_committed"
        return consumer


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """The message after a gap is not part of it: counted twice, it would stop every commit there."""
        await super()._add_gap(tp, offset_from, offset_to - 1)

    async def perform_seek(self) -> None:
        """What was acknowledged before a rebalance says nothing of the table that is restored after it."""
        self._forget()
        await super().perform_seek()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._forget()
        await super().on_partitions_revoked(revoked)

    def _forget(self) -> None:
        for kept in (self._acked, self._acked_index, self._gap):
            kept.clear()


class _Transport(driver.Transport):
    Consumer = _Consumer


class StateTable(faust.Table):
    """A table whose rows can be told apart by how far they have come, and whose changelog can be waited for."""

    join: Callable[[bytes | None, bytes], bytes]
    sent: Any = None  # the future of the changelog record sent last

    def send_changelog(self, *args: Any, **kwargs: Any) -> Any:
        """Keep what Faust throws away."""
        self.sent = super().send_changelog(*args, **kwargs)
        return self.sent

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Of each account the row that has come furthest, not the last: it may have been written by who was frozen."""
        try:
            super().apply_changelog_batch(self._joined(batch))
        except Exception as error:  # noqa: BLE001  # Faust would log it and go on with half a table
            end("the state can't be restored", error)

    def _joined(self, batch: Iterable[Any]) -> list[Any]:
        seen: dict[bytes, bytes | None] = {}
        return [self._furthest(event, seen) for event in batch]

    def _furthest(self, event: Any, seen: dict[bytes, bytes | None]) -> Any:
        message = event.message
        before = seen[message.key] if message.key in seen else self.data.get(message.key)
        if message.value is not None:
            message.value = self.join(before, message.value)
        seen[message.key] = message.value
        return event


class Worker(faust.Worker):
    """Faust's worker, which leaves logging and the terminal to us."""

    def __init__(self, app: faust.App) -> None:
        super().__init__(app, quiet=True, override_logging=False, redirect_stdouts=False, loglevel="WARNING")
        self.spinner = None


def make_app(group: str, **settings: Any) -> faust.App:
    """A Faust app that reads committed records and never commits past what is applied."""
    app = faust.App(group, processing_guarantee="at_least_once", Table=StateTable, **settings)
    app.transport = _Transport(app.conf.broker_consumer, app)
    return app


def make_table(app: faust.App, name: str, partitions: int, changelog: Any) -> StateTable:
    """A table of bytes by bytes, whose changelog is a topic of ours."""
    schema = faust.Schema(key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    return app.Table(  # type: ignore[no-any-return]  # it is, as `make_app` says
        name, schema=schema, key_type=bytes, value_type=bytes, partitions=partitions, changelog_topic=changelog
    )


def unacknowledged(app: faust.App) -> int:
    """Records that were handed to the agent and are not acknowledged."""
    return len(app.consumer._unacked_messages)


def lags(app: faust.App) -> dict[tuple[str, int], int]:
    """(topic, partition) → records that lie there and were not read, of each input in our hands."""
    consumer = app.consumer._thread._consumer
    assigned = consumer._subscription.subscription.assignment
    if assigned is None:
        return {}
    found = {}
    for tp in assigned.tps:
        state = assigned.state_value(tp)
        if state is not None and state._position is not None and state.highwater is not None:
            found[tp.topic, tp.partition] = max(state.highwater - state._position, 0)
    return found
