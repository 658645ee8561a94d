"""Schemas by id and by topic: from the folder, and from a Confluent registry where one is configured.

Ids from 1,000,000 up always come from a folder, lower ones from the registry, so a topic can move from one to the
other in mid-stream: the records before the move keep their ids.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import fastavro

from schemas import roles
from schemas.confluent import ConfluentRegistry, NotFound
from schemas.errors import Poison, PoisonReason, UserMistake
from schemas.folder import BUILT_IN, FIRST_ID, Folder, Release, read_json
from schemas.roles import Roles
from schemas.wire import subject_of, topic_of

BELIEVE_SECONDS: Final = 30.0  # how long "not found" is believed without asking again
REMEMBER_UNKNOWN_IDS: Final = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """One version of a topic's schema, ready to read and write with."""

    id: int
    subject: str
    version: int
    raw: Mapping[str, Any]  # the .avsc as written
    parsed: Any  # as fastavro.parse_schema gives it
    roles: Roles


class Registry:
    """Folders, and a Confluent registry where one is configured. Not for use from several threads."""

    def __init__(self, folders: list[Folder], remote: ConfluentRegistry | None = None) -> None:
        self._releases = _index(folders)
        self._remote = remote
        self._schemas: dict[tuple[int, str | None], tuple[Schema, float]] = {}  # with the time until it holds
        self._unknown: dict[int, float] = {}  # id → when it was not found (monotonic seconds)

    def by_id(self, schema_id: int, subject: str | None = None) -> Schema:
        """The schema of an id. A registry may have it under several subjects: `subject` is preferred.

        Raises:
            Poison: there is no such schema (`unknown_schema_id`).
            Retriable: the registry does not answer.
        """
        schema, until = self._schemas.get((schema_id, subject), (None, 0.0))
        if schema is None or until < time.monotonic():
            schema = self._from_folder(schema_id) if schema_id >= FIRST_ID else self._from_remote(schema_id, subject)
            # Another subject's schema may be registered under this one a moment later, with the same id.
            settled = subject is None or schema.subject == subject or schema_id >= FIRST_ID
            self._schemas[schema_id, subject] = schema, math.inf if settled else time.monotonic() + BELIEVE_SECONDS
        return schema

    def close(self) -> None:
        """Close the connections to the registry, where there is one."""
        if self._remote is not None:
            self._remote.close()

    def latest(self, topic: str) -> Schema:
        """The newest version of a topic's schema: the registry's where one is configured, else the folder's.

        Raises:
            UserMistake: none was ever registered.
            Retriable: the registry does not answer.
        """
        if self._remote is None:
            return self._latest_released(topic)
        try:
            found = self._remote.latest(subject_of(topic))
        except NotFound:
            raise UserMistake(
                f"{topic}: nothing registered under {subject_of(topic)} at {self._remote.url}; "
                f"run `safestream schemas register {topic}`"
            ) from None
        subject, version = found.places[0]
        try:
            return self._parse(found.id, subject, version, found.text)
        except Poison as poison:
            raise UserMistake(f"{topic}: {poison}; register an Avro schema under {subject}") from None

    def topics(self) -> list[str]:
        """The topics that a folder has a release of."""
        return sorted({release.topic for release in self._releases.values()})

    def _latest_released(self, topic: str) -> Schema:
        newest = self._newest(topic)
        if newest is None:
            raise UserMistake(
                f"{topic}: no schema released; `safestream schemas scaffold` writes one, "
                f"`safestream schemas register {topic}` releases it"
            )
        return self.by_id(newest.id)

    def _newest(self, topic: str) -> Release | None:
        mine = [release for release in self._releases.values() if release.topic == topic]
        return max(mine, key=lambda release: release.version, default=None)

    def _from_folder(self, schema_id: int) -> Schema:
        release = self._releases.get(schema_id)
        if release is None:
            raise _unknown(schema_id, "the schema folder")
        raw = read_json(release.path)
        return parse(schema_id, subject_of(release.topic), release.version, raw, str(release.path))

    def _from_remote(self, schema_id: int, subject: str | None) -> Schema:
        if self._remote is None:
            raise _unknown(schema_id, "the schema folder (ids below 1000000 are a registry's, and none is configured)")
        now = time.monotonic()
        if now - self._unknown.get(schema_id, -BELIEVE_SECONDS) < BELIEVE_SECONDS:
            raise _unknown(schema_id, "the schema registry")
        try:
            found = self._remote.by_id(schema_id)
        except NotFound:
            self._remember_unknown(schema_id, now)
            raise _unknown(schema_id, "the schema registry") from None
        places = dict(found.places)
        if subject not in places:
            subject = next(iter(places), "no subject")
        return self._parse(schema_id, subject, places.get(subject, 0), found.text)

    def _remember_unknown(self, schema_id: int, now: float) -> None:
        if len(self._unknown) >= REMEMBER_UNKNOWN_IDS:
            self._unknown.clear()
        self._unknown[schema_id] = now

    def _parse(self, schema_id: int, subject: str, version: int, text: str) -> Schema:
        origin = f"schema id {schema_id} of the registry"
        try:
            schema = parse(schema_id, subject, version, json.loads(text), origin)
        except (UserMistake, ValueError) as mistake:  # Protobuf, say: whoever wrote by it did not write Avro
            raise Poison(PoisonReason.WRONG_TYPE, f"{origin} is no Avro schema of ours: {mistake}") from None
        return schema if schema.roles.paths else self._with_released_roles(schema)

    def _with_released_roles(self, schema: Schema) -> Schema:
        """Roles for a schema without any: tools may drop attributes that they don't know, and text is still text."""
        newest = self._newest(topic_of(schema.subject))
        if newest is None:
            return schema
        borrowed = roles.borrow(self.by_id(newest.id).roles, schema.raw)
        return Schema(schema.id, schema.subject, schema.version, schema.raw, schema.parsed, borrowed)


