"""Log lines: their form, and what never stands in one."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from safestream.logs import CONTENT_KEYS, WITHHELD, configure
from schemas.errors import Retriable

SECRET = "what somebody wrote"


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(written: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_line_is_json_where_nobody_watches() -> None:
    """`auto` on anything but a terminal: one object a line, with time and level; numbers and paths stay readable."""
    written = io.StringIO()
    configure("auto", "info", stream=written)
    structlog.get_logger().info("batch committed", events=3, pack=Path("p"), partitions=[0, 1])
    structlog.get_logger().debug("too fine")
    (line,) = lines(written)
    assert line.pop("timestamp")
    assert line == {"event": "batch committed", "level": "info", "events": 3, "pack": "p", "partitions": [0, 1]}


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("name", sorted(CONTENT_KEYS))
def test_content_is_withheld(form: str, name: str) -> None:
    """Under every name known for it, also within a mapping or a list of them."""
    written = io.StringIO()
    configure(form, "info", stream=written)  # type: ignore[arg-type]
    structlog.get_logger().info("x", **{name: SECRET})
    structlog.get_logger().info("x", nested={name: SECRET}, many=[{name.upper(): SECRET}])
    assert SECRET not in written.getvalue()
    assert WITHHELD in written.getvalue()


def test_bytes_and_objects_are_withheld() -> None:
    """A raw value, or an object whose repr would quote one."""
    written = io.StringIO()
    configure("console", "info", stream=written)
    structlog.get_logger().info("x", raw=SECRET.encode(), thing=type("Event", (), {"__repr__": lambda _: SECRET})())
    assert "what somebody" not in written.getvalue()
    assert "<Event>" in written.getvalue()


def test_a_users_own_fields_are_withheld() -> None:
    """The fields of a content type that only the configuration knows."""
    written = io.StringIO()
    configure("json", "info", names=["playlist_title"], stream=written)
    structlog.get_logger().info("x", playlist_title=SECRET)
    assert lines(written)[0]["playlist_title"] == WITHHELD


def raising(error: Exception) -> None:
    text = SECRET  # a local variable, which some formatters print
    raise error from KeyError(text)


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_keeps_its_place_but_no_foreign_message(form: str) -> None:
    """A foreign error may quote a record, and so may local variables; ours never does, and says what to do."""
    written = io.StringIO()
    configure(form, "info", stream=written)  # type: ignore[arg-type]
    for error in (ValueError(SECRET), Retriable("the registry doesn't answer")):
        try:
            raising(error)
        except Exception as caught:  # noqa: BLE001
            structlog.get_logger().error("failed", exc_info=True, cause=caught)
    assert SECRET not in written.getvalue()
    assert "in raising" in written.getvalue()
    assert "ValueError" in written.getvalue()
    assert "Retriable: the registry doesn't answer" in written.getvalue()


def test_libraries_write_the_same_lines() -> None:
    """From warnings on, and without the message of what they raised."""
    written = io.StringIO()
    configure("json", "info", stream=written)
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("librdkafka").info("broker down")
    try:
        raising(ValueError(SECRET))
    except ValueError:
        logging.getLogger("some.library").exception("broken")
    assert [line["event"] for line in lines(written)] == ["broker down", "broken"]
    assert lines(written)[1]["logger"] == "some.library"
    assert SECRET not in written.getvalue()
