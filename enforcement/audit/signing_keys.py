"""Ed25519 keys of the census, as text: PEM for a file, hexadecimal for a public key on a command line."""

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from schemas.errors import UserMistake

_PUBLIC_HEX: Final = 64  # digits


def make(path: Path) -> Ed25519PrivateKey:
    """A new key in `path`, for its owner's eyes only, and its public half in `path`.pub.

    Raises:
        UserMistake: the file is there already, or can't be written.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(private)
        path.with_name(path.name + ".pub").write_bytes(public)
    except FileExistsError:
        raise UserMistake(f"{path} is there already: use it with --key, or name another file") from None
    except OSError as error:
        raise UserMistake(f"can't write the key {path}: {error.strerror}") from None
    return key


def private(path: Path) -> Ed25519PrivateKey:
    """The key in a PEM file.

    Raises:
        UserMistake: no such file, or no Ed25519 private key without a password.
    """
    try:
        key = load_pem_private_key(_bytes(path), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UserMistake(f"{path} holds no Ed25519 private key: `--new-key FILE` makes one")
    return key


def public(said: str) -> bytes:
    """The 32 bytes of a public key: 64 hexadecimal digits, or the name of a PEM file.

    Raises:
        UserMistake: neither.
    """
    if len(said) == _PUBLIC_HEX and all(digit in "0123456789abcdefABCDEF" for digit in said):
        return bytes.fromhex(said)
    try:
        key = load_pem_public_key(_bytes(Path(said)))
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise UserMistake(f"{said} is no Ed25519 public key: give 64 hexadecimal digits, or a PEM file")
    return key.public_bytes_raw()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserMistake(f"can't read the key {path}: {error.strerror}") from None