def open_registry(
    folder: Path | None = None, url: str | None = None, properties: Mapping[str, str] | None = None
) -> Registry:
    """The registry of a configuration.

    Args:
        folder: a user's own folder, in addition to the one that comes with the package.
        url: a Confluent registry.
        properties: more settings of its client (`basic.auth.user.info`, `ssl.ca.location`, …).

    Raises:
        UserMistake: a folder or a property that can't be; names it.
    """
    folders = [Folder(BUILT_IN)]
    if folder is not None and folder.resolve() != BUILT_IN:
        if not folder.is_dir():
            raise UserMistake(f"schema_registry.folder: there is no folder {folder}; make it, or correct the path")
        folders.append(Folder(folder))
    return Registry(folders, ConfluentRegistry(url, properties or {}) if url else None)


def parse(schema_id: int, subject: str, version: int, raw: Any, origin: str) -> Schema:
    """A schema from its JSON.

    Raises:
        UserMistake: no valid Avro, or a bad role; begins with `origin`.
    """
    try:
        parsed = fastavro.parse_schema(raw)
        found = roles.resolve(raw)
    except Exception as error:  # noqa: BLE001 - fastavro raises several kinds for one mistake
        raise UserMistake(f"{origin}: {type(error).__name__}: {error}; see `safestream schemas check`") from None
    return Schema(schema_id, subject, version, raw, parsed, found)


def _index(folders: list[Folder]) -> dict[int, Release]:
    index: dict[int, Release] = {}
    for folder in folders:
        for release in folder.releases():
            if release.id in index:
                raise UserMistake(f"{release.path}: id {release.id} is already {index[release.id].path}; renumber it")
            index[release.id] = release
    return index


def _unknown(schema_id: int, where: str) -> Poison:
    return Poison(PoisonReason.UNKNOWN_SCHEMA_ID, f"schema id {schema_id} is not in {where}")
