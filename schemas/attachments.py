"""What comes with an event beside its text, and how it is found by the roles of the event's schema."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, TypeAlias

SHA256_BYTES: Final = 32

Path: TypeAlias = tuple[str, ...]
Source: TypeAlias = tuple[str, str]  # a field's name, and its role


@dataclass(frozen=True, slots=True)
class Attachment:
    """An image, a recording or a video, by address: nothing has been fetched."""

    role: str  # schemas.roles.Role: image, audio, video
    uri: str  # "data:image/png;base64,…" (the bytes in the event) or a reference: s3://…, https://…, file://…
    sha256: bytes | None = None  # 32 bytes, as the producer says


Finder: TypeAlias = Callable[[Mapping[str, Any]], tuple[Attachment, ...]]


def finder(paths: Iterable[tuple[Path, str]]) -> Finder:
    """A function that gives a decoded record's attachments, in the order of `paths`, then of arrays.

    Args:
        paths: every field that holds addresses, each with its role; those of one record side by side. Where a record
            has a field `sha256` beside an address, that is the file's.
    """
    places = [
        (parent, [(path[-1], role) for path, role in found])
        for parent, found in groupby(paths, key=lambda each: each[0][:-1])
    ]

    def find(record: Mapping[str, Any]) -> tuple[Attachment, ...]:
        return tuple(each for parent, sources in places for each in _below(record, parent, sources))

    return find


def _below(datum: Any, parent: Path, sources: list[Source]) -> Iterator[Attachment]:
    """The attachments at `parent` of a datum, through arrays and maps."""
    if not datum:
        return
    if isinstance(datum, list):
        for item in datum:
            yield from _below(item, parent, sources)
    elif isinstance(datum, dict) and datum.keys().isdisjoint(parent[:1] or [name for name, _ in sources]):  # a map
        for item in datum.values():
            yield from _below(item, parent, sources)
    elif isinstance(datum, dict) and parent:
        yield from _below(datum[parent[0]], parent[1:], sources)
    elif isinstance(datum, dict):
        for name, role in sources:
            yield from _at(datum.get(name), role, datum.get("sha256"))


def _at(value: Any, role: str, sha256: Any) -> Iterator[Attachment]:
    if isinstance(value, str):
        known = isinstance(sha256, bytes) and len(sha256) == SHA256_BYTES
        yield Attachment(role, value, sha256 if known else None)
    elif value:  # several addresses in one field: a hash beside them can't be of all
        for each in value.values() if isinstance(value, dict) else value:
            yield from _at(each, role, None)
