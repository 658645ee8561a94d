"""A bank in use: searched, and looked at again when its file is another one."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from detectors.known.banks import BadBank, Bank, Header, read_bank, signature_of
from detectors.known.index import FARTHEST, HashIndex

_MOST_MATCHES: Final = 8  # of a file in a bank, the nearest
_STEP: Final = 1 << 17  # hashes between two signs of life
_Stamps: TypeAlias = tuple[tuple[int, int, int], ...] | None

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

    bank: Bank

    def __init__(self, options: BankOptions) -> None:
        """Read it. BadBank if it is not fit for use."""
        self.options = options
        self._taken: _Stamps = ()
        self._refused: _Stamps = ()
        self._read(_quiet)

    def look(self, alive: Callable[[], None]) -> None:
        """Take the file if it is another one now; keep what there is if it is not fit for use.

        What was refused is tried again each time, for the reason may have passed; it is logged once.
        """
        stamps = self._stamps()
        if stamps == self._taken:
            return
        try:
            self._read(alive)
        except BadBank as bad:
            if stamps != self._refused:
                log.warning("bank refused, %s stays: %s", self.bank.version, bad)
            self._refused = stamps

    def _read(self, alive: Callable[[], None]) -> None:
        stamps = self._stamps()  # before it is read: what changes meanwhile is read again
        bank = read_bank(self.options.file, bytes.fromhex(self.options.public_key), alive)
        if self._taken:
            _check_follows(self.options.file, self.bank.header, bank.header)
        self._index = HashIndex(bank.hashes, alive) if bank.header.kind == "pdq" else None
        self._exact = _set_of(bank.hashes, alive) if bank.header.kind == "sha256" else set[bytes]()
        self.bank, self._taken = bank, stamps

    def _stamps(self) -> _Stamps:
        """Of the bank and of its signature: which is replaced first is not known."""
        try:
            found = [each.stat() for each in (self.options.file, signature_of(self.options.file))]
        except OSError:
            return None
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)

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


def _check_follows(path: Path, now: Header, new: Header) -> None:
    """BadBank unless `new` may take the place of `now` while it is in use."""
    if (now.name, now.kind, now.category) != (new.name, new.kind, new.category):
        raise BadBank(f"{path} has another name, kind or category: restart the worker to take it")
    if new.made_ms < now.made_ms:
        raise BadBank(f"{path} was made before it: make it anew, or restart the worker to take it")


def _set_of(hashes: NDArray[np.uint8], alive: Callable[[], None]) -> set[bytes]:
    found = set[bytes]()
    for start in range(0, len(hashes), _STEP):
        alive()
        found.update(map(bytes, hashes[start : start + _STEP]))
    return found


def _quiet() -> None:
    """Nobody waits."""
