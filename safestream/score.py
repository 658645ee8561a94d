"""`safestream score`: JSON Lines of events in, JSON Lines of scores out, without Kafka.

The detector runs as a worker runs it, in a process of its own: a file that crashes it is one line with an error. While
it scores, the next lines are read and the last ones written.
"""

import json
import os
import select
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from detectors.interface import DetectorSpec
from detectors.runtime.client import DetectorClient
from enforcement.packs import DEFAULT, load_pack
from safestream import logs
from safestream.configuration import Configuration, load
from safestream.detecting import process_settings, spec_of
from safestream.options import ConfigFile
from safestream.progress import Progress
from safestream.score_table import score_table
from schemas.ages import published
from schemas.columns import Events, Scores
from schemas.errors import UserMistake
from schemas.json_lines import BadLine, LineReader
from schemas.registry import Schema, open_registry
from schemas.roles import SIGNALS
from schemas.statuses import Reason, Status
from schemas.topics import COMMENTS, PROFILE_SIGNALS

app = typer.Typer(add_completion=False)

_BATCH: Final = 256  # events scored together, if so many are there
_PIECE: Final = 1 << 16  # bytes read at once
_SPELT: Final = 6  # bytes of JSON for one byte of text, at most: \u001f
_PATIENCE: Final = 0.02  # seconds between looks at the input while events are being scored


