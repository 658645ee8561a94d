"""One hash against a million: the index, and a scan of all of them."""

import time

import numpy as np

from detectors.known.index import FARTHEST, HashIndex

HASHES, QUERIES = 1_000_000, 200


def run() -> None:
    """Print milliseconds a query."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (HASHES, 32), dtype=np.uint8)
    queries = hashes[rng.integers(0, HASHES, QUERIES)].copy()
    for query in queries:
        for bit in rng.choice(256, rng.integers(0, FARTHEST + 1), replace=False).tolist():
            query[bit // 8] ^= 1 << (bit % 8)
    began = time.process_time()
    index = HashIndex(hashes)
    built = time.process_time() - began
    began = time.process_time()
    found = [index.within(query, FARTHEST)[0].tolist() for query in queries]
    ours = (time.process_time() - began) / QUERIES * 1000
    words = hashes.view(np.uint64)
    began = time.process_time()
    for query, expected in zip(queries[:20], found, strict=False):
        apart = np.bitwise_count(words ^ query.view(np.uint64)).sum(axis=1)
        assert sorted(expected) == np.flatnonzero(apart <= FARTHEST).tolist()
    scan = (time.process_time() - began) / 20 * 1000
    print(f"{HASHES:,} hashes of 256 bits, distance {FARTHEST}, one query at a time, one core")
    print(
        f"  index {ours:.2f} ms a query (built in {built:.1f} s), aim 2; a scan {scan:.1f} ms; ratio {scan / ours:.1f}"
    )
