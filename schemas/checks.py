"""The gate for schemas: what `safestream schemas check` looks at, and what `register` refuses to release.

For each working draft:
    valid      Avro that can be read safely; defaults of the right type
    compatible FULL_TRANSITIVE: reads, and is read by, every version ever released
    described  every field has a `doc`, and a known `role` where detectors may look
    decidable  a content type has the plain strings event_id and account_id
For each release: its bytes are those of the day it was released.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastavro import parse_schema, validate

from schemas.avro_reader import Unreadable, compile_reader
from schemas.compatibility import mismatches
from schemas.decode import OUR_TOPICS, require_fields
from schemas.errors import Poison, UserMistake
from schemas.folder import Folder, Release, read_schema
from schemas.roles import BadRole, Field, Role, resolve, walk

TOPIC_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,248}")  # what Kafka takes


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the user must put right, or, as a notice, may want to know."""

    path: Path
    field: str  # with dots; "" where it is about the whole file
    what: str
    notice: bool = False

    def __str__(self) -> str:
        place = f" field {self.field}:" if self.field else ""
        return f"{self.path}:{place} {self.what}"


def check(folder: Folder) -> list[Finding]:
    """Everything that is to be said about a folder, errors and notices.

    Raises:
        UserMistake: a file that is no schema at all: names it, with line and column where it is no JSON.
    """
    findings: list[Finding] = []
    for topic, path in folder.drafts().items():
        findings += check_draft(folder, topic, path)
    findings += _check_releases(folder)
    return findings


def check_draft(folder: Folder, topic: str, path: Path) -> list[Finding]:
    """What is to be said about one working draft."""
    raw = valid_schema(path)
    findings = [*_check_shape(path, raw), *_check_fields(path, topic, raw)]
    releases = folder.releases_of(topic)
    for release in releases:
        findings += _check_against(path, raw, release)
    return [*findings, *_notices(path, raw, releases)]


def valid_schema(path: Path) -> Mapping[str, Any]:
    """The raw schema in a file, valid Avro under a name that can be a topic.

    Raises:
        UserMistake: it is not.
    """
    if not TOPIC_NAME.fullmatch(path.stem):
        raise UserMistake(f"{path}: {path.stem!r} can't be a topic's name; rename the file <topic>.avsc")
    raw = read_schema(path)
    try:
        parse_schema(dict(raw))
    except Exception as error:  # noqa: BLE001 - fastavro raises KeyError, ValueError and its own for one mistake
        place = ", ".join(_misfits(raw))
        where = f" (in field {place})" if place else ""
        raise UserMistake(f"{path}: no valid Avro{where}: {type(error).__name__}: {error}") from None
    return raw


def _misfits(raw: Mapping[str, Any]) -> list[str]:
    """Fields whose default can't be theirs: fastavro refuses the schema without naming them."""
    try:
        return [each.name for each in walk(raw) if "default" in each.raw and not _default_fits(each.raw)]
    except (KeyError, TypeError, AttributeError):  # too broken to walk: fastavro's message must do
        return []


def _check_shape(path: Path, raw: Mapping[str, Any]) -> Iterator[Finding]:
    try:
        compile_reader(parse_schema(dict(raw)))
    except Unreadable as error:
        yield Finding(path, "", f"{error}; a worker would refuse its records")
    try:
        resolve(raw)
    except BadRole as error:
        yield Finding(path, "", str(error))
    if not raw.get("doc"):
        yield Finding(path, "", "the record has no doc; say what one event means")


def _check_fields(path: Path, topic: str, raw: Mapping[str, Any]) -> Iterator[Finding]:
    is_content = not topic.startswith(OUR_TOPICS)
    if is_content:
        yield from _check_decidable(path, raw)
    for each in walk(raw):
        if not str(each.raw.get("doc", "")).strip():
            yield Finding(path, each.name, "no doc; say its meaning and unit")
        if is_content and each.role is None and _may_hold_content(each):
            yield Finding(path, each.name, f"no role; one of {', '.join(Role)}: a detector finds it by that")
        if "default" in each.raw and not _default_fits(each.raw):
            yield Finding(path, each.name, "the default is not of the field's type (of a union: its first)")


def _check_decidable(path: Path, raw: Mapping[str, Any]) -> Iterator[Finding]:
    try:
        require_fields(raw)
    except Poison as poison:
        yield Finding(path, "", f"{poison}; every content event needs it")


def _may_hold_content(each: Field) -> bool:
    return bool(each.kinds & {"string", "bytes", "fixed"})


def _default_fits(field: Mapping[str, Any]) -> bool:
    """Whether fastavro can write the default as the field's type, or a union's first branch."""
    kind = field["type"][0] if isinstance(field["type"], list) else field["type"]
    default = field["default"]
    if _is_bytes(kind):  # a string of code points 0 to 255 in JSON
        return isinstance(default, str) and all(ord(char) < 256 for char in default)
    try:
        return bool(validate(default, parse_schema(kind), raise_errors=False))
    except Exception:  # noqa: BLE001 - a named type defined elsewhere in the schema: not judged here
        return True


def _is_bytes(kind: Any) -> bool:
    return kind == "bytes" or (isinstance(kind, Mapping) and kind.get("type") in {"bytes", "fixed"})


def _check_against(path: Path, raw: Mapping[str, Any], release: Release) -> Iterator[Finding]:
    released = valid_released(release)
    for each in mismatches(raw, released):
        yield Finding(path, each.field, f"can't read records of version {release.version}: {each.why}")
    for each in mismatches(released, raw):
        yield Finding(path, each.field, f"readers of version {release.version} can't read its records: {each.why}")


def valid_released(release: Release) -> Mapping[str, Any]:
    """The raw schema of a release.

    Raises:
        UserMistake: somebody broke the file; it must be restored, not repaired.
    """
    raw = read_schema(release.path)
    try:
        parse_schema(dict(raw))
    except Exception as error:  # noqa: BLE001 - as in valid_schema
        raise UserMistake(f"{release.path}: no valid Avro any more ({error}); restore it from history") from None
    return raw


def _notices(path: Path, raw: Mapping[str, Any], releases: list[Release]) -> Iterator[Finding]:
    if not releases:
        yield Finding(path, "", f"never released; `safestream schemas register {path.stem}` does it", notice=True)
        return
    last = read_schema(releases[-1].path)
    if last != raw:
        yield Finding(path, "", f"changed since version {releases[-1].version}, not released yet", notice=True)
    before = {each.path: each.role for each in walk(last)}
    for each in walk(raw):
        if each.path in before and before[each.path] != each.role:
            yield Finding(path, each.name, f"its role was {before[each.path]}, now it is {each.role}", notice=True)


def _check_releases(folder: Folder) -> Iterator[Finding]:
    digests, releases = folder.digests(), folder.releases()
    drafts = folder.drafts()
    for release in releases:
        name = f"{release.topic}/{release.version}.avsc"
        if digests.get(name) != hashlib.sha256(release.path.read_bytes()).hexdigest():
            yield Finding(release.path, "", f"not as released ({folder.sums} says otherwise); restore it from history")
        if release.topic not in drafts:
            yield Finding(release.path, "", "released, but its draft is gone; copy it to avro/ again")
    known = {release.path for release in releases}
    for path in sorted((folder.root / "released").glob("*/*.avsc")):
        if path not in known:
            yield Finding(path, "", "has no id in ids.json, so nobody can use it; delete it, or restore ids.json")
