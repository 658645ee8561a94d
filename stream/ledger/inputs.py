"""From a Kafka record to what is folded: decoded, in the right partition, its times no later than the broker's."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from schemas import topics
from schemas.decode import Decoder
from schemas.errors import Poison, PoisonReason
from schemas.registry import Registry
from stream.murmur2 import partitions_of

# Written by tools of the platform's, under any clock; the broker stamps these topics when records arrive.
_FOREIGN_TIMES: Final[Mapping[str, str]] = {topics.REVIEWS: "reviewed_at", topics.CONTROLS: "issued_at"}
_MOST_BYTES: Final = 4_000_000  # more than any of the topics takes


class Inputs:
    """Reads the records of `schemas.topics.LEDGER`."""

    def __init__(self, registry: Registry, partitions: int) -> None:
        self._decoder = Decoder(registry, _MOST_BYTES)
        self._partitions = partitions

    def read(self, topic: str, partition: int, timestamp_ms: int, value: bytes | None) -> dict[str, Any] | None:
        """The record; None for a control that is about no account.

        Raises:
            Poison: it can't be decoded, or another partition holds its account's state.
            Retriable: the registry does not answer; nothing is known about the bytes.
        """
        _, record = self._decoder.decode(topic, value)
        account = record["account_id"]
        if account is None:
            return None
        if (right := _partition_of(account, self._partitions)) != partition:
            raise Poison(PoisonReason.WRONG_PARTITION, f"its account is in partition {right} of {self._partitions}")
        if (name := _FOREIGN_TIMES.get(topic)) is not None:
            record[name] = min(record[name], timestamp_ms)
        return record


@lru_cache(maxsize=100_000)
def _partition_of(account: str, count: int) -> int:
    return int(partitions_of([account.encode()], count)[0])
