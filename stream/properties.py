"""librdkafka properties: what we set, what passes through, and what is refused, with the reason.

Everything a client of ours is opened with is written here, so that no producer hashes keys differently and no consumer
sees an open transaction. Whatever else the user configures (security, buffers, timeouts) passes through untouched.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final, Literal

GroupProtocol = Literal["classic", "consumer"]

# What would break exactly-once, or the agreement of producers and ledger on partitions. Name → why it is ours to set.
REFUSED: Final[Mapping[str, str]] = {
    "isolation.level": "consumers must not read open or aborted transactions",
    "enable.auto.commit": "offsets are committed in the transaction of their batch only",
    "enable.auto.offset.store": "offsets are committed in the transaction of their batch only",
    "auto.offset.reset": "a missing offset is a chain that begins or a loss, never a silent jump",
    "acks": "a decision is published when every in-sync replica has it",
    "enable.idempotence": "without it a retry doubles a record",
    "transactional.id": "it follows from worker.group and worker.slot, so that a successor fences its predecessor",
    "partitioner": "every topic is partitioned by murmur2 of the account_id, as Java and Faust do",
    "bootstrap.servers": "it is kafka.bootstrap_servers",
    "group.id": "it is worker.group",
    "group.protocol": "it is worker.group_protocol",
}
# librdkafka's own names for the same properties
ALIASES: Final[Mapping[str, str]] = {
    "request.required.acks": "acks",
    "auto.commit.enable": "enable.auto.commit",
    "metadata.broker.list": "bootstrap.servers",
}
# librdkafka refuses these with `group.protocol=consumer`: the broker sets them for the group (KIP-848).
CLASSIC_ONLY: Final = frozenset({"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"})

# By range, each topic is spread over all workers, and a worker has the same partitions of each. The sticky assignors
# only count partitions: they may give one worker all of the busiest topic (measured: no gain from a second worker).
# Classic: a dead member is missed after 10 s, a rebalance is learnt of with a heartbeat. With the new protocol the
# broker sets both.
_CLASSIC: Final[Mapping[str, Any]] = {
    "partition.assignment.strategy": "range",
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 500,
}
_NEW: Final[Mapping[str, Any]] = {"group.remote.assignor": "range"}

# These are about membership in a group, which a reader has not.
_MEMBERS_ONLY: Final = CLASSIC_ONLY | {"group.instance.id", "max.poll.interval.ms", "group.remote.assignor"}

# Names whose values are never shown.
SECRET_PARTS: Final = ("password", "secret", "user.info", "key.pem", "token", "sasl.oauthbearer.config")

# librdkafka's own log lines: silent until `safestream.logs.configure` gives them a handler.
LIBRDKAFKA_LOG: Final = logging.getLogger("librdkafka")
LIBRDKAFKA_LOG.addHandler(logging.NullHandler())


def is_secret(name: str) -> bool:
    """Whether the value of this property must not be shown."""
    return any(part in name for part in SECRET_PARTS)


def refusal(name: str) -> str | None:
    """Why this property can't be configured; None where it can."""
    return REFUSED.get(ALIASES.get(name, name))


def consumer_properties(
    bootstrap_servers: str,
    properties: Mapping[str, str],
    group: str,
    protocol: GroupProtocol = "classic",
    instance: str | None = None,
) -> dict[str, Any]:
    """Properties of a consumer that takes part in exactly-once.

    Args:
        instance: `group.instance.id` of a static member, None for a dynamic one.
    """
    ours: dict[str, Any] = {
        "bootstrap.servers": bootstrap_servers,
        "group.id": group,
        "group.protocol": protocol,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": False,
        "logger": LIBRDKAFKA_LOG,
    }
    if instance is not None:
        ours["group.instance.id"] = instance
    defaults = _CLASSIC if protocol == "classic" else _NEW
    other = {"group.remote.assignor"} if protocol == "classic" else CLASSIC_ONLY
    passed = {name: value for name, value in properties.items() if name not in other}
    return {**defaults, **passed, **ours}


def reader_properties(bootstrap_servers: str, properties: Mapping[str, str]) -> dict[str, Any]:
    """Properties of a consumer that reads assigned partitions, commits nothing and joins no group.

    librdkafka wants a group id even so; nothing is ever stored under it.
    """
    return consumer_properties(bootstrap_servers, _without_membership(properties), group="safestream-reader") | {
        "enable.partition.eof": True
    }


def _without_membership(properties: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in properties.items() if name not in _MEMBERS_ONLY}


def producer_properties(
    bootstrap_servers: str, properties: Mapping[str, str], transactional_id: str | None = None
) -> dict[str, Any]:
    """Properties of an idempotent producer; with a `transactional_id`, of a transactional one.

    `murmur2_random` is what Java's default partitioner does: murmur2 of the key, any partition where there is no key.
    """
    defaults = {"linger.ms": 5, "compression.type": "lz4", "message.max.bytes": 4_000_000}
    ours: dict[str, Any] = {
        "bootstrap.servers": bootstrap_servers,
        "partitioner": "murmur2_random",
        "enable.idempotence": True,
        "acks": "all",
        "logger": LIBRDKAFKA_LOG,
    }
    if transactional_id is not None:
        defaults["transaction.timeout.ms"] = 10_000  # a crash hides later records from everyone for so long
        # Not `rebootstrap`, the default: when all connections are lost it forgets the brokers, and a call that waits
        # for the group's coordinator then waits for ever, whatever its timeout (librdkafka issues 5456 and 5511).
        defaults["metadata.recovery.strategy"] = "none"
        defaults["queue.buffering.max.messages"] = 0  # no limit but the batch, which must fit or is never published
        ours["transactional.id"] = transactional_id
    return defaults | _without_membership(properties) | ours


def admin_properties(bootstrap_servers: str, properties: Mapping[str, str]) -> dict[str, Any]:
    """Properties of an administrative client."""
    return dict(properties) | {"bootstrap.servers": bootstrap_servers, "logger": LIBRDKAFKA_LOG}