@app.command()
def score(
    detector: Annotated[str, typer.Argument(help="As configured, or built in, or of an installed package.")],
    file: Annotated[
        Path | None, typer.Argument(help="JSON Lines, one event a line; - is standard input.", show_default=False)
    ] = None,
    table: Annotated[
        list[Path] | None,
        typer.Option(
            help="For age, in place of events: CSV or Parquet; give it again for more tables, joined on the account "
            "column of the model's spec."
        ),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Model directory, in place of the one that is configured or comes with us.")
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option(help="Whose schema the events have: content.profile-signals for age, else content.comments."),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Score events and print a line each: event_id, detector, model_version, status, scores by category.

    Beside them `reason` where there is no score, and `evidence` where the detector says where it found what. A detector
    of age says `age`: mean, 90 % interval, and the probability of having reached 13, 16 and 18. An event without
    anything that the detector reads is `skipped`. Nothing of the content is printed.
    """
    configuration = load(config)
    logs.configure(configuration.log.format, configuration.log.level)  # standard output is for scores
    if (file is None) == (table is None):
        raise UserMistake("name the events to score, - for standard input, or with --table a table")
    spec = _spec(configuration, detector, model)
    if table:
        score_table(spec, table, configuration.folder)
    elif file:
        said = topic and _schema(configuration, topic)
        with _opened(file) as source:
            _score(configuration, spec, said or None, source, "standard input" if str(file) == "-" else str(file))


def _opened(file: Path) -> AbstractContextManager[BinaryIO]:
    if str(file) != "-":
        try:
            return file.open("rb")
        except OSError as error:
            raise UserMistake(f"{file}: can't be read: {error.strerror}") from error
    if sys.stdin is None:  # as `<&-` leaves it
        raise UserMistake("standard input: can't be read: it is closed")
    return nullcontext(sys.stdin.buffer)


def _score(
    configuration: Configuration, spec: DetectorSpec, said: Schema | None, source: BinaryIO, called: str
) -> None:
    client = DetectorClient([spec], process_settings(configuration))
    with closing(client):
        client.start()
        schema = said or _schema(configuration, PROFILE_SIGNALS if SIGNALS in client.modalities[0] else COMMENTS)
        lines, count = _Lines(source, schema, called, configuration.worker.max_event_bytes), 0
        with Progress("scoring") as progress:
            under_way: dict[int, list[str]] = {}  # number of a batch → its event ids
            while under_way or not lines.ended:
                if client.room and not lines.ended and (not under_way or lines.ready()):
                    ids, events = lines.take()
                    if ids:
                        count += 1
                        client.submit(count, events)
                        under_way[count] = ids
                elif (result := client.collect(_PATIENCE)) is not None:
                    print("\n".join(_lines(under_way.pop(result[0]), result[1])), flush=True)
                    progress.show(lines.taken)
    if lines.mistake:
        raise lines.mistake


def _spec(configuration: Configuration, name: str, model: Path | None) -> DetectorSpec:
    spec = DetectorSpec(name)
    if name in configuration.detectors:
        spec = spec_of(name, configuration, load_pack(configuration.policy.pack or DEFAULT))
    return replace(spec, options={**spec.options, "model": str(model.absolute())}) if model else spec


def _schema(configuration: Configuration, topic: str) -> Schema:
    registry = configuration.schema_registry
    return open_registry(registry.folder, registry.url, registry.properties).latest(topic)


class _Lines:
    """The events of a file or pipe, as many at a time as are there."""

    def __init__(self, source: BinaryIO, schema: Schema, called: str, most_bytes: int) -> None:
        """`most_bytes`: of an event; a line that can't be one is a mistake, and not read to its end."""
        self.ended = False
        self.taken = 0
        self.mistake: UserMistake | None = None  # what ended it before its end
        self._file = source.fileno()
        self._roles = schema.roles
        self._reader = LineReader(schema)
        self._called = called
        self._number = 0
        self._lines: list[bytes] = []  # whole ones, the next last
        self._begun: list[bytes] = []  # pieces of the line after them
        self._size = 0  # bytes of these
        self._most = _SPELT * most_bytes
        self._over = False  # nothing more will come

    def ready(self) -> bool:
        """Whether `take` would not wait."""
        return bool(self._lines) or self._over or bool(select.select([self._file], [], [], 0)[0])

    def take(self) -> tuple[list[str], Events]:
        """What is there, at least a line, at most a batch: event ids, events. None at all at the end."""
        while not self._lines and not self._over:
            self._read()
        records = [record for _ in range(min(_BATCH, len(self._lines))) if (record := self._next())]
        self.ended = self.ended or (self._over and not self._lines)
        self.taken += len(records)
        roles = self._roles
        events = Events.unplaced(
            [roles.join_text(record) for record in records],
            [roles.language_of(record) for record in records],
            [roles.attachments_of(record) for record in records],
            [roles.signals_of(record) for record in records],
        )
        return [record["event_id"] for record in records], events

    def _read(self) -> None:
        try:
            piece = os.read(self._file, _PIECE)
        except OSError as error:
            raise UserMistake(f"{self._called}: can't be read: {error.strerror}") from error
        self._begun.append(piece)
        self._size += len(piece)
        self._over = not piece or (self._size > self._most and b"\n" not in piece)
        if b"\n" in piece or self._over:
            *whole, rest = b"".join(self._begun).split(b"\n")
            self._lines = [*whole, rest][::-1] if self._over else whole[::-1]
            self._begun, self._size = [rest], len(rest)

    def _next(self) -> dict[str, Any] | None:
        """The event of the next line; None for an empty one, and from a bad one on."""
        line = self._lines.pop()
        self._number += 1
        try:
            return self._record(line) if line.strip() and not self.mistake else None
        except BadLine as error:
            self.mistake, self.ended = UserMistake(f"{self._called}:{self._number}: {error}"), True
            return None

    def _record(self, line: bytes) -> dict[str, Any]:
        if len(line) > self._most:
            raise BadLine("longer than any event of worker.max_event_bytes")
        return self._reader.read(line)


def _lines(ids: list[str], scores: Scores) -> Iterator[str]:
    (detector,), (version,) = scores.detectors, scores.versions
    categories = [column.category for column in scores.columns]
    ages = dict(enumerate(published(scores.age[detector]))) if detector in scores.age else {}
    rows = zip(
        ids, scores.status[:, 0].tolist(), scores.reason[:, 0].tolist(), scores.probability.tolist(), strict=True
    )
    for row, (event_id, status, reason, probability) in enumerate(rows):
        line: dict[str, Any] = {
            "event_id": event_id,
            "detector": detector,
            "model_version": version,
            "status": Status(status).name,
            "scores": {},
        }
        if status == Status.scored:
            line["scores"] = {category: round(p, 6) for category, p in zip(categories, probability, strict=True)}
        if status == Status.scored and row in ages:
            line["age"] = ages[row]
        if reason != Reason.none:
            line["reason"] = Reason(reason).name
        if found := scores.evidence.get((row, 0)):
            line["evidence"] = [each.as_json() for each in found]
        yield json.dumps(line)
