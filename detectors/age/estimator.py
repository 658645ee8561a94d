"""What was trained, before any calibration: columns in, distributions over years out, and how familiar each row is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.age.abstain import Familiar
from detectors.age.declared import ages_of, informed
from detectors.age.distribution import Floats
from detectors.age.features import Features, Matrix
from detectors.age.network import AgeNetwork
from detectors.age.spec import YEARS, Spec
from detectors.age.table import Table

BLOCK: Final = 8_192  # rows that are computed at once


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Of n rows, before calibration."""

    pmf: Floats  # (n, 121) after the declared age
    matrix: Matrix  # (n, F) the features
    distance: Floats  # (n,) of the training part: 1 is usual; infinite where a number is absurd
    present: NDArray[np.int64]  # (n,) how many signals there are, the declared age not counted

    def take(self, rows: NDArray[np.intp]) -> "Estimates":
        """The same of other rows."""
        return Estimates(self.pmf[rows], self.matrix[rows], self.distance[rows], self.present[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Estimator:
    """Features, network, and what was seen in training."""

    spec: Spec
    features: Features
    network: AgeNetwork
    familiar: Familiar

    def __call__(self, table: Table) -> Estimates:
        """Of every row of the columns; computed in blocks."""
        blocks = [self._block(table.take(rows)) for rows in _blocks(len(table))]
        return joined(blocks) if blocks else self._block(table)

    @torch.inference_mode()
    def _block(self, table: Table) -> Estimates:
        matrix = self.features.matrix(table)
        device = next(self.network.parameters()).device
        vectors, pmf = self.network.both(torch.from_numpy(matrix).to(device))
        found = pmf.double().cpu().numpy().reshape(len(table), YEARS)
        if said := self.spec.declared:
            found = informed(found, ages_of(table[said.column], said), said)
        present = (~self.features.missing(matrix)).sum(axis=1).astype(np.int64)
        distance = self.familiar.distance(vectors.float().cpu().numpy())
        return Estimates(found, matrix, np.where(self.features.absurd(matrix), np.inf, distance), present)


def joined(parts: list[Estimates]) -> Estimates:
    """One after the other."""
    return Estimates(
        np.concatenate([part.pmf for part in parts]),
        np.concatenate([part.matrix for part in parts]),
        np.concatenate([part.distance for part in parts]),
        np.concatenate([part.present for part in parts]),
    )


def _blocks(rows: int) -> Iterator[NDArray[np.intp]]:
    for first in range(0, rows, BLOCK):
        yield np.arange(first, min(first + BLOCK, rows))
