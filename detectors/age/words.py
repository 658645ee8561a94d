"""A text condensed to a few numbers by linear models: words hashed, weighted by TF-IDF, summed with learnt weights.

The numbers are what ridge regression makes of the text: the age, and whether it is above some ages. The hash is CRC-32,
the same everywhere. Hashing trick: Weinberger et al. 2009, arXiv:0902.2206; sublinear TF-IDF as scikit-learn's.
"""

import html
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.age.table import Column

BUCKETS: Final = 2**16
MOST_CHARACTERS: Final = 30_000  # of a text; what follows is not read
_TOKEN: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?|\d+|[^\w\s]+")


@dataclass(frozen=True, slots=True, eq=False)
class Bags:
    """Texts as bags of buckets, one after the other: row i has entries starts[i] to starts[i + 1]."""

    starts: NDArray[np.int64]  # (n + 1,)
    buckets: NDArray[np.int64]  # (entries,)
    weights: NDArray[np.float32]  # (entries,) 1 + log(count)


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """What was learnt of one text signal."""

    idf: NDArray[np.float32]  # (BUCKETS,) 0 for what was too rare to learn from
    weights: NDArray[np.float32]  # (BUCKETS, outputs)
    intercept: NDArray[np.float32]  # (outputs,)
    centre: NDArray[np.float32]  # (outputs + 1,) of the outputs and the logarithm of the number of tokens
    scale: NDArray[np.float32]  # (outputs + 1,)

    def matrix(self, column: Column) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """(n, outputs + 1): the outputs and how long the text is, standardised; and (n,) where there is one."""
        bags = bags_of(column.values)
        raw = np.column_stack([weighed(bags, self.idf, self.weights) + self.intercept, length(bags)])
        found = ((raw - self.centre) / self.scale).astype(np.float32)
        return column.spread(found, 0.0), column.present


def tokens(text: str) -> list[str]:
    """Words, runs of digits and of signs, in lower case."""
    return _TOKEN.findall(html.unescape(text[:MOST_CHARACTERS]).lower())


def bags_of(values: Sequence[Any]) -> Bags:
    """Each text's buckets, each once."""
    starts, buckets, weights = [0], [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for value in values:
        hashed = np.array(
            [zlib.crc32(token.encode("utf-8", "surrogatepass")) % BUCKETS for token in tokens(str(value))], np.int64
        )
        found, counts = np.unique(hashed, return_counts=True)
        buckets.append(found)
        weights.append((1 + np.log(counts)).astype(np.float32))
        starts.append(starts[-1] + len(found))
    return Bags(np.array(starts, np.int64), np.concatenate(buckets), np.concatenate(weights))


def length(bags: Bags) -> NDArray[np.float32]:
    """(n,) logarithm of one and the number of different buckets."""
    return np.log1p(np.diff(bags.starts)).astype(np.float32)


def normalised(bags: Bags, idf: NDArray[np.float32]) -> NDArray[np.float32]:
    """(entries,) TF-IDF, each text of length 1."""
    found = bags.weights * idf[bags.buckets]
    norms = np.sqrt(_sums(bags.starts, (found**2)[:, None])[:, 0])
    return np.asarray(found / np.repeat(np.maximum(norms, 1e-9), np.diff(bags.starts)), np.float32)


def weighed(bags: Bags, idf: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, outputs) the weighted sum of each text."""
    return _sums(bags.starts, weights[bags.buckets] * normalised(bags, idf)[:, None])


def _sums(starts: NDArray[np.int64], entries: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, …) the sum of each row's entries; of a row without any, 0."""
    running = np.concatenate([np.zeros((1, entries.shape[1])), np.cumsum(entries, axis=0, dtype=np.float64)])
    return np.asarray(running[starts[1:]] - running[starts[:-1]], np.float32)
