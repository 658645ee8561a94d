"""Log lines: JSON for machines, readable on a terminal, and never any content or personal data.

Code logs counts, ids of partitions and names, never what people wrote. Should a line carry more all the same, this is
the net under it: values under names known to be content or personal are withheld, raw bytes too, and an exception that
isn't ours keeps its type and its place but not its message, which may quote a record.
"""

import io
import logging
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import PurePath
from typing import Any, Final, Literal, TextIO, cast
from uuid import UUID

import structlog
from confluent_kafka import KafkaException

from schemas.errors import SafestreamError
from stream.properties import LIBRDKAFKA_LOG

Format = Literal["auto", "json", "console"]

WITHHELD: Final = "[withheld]"
# Fields of our schemas with content or personal data, and other names for them.
CONTENT_KEYS: Final = frozenset(
    (
        *("account", "account_id", "user", "user_id", "username", "display_name", "email", "phone", "ip"),
        *("text", "texts", "title", "bio", "alt_text", "content", "payload", "body", "value", "key", "record"),
        *("media", "image", "audio", "video", "recipient_ids", "recipients", "birth_date", "age"),
    )
)
# Exceptions whose messages are ours or Kafka's, never a record's.
_OPEN: Final = (SafestreamError, KafkaException, OSError)


class Withhold:
    """A processor that takes content and personal data out of a line."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Withhold `CONTENT_KEYS` and `names`, such as the fields of a user's own content types."""
        self._names = CONTENT_KEYS | {name.lower() for name in names}

    def __call__(self, _logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Keep plain values under harmless names; of anything else only the type."""
        return {name: self._clean(name, value) for name, value in line.items()}

    def _clean(self, name: object, value: Any) -> Any:
        if str(name).lower() in self._names:
            return WITHHELD
        if value is None or isinstance(value, str | int | float):
            return value
        if isinstance(value, Mapping):
            return {key: self._clean(key, item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean("", item) for item in value]
        if isinstance(value, BaseException):
            return _sentence(value)
        return str(value) if isinstance(value, PurePath | UUID) else f"<{type(value).__name__}>"


def _place(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Turn `exc_info` into types and places; no local variables, no foreign messages."""
    raised = line.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()
    if isinstance(raised, tuple):
        raised = raised[1]
    if isinstance(raised, BaseException):
        line["exception"] = "\n".join(_lines(raised))
    return line


def _lines(raised: BaseException) -> Iterable[str]:
    cause = raised.__cause__ or (None if raised.__suppress_context__ else raised.__context__)
    if cause is not None:
        yield from _lines(cause)
    for frame in traceback.extract_tb(raised.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
    yield _sentence(raised)


def _sentence(raised: BaseException) -> str:
    """An exception's type, and its message where that can't quote a record."""
    message = f": {raised}" if isinstance(raised, _OPEN) else ""
    return f"{type(raised).__qualname__}{message}"


class _StandardError(io.TextIOBase):
    """Standard error as it is when a line is written: loggers are kept for longer than a redirection lasts."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


def configure(
    form: Format, level: str, names: Iterable[str] = (), stream: io.TextIOBase | TextIO | None = None
) -> None:
    """Set up logging for this process, once: structlog's lines, and those of libraries that use `logging`.

    Args:
        names: more field names whose values are withheld.
        stream: standard error where none is given.
    """
    stream = stream or _StandardError()
    console = form == "console" or (form == "auto" and stream.isatty())
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _place,
        Withhold(names),
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty()) if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", stream)),
        cache_logger_on_first_use=True,
    )
    _adopt_libraries([structlog.stdlib.add_logger_name, *shared], renderer, level, stream)


def _adopt_libraries(before: list[Any], renderer: Any, level: str, stream: io.TextIOBase | TextIO) -> None:
    """Libraries speak from warnings on; librdkafka as much as we do, since it tells why a broker isn't reached."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    LIBRDKAFKA_LOG.setLevel(level.upper())
