"""The account ledger's process: inputs, table, what is published, and when a record is acknowledged.

At least once, with what makes that exact: the state holds the offsets applied, so a record that comes again changes
nothing and is only published again; a record is acknowledged when the broker has everything that follows from it; and
whatever goes wrong ends the process, because Faust would go on with the next record and leave this one behind.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from schemas import topics
from schemas.errors import Poison, Retriable
from stream.health import Health
from stream.ledger import hooks
from stream.ledger.dead_letters import is_ours, letter
from stream.ledger.ending import FreezeWatch, end
from stream.ledger.inputs import Inputs
from stream.ledger.metrics import LedgerMetrics, What
from stream.ledger.ports import Folding
from stream.ledger.settings import LedgerProcess

_MOST_UNDER_WAY: Final = 2000  # records whose outcome the broker has not acknowledged
_RETRY_SECONDS: Final = 1.0
_MOST_BYTES: Final = 4_000_000
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The broker and what is known of its topics."""

    bootstrap_servers: str
    partitions: int
    topic_ids: Mapping[str, str]  # of the inputs, hexadecimal digits


class Ledger:
    """One process of the ledger. Everything but the watch happens in Faust's event loop."""

    def __init__(
        self,
        around: Surroundings,
        settings: LedgerProcess,
        inputs: Inputs,
        folding: Folding,
        encode_action: Any,
        metrics: LedgerMetrics,
        health: Health,
    ) -> None:
        """Declare the app; nothing runs yet.

        Args:
            encode_action: a record of moderation.account-actions → its value.
        """
        self._around, self._settings = around, settings
        self._inputs, self._folding, self._encode = inputs, folding, encode_action
        self._metrics, self._health = metrics, health
        self._watch = FreezeWatch(settings.session_seconds / 2)
        self._under_way = 0
        self._acknowledged_at = time.monotonic()
        self._app = hooks.make_app(settings.group, **_faust_settings(around, settings))
        self._state = self._app.topic(topics.ACCOUNT_STATE, **_RAW, compacting=True, acks=False, internal=True)
        self._table = self._make_table()
        self._actions = self._app.topic(topics.ACCOUNT_ACTIONS, **_RAW)
        self._dead_letters = self._app.topic(topics.DEAD_LETTERS, **_RAW)
        channel = self._app.topic(*topics.LEDGER, **_RAW)
        self._app.agent(channel, name="ledger")(self._run_agent)
        self._app.timer(1.0)(self._pulse)

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then leave by SystemExit: 0 after an orderly end."""
        self._watch.start()
        hooks.Worker(self._app).execute_from_commandline()

    def _make_table(self) -> hooks.StateTable:
        table = hooks.make_table(self._app, "account-state", self._around.partitions, self._state)
        table.join = self._folding.join
        return table

    async def _run_agent(self, stream: Any) -> None:
        async for event in stream.noack().events():
            try:
                await self._take(event)
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001  # Faust would start the agent again, without this record
                end("a record can't be folded", error)

    async def _take(self, event: Any) -> None:
        message = event.message
        try:
            record = await self._read(message)
            if record is None:
                self._acknowledge_when([], event, What.NOBODY)
            elif self._is_current(message):
                self._fold(event, record)
        except Poison as poison:
            self._refuse(event, poison)
        while self._under_way >= _MOST_UNDER_WAY:  # noqa: ASYNC110  # an event costs more than the rare nap
            await asyncio.sleep(0.002)

    async def _read(self, message: Any) -> dict[str, Any] | None:
        at = round(message.timestamp * 1000)
        while True:
            try:
                return self._inputs.read(message.topic, message.partition, at, message.value)
            except Retriable as error:
                _log.warning("waiting for the schema registry", why=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    def _fold(self, event: Any, record: Mapping[str, Any]) -> None:
        message, key = event.message, record["account_id"].encode()
        found = self._folding.step(self._table.get(key), message.topic, message.partition, message.offset, record)
        self._watch.check()
        self._table[key] = found.value  # also where it is as before: the row on disk may never have been published
        sent = [self._table.sent]
        for action in found.actions:
            sent.append(self._send(self._actions, message.partition, key, self._encode(action)))
            self._metrics.actions[action["action"]].inc()
        self._acknowledge_when(sent, event, What.APPLIED if found.new else What.REPEATED)

    def _refuse(self, event: Any, poison: Poison) -> None:
        message = event.message
        _log.warning(
            "can't be folded", topic=message.topic, partition=message.partition, offset=message.offset,
            reason=poison.reason.value,
        )  # fmt: skip
        if not is_ours(message.topic, poison):
            self._acknowledge_when([], event, What.SKIPPED)
            return
        key, value, headers = letter(message, self._around.topic_ids[message.topic], poison)
        sent = self._send(self._dead_letters, message.partition, key, value, headers)
        self._acknowledge_when([sent], event, What.DEAD_LETTER)

    def _send(self, topic: Any, partition: int, key: Any, value: Any, headers: Any = None) -> Any:
        return topic.send_soon(key=key, value=value, partition=partition, headers=headers)

    def _acknowledge_when(self, sent: Sequence[Any], event: Any, what: What) -> None:
        """Acknowledge a record when the broker has all that was sent for it."""
        left = len(sent)
        self._under_way += 1

        def done(future: Any) -> None:
            nonlocal left
            if future.cancelled() or future.exception() is not None:
                end("what was to be published was not", None if future.cancelled() else future.exception())
            left -= 1
            if left == 0:
                self._acknowledge(event, what)

        for future in sent:
            future.add_done_callback(done)
        if not sent:
            self._acknowledge(event, what)

    def _acknowledge(self, event: Any, what: What) -> None:
        self._under_way -= 1
        self._acknowledged_at = time.monotonic()
        self._metrics.folded[event.message.topic, what].inc()
        if self._is_current(event.message):
            event.ack()

    def _is_current(self, message: Any) -> bool:
        """Whether the record was read since the last rebalance: others are read again, by us or by another."""
        return bool(message.generation_id == self._app.consumer_generation_id)

    async def _pulse(self) -> None:
        """Once a second: see whether anything is stuck, and show how it stands."""
        restoring = bool(self._app.rebalancing or self._app.tables.recovery.in_recovery)
        self._metrics.restoring.set(restoring)
        if restoring or not hooks.unacknowledged(self._app):
            self._acknowledged_at = time.monotonic()
        waited = time.monotonic() - self._acknowledged_at
        if waited > self._settings.stuck_seconds:
            end(f"records wait, and none was acknowledged for {waited:.0f} s")
        lags = hooks.lags(self._app)
        self._metrics.lags({at: lag for at, lag in lags.items() if at[0] in topics.LEDGER})
        waiting_for = "the states of accounts" if restoring else None if lags else "partitions"
        if waiting_for is None and self._health.waiting_for is not None:
            _log.info("the states of accounts are ready", partitions=len(lags))
        self._health.waiting_for = waiting_for
        self._health.beat()


_RAW: Final[Mapping[str, Any]] = {
    "key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw", "allow_empty": True,
    "maxsize": 16_384,
}  # fmt: skip


def _faust_settings(around: Surroundings, settings: LedgerProcess) -> dict[str, Any]:
    session = settings.session_seconds
    return {
        "broker": [f"kafka://{server.strip()}" for server in around.bootstrap_servers.split(",")],
        "store": "rocksdb://",
        "datadir": str(settings.folder.absolute() / settings.slot),
        "web_enabled": False,
        "topic_allow_declare": False,  # `safestream topics create` makes them, with the settings they need
        "topic_disable_leader": True,
        "topic_partitions": around.partitions,
        "table_standby_replicas": 0,
        "consumer_group_instance_id": f"{settings.group}-{settings.slot}",
        "consumer_max_fetch_size": _MOST_BYTES,
        "producer_acks": -1,
        "producer_max_request_size": _MOST_BYTES,
        "producer_request_timeout": session * 0.9,
        "broker_session_timeout": session,
        "broker_heartbeat_interval": min(2.0, session / 4),
        "broker_request_timeout": max(session, 90.0),
        "broker_commit_interval": 1.0,
        "stream_wait_empty": False,
        "key_serializer": "raw",
        "value_serializer": "raw",
    }
