"""A bank is a file of hashes, signed by whoever keeps it: exact (SHA-256) or perceptual (PDQ), 32 bytes each.

    line 1   JSON: {"format": 1, "name": …, "kind": "sha256" | "pdq", "category": …, "count": n, "made_ms": …}
    then     n x 32 bytes, ascending
    FILE.sig 64 bytes: Ed25519 over the SHA-256 of the file

A file that is not signed by the key that configuration names is not taken, whoever put it there.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.categories import Category

HASH_BYTES: Final = 32
_LONGEST_HEADER: Final = 4096
_PIECE: Final = 1 << 24


class BadBank(Exception):
    """Not a bank that may be used; the message says why."""


class Header(BaseModel):
    """The first line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[\w.-]{1,64}$")
    kind: Literal["sha256", "pdq"]
    category: Category
    count: int = Field(ge=0)
    made_ms: int = Field(default=0, ge=0)  # milliseconds since 1970: which of two banks is the newer; 0: not said


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """A bank that was read and whose signature holds."""

    header: Header
    version: str  # 16 hexadecimal digits of the file's SHA-256
    hashes: NDArray[np.uint8]  # (n, 32), ascending


def read_bank(path: Path, public_key: bytes, alive: Callable[[], None] = lambda: None) -> Bank:
    """The bank in a file; `alive` is called again and again.

    Raises:
        BadBank: no such file, not signed by this key, or damaged.
    """
    try:
        for each in (path, signature_of(path)):
            if each.exists() and not each.is_file():
                raise BadBank(f"{each}: no ordinary file")  # reading a pipe would wait for ever
        (content, digest), signature = _read(path, alive), signature_of(path).read_bytes()
    except OSError as error:
        raise BadBank(f"{error.filename}: can't be read: {error.strerror}") from None
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, digest)
    except InvalidSignature:
        raise BadBank(f"{path}: the signature in {signature_of(path).name} is not by the bank's key") from None
    first, _, body = content[:_LONGEST_HEADER].partition(b"\n")
    try:
        header = Header.model_validate_json(first)
    except ValidationError as error:
        raise BadBank(f"{path}: {error.errors()[0]['msg']}") from None
    body = content[len(first) + 1 :]
    if len(body) != header.count * HASH_BYTES:
        raise BadBank(f"{path}: {len(body)} bytes of hashes where {header.count} are announced")
    hashes = np.frombuffer(body, np.uint8).reshape(-1, HASH_BYTES)
    return Bank(header, digest.hex()[:16], hashes)


def _read(path: Path, alive: Callable[[], None]) -> tuple[bytes, bytes]:
    """A file's content and its SHA-256."""
    content, digest = bytearray(), hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            alive()
            content += piece
            digest.update(piece)
    return bytes(content), digest.digest()


def write_bank(path: Path, name: str, kind: str, category: str, hashes: Iterable[bytes], key: Ed25519PrivateKey) -> int:
    """Write and sign a bank; doubles are left out. Returns the number of hashes.

    The file is complete before it is seen, and the signature before the file: a worker that looks in between keeps
    what it has.
    """
    distinct = sorted(set(hashes))
    said = {"format": 1, "name": name, "kind": kind, "category": category}
    header = said | {"count": len(distinct), "made_ms": time.time_ns() // 1_000_000}
    content = json.dumps(header).encode() + b"\n" + b"".join(distinct)
    for target, data in ((signature_of(path), key.sign(hashlib.sha256(content).digest())), (path, content)):
        draft = target.with_name(target.name + ".new")
        draft.write_bytes(data)
        draft.replace(target)
    return len(distinct)


def signature_of(path: Path) -> Path:
    """Where a bank's signature lies."""
    return path.with_name(path.name + ".sig")
