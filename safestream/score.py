"""`safestream score`: JSON Lines of events in, JSON Lines of scores out, without Kafka."""

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import numpy as np
import typer

from detectors.interface import Detector, DetectorSpec, build
from detectors.items import Items
from safestream.configuration import load
from safestream.options import ConfigFile
from safestream.progress import Progress
from schemas.errors import UserMistake
from schemas.json_lines import BadLine, LineReader
from schemas.registry import Schema, open_registry
from schemas.statuses import Status

app = typer.Typer(add_completion=False)

_BATCH: Final = 256  # events scored together


@app.command()
def score(
    detector: Annotated[str, typer.Argument(help="As configured, or built in: text, lexicon, null.")],
    file: Annotated[Path, typer.Argument(help="JSON Lines, one event a line; - is standard input.")],
    topic: Annotated[str, typer.Option(help="Whose schema the events have.")] = "content.comments",
    config: ConfigFile = None,
) -> None:
    """Score events and print a line each: event_id, detector, model_version, status, scores by category.

    An event without text is `skipped`. Only what the detector gave is printed, nothing of the content.
    """
    configuration = load(config)
    configured = configuration.detectors.get(detector)
    spec = DetectorSpec(detector, configured.options, configured.factory) if configured else DetectorSpec(detector)
    registry = configuration.schema_registry
    schema = open_registry(registry.folder, registry.url, registry.properties).latest(topic)
    if str(file) == "-":
        _score(spec, schema, sys.stdin.buffer, "standard input")
        return
    try:
        with file.open("rb") as source:
            _score(spec, schema, source, str(file))
    except OSError as error:
        raise UserMistake(f"{file}: can't be read: {error.strerror}") from error


def _score(spec: DetectorSpec, schema: Schema, source: BinaryIO, name: str) -> None:
    loaded = build(spec)
    loaded.warm()
    records, count = _records(source, LineReader(schema), name), 0
    with Progress("scoring") as progress:
        while batch := list(itertools.islice(records, _BATCH)):
            for line in _lines(loaded, schema, batch):
                print(json.dumps(line, allow_nan=False))
            count += len(batch)
            progress.show(count)


def _records(source: BinaryIO, reader: LineReader, name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(source, 1):
        try:
            if line.strip():
                yield reader.read(line)
        except BadLine as error:
            raise UserMistake(f"{name}:{number}: {error}") from None


def _lines(detector: Detector, schema: Schema, records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    roles = schema.roles
    columns = zip(*((roles.join_text(r), roles.language_of(r), roles.attachments_of(r)) for r in records), strict=True)
    items = Items(*map(list, columns))
    asked = np.flatnonzero(items.readable(detector.modalities))
    status = np.full(len(items), Status.skipped, np.uint8)
    probability = np.full((len(items), len(detector.categories)), np.nan, np.float32)
    if len(asked):
        answer = detector.score(items.take(asked), lambda _: None)
        probability[asked], status[asked] = answer.probability, answer.status
    within = ((probability >= 0) & (probability <= 1)).all(axis=1)
    status[(status == Status.scored) & ~within] = Status.error  # not a number is no answer
    for i, record in enumerate(records):
        scored = status[i] == Status.scored
        pairs = zip(detector.categories, probability[i].tolist(), strict=True)
        yield {
            "event_id": record["event_id"],
            "detector": detector.name,
            "model_version": detector.version,
            "status": Status(int(status[i])).name,
            "scores": {category: round(p, 6) for category, p in pairs} if scored else {},
        }
