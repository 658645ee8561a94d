"""How a worker is put together from the configuration: the last stage first."""

from collections.abc import Mapping
from contextlib import ExitStack
from threading import Event
from typing import Final

import structlog
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from detectors.runtime.client import DetectorClient
from enforcement.accounts import Accounts
from enforcement.judge import Judge, Schemas
from enforcement.ledger.fold import join
from enforcement.packs import DEFAULT, Pack, load_pack
from enforcement.second_judge import SecondJudge
from safestream.configuration import Configuration
from safestream.detecting import start_detectors
from schemas import topics
from schemas.decode import Decoder
from schemas.leaf_header import Kind
from schemas.registry import Registry, open_registry
from stream import topic_ids
from stream.account_states import AccountStates
from stream.account_store import AccountStore
from stream.age_estimates import AgeEstimates
from stream.audit_tail import AuditTail
from stream.chain_heads import ChainHeads
from stream.committer import Committer
from stream.decoding import Decoding
from stream.health import Health, HealthServer
from stream.intake import Intake
from stream.local_broker.jars import cache_folder
from stream.metrics import WorkerMetrics
from stream.properties import admin_properties, consumer_properties, producer_properties, reader_properties
from stream.reaching import Cluster
from stream.second_look import group_of
from stream.topic_ids import TopicIds
from stream.topics import SECOND_LOOK_BYTES, check_partitions
from stream.transaction import TransactionalProducer
from stream.worker import Worker

_NO_DECISION: Final[Mapping[str, Kind]] = {
    topics.REVIEWS: Kind.review,
    topics.CONTROLS: Kind.control,
    topics.ACCOUNT_ACTIONS: Kind.account_action,
}
_STALE_SECONDS: Final = 120.0  # a loop that is silent for so long hangs
_log = structlog.get_logger(__name__)


def run_worker(settings: Configuration, begun: Event, stop: Event, *, second_look: bool = False) -> None:
    """Run a worker until `stop` is set; `begun` is set once there may be something to commit before it ends.

    With `second_look` it is one that looks again: it reads moderation.second-look, with the detectors kept for that.

    Raises:
        UserMistake: the configuration, the pack, the topics or the broker are not as they must be.
        Fatal, Fenced: see `stream.worker.Worker.run`.
    """
    weights = _inputs(settings, second_look=second_look)
    kinds = {name: _NO_DECISION.get(name, Kind.decision) for name in weights}
    group = group_of(settings.worker.group) if second_look else settings.worker.group
    server, user = settings.kafka.bootstrap_servers, settings.kafka.properties
    admin = AdminClient(admin_properties(server, user))

    pack = load_pack(settings.policy.pack or DEFAULT)
    published = (
        topics.DECISIONS, topics.AUDIT, topics.DEAD_LETTERS, topics.LEDGER_INPUTS, topics.SECOND_LOOK,
        topics.AGE_ESTIMATES,
    )  # fmt: skip
    states_topic = (topics.ACCOUNT_STATE,) if pack.reads_accounts else ()
    partitions = check_partitions(Cluster(server, user), [*kinds, *published, *states_topic])

    def ids() -> TopicIds:
        return topic_ids.ask(admin, list(kinds), partitions)

    cluster_id = ids().cluster_id
    registry = open_schemas(settings)
    with ExitStack() as cleanup:
        numbers, health = CollectorRegistry(), Health(_STALE_SECONDS)
        if settings.worker.health_port is not None:
            serving = HealthServer(settings.worker.health_host, settings.worker.health_port, numbers, health)
            cleanup.enter_context(serving)
            _log.info("serving metrics", host=settings.worker.health_host, port=serving.port)
        health.waiting_for = "detectors"
        detectors = start_detectors(settings, pack, second_look=second_look)
        cleanup.callback(detectors.close)
        states = _states(settings, pack, partitions, f"{cluster_id}/{group}-{settings.worker.slot}")
        if states is not None:
            cleanup.callback(states.close)
        accounts = Accounts(pack, states) if states else None
        judge = make_judge(pack, registry, cluster_id, detectors, accounts, second_look=second_look)
        producer = TransactionalProducer(producer_properties(server, user, f"{group}-{settings.worker.slot}"))
        tail = AuditTail(reader_properties(server, user))
        cleanup.callback(tail.close)
        heads = ChainHeads(tail, ids, judge, kinds, settings.worker.batch_size, settings.worker.accepted_topic_ids)
        committer = Committer(producer, heads, judge, cluster_id, registry.latest(topics.AUDIT).id)
        cleanup.callback(committer.close)
        key = settings.dead_letters.signing_key
        decoding = Decoding(
            Decoder(registry, SECOND_LOOK_BYTES if second_look else settings.worker.max_event_bytes),
            partitions,
            key.get_secret_value().encode() if key else None,
        )
        properties = consumer_properties(server, user, group, settings.worker.group_protocol)
        consumer = Consumer(properties)
        intake = Intake(
            consumer,
            weights,
            settings.worker.batch_size,
            settings.worker.batch_window_ms / 1000,
            settings.worker.account_share,
        )
        metrics = WorkerMetrics(list(kinds), detectors.names, numbers)
        producer.start()
        begun.set()
        health.waiting_for = "partitions"
        strategy = properties.get("partition.assignment.strategy", "")
        Worker(
            consumer,
            intake,
            decoding,
            detectors,
            judge,
            AgeEstimates(registry.latest(topics.AGE_ESTIMATES)),
            committer,
            heads,
            metrics,
            health,
            settings.worker.drain_seconds,
            stop,
            states,
            incremental=settings.worker.group_protocol == "consumer" or "cooperative" in strategy,
        ).run(list(kinds))


