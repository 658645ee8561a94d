"""The age detector: an age model beside the other detectors, on the same runtime.

    signals by field → columns → network → intervals and gates → a row of `schemas.ages`

It has no categories: what it says is a distribution. A profile with hardly any signal, or unlike all that the model
was trained on, is abstained from. With `face`, what a picture shows is one more signal (`detectors.age.face`), but only
of events that say that the account holder agreed.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from detectors.age.abstain import Why
from detectors.age.cells import folded
from detectors.age.face import SIGNAL, Face
from detectors.age.gates import moved
from detectors.age.model import AgeModel, Predictions, open_model
from detectors.age.table import Table, column_of
from detectors.devices import check_device, chosen_device
from detectors.interface import Answer
from detectors.items import Items
from detectors.loading.model_directory import SHIPPED
from detectors.options import checked
from detectors.runtime.canary import canary
from schemas.ages import Ages
from schemas.errors import UserMistake
from schemas.roles import CONSENTED, SIGNALS
from schemas.statuses import Reason, Status

DEFAULT_MODEL: Final = SHIPPED / "age-demo"
_BLOCK: Final = 512  # rows between two hints


class Options(BaseModel):
    """What configuration may say of this detector."""

    model_config = ConfigDict(extra="forbid")

    model: Path = DEFAULT_MODEL  # a model directory, as `safestream train age` writes it
    face: bool | Path = False  # true: the network of the extra `face`; or a folder with one of the same interface
    device: str = Field(default="cpu", pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$")  # so small that a device gains nothing


class AgeDetector:
    """See `detectors.interface.Detector`. Not thread-safe."""

    categories: tuple[str, ...] = ()
    modalities: Final = (SIGNALS,)
    languages: Final = None
    cost_ms: Final = 0.1

    def __init__(self, model: AgeModel, options: Options) -> None:
        self._model = model
        self._face = _face(model, options.face) if options.face else None
        versions = [model.version, *([self._face.version] if self._face else [])]
        self.version = model.version if len(versions) == 1 else sha256("".join(versions).encode()).hexdigest()[:16]
        self._device = options.device

    def warm(self) -> None:
        """Take the device and run a first forward."""
        self._model.estimator.network.to(chosen_device(self._device))
        if self._face:
            self._face.warm()
        self.score(canary(self.modalities), lambda _: None)

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        """Ages (n, WIDTH); `at(i)` before each block with its first row."""
        said: list[Ages] = []
        silent: list[NDArray[np.uint8]] = []
        for first in range(0, len(items), _BLOCK):
            at(first)
            rows = range(first, min(first + _BLOCK, len(items)))
            found = self._model.predict(self._table(self._seen(items, rows, at)))
            said.append(rows_of(found))
            silent.append(found.abstained)
        age = np.concatenate(said) if said else rows_of(self._model.predict(self._table(())))
        abstained = np.concatenate([np.zeros(0, np.uint8), *silent]) != Why.none
        status = np.where(abstained, Status.abstained, Status.scored).astype(np.uint8)
        reason = np.where(abstained, Reason.unsure, Reason.none).astype(np.uint8)
        return Answer(np.empty((len(items), 0), np.float32), status, reason, age=age)

    def _seen(self, items: Items, rows: range, at: Callable[[int], None]) -> Sequence[Mapping[str, Any]]:
        """The signals of these rows; where a face may be looked at, with what it shows."""
        if self._face is None:
            return items.signals[rows.start : rows.stop]
        seen = []
        for row in rows:
            signals = items.signals[row]
            years = self._face.of(items.attachments[row], partial(at, row)) if CONSENTED in signals else None
            seen.append({**signals, SIGNAL: years})
        return seen

    def _table(self, rows: Sequence[Mapping[str, Any]]) -> Table:
        """The columns that the model reads. Of a list it takes what a table of many rows an account would say."""
        spec = self._model.estimator.spec
        kinds = {name: signal.kind for name, signal in spec.signals.items()}
        if spec.declared:
            kinds[spec.declared.column] = "number"
        return Table(
            {name: column_of([folded(kind, row.get(name)) for row in rows]) for name, kind in kinds.items()}, len(rows)
        )


def rows_of(found: Predictions) -> Ages:
    """Predictions as `schemas.ages` has them: the distribution's mass beyond each gate is the calibrated one."""
    pmf = moved(found.pmf, found.gates, found.ages)
    return np.column_stack([pmf, found.mean, found.low, found.high]).astype(np.float32)


def _face(model: AgeModel, said: bool | Path) -> Face:
    if SIGNAL not in model.estimator.features.statistics:
        raise UserMistake(f"face: the model has learnt no signal {SIGNAL}: train one with that column")
    return Face(said if isinstance(said, Path) else None)


def build(options: Mapping[str, Any]) -> AgeDetector:
    """The detector as configured, loaded on the CPU. UserMistake if an option or the model directory is wrong."""
    chosen = checked(Options, options)
    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    check_device(chosen.device)
    return AgeDetector(open_model(chosen.model), chosen)
