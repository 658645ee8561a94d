"""Decision ids: UUIDv5 (RFC 9562, section 5.5) over the event's coordinates, so deciding again finds the same id."""

import hashlib
import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

NAMESPACE: Final = uuid.UUID("5afe57ea-6d0d-5e1d-8a7e-0f5a1c0de001")  # fixed for ever: every id depends on it
LENGTH: Final = 36  # characters of an id

_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def decision_id(cluster_id: str, topic_id: bytes, partition: int, offset: int) -> uuid.UUID:
    """UUIDv5 of "cluster_id/topic_id/partition/offset", the topic id written as a UUID."""
    return uuid.uuid5(NAMESPACE, f"{cluster_id}/{uuid.UUID(bytes=topic_id)}/{partition}/{offset}")


def decision_ids(
    cluster_id: str, topic_ids: Iterable[bytes], partitions: Iterable[int], offsets: Iterable[int]
) -> list[bytes]:
    """`decision_id` of each event, as 36 ASCII bytes. What is the same for a whole partition is hashed once."""
    ids: list[bytes] = []
    for topic_id, partition, offset in zip(topic_ids, partitions, offsets, strict=True):
        sha1 = _begun(cluster_id, topic_id, partition).copy()
        sha1.update(b"%d" % offset)
        h = sha1.hexdigest()
        ids.append(f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}".encode())
    return ids


@lru_cache(maxsize=4096)
def _begun(cluster_id: str, topic_id: bytes, partition: int) -> Any:
    """SHA-1 over all of the name but the offset; hashlib has no public type for it."""
    begun = f"{cluster_id}/{uuid.UUID(bytes=topic_id)}/{partition}/".encode()
    return hashlib.sha1(NAMESPACE.bytes + begun, usedforsecurity=False)
