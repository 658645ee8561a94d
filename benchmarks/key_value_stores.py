"""What keeps the states of accounts on disk: LMDB, RocksDB or SQLite, by loading and by looking up batches.

    PYTHONPATH=. python -m benchmarks.key_value_stores [--accounts 1000000]

Values of 400 random bytes under keys of 16, written 5000 at a time, read 1000 at a time, at random.
"""

import argparse
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import lmdb
import numpy as np
from rocksdict import Options, Rdict, WriteBatch

KEY_BYTES, VALUE_BYTES = 16, 400
WRITTEN, READ, TIMES = 5000, 1000, 200

Pairs = Sequence[tuple[bytes, bytes]]
Store = tuple[Callable[[Pairs], None], Callable[[list[bytes]], list[bytes | None]]]  # write, read


def with_lmdb(folder: Path) -> Store:
    environment = lmdb.open(str(folder), map_size=2**36, metasync=False)

    def write(pairs: Pairs) -> None:
        with environment.begin(write=True) as transaction:
            transaction.cursor().putmulti(pairs)

    def read(keys: list[bytes]) -> list[bytes | None]:
        with environment.begin() as transaction:
            return [transaction.get(key) for key in keys]

    return write, read


def with_rocksdb(folder: Path) -> Store:
    database = Rdict(str(folder / "rocks"), Options(raw_mode=True))

    def write(pairs: Pairs) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in pairs:
            batch.put(key, value)
        database.write(batch)

    return write, database.get


def with_sqlite(folder: Path) -> Store:
    database = sqlite3.connect(folder / "lite", isolation_level=None)
    database.executescript("pragma journal_mode=wal; pragma synchronous=normal;")
    database.execute("create table states (account blob primary key, state blob) without rowid")

    def write(pairs: Pairs) -> None:
        database.execute("begin")
        database.executemany("insert or replace into states values (?, ?)", pairs)
        database.execute("commit")

    def read(keys: list[bytes]) -> list[bytes | None]:
        query = f"select account, state from states where account in ({','.join('?' * len(keys))})"
        found = dict(database.execute(query, keys))
        return [found.get(key) for key in keys]

    return write, read


def batches(keys: Sequence[bytes]) -> Iterator[Pairs]:
    for at in range(0, len(keys), WRITTEN):
        yield [(key, os.urandom(VALUE_BYTES)) for key in sorted(keys[at : at + WRITTEN])]


def measure(name: str, store: Store, folder: Path, accounts: int) -> None:
    write, read = store
    random = np.random.default_rng(3)
    keys = [random.bytes(KEY_BYTES) for _ in range(accounts)]
    wrote = 0.0
    for pairs in batches(keys):
        began = time.perf_counter()
        write(pairs)
        wrote += time.perf_counter() - began
    took = []
    for _ in range(TIMES):
        wanted = [keys[at] for at in random.integers(0, accounts, READ)]
        began = time.perf_counter()
        found = read(wanted)
        took.append(1e3 * (time.perf_counter() - began))
        assert all(found)
    disk = sum(each.stat().st_blocks * 512 for each in folder.rglob("*") if each.is_file()) / 2**20
    said = f"{statistics.median(took):.1f} ms, p99 {np.quantile(took, 0.99):.1f} ms"
    print(f"{name}: written in {wrote:.1f} s, {disk:,.0f} MiB; a batch of {READ}: median {said}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    accounts = parser.parse_args().accounts
    for name, made in (("LMDB", with_lmdb), ("RocksDB", with_rocksdb), ("SQLite", with_sqlite)):
        with tempfile.TemporaryDirectory() as folder:
            measure(name, made(Path(folder)), Path(folder), accounts)


if __name__ == "__main__":
    main()
