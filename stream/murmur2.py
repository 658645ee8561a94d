"""The partition that Java's clients and Faust give a key: murmur2, positive, modulo the number of partitions.

Over a batch at once: keys of one length are hashed together, a column of 32-bit words at a time.
Source: org.apache.kafka.common.utils.Utils.murmur2 and BuiltInPartitioner.partitionForKey.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_M: Final = np.uint32(0x5BD1E995)
_SEED: Final = 0x9747B28C


def partitions_of(keys: Sequence[bytes], count: int) -> NDArray[np.int32]:
    """The partition of each key among `count`; shape (len(keys),)."""
    found = np.empty(len(keys), np.int32)
    rows_of: defaultdict[int, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        rows_of[len(key)].append(row)
    for length, rows in rows_of.items():
        packed = np.frombuffer(b"".join([keys[row] for row in rows]), np.uint8).reshape(len(rows), length)
        found[rows] = (_hash(packed, length) & np.uint32(0x7FFFFFFF)) % np.uint32(count)
    return found


def _hash(keys: NDArray[np.uint8], length: int) -> NDArray[np.uint32]:
    """murmur2 of keys of one length, shape (n, length) → (n,)."""
    hashed: NDArray[np.uint32] = np.full(len(keys), _SEED ^ length, np.uint32)
    whole = length // 4
    words = np.ascontiguousarray(keys[:, : whole * 4]).view("<u4")
    for column in range(whole):
        word = words[:, column] * _M
        word = (word ^ (word >> np.uint32(24))) * _M
        hashed = (hashed * _M) ^ word
    tail = keys[:, whole * 4 :].astype(np.uint32)
    for byte in range(tail.shape[1] - 1, -1, -1):
        hashed ^= tail[:, byte] << np.uint32(8 * byte)
    if tail.shape[1]:
        hashed *= _M
    hashed = (hashed ^ (hashed >> np.uint32(13))) * _M
    return np.asarray(hashed ^ (hashed >> np.uint32(15)), np.uint32)
