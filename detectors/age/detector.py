"""The age detector: an age model beside the other detectors, on the same runtime.

    signals by field → columns → network → intervals and gates → a row of `schemas.ages`

It has no categories: what it says is a distribution. A profile with hardly any signal, or unlike all that the model
was trained on, is abstained from.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from detectors.age.abstain import Why
from detectors.age.cells import folded
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
from schemas.roles import SIGNALS
from schemas.statuses import Reason, Status

DEFAULT_MODEL: Final = SHIPPED / "age-demo"
_BLOCK: Final = 512  # rows between two hints


class Options(BaseModel):
    """What configuration may say of this detector."""

    model_config = ConfigDict(extra="forbid")

    model: Path = DEFAULT_MODEL  # a model directory, as `safestream train age` writes it
    device: str = Field(default="cpu", pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$")  # so small that a device gains nothing


class AgeDetector:
    """See `detectors.interface.Detector`. Not thread-safe."""

    categories: tuple[str, ...] = ()
    modalities: Final = (SIGNALS,)
    languages: Final = None
    cost_ms: Final = 0.1

    def __init__(self, model: AgeModel, options: Options) -> None:
        self.version = model.version
        self._model = model
        self._device = options.device

    def warm(self) -> None:
        """Take the device and run a first forward."""
        self._model.estimator.network.to(chosen_device(self._device))
        self.score(canary(self.modalities), lambda _: None)

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        """Ages (n, WIDTH); `at(i)` before each block with its first row."""
        said: list[Ages] = []
        silent: list[NDArray[np.uint8]] = []
        for first in range(0, len(items), _BLOCK):
            at(first)
            found = self._model.predict(self._table(items.signals[first : first + _BLOCK]))
            said.append(rows_of(found))
            silent.append(found.abstained)
        age = np.concatenate(said) if said else rows_of(self._model.predict(self._table(())))
        abstained = np.concatenate([np.zeros(0, np.uint8), *silent]) != Why.none
        status = np.where(abstained, Status.abstained, Status.scored).astype(np.uint8)
        reason = np.where(abstained, Reason.unsure, Reason.none).astype(np.uint8)
        return Answer(np.empty((len(items), 0), np.float32), status, reason, age=age)

    def _table(self, rows: Any) -> Table:
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


def build(options: Mapping[str, Any]) -> AgeDetector:
    """The detector as configured, loaded on the CPU. UserMistake if an option or the model directory is wrong."""
    chosen = checked(Options, options)
    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    check_device(chosen.device)
    return AgeDetector(open_model(chosen.model), chosen)
