"""Train, calibration and test parts that share no near-identical text.

Texts that are equal once case, punctuation and handles are gone are kept once. Texts that share a band of their
min-hash sketch (character 5-grams; Broder 1997) are of one cluster, as are the rows of one group; a cluster falls into
one part, chosen by the hash of its first member, so parts don't change when rows are added elsewhere. Contrast cases
are dealt out by template alone: to them a text that is nearly the same and labelled otherwise is the whole point.
"""

import hashlib
import re
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.text.normalisation import normal_form
from detectors.training.rows import Examples

OWN: Final = "contrast/"  # groups whose near-identical texts are wanted: they differ in what decides the label
SHARES: Final = {"train": 0.8, "calibration": 0.1, "test": 0.1}
_NOT_A_WORD: Final = re.compile(r"@user|\brt\b|http|[^\w]+")
_BANDS: Final = 4
_ROWS: Final = 3  # a band agrees with probability similarity**3: four of them find .85-alike texts with 98 %
_SHINGLE: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Positions into the examples, ascending."""

    train: NDArray[np.intp]
    calibration: NDArray[np.intp]
    test: NDArray[np.intp]


def split(examples: Examples) -> Parts:
    """Duplicates dropped (the first stays), the rest dealt out by cluster."""
    keys = [gist(text) for text in examples.texts]
    first = {key: i for i, key in reversed(list(enumerate(keys))) if key}
    kept = sorted(first.values())
    found = [i for i in kept if not examples.groups[i].startswith(OWN)]
    cluster = _clusters([keys[i] for i in found], [examples.groups[i] for i in found])
    mark = {i: keys[found[root]] for i, root in zip(found, cluster, strict=True)}
    share = np.array([_fraction(mark.get(i, examples.groups[i])) for i in kept])
    edges = np.cumsum(list(SHARES.values()))
    part = np.searchsorted(edges[:-1], share, side="right")
    rows = np.array(kept, np.intp)
    return Parts(rows[part == 0], rows[part == 1], rows[part == 2])


def gist(text: str) -> str:
    """What is left of a text without case, punctuation, handles and disguise: texts that share it are the same."""
    return " ".join(_NOT_A_WORD.sub(" ", normal_form(text).lower()).split())


def _fraction(key: str) -> float:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def _clusters(keys: list[str], groups: list[str]) -> list[int]:
    """For each row the position of its cluster's first row: union-find over shared groups and shared bands."""
    parent = list(range(len(keys)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    seen: dict[object, int] = {}
    for i, (key, group) in enumerate(zip(keys, groups, strict=True)):
        for mark in [*_bands(key), *([group] if group else [])]:
            a, b = root(i), root(seen.setdefault(mark, i))
            parent[max(a, b)] = min(a, b)
    return [root(i) for i in range(len(keys))]


def _bands(key: str) -> list[object]:
    shingles = {key[i : i + _SHINGLE] for i in range(max(1, len(key) - _SHINGLE + 1))}
    hashes = np.array([zlib.crc32(s.encode()) for s in shingles], np.uint64)
    mixed = (hashes[:, None] * _FACTORS + _OFFSETS) & np.uint64(0xFFFFFFFF)
    sketch = mixed.min(axis=0).reshape(_BANDS, _ROWS)
    return [(band, *values) for band, values in enumerate(sketch.tolist())]


_RANDOM: Final = np.random.default_rng(20)
_FACTORS: Final = _RANDOM.integers(1, 2**31, _BANDS * _ROWS, np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS: Final = _RANDOM.integers(0, 2**32, _BANDS * _ROWS, np.uint64)
