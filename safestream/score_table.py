"""`safestream score age --table`: a table in, JSON Lines of ages out."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from detectors.interface import DetectorSpec, find_factory
from safestream.progress import Progress
from schemas.errors import UserMistake


def score_table(spec: DetectorSpec, paths: Sequence[Path], folder: Path) -> None:
    """Print a line for each row: row, detector, model_version, status, age.

    Args:
        spec: the age detector; a relative path of its model begins in `folder`.

    Raises:
        UserMistake: another detector, no such model, or a table that can't be read as the model's spec says.
    """
    from detectors.age.detector import DEFAULT_MODEL, build  # noqa: PLC0415 - torch takes seconds
    from detectors.age.model import open_model  # noqa: PLC0415
    from detectors.age.scoring import lines, opened  # noqa: PLC0415

    if find_factory(spec) is not build:
        raise UserMistake(f"--table is for detectors of age: {spec.name} reads events")
    model = open_model(folder / spec.options.get("model", DEFAULT_MODEL))
    table, warnings = opened(paths, model.estimator.spec)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    with Progress("scoring") as progress:
        for line in lines(model, table):
            print(json.dumps(line))
            if line["row"] % 1_000 == 0:
                progress.show(line["row"])
