"""The Confluent schema registry, behind the questions that we ask it. Its client's errors are mapped here only."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka.schema_registry import Schema as RemoteSchema
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.error import OAuthTokenError

from schemas.errors import Retriable, UserMistake

NOT_FOUND: Final = 404
CONFLICT: Final = 409
# Short, because a worker waits here: it tries again itself, and can say so meanwhile.
DEFAULTS: Final[Mapping[str, Any]] = {"timeout": 5, "max.retries": 1, "retries.wait.ms": 200}
NUMBERS: Final = frozenset(
    {"timeout", "max.retries", "retries.wait.ms", "retries.max.wait.ms", "cache.capacity", "cache.latest.ttl.sec"}
)


class NotFound(LookupError):
    """The registry answered that it has no such schema, version or subject."""


class Refused(ValueError):
    """The registry answered that this schema is not compatible with what it has; the message is its own."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A schema as the registry has it. `places` are the subjects and versions that it is registered under."""

    id: int
    text: str
    places: tuple[tuple[str, int], ...]


class ConfluentRegistry:
    """A Confluent-compatible registry.

    Every method may block up to about twenty seconds, and raises Retriable if the registry is unreachable or ill.
    """

    def __init__(self, url: str, properties: Mapping[str, str]) -> None:
        self.url = re.sub("//[^/@]*@", "//", url)  # for messages: without user and password
        try:
            self._client = SchemaRegistryClient({**DEFAULTS, **_typed(properties), "url": url})
        except (ValueError, TypeError) as error:
            raise UserMistake(f"schema_registry: {error}; see docs/reference/schemas.md") from None

    def close(self) -> None:
        """Close the connections to it."""
        self._client.close()

    def by_id(self, schema_id: int) -> Registered:
        """The schema of an id, with every place it is registered under, deleted ones too.

        Raises:
            NotFound: the registry has no such id.
        """
        with self._mapped():
            schema = self._client.get_schema(schema_id)
            places = self._client.get_schema_versions(schema_id, deleted=True)
            found = tuple((str(each.subject), int(each.version or 0)) for each in places)
            return Registered(schema_id, _text(schema), found)

    def latest(self, subject: str) -> Registered:
        """The newest version of a subject.

        Raises:
            NotFound: nothing is registered under it.
        """
        with self._mapped():
            found = self._client.get_latest_version(subject)
            return Registered(int(found.schema_id or 0), _text(found.schema), ((subject, int(found.version or 0)),))

    def register(self, subject: str, text: str) -> int:
        """Set the subject to FULL_TRANSITIVE and register a schema under it; the same schema again is no new version.

        Raises:
            Refused: it is not compatible with an earlier version.
        """
        with self._mapped():
            self._client.set_compatibility(subject_name=subject, level="FULL_TRANSITIVE")
            return int(self._client.register_schema(subject, RemoteSchema(text, "AVRO")))

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except SchemaRegistryError as error:
            raise self._sorted(error) from error
        except (OAuthTokenError, OSError) as error:
            raise Retriable(f"schema registry {self.url}: {error}") from error
        except Exception as error:
            # The client's HTTP library is not part of its interface; any failure that is not the registry's own
            # answer means that there was no answer.
            raise Retriable(f"schema registry {self.url}: no answer ({type(error).__name__}: {error})") from error

    def _sorted(self, error: SchemaRegistryError) -> Exception:
        status = error.http_status_code
        # 404 alone may be a proxy's: only the registry's own codes 404xx are its word.
        if status == NOT_FOUND and str(error.error_code).startswith("404") and error.error_code != NOT_FOUND:
            return NotFound(str(error.error_message))
        if status in {CONFLICT, 422}:
            return Refused(str(error.error_message))
        if status in {401, 403}:
            return UserMistake(
                f"schema registry {self.url}: not allowed (HTTP {status}); check schema_registry.properties"
            )
        return Retriable(f"schema registry {self.url}: HTTP {status}, {error.error_message}")


def _typed(properties: Mapping[str, str]) -> dict[str, Any]:
    """Properties as the client wants them: configuration has only text."""
    try:
        return {name: float(value) if name in NUMBERS else value for name, value in properties.items()}
    except ValueError:
        raise ValueError(f"properties: {', '.join(sorted(NUMBERS & set(properties)))} must be numbers") from None


def _text(schema: Any) -> str:
    """The schema's text. References to other subjects are not followed: our schemas are whole."""
    if not isinstance(schema.schema_str, str):
        raise TypeError("no schema in its answer")
    return schema.schema_str
