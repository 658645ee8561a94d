"""What a field is for, said by the schema itself: the attribute `role` of a field.

    {"name": "text", "type": "string", "role": "text", "doc": "What was written."}

Detectors ask for roles, not for field names, so a new content type needs no code. A field's role covers what lies below
it: strings in a nullable field, in an array or in a map's values. A record below it has roles of its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, TypeAlias

from schemas.attachments import Attachment, Finder, finder

Path: TypeAlias = tuple[str, ...]  # field names from the outside in; arrays and maps are passed through


class Role(StrEnum):
    """What a field is for: the `role` in a schema. `MEANINGS` has a line on each."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    AGE_SIGNAL = "age_signal"
    FACE_CONSENT = "face_consent"
    ACCOUNT = "account"
    PERSONAL = "personal"
    ID = "id"
    TIME = "time"
    CONTEXT = "context"
    SOURCE = "source"
    OUTCOME = "outcome"
    PROOF = "proof"


MEANINGS: Final[Mapping[Role, str]] = {
    Role.TEXT: "written by a person for people to read: text detectors read it",
    Role.IMAGE: "where an image lies",
    Role.AUDIO: "where a sound recording lies",
    Role.VIDEO: "where a video lies",
    Role.AGE_SIGNAL: "says something about the account holder's age",
    Role.FACE_CONSENT: "true if the account holder agrees that its age is estimated from a face in the event's images",
    Role.ACCOUNT: "the account that acted: the key of every topic",
    Role.PERSONAL: "about a person, and nothing for a detector to read: recipients, reviewers",
    Role.ID: "names an event, a piece of content, a decision",
    Role.TIME: "a moment, milliseconds since 1970-01-01 UTC",
    Role.CONTEXT: "where and how: surface, language, region, audience, operation",
    Role.SOURCE: "where a record comes from: topic, partition, offset",
    Role.OUTCOME: "what was found or decided: status, score, action, reason",
    Role.PROOF: "hashes, salts, signatures, versions",
}

MEDIA: Final = (Role.IMAGE, Role.AUDIO, Role.VIDEO)
SIGNALS: Final = "signals"  # what a detector of age reads: age signals, and beside them texts, each by its field's name
CONSENTED: Final = "(face)"  # among these, if a field with the role face_consent is true: no field can be called so
_SIMPLE: Final = (str, int, float, bool)
_READ_AS_STRINGS: Final = frozenset({Role.TEXT, Role.IMAGE, Role.AUDIO, Role.VIDEO, Role.ACCOUNT})


class BadRole(ValueError):
    """A role that is not known, or a field that can't have it; the message names the field."""


