"""`safestream produce`: JSON Lines in, events out.

A file is checked whole before anything is sent: a bad line means that nothing was produced. From standard input, what
stands before the bad line was.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from safestream.configuration import Configuration, load
from safestream.options import ConfigFile
from safestream.progress import Progress
from schemas.errors import UserMistake
from schemas.json_lines import BadLine, LineReader
from schemas.registry import open_registry
from stream.producing import EventProducer, KeyMissing
from stream.reaching import Cluster, require

app = typer.Typer(add_completion=False)


@dataclass
class _Lines:
    """Lines of a source, numbered from 1, as records' keys and values; the bad ones by number and field."""

    name: str
    reader: LineReader
    producer: EventProducer
    max_bytes: int

    def good(self, source: BinaryIO, on_bad: Callable[[str], None]) -> Iterator[tuple[int, bytes, bytes]]:
        """Number, key and value of each good line; `on_bad` is told of the others, by number and field."""
        for number, line in enumerate(source, 1):
            if not line.strip():
                continue
            try:
                record = self.reader.read(line)
                key, value = self.producer.key(record), self.producer.encode(record)
                self._check_size(value)
            except (BadLine, KeyMissing) as error:
                on_bad(f"{self.name}:{number}: {error}")
            else:
                yield number, key, value

    def _check_size(self, value: bytes) -> None:
        if len(value) > self.max_bytes:
            raise BadLine(f"{len(value):,} bytes, more than worker.max_event_bytes ({self.max_bytes:,})")


@app.command()
def produce(
    topic: Annotated[str, typer.Argument(help="Topic to produce to.", show_default=False)],
    file: Annotated[
        Path, typer.Argument(help="JSON Lines, one event a line; - is standard input.", show_default=False)
    ],
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Name bad lines and go on with the rest.")] = False,
    config: ConfigFile = None,
) -> None:
    """Turn JSON Lines with the Avro field names into events, keyed by account_id.

    content_id defaults to event_id, operation to create, created_at to now. A bad
    line is named with its number and field.
    """
    configuration = load(config)
    lines = _lines(configuration, topic, "standard input" if str(file) == "-" else str(file))
    if str(file) == "-":
        _send(lines, sys.stdin.buffer, topic, skip_bad=skip_bad)
        return
    try:
        with file.open("rb") as source:
            if not skip_bad and source.seekable():
                _check(lines, source)
            _send(lines, source, topic, skip_bad=skip_bad)
    except OSError as error:
        raise UserMistake(f"{file}: can't be read: {error.strerror}") from error


def _lines(configuration: Configuration, topic: str, name: str) -> _Lines:
    cluster = Cluster(configuration.kafka.bootstrap_servers, configuration.kafka.properties)
    require(cluster.topics(), [topic])  # before anything else: a producer would create it, with one partition
    registry = configuration.schema_registry
    schema = open_registry(registry.folder, registry.url, registry.properties).latest(topic)
    producer = EventProducer(cluster, topic, schema)
    return _Lines(name, LineReader(schema), producer, configuration.worker.max_event_bytes)


def _check(lines: _Lines, source: BinaryIO) -> None:
    """Read a file to its end, and back to its start."""
    bad: list[str] = []
    with Progress("checking") as progress:
        for count, _ in enumerate(lines.good(source, bad.append)):
            progress.show(count)
    if bad:
        more = f" (and {len(bad) - 1:,} more bad lines)" if len(bad) > 1 else ""
        raise UserMistake(f"{bad[0]}{more}; nothing was produced: correct it, or leave it out with --skip-bad")
    source.seek(0)


def _send(lines: _Lines, source: BinaryIO, topic: str, *, skip_bad: bool) -> None:
    producer, skipped = lines.producer, 0

    def on_bad(line: str) -> None:
        nonlocal skipped
        if not skip_bad:
            _finish(producer, progress)
            raise UserMistake(f"{line}; the {producer.delivered:,} events before it were produced")
        skipped += 1
        print(f"skipped {line}", file=sys.stderr)

    with Progress("producing") as progress:
        try:
            for number, key, value in lines.good(source, on_bad):
                producer.send(number, key, value)
                progress.show(producer.delivered)
            _finish(producer, progress)
        except KeyboardInterrupt:
            producer.flush(5)
            print(f"safestream: interrupted; {producer.delivered:,} events were produced", file=sys.stderr)
            raise
    also = f", {skipped:,} bad lines skipped" if skipped else ""
    if producer.failures:
        raise _not_delivered(lines, also)
    print(f"{producer.delivered:,} events produced to {topic} in {progress.seconds:.1f} s{also}")


def _finish(producer: EventProducer, progress: Progress) -> None:
    while producer.flush(0.2):
        progress.show(producer.delivered, also=", waiting for the broker")


def _not_delivered(lines: _Lines, also: str) -> UserMistake:
    producer = lines.producer
    number, why = producer.failures[0]
    return UserMistake(
        f"{lines.name}:{number}: not delivered: {why}; {producer.delivered:,} events were produced, "
        f"{len(producer.failures):,} were not{also}"
    )
