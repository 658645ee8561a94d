"""The properties of a one-node Kafka for development: the same in a container and on the local Java."""

KAFKA_VERSION = "4.1.1"
IMAGE = f"apache/kafka:{KAFKA_VERSION}"
READY_SECONDS = 120.0  # on two busy cores; 5 to 9 when idle

SINGLE_NODE: dict[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    # one node can't replicate
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # quick: few internal partitions to open, no wait for more members, small buffers
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": "16777216",
    # a mistyped topic is an error, as on most clusters in production
    "auto.create.topics.enable": "false",
    # deaths are noticed in seconds, also by group.protocol=consumer, whose timeouts are the broker's
    "group.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.heartbeat.interval.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    # how often the broker looks for transactions past their timeout; the default of 10 s only makes tests wait
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
}


def as_file(properties: dict[str, str]) -> str:
    """The text of a server.properties."""
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def as_environment(properties: dict[str, str]) -> dict[str, str]:
    """The variables by which the image apache/kafka takes the same properties."""
    return {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in properties.items()}
