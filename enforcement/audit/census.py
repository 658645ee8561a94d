"""The census: what the input topics held, counted and signed by somebody who is not the worker.

For each source partition a statement names the offsets that a `read_committed` consumer was given from `start` up to
`end`, and a digest over them. Offsets of transaction markers and of aborted records are not given to anybody, so the
worker has no leaf for them either. The digest is a chain, so that the next statement can go on from it:

    digest' = SHA-256(digest + offset as 8 bytes, big-endian + H(key) + H(value)),  H(x) = SHA-256(x), 32 zeros for null

The signature is Ed25519 (RFC 8032) over the statement as JSON without its `signature`, keys sorted, no white space,
ASCII only.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from enforcement.audit.faults import ChainId
from enforcement.audit.offset_ranges import OffsetRanges

FORMAT: Final = "safestream-census/1"
NO_DIGEST: Final = bytes(32)


class BadStatement(ValueError):
    """No census statement, or not what was signed; the message says which."""


@dataclass(slots=True)
class Tally:
    """The count of one source partition: first while it is read, then in a statement."""

    topic: str
    chain: ChainId
    log_start: int  # the log's first offset when the census began
    start: int  # offsets in [start, end) were looked at
    end: int
    digest_before: bytes = NO_DIGEST  # what the digest was before `start`
    digest: bytes = NO_DIGEST
    count: int = 0
    delivered: OffsetRanges = field(default_factory=OffsetRanges)

    def add(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        """A record was given to us."""
        sha256 = hashlib.sha256
        hashes = (NO_DIGEST if key is None else sha256(key).digest()) + (
            NO_DIGEST if value is None else sha256(value).digest()
        )
        self.digest = sha256(self.digest + offset.to_bytes(8, "big") + hashes).digest()
        self.delivered.add(offset, offset + 1)
        self.count += 1


@dataclass(frozen=True, slots=True)
class Statement:
    """A census, as signed."""

    cluster_id: str
    time_ms: int  # when the ends of the logs were asked for, before anything was read
    previous: str | None  # SHA-256 of the signed bytes of the statement that this one continues
    tallies: tuple[Tally, ...]
    public_key: bytes
    signature: bytes

    @property
    def digest(self) -> str:
        """What the next statement calls `previous`."""
        return hashlib.sha256(_signed_bytes(_document(self))).hexdigest()


def begin(
    topic: str, topic_id: bytes, partition: int, ends: tuple[int, int], previous: Statement | None = None
) -> Tally:
    """An empty tally: from where the previous statement ended, else from the log's start."""
    low, high = ends
    chain = ChainId(topic_id, partition)
    before = next((tally for tally in previous.tallies if tally.chain == chain), None) if previous else None
    if before is None:
        return Tally(topic, chain, low, low, high)
    start = max(low, before.end)
    return Tally(topic, chain, low, start, max(start, high), before.digest, before.digest)


def sign(
    key: Ed25519PrivateKey, cluster_id: str, time_ms: int, tallies: Sequence[Tally], previous: Statement | None = None
) -> Statement:
    """The signed statement."""
    public = key.public_key().public_bytes_raw()
    unsigned = Statement(cluster_id, time_ms, previous.digest if previous else None, tuple(tallies), public, b"")
    signature = key.sign(_signed_bytes(_document(unsigned)))
    return Statement(cluster_id, time_ms, unsigned.previous, unsigned.tallies, public, signature)


def write(statement: Statement) -> str:
    """The statement as a file's text: one partition on a line."""
    document = _document(statement) | {"signature": statement.signature.hex()}
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in document.items() if name != "partitions"]
    partitions = ",\n  ".join(json.dumps(row) for row in document["partitions"])
    return "{\n" + ",\n".join([*lines[:-2], f' "partitions": [\n  {partitions}\n ]', *lines[-2:]]) + "\n}\n"


def read(text: str) -> Statement:
    """A statement from a file's text, its signature checked against the key that it names itself.

    Raises:
        BadStatement: no statement, or not what was signed.
    """
    try:
        document = json.loads(text)
        statement = _statement(document)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise BadStatement(f"no census statement ({type(error).__name__}: {error})") from None
    try:
        signed = _signed_bytes({name: value for name, value in document.items() if name != "signature"})
        Ed25519PublicKey.from_public_bytes(statement.public_key).verify(statement.signature, signed)
    except (InvalidSignature, ValueError):
        raise BadStatement("the signature doesn't fit: the statement was altered after it was signed") from None
    return statement


def _signed_bytes(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _document(statement: Statement) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "cluster_id": statement.cluster_id,
        "time": datetime.fromtimestamp(statement.time_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "previous": statement.previous,
        "partitions": [_row(tally) for tally in statement.tallies],
        "public_key": statement.public_key.hex(),
    }


def _row(tally: Tally) -> dict[str, Any]:
    return {
        "topic": tally.topic,
        "topic_id": tally.chain.topic_id.hex(),
        "partition": tally.chain.partition,
        "log_start_offset": tally.log_start,
        "start_offset": tally.start,
        "end_offset": tally.end,
        "count": tally.count,
        "ranges": [[first, end - 1] for first, end in tally.delivered],
        "digest_before": tally.digest_before.hex(),
        "digest": tally.digest.hex(),
    }


def _statement(document: Any) -> Statement:
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']!r}, expected {FORMAT!r}")
    time_ms = round(datetime.fromisoformat(document["time"]).timestamp() * 1000)
    tallies = tuple(_tally(row) for row in document["partitions"])
    key, signature = bytes.fromhex(document["public_key"]), bytes.fromhex(document["signature"])
    return Statement(str(document["cluster_id"]), time_ms, document["previous"], tallies, key, signature)


def _tally(row: Any) -> Tally:
    chain = ChainId(bytes.fromhex(row["topic_id"]), int(row["partition"]))
    delivered = OffsetRanges((int(first), int(last) + 1) for first, last in row["ranges"])
    start, end, count = int(row["start_offset"]), int(row["end_offset"]), int(row["count"])
    log_start = int(row["log_start_offset"])
    if delivered.count() != count or delivered.minus(OffsetRanges([(start, end)])).count() or start < log_start:
        raise ValueError(f"{row['topic']} partition {chain.partition}: ranges, count and offsets contradict each other")
    digests = bytes.fromhex(row["digest_before"]), bytes.fromhex(row["digest"])
    return Tally(str(row["topic"]), chain, log_start, start, end, *digests, count, delivered)
