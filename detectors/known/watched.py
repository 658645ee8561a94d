"""A bank in use: searched, and looked at again when its file is another one."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from detectors.known.banks import BadBank, Bank, read_bank
from detectors.known.index import FARTHEST, HashIndex

_MOST_MATCHES: Final = 8  # of a file in a bank, the nearest

log = logging.getLogger(__name__)  # a scoring process: its standard error is the worker's


class BankOptions(BaseModel):
    """One bank, as configured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path
    public_key: str = Field(pattern=r"^[0-9a-f]{64}$")  # Ed25519, hexadecimal
    distance: int = Field(default=FARTHEST, ge=0, le=FARTHEST)  # bits; a bank of exact hashes has no use for it
    action_ratio: float = Field(default=1.0, ge=0, le=1)


class WatchedBank:
    """A bank in use, and the file that it came from."""

    def __init__(self, options: BankOptions) -> None:
        """Read it. BadBank if it is not fit for use."""
        self.options = options
        self._seen = self._stamp()
        self._take(read_bank(options.file, bytes.fromhex(options.public_key)))

    def _take(self, bank: Bank) -> None:
        self.bank = bank
        self._index = HashIndex(bank.hashes) if bank.header.kind == "pdq" else None
        self._exact = frozenset(map(bytes, bank.hashes)) if bank.header.kind == "sha256" else frozenset[bytes]()

    def look(self) -> None:
        """Take the file if it is another one now; keep what there is if it is not fit for use."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            bank = read_bank(self.options.file, bytes.fromhex(self.options.public_key))
        except BadBank as bad:
            log.warning("bank refused, %s stays: %s", self.bank.version, bad)
            return
        if bank.header.model_copy(update={"count": 0}) != self.bank.header.model_copy(update={"count": 0}):
            log.warning("bank refused, %s stays: %s has another name, kind or category: restart the worker to take it",
                        self.bank.version, self.options.file)  # fmt: skip
            return
        self._take(bank)

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self.options.file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def exact(self, sha256: bytes) -> Iterator[tuple[bytes, int]]:
        """Hash and distance of the match, if there is one."""
        if sha256 in self._exact:
            yield sha256, 0

    def near(self, hashed: NDArray[np.uint8]) -> Iterator[tuple[bytes, int]]:
        """Hashes and distances of the nearest matches."""
        if self._index is not None:
            found, apart = self._index.within(hashed, self.options.distance)
            for position, distance in zip(found[:_MOST_MATCHES].tolist(), apart.tolist(), strict=False):
                yield self.bank.hashes[position].tobytes(), distance

    def acts(self, matched: bytes) -> bool:
        """Whether a match acts: the same answer for the same hash, and for the share `action_ratio` of them."""
        drawn = hashlib.sha256(self.bank.header.name.encode() + matched).digest()
        return int.from_bytes(drawn[:8], "big") < self.options.action_ratio * 2**64
