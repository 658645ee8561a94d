"""From columns to what the network reads: (n, F) float32, with an indicator of its own for each signal that is missing.

What was learnt of each signal on the training part (quantiles, vocabularies) stands in the model's config.json; what is
learnt of texts, in its tensors. Where a signal is missing its columns are 0 and its indicator is 1. A category that is
in no vocabulary sets the column "other"; a number beyond all that were seen goes on in a straight line, up to a bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from detectors.age import cells
from detectors.age.spec import Signal
from detectors.age.table import Column, Table
from detectors.age.words import Texts

Matrix = NDArray[np.float32]
_FARTHEST: Final = 6.0  # standard deviations: numbers are never farther out


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NumberStatistics(_Strict):
    """A number or count: its quantiles become those of the normal distribution; and where it lies among its bins."""

    kind: Literal["number", "count"]
    landmarks: tuple[float, ...] = Field(min_length=2, description="Rising values; of a count, log(1 + value).")
    scores: tuple[float, ...] = Field(min_length=2, description="The normal quantile of each.")
    bins: tuple[float, ...] = Field(default=(), description="Inner borders of bins of about equal count, as scores.")

    @property
    def width(self) -> int:
        """Columns, without the indicator."""
        return 1 + len(self.bins)

    def matrix(self, column: Column, signal: Signal) -> tuple[Matrix, NDArray[np.bool_]]:
        """(n, width), and (n,) where it is known."""
        z = self.z(cells.numbers(column.without(signal.missing)))
        ramps = [np.clip(z - border, -0.5, 0.5) for border in self.bins]
        found = np.stack([z, *ramps], axis=1)
        known = ~np.isnan(z)
        return np.where(known[:, None], found, 0.0).astype(np.float32), known

    def z(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Normal scores; NaN stays one."""
        if self.kind == "count":
            values = np.sign(values) * np.log1p(np.abs(values))
        x, y = np.array(self.landmarks), np.array(self.scores)
        slope = (y[-1] - y[0]) / (x[-1] - x[0])
        beyond = (values - np.clip(values, x[0], x[-1])) * slope
        return np.asarray(np.clip(np.interp(values, x, y) + beyond, -_FARTHEST, _FARTHEST), np.float64)


class FlagStatistics(_Strict):
    """Yes or no."""

    kind: Literal["flag"] = "flag"

    @property
    def width(self) -> int:
        """Columns, without the indicator."""
        return 1

    def matrix(self, column: Column, signal: Signal) -> tuple[Matrix, NDArray[np.bool_]]:
        """(n, 1) of 1 and -1, and (n,) where it is known."""
        found = cells.flags(column.without(signal.missing))
        known = ~np.isnan(found)
        return np.where(known, 2 * found - 1, 0.0).astype(np.float32)[:, None], known


class WordStatistics(_Strict):
    """A category or tags: the words that were frequent enough, and a column for all others."""

    kind: Literal["category", "tags"]
    vocabulary: tuple[str, ...]

    @property
    def width(self) -> int:
        """Columns, without the indicator."""
        return len(self.vocabulary) + 1

    def matrix(self, column: Column, signal: Signal) -> tuple[Matrix, NDArray[np.bool_]]:
        """(n, width) of 0 and 1, and (n,) where it is known."""
        column = column.without(signal.missing)
        places = {word: place for place, word in enumerate(self.vocabulary)}
        of_values = np.zeros((len(column.values), self.width), np.float32)
        for row, value in enumerate(column.values):
            for word in said(value, signal):
                of_values[row, places.get(word, -1)] = 1.0
        return column.spread(of_values, 0.0), column.present


class TextStatistics(_Strict):
    """Texts, condensed to a few numbers: see `detectors.age.words`."""

    kind: Literal["text"] = "text"
    outputs: int = Field(gt=0)

    @property
    def width(self) -> int:
        """Columns, without the indicator."""
        return self.outputs + 1


Statistics = Annotated[NumberStatistics | FlagStatistics | WordStatistics | TextStatistics, Field(discriminator="kind")]


def said(value: Any, signal: Signal) -> tuple[str, ...]:
    """The words of a cell: of a category one, of tags any number."""
    return (cells.word(value, signal),) if signal.kind == "category" else cells.words(value, signal)


@dataclass(frozen=True, slots=True)
class Features:
    """All signals of a model, in order."""

    signals: Mapping[str, Signal]
    statistics: Mapping[str, NumberStatistics | FlagStatistics | WordStatistics | TextStatistics]
    texts: Mapping[str, Texts]  # of each signal of kind text

    @property
    def width(self) -> int:
        """F."""
        return sum(one.width + 1 for one in self.statistics.values())

    @property
    def owners(self) -> NDArray[np.int64]:
        """(F,) the place of the signal that each column belongs to."""
        widths = [one.width + 1 for one in self.statistics.values()]
        return np.repeat(np.arange(len(widths)), widths)

    @property
    def indicators(self) -> NDArray[np.int64]:
        """(S,) the column of each signal's indicator."""
        return np.cumsum([one.width + 1 for one in self.statistics.values()], dtype=np.int64) - 1

    def matrix(self, table: Table, condensed: Mapping[str, Matrix] | None = None) -> Matrix:
        """(n, F). `condensed`: in training, what was made of texts by models that had not seen them."""
        blocks: list[Matrix] = []
        for name, one in self.statistics.items():
            if isinstance(one, TextStatistics):
                block, known = self.texts[name].matrix(table[name].without(self.signals[name].missing))
                block = block if condensed is None else np.column_stack([condensed[name], block[:, -1:]])
            else:
                block, known = one.matrix(table[name], self.signals[name])
            blocks += [block, (~known[:, None]).astype(np.float32)]
        return np.concatenate(blocks, axis=1, dtype=np.float32) if blocks else np.zeros((len(table), 0), np.float32)

    def absurd(self, matrix: Matrix) -> NDArray[np.bool_]:
        """(n,) where any number is farther from all that were seen than is told apart."""
        starts = self.indicators - [one.width for one in self.statistics.values()]
        numbers = [isinstance(one, NumberStatistics) for one in self.statistics.values()]
        return np.asarray((np.abs(matrix[:, starts[np.array(numbers, bool)]]) >= _FARTHEST).any(axis=1), bool)

    def missing(self, matrix: Matrix) -> NDArray[np.bool_]:
        """(n, S) where a signal is missing."""
        return matrix[:, self.indicators] > 0.5


def emptied(matrix: Matrix, features: Features, drop: NDArray[np.bool_]) -> Matrix:
    """The matrix as if signals were missing where `drop` (n, S) is True."""
    found = np.where(drop[:, features.owners], np.float32(0), matrix)
    found[:, features.indicators] = np.where(drop, np.float32(1), matrix[:, features.indicators])
    return found