def _inputs(settings: Configuration, *, second_look: bool) -> dict[str, float]:
    """The topics that a worker reads, with their shares of a batch."""
    if second_look:
        return {topics.SECOND_LOOK: 1.0}
    return {name: content.weight for name, content in settings.topics.content.items()} | dict.fromkeys(
        _NO_DECISION, 1.0
    )


def _states(settings: Configuration, pack: Pack, partitions: int, name: str) -> AccountStates | None:
    """What the ledger says of accounts; None where no rule asks about them."""
    if not pack.reads_accounts:
        return None
    server, user = settings.kafka.bootstrap_servers, settings.kafka.properties
    admin = AdminClient(admin_properties(server, user))
    folder = settings.worker.state_folder or cache_folder() / "states"
    return AccountStates(
        AccountStore(folder / name, partitions, join),
        reader_properties(server, user),
        lambda: topic_ids.ask(admin, [topics.ACCOUNT_STATE], partitions).of[topics.ACCOUNT_STATE],
        partitions,
        settings.worker.state_ready_deadline,
        everywhere=pack.reads_recipients,
    )


def open_schemas(settings: Configuration) -> Registry:
    """The schema registry of a configuration."""
    configured = settings.schema_registry
    return open_registry(configured.folder, configured.url, configured.properties)


def make_judge(
    pack: Pack,
    registry: Registry,
    cluster_id: str,
    detectors: DetectorClient,
    accounts: Accounts | None,
    *,
    second_look: bool,
) -> Judge | SecondJudge:
    """The policy pack, bound to the detectors' columns and versions, and to what a first look names.

    Raises:
        UserMistake: the pack does not fit the versions that run.
    """
    latest = registry.latest
    schemas = Schemas(
        latest(topics.DECISIONS), latest(topics.AUDIT), latest(topics.LEDGER_INPUTS), latest(topics.SECOND_LOOK)
    )
    columns, names, versions = detectors.columns, detectors.names, detectors.versions
    if second_look:
        return SecondJudge(pack, cluster_id, schemas, dict(zip(names, versions, strict=True)), registry.by_id, accounts)
    judge = Judge(pack, cluster_id, schemas, columns, names, versions, registry.by_id, accounts)
    for notice in judge.policy.notices:
        _log.info("policy", notice=notice)
    return judge