@dataclass(frozen=True)
class Roles:
    """The fields of a schema by role, in schema order."""

    paths: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    def __getitem__(self, role: str) -> tuple[Path, ...]:
        """The paths of the fields with this role; () where there is none."""
        return self.paths.get(role, ())

    @property
    def text(self) -> tuple[Path, ...]:
        """The fields that text detectors read."""
        return self[Role.TEXT]

    def join_text(self, record: Mapping[str, Any]) -> str:
        """Every text of a decoded record, in schema order, joined by newlines; "" where there is none."""
        texts: list[str] = []
        for path in self[Role.TEXT]:
            value = record.get(path[0])
            if isinstance(value, str):  # nearly always: no need to look further in
                texts.append(value)
            elif value:
                texts.extend(values_at(value, path[1:]))
        return "\n".join(filter(None, texts))

    def language_of(self, record: Mapping[str, Any]) -> str:
        """What the platform says of a decoded record's language, a BCP 47 tag; "" where it says nothing."""
        said = record.get("language") if self._tells_language else None
        return said if isinstance(said, str) else ""

    def attachments_of(self, record: Mapping[str, Any]) -> tuple[Attachment, ...]:
        """The images, recordings and videos of a decoded record: by field name, then in the order of arrays."""
        for name in self._media_fields:
            if record.get(name):
                return self._find_attachments(record)
        return ()

    def signals_of(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a decoded record says of its account's age, by field, texts too; {} where its schema has no age signal.

        Values are text, numbers, truth values, or lists of these. What is null is left out.
        """
        if not self._signals:
            return {}
        found = ((name, _plain(record.get(path[0]), path)) for name, path in self._signals)
        signals = {name: value for name, value in found if value is not None}
        return signals | {CONSENTED: True} if self._consents(record) else signals

    def _consents(self, record: Mapping[str, Any]) -> bool:
        return any(True in values_at(record.get(path[0]), path[1:]) for path in self[Role.FACE_CONSENT])

    @cached_property
    def _signals(self) -> tuple[tuple[str, Path], ...]:
        told = self[Role.AGE_SIGNAL]
        return tuple((".".join(path), path) for path in (*told, *self[Role.TEXT])) if told else ()

    @cached_property
    def _tells_language(self) -> bool:
        return ("language",) in self[Role.CONTEXT]

    @cached_property
    def _media_fields(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(path[0] for role in MEDIA for path in self[role]))

    @cached_property
    def _find_attachments(self) -> Finder:
        return finder(sorted((path, role) for role in MEDIA for path in self[role]))


def values_at(value: Any, path: Path) -> Iterator[Any]:
    """The values at `path` of a decoded datum: one for each array item and map value on the way; nulls are left out."""
    if value is None:
        return
    if isinstance(value, list):
        for item in value:
            yield from values_at(item, path)
    elif path and isinstance(value, dict):
        yield from values_at(value.get(path[0]), path[1:])
    elif isinstance(value, dict):  # the path ends at a map
        for item in value.values():
            yield from values_at(item, path)
    else:
        yield value


def _plain(value: Any, path: Path) -> Any:
    """What stands at `path`, of which `value` is the first field's, as JSON can say it; None where nothing does."""
    if len(path) == 1 and (value is None or isinstance(value, _SIMPLE)):
        return value
    found = [each if isinstance(each, _SIMPLE) else str(each) for each in values_at(value, path[1:])]
    return found or None


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a schema, as a walk over the schema meets it."""

    path: Path
    raw: Mapping[str, Any]
    kinds: frozenset[str]  # names of the types below it, without unions, arrays and maps

    @property
    def name(self) -> str:
        """The path as people write it."""
        return ".".join(self.path)

    @property
    def role(self) -> str | None:
        """The field's `role`, where it has one."""
        return self.raw.get("role")


def walk(schema: Any) -> list[Field]:
    """Every field of a schema, nested ones too, outer before inner. A named type used twice is met twice."""
    named = dict(_named(schema, ""))
    return list(_fields(schema, (), named, ""))


def resolve(schema: Any) -> Roles:
    """The roles of a schema.

    Raises:
        BadRole: an unknown role, or a role on a field of a type that it can't have.
    """
    paths: dict[str, list[Path]] = {}
    for each in walk(schema):
        if each.role is None:
            continue
        if each.role not in set(Role):
            raise BadRole(f"field {each.name}: unknown role {each.role!r}; known: {', '.join(Role)}")
        if each.role in _READ_AS_STRINGS and not each.kinds <= {"string", "null"}:
            raise BadRole(f"field {each.name}: the role {each.role} needs strings, not {', '.join(sorted(each.kinds))}")
        if each.role == Role.FACE_CONSENT and not each.kinds <= {"boolean", "null"}:
            raise BadRole(
                f"field {each.name}: the role {each.role} needs a boolean, not {', '.join(sorted(each.kinds))}"
            )
        paths.setdefault(each.role, []).append(each.path)
    return Roles({role: tuple(found) for role, found in paths.items()})


def borrow(roles: Roles, schema: Any) -> Roles:
    """`roles` of another version, as far as `schema` has the fields: for a writer whose tools dropped them."""
    present = {each.path for each in walk(schema)}
    return Roles({role: tuple(p for p in paths if p in present) for role, paths in roles.paths.items()})


def full_name(schema: Mapping[str, Any], namespace: str) -> str:
    """The full name of a named type (Avro specification, "Names")."""
    name, space = str(schema["name"]), schema.get("namespace", namespace)
    return name if "." in name or not space else f"{space}.{name}"


def _inner(schema: Any, namespace: str) -> Iterable[tuple[Any, str]]:
    """The schemas directly below one, fields aside, each with its namespace."""
    if isinstance(schema, list):
        return [(branch, namespace) for branch in schema]
    if not isinstance(schema, Mapping):
        return []
    kind = schema.get("type")
    if kind == "array":
        return [(schema["items"], namespace)]
    if kind == "map":
        return [(schema["values"], namespace)]
    return [(kind, namespace)] if isinstance(kind, Mapping | list) else []


def _is_record(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") in {"record", "error"}


def _named(schema: Any, namespace: str) -> Iterator[tuple[str, tuple[Any, str]]]:
    """Every named type defined in a schema: (full name, (definition, its namespace))."""
    if isinstance(schema, Mapping) and schema.get("type") in {"record", "error", "enum", "fixed"}:
        name = full_name(schema, namespace)
        namespace = name.rpartition(".")[0]
        yield name, (schema, namespace)
    for each in schema["fields"] if _is_record(schema) else []:
        yield from _named(each["type"], namespace)
    for inner, space in _inner(schema, namespace):
        yield from _named(inner, space)


def _look_up(schema: Any, named: Mapping[str, tuple[Any, str]], namespace: str) -> tuple[Any, str]:
    """A reference to a named type followed; anything else as it is."""
    if isinstance(schema, str):
        for name in (f"{namespace}.{schema}", schema):
            if name in named:
                return named[name]
    return schema, namespace


def _fields(
    schema: Any, path: Path, named: Mapping[str, tuple[Any, str]], namespace: str, inside: frozenset[str] = frozenset()
) -> Iterator[Field]:
    schema, namespace = _look_up(schema, named, namespace)
    if _is_record(schema):
        name = full_name(schema, namespace)
        if name in inside:  # a recursive type: once is enough
            return
        for each in schema["fields"]:
            below = (*path, str(each["name"]))
            yield Field(below, each, frozenset(_kinds(each["type"], named, name.rpartition(".")[0])))
            yield from _fields(each["type"], below, named, name.rpartition(".")[0], inside | {name})
    for inner, space in _inner(schema, namespace):
        yield from _fields(inner, path, named, space, inside)


def _kinds(schema: Any, named: Mapping[str, tuple[Any, str]], namespace: str) -> Iterator[str]:
    """The names of the types that values of a field have, without unions, arrays and maps."""
    schema, namespace = _look_up(schema, named, namespace)
    below = list(_inner(schema, namespace))
    if not below:
        yield schema if isinstance(schema, str) else str(schema["type"])
    for inner, space in below:
        yield from _kinds(inner, named, space)
