"""How a worker is put together from the configuration: the last stage first."""

from contextlib import ExitStack
from threading import Event
from typing import Final

import structlog
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from detectors.client import DetectorClient
from detectors.interface import DetectorSpec, ProcessSettings
from enforcement.judge import Judge
from enforcement.packs import DEFAULT, Pack, load_pack
from safestream.configuration import Configuration
from schemas import topics
from schemas.decode import Decoder
from schemas.leaf_header import Kind
from schemas.registry import Registry, open_registry
from stream import topic_ids
from stream.audit_tail import AuditTail
from stream.caution import SOLO_DEATHS
from stream.chain_heads import ChainHeads
from stream.committer import Committer
from stream.decoding import Decoding
from stream.health import Health, HealthServer
from stream.intake import Intake
from stream.metrics import WorkerMetrics
from stream.properties import admin_properties, consumer_properties, producer_properties, reader_properties
from stream.reaching import Cluster
from stream.topic_ids import TopicIds
from stream.topics import check_partitions
from stream.transaction import TransactionalProducer
from stream.worker import Worker

_STALE_SECONDS: Final = 120.0  # a loop that is silent for so long hangs
_log = structlog.get_logger(__name__)


def run_worker(settings: Configuration, begun: Event, stop: Event) -> None:
    """Run a worker until `stop` is set; `begun` is set once there may be something to commit before it ends.

    Raises:
        UserMistake: the configuration, the pack, the topics or the broker are not as they must be.
        Fatal, Fenced: see `stream.worker.Worker.run`.
    """
    kinds = dict.fromkeys(settings.topics.content, Kind.decision)
    kinds |= {topics.REVIEWS: Kind.review, topics.CONTROLS: Kind.control}
    server, user = settings.kafka.bootstrap_servers, settings.kafka.properties
    admin = AdminClient(admin_properties(server, user))

    published = (topics.DECISIONS, topics.AUDIT, topics.DEAD_LETTERS, topics.LEDGER_INPUTS)
    partitions = check_partitions(Cluster(server, user), [*kinds, *published])

    def ids() -> TopicIds:
        return topic_ids.ask(admin, list(kinds), partitions)

    cluster_id = ids().cluster_id
    registry = open_schemas(settings)
    pack = load_pack(settings.policy.pack or DEFAULT)
    with ExitStack() as cleanup:
        numbers, health = CollectorRegistry(), Health(_STALE_SECONDS)
        if settings.worker.health_port is not None:
            serving = HealthServer(settings.worker.health_host, settings.worker.health_port, numbers, health)
            cleanup.enter_context(serving)
            _log.info("serving metrics", host=settings.worker.health_host, port=serving.port)
        health.waiting_for = "detectors"
        detectors = start_detectors(settings)
        cleanup.callback(detectors.close)
        judge = make_judge(pack, registry, cluster_id, detectors)
        producer = TransactionalProducer(producer_properties(server, user, transactional_id(settings)))
        tail = AuditTail(reader_properties(server, user))
        cleanup.callback(tail.close)
        heads = ChainHeads(tail, ids, judge, kinds, settings.worker.batch_size, settings.worker.accepted_topic_ids)
        committer = Committer(producer, heads, judge, cluster_id, registry.latest(topics.AUDIT).id)
        cleanup.callback(committer.close)
        key = settings.dead_letters.signing_key
        decoding = Decoding(
            Decoder(registry, settings.worker.max_event_bytes),
            partitions,
            key.get_secret_value().encode() if key else None,
        )
        properties = consumer_properties(server, user, settings.worker.group, settings.worker.group_protocol)
        consumer = Consumer(properties)
        weights = {name: content.weight for name, content in settings.topics.content.items()}
        intake = Intake(
            consumer,
            weights | {topics.REVIEWS: 1.0, topics.CONTROLS: 1.0},
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
            committer,
            heads,
            metrics,
            health,
            settings.worker.drain_seconds,
            stop,
            incremental=settings.worker.group_protocol == "consumer" or "cooperative" in strategy,
        ).run(list(kinds))


def transactional_id(settings: Configuration) -> str:
    """The same after a restart, so that a successor fences its predecessor and ends what it left open."""
    return f"{settings.worker.group}-{settings.worker.slot}"


def open_schemas(settings: Configuration) -> Registry:
    """The schema registry of a configuration."""
    configured = settings.schema_registry
    return open_registry(configured.folder, configured.url, configured.properties)


def start_detectors(settings: Configuration) -> DetectorClient:
    """The configured detectors, loaded and warm in a process of their own."""
    process = settings.detector_process
    specs = [DetectorSpec(name, each.options, each.factory) for name, each in settings.detectors.items()]
    detectors = DetectorClient(
        specs,
        ProcessSettings(
            deadline_ms=process.deadline_ms,
            memory_mb=process.memory_mb,
            threads=process.threads,
            start_seconds=process.start_seconds,
            max_attempts=SOLO_DEATHS,
        ),
    )
    try:
        detectors.start(lambda line: _log.info("detectors", state=line))
    except BaseException:  # told to stop while they load
        detectors.close()
        raise
    return detectors


def make_judge(pack: Pack, registry: Registry, cluster_id: str, detectors: DetectorClient) -> Judge:
    """The policy pack, bound to the detectors' columns and versions."""
    judge = Judge(
        pack,
        cluster_id,
        registry.latest(topics.DECISIONS),
        registry.latest(topics.AUDIT),
        registry.latest(topics.LEDGER_INPUTS),
        detectors.columns,
        detectors.names,
        detectors.versions,
        registry.by_id,
    )
    for notice in judge.policy.notices:
        _log.info("policy", notice=notice)
    return judge
