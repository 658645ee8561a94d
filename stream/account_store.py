"""The states of accounts on this machine's disk: LMDB, a memory-mapped tree, a table for each partition.

A partition's rows and the offset up to which they were read are written in one transaction, so that a store that
outlives its worker is never ahead of its offset. Keys are digests of account ids: short, of one length, and no names.
LMDB was measured against RocksDB and SQLite: docs/explanation/account-state.md.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import lmdb

from schemas.errors import Fatal, Poison, UserMistake

_MAP_BYTES: Final = 2**38  # address space, not memory, and not disk
_DIGEST_BYTES: Final = 16
_META: Final = b"partitions"

Join = Callable[[bytes | None, bytes], bytes]  # of two states of an account what has come furthest


@dataclass(frozen=True, slots=True)
class Read:
    """How far a partition was read."""

    topic_id: str  # hexadecimal: a topic that is created again has another
    offset: int  # the next to read
    fresh_ms: int  # of what was written before this time nothing was missed, milliseconds since 1970


class AccountStore:
    """A folder of states. One thread writes, one reads."""

    def __init__(self, folder: Path, partitions: int, join: Join) -> None:
        """Open or make it.

        Args:
            join: readers let the higher marks win: a row of a process that was frozen changes nothing.

        Raises:
            UserMistake: the folder can't be written, or holds something else.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._env = lmdb.open(str(folder), map_size=_MAP_BYTES, max_dbs=partitions + 1, metasync=False, mode=0o600)
            self._meta = self._env.open_db(_META)
            self._tables = [self._env.open_db(b"%d" % partition) for partition in range(partitions)]
        except (OSError, lmdb.Error) as error:
            raise UserMistake(f"{folder}: can't keep accounts' states here: {error}; see worker.state_folder") from None
        self._join = join

    def close(self) -> None:
        """Close the files."""
        self._env.close()

    def read(self, partition: int) -> Read | None:
        """How far a partition was read; None where it never was."""
        with self._env.begin(self._meta) as transaction:
            said = transaction.get(b"%d" % partition)
        return Read(**json.loads(said)) if said else None

    def write(self, partition: int, rows: Mapping[bytes, Sequence[bytes | None]], read: Read) -> None:
        """Write what came of a partition, and how far that is.

        Args:
            rows: account id → its values in the order of the log; None: forgotten.

        Raises:
            Fatal: the disk is full, or broken.
        """
        table = self._tables[partition]
        try:
            with self._env.begin(write=True) as transaction:
                for digest, values in sorted((_digest(account), values) for account, values in rows.items()):
                    self._write_one(transaction, table, digest, values)
                transaction.put(b"%d" % partition, json.dumps(asdict(read)).encode(), db=self._meta)
        except lmdb.Error as error:
            raise self._broken(error) from None

    def _write_one(self, transaction: Any, table: Any, digest: bytes, values: Sequence[bytes | None]) -> None:
        kept = before = transaction.get(digest, db=table)
        for value in values:
            kept = None if value is None else self._joined(kept, value)
        if kept is None:
            transaction.delete(digest, db=table)
        elif kept != before:
            transaction.put(digest, kept, db=table)

    def _joined(self, kept: bytes | None, value: bytes) -> bytes:
        try:
            return self._join(kept, value)
        except (Poison, ValueError):  # of a newer Safestream: the log's order is what is left
            return value

    def forget(self, partition: int) -> None:
        """Empty a partition."""
        with self._env.begin(write=True) as transaction:
            transaction.drop(self._tables[partition], delete=False)
            transaction.delete(b"%d" % partition, db=self._meta)

    def get(self, accounts: Sequence[bytes], partitions: Sequence[int]) -> list[bytes | None]:
        """The states of accounts, each with its partition; None where there is none.

        Raises:
            Fatal: the disk is broken.
        """
        tables, places = self._tables, zip(accounts, partitions, strict=True)
        try:
            with self._env.begin() as transaction:
                get = transaction.get
                return [get(_digest(account), db=tables[partition]) for account, partition in places]
        except lmdb.Error as error:
            raise self._broken(error) from None

    def _broken(self, error: lmdb.Error) -> Fatal:
        return Fatal(f"accounts' states on disk: {error}; make room, or delete {self._env.path()}: they are read again")


def _digest(account: bytes) -> bytes:
    return hashlib.blake2b(account, digest_size=_DIGEST_BYTES).digest()
