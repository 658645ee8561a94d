"""What an outside reader with `isolation.level=read_committed` saw after a run: the records that the oracle judges.

Nothing here comes from the worker's code. `reading.py` fills it from Kafka, `test_oracle.py` by hand.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

Headers = tuple[tuple[str, bytes | None], ...]


class Source(NamedTuple):
    """One partition of an input topic."""

    topic: str
    partition: int


class Input(NamedTuple):
    """A record of a content topic."""

    source: Source
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int

    def header(self, name: str) -> str:
        return next((value or b"").decode() for key, value in self.headers if key == name)


class Leaf(NamedTuple):
    """A record of moderation.audit; `commitment` is of its Avro body (None where it has none)."""

    partition: int
    position: int
    value: bytes
    commitment: bytes | None


class Decision(NamedTuple):
    """A record of moderation.decisions, decoded as far as the analyses need it."""

    partition: int
    position: int
    key: bytes | None
    source: Source
    offset: int
    decision_id: str
    sequence: int
    event_id: str
    account_id: str
    action: str
    salt: bytes


class DeadLetter(NamedTuple):
    """A record of moderation.dead-letters; the source and reason stand in its headers."""

    partition: int
    position: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int


class LedgerInput(NamedTuple):
    """A record of moderation.ledger-inputs."""

    source: Source
    offset: int


class Position(NamedTuple):
    """Where the group stands on a partition (None: nowhere) and where that partition ends."""

    committed: int | None
    end: int


@dataclass(frozen=True)
class History:
    """What was read after a run. The iterables are walked once each, outputs before inputs: they may be generators."""

    cluster_id: str
    topic_ids: Mapping[bytes, str]  # 16 bytes → name, of the input topics
    partitions: int  # of every topic
    leaves: Iterable[Leaf]
    decisions: Iterable[Decision]
    dead_letters: Iterable[DeadLetter]
    ledger_inputs: Iterable[LedgerInput]
    inputs: Iterable[Input]
    positions: Mapping[Source, Position]
    acknowledged: Mapping[Source, int]  # records the producer got an acknowledgement for
