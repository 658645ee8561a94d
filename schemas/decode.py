"""From a record's value to a decoded event: a failure is a `Poison` with its reason, or the registry's `Retriable`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas.avro_reader import Unreadable, compile_reader
from schemas.errors import Poison, PoisonReason
from schemas.registry import Registry, Schema
from schemas.wire import FRAME_BYTES, schema_id, subject_of

DEFAULT_MAX_BYTES: Final = 1_000_000
EVERY_EVENT_HAS: Final = ("event_id", "account_id")  # strings, in every content event
_FOR_GOOD: Final = frozenset({PoisonReason.WRONG_TYPE, PoisonReason.MISSING_FIELD})  # a schema never changes
OUR_TOPICS: Final = "moderation."  # what we define ourselves; every other topic holds content events


class Decoder:
    """Decodes values by the schema they were written with.

    A record costs a look-up and one pass over its bytes; a schema met for the first time is fetched and checked.
    """

    def __init__(
        self,
        registry: Registry,
        max_bytes: int = DEFAULT_MAX_BYTES,
        subject_of: Callable[[str], str] = subject_of,
    ) -> None:
        self._registry = registry
        self._max_bytes = max_bytes
        self._subject_of = subject_of
        self._known: dict[tuple[str, int], tuple[Schema, Callable[[bytes, int], Any]]] = {}
        self._hopeless: dict[tuple[str, int], Poison] = {}  # schemas that no record of this topic can be read by

    def decode(self, topic: str, value: bytes | None) -> tuple[Schema, dict[str, Any]]:
        """The writer's schema and the record, as field names to values.

        Raises:
            Poison: these bytes can't be decoded; the reason says why, the message never quotes content.
            Retriable: the registry does not answer; nothing is known about the bytes.
        """
        number = schema_id(value, self._max_bytes)
        known = self._known.get((topic, number))
        if known is None:
            known = self._known[topic, number] = self._meet(topic, number)
        schema, read = known
        return schema, read(value, FRAME_BYTES)  # type: ignore[arg-type]  # schema_id has refused None

    def _meet(self, topic: str, number: int) -> tuple[Schema, Callable[[bytes, int], Any]]:
        """Learn a schema, unless it is known that nothing can be learnt: the registry is asked once."""
        if (hopeless := self._hopeless.get((topic, number))) is not None:
            raise Poison(hopeless.reason, str(hopeless))
        try:
            return self._learn(topic, number)
        except Poison as poison:
            if poison.reason in _FOR_GOOD:
                self._hopeless[topic, number] = Poison(poison.reason, str(poison))
            raise

    def _learn(self, topic: str, number: int) -> tuple[Schema, Callable[[bytes, int], Any]]:
        subject = self._subject_of(topic)
        schema = self._registry.by_id(number, subject)
        if schema.subject != subject:
            raise Poison(PoisonReason.WRONG_SUBJECT, f"schema id {number} is of {schema.subject}, not of {subject}")
        if not topic.startswith(OUR_TOPICS):
            require_fields(schema.raw)
        try:
            return schema, compile_reader(schema.parsed)
        except Unreadable as error:
            raise Poison(PoisonReason.WRONG_TYPE, f"schema id {number}: {error}") from None


def require_fields(raw: Mapping[str, Any]) -> None:
    """Check that a content type has the fields without which an event can't be decided.

    Raises:
        Poison: `missing_field`, or `wrong_type` for one that is not a plain string.
    """
    types = {each["name"]: each["type"] for each in raw.get("fields", ())}
    for name in EVERY_EVENT_HAS:
        if name not in types:
            raise Poison(PoisonReason.MISSING_FIELD, f"the schema has no field {name}")
        if not _is_string(types[name]):
            raise Poison(PoisonReason.WRONG_TYPE, f"the schema's field {name} is not a string")


def _is_string(kind: Any) -> bool:
    """Whether a type is a plain string, with attributes or without (Java writes `avro.java.string`)."""
    return kind == "string" or (isinstance(kind, Mapping) and kind.get("type") == "string")
