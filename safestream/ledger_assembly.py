"""How the ledger's process is put together from the configuration."""

import io
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Final

import fastavro
import structlog
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from enforcement.ledger.account_actions import Place, Step, step
from enforcement.ledger.fold import join
from enforcement.ledger.settings import LedgerSettings
from safestream.configuration import Configuration
from schemas import topics
from schemas.errors import UserMistake
from schemas.registry import Registry, open_registry
from schemas.wire import frame
from stream import topic_ids
from stream.health import Health, HealthServer
from stream.ledger import beginning, hooks
from stream.ledger.inputs import Inputs
from stream.ledger.metrics import LedgerMetrics
from stream.ledger.process import Ledger, Surroundings
from stream.ledger.settings import LedgerProcess
from stream.properties import admin_properties
from stream.reaching import Cluster
from stream.topics import check_partitions

_STALE_SECONDS: Final = 30.0  # an event loop that is silent for so long hangs
_OPEN: Final = frozenset({"PLAINTEXT", "plaintext"})
_log = structlog.get_logger(__name__)


class AccountFold:
    """The fold with its settings, as `stream.ledger.ports.Folding`."""

    def __init__(self, settings: LedgerSettings) -> None:
        self._settings = settings

    def step(self, value: bytes | None, topic: str, partition: int, offset: int, record: Mapping[str, Any]) -> Step:
        """See `enforcement.ledger.account_actions.step`."""
        return step(value, Place(topic, partition, offset), record, self._settings)

    def join(self, a: bytes | None, b: bytes) -> bytes:
        """See `enforcement.ledger.fold.join`."""
        return join(a, b, self._settings)


def run(settings: Configuration) -> None:
    """Run the ledger until SIGTERM or SIGINT.

    Raises:
        UserMistake: the configuration, the topics or the broker are not as they must be.
        Fatal: Faust is not the version that the ledger was proven with, a topic's partitions
            have changed, or an input was created again and there are states.
    """
    hooks.check()
    server, user = settings.kafka.bootstrap_servers, settings.kafka.properties
    if user.get("security.protocol", "PLAINTEXT") not in _OPEN:
        raise UserMistake(
            "the ledger can't log in to a broker yet: kafka.properties asks for "
            f"security.protocol {user['security.protocol']}; give the ledger a listener within the private network"
        )
    written = (topics.ACCOUNT_STATE, topics.ACCOUNT_ACTIONS, topics.DEAD_LETTERS)
    cluster = Cluster(server, user)
    partitions = check_partitions(cluster, [*topics.LEDGER, *written])
    ids = topic_ids.ask(AdminClient(admin_properties(server, user)), list(topics.LEDGER), partitions)
    registry = open_registry(
        settings.schema_registry.folder, settings.schema_registry.url, settings.schema_registry.properties
    )
    around = Surroundings(server, partitions, {name: ids.of[name].hex() for name in topics.LEDGER})
    _make_folder(settings.ledger)
    gone = beginning.check(cluster, settings.ledger, around.topic_ids, partitions)
    logging.getLogger("aiokafka").addFilter(_Seldom())
    with ExitStack() as cleanup:
        numbers, health = CollectorRegistry(), Health(_STALE_SECONDS)
        metrics = LedgerMetrics(numbers)
        metrics.gone(gone)
        if settings.ledger.health_port is not None:
            serving = HealthServer(settings.ledger.health_host, settings.ledger.health_port, numbers, health)
            cleanup.enter_context(serving)
            _log.info("serving metrics", host=settings.ledger.health_host, port=serving.port)
        process = Ledger(
            around,
            settings.ledger,
            Inputs(registry, partitions),
            AccountFold(settings.accounts),
            _encoder(registry),
            metrics,
            health,
        )
        process.run()


def _make_folder(settings: LedgerProcess) -> None:
    try:
        (settings.folder / settings.slot).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserMistake(
            f"{error.filename}: can't be made ({error.strerror}); set ledger.folder to a folder on a volume that stays"
        ) from None


def _encoder(registry: Registry) -> Callable[[Mapping[str, Any]], bytes]:
    """A record of moderation.account-actions → its value."""
    schema = registry.latest(topics.ACCOUNT_ACTIONS)
    before = frame(schema.id)

    def encode(action: Mapping[str, Any]) -> bytes:
        out = io.BytesIO()
        out.write(before)
        fastavro.schemaless_writer(out, schema.parsed, action)
        return out.getvalue()

    return encode


class _Seldom(logging.Filter):
    """While a broker is away aiokafka writes a hundred lines a second: the same message passes once in 10 seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - self._passed.get(record.msg, -10.0) < 10.0:
            return False
        self._passed[record.msg] = now
        return True
