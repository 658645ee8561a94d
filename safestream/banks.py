"""`safestream banks`: hash files, and make signed banks of hashes that the detector `known` recognises."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from detectors.known.banks import BadBank, read_bank, write_bank
from detectors.known.pdq import pdq
from detectors.media.errors import MediaError
from detectors.media.images import frames
from detectors.media.limits import Limits
from enforcement.audit import signing_keys
from schemas.categories import Category
from schemas.errors import UserMistake

app = typer.Typer(add_completion=False, no_args_is_help=True)

_DIGITS = 64


@app.command("hash")
def hash_files(files: Annotated[list[Path], typer.Argument(help="Images, or any files.")]) -> None:
    """Print each file's SHA-256, and for an image PDQ hash and quality (for an animation, of each frame looked at)."""
    for file in files:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise UserMistake(f"{file}: can't be read: {error.strerror}") from None
        print(f"sha256 {hashlib.sha256(data).hexdigest()} {file}")
        try:
            hashed = [pdq(image) for _, image in frames(data, Limits())]
        except MediaError:
            continue
        for bits, quality in hashed:
            print(f"pdq    {bits.tobytes().hex()} {file} quality {quality}")


@app.command()
def make(
    hashes: Annotated[
        Path, typer.Argument(help="A hash a line, 64 hexadecimal digits; the rest of the line is ignored.")
    ],
    out: Annotated[Path, typer.Option(help="The bank's file; its signature goes beside it, as FILE.sig.")],
    name: Annotated[str, typer.Option(help="The bank's name, as it stands in evidence.")],
    kind: Annotated[str, typer.Option(help="sha256 or pdq.")],
    category: Annotated[Category, typer.Option(help="The harm that a match is.")],
    key: Annotated[Path | None, typer.Option(help="Ed25519 key to sign with, a PEM file.", show_default=False)] = None,
    new_key: Annotated[
        Path | None, typer.Option(help="Make that key here, and its public half in FILE.pub.", show_default=False)
    ] = None,
) -> None:
    """Write a signed bank. Workers that watch the file take it within seconds."""
    if (key is None) == (new_key is None):
        raise UserMistake("name the key to sign with: --key FILE, or --new-key FILE to make one")
    if kind not in {"sha256", "pdq"}:
        raise UserMistake(f"--kind {kind}: sha256 or pdq is expected")
    if not (found := list(_hashes(hashes))):
        raise UserMistake(f"{hashes}: no hash in it")
    signer = signing_keys.private(key) if key else signing_keys.make(new_key or Path())
    try:
        count = write_bank(out, name, kind, category.value, found, signer)
    except OSError as error:
        raise UserMistake(f"can't write {error.filename}: {error.strerror}") from None
    public = signer.public_key().public_bytes_raw()
    _check(out, public)
    print(f"{out}: {count:,} hashes; public key {public.hex()}")


@app.command()
def show(
    bank: Annotated[Path, typer.Argument(help="A bank's file.")],
    public_key: Annotated[str, typer.Option(help="Key that must have signed it: hexadecimal, or a PEM file.")],
) -> None:
    """Check a bank's signature and say what it holds. Exit code 1 if it may not be used."""
    try:
        found = read_bank(bank, signing_keys.public(public_key))
    except BadBank as bad:
        print(bad)
        raise typer.Exit(1) from None
    header = found.header
    print(f"{header.name}@{found.version}: {header.count:,} {header.kind} hashes, {header.category}, signature good")


def _hashes(path: Path) -> Iterator[bytes]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserMistake(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from None
    for number, line in enumerate(lines, 1):
        if digits := line.partition("#")[0].split():
            try:
                one = bytes.fromhex(digits[0])
            except ValueError:
                one = b""
            if len(digits[0]) != _DIGITS or len(one) * 2 != _DIGITS:
                raise UserMistake(f"{path}:{number}: {_DIGITS} hexadecimal digits are expected")
            yield one


def _check(out: Path, public: bytes) -> None:
    try:
        read_bank(out, public)
    except BadBank as bad:
        raise UserMistake(str(bad)) from None
