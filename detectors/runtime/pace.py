"""How fast a detector is, and what follows: how much to send it at once, and how long to wait for it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

ROW_UNITS: Final = 100  # a row costs about as much as this many characters more
MOST_ROWS: Final = 4096  # in a task
MOST_UNITS: Final = 4_000_000  # in a task: bounds what is encoded, in flight, at once
LONGEST_SLICE: Final = 0.1  # seconds of work lost when a process dies, at most
SHORTEST_SLICE: Final = 0.01
FEWEST_ROWS: Final = 8
SLACK: Final = 10  # times longer than expected is suspicious
LEAST_PATIENCE: Final = 0.1  # seconds: above what a busy machine's scheduler takes, as a rule


@dataclass(slots=True)
class Pace:
    """Measured on what one detector did. Work is counted in units: characters, and `ROW_UNITS` a row."""

    deadline: float  # seconds that a row alone may be silent
    per_unit: float | None = None  # seconds, moving average
    slice_seconds: float = LONGEST_SLICE
    step: int = 1  # longest stretch of rows seen between two hints
    least_patience: float = LEAST_PATIENCE

    def measured(self, units: float, seconds: float, step: int) -> None:
        """A task came back."""
        rate = seconds / max(units, ROW_UNITS)  # a canary of no rows is as little as work gets
        self.per_unit = rate if self.per_unit is None else 0.8 * self.per_unit + 0.2 * rate
        self.slice_seconds = min(LONGEST_SLICE, self.slice_seconds * 1.05)
        self.step = max(self.step, step)
        self.least_patience = max(LEAST_PATIENCE, self.least_patience * 0.995)

    def fault(self) -> None:
        """A task was lost: send smaller ones for a while, so that the next loss is smaller."""
        self.slice_seconds = max(SHORTEST_SLICE, self.slice_seconds * 0.7)

    def impatient(self) -> None:
        """Silence was taken for a hang: wait longer next time, unless `hung` says that it was one."""
        self.least_patience = min(2 * self.least_patience, max(self.deadline, LEAST_PATIENCE))

    def hung(self) -> None:
        """It was one."""
        self.least_patience = max(self.least_patience / 2, LEAST_PATIENCE)

    def rows(self, units: NDArray[np.float64]) -> int:
        """How many of the rows, whose work is `units`, to send as one task; at least one."""
        budget = MOST_UNITS if not self.per_unit else min(MOST_UNITS, self.slice_seconds / self.per_unit)
        fitting = int(np.searchsorted(np.cumsum(units[:MOST_ROWS]), budget, side="right"))
        fewest = FEWEST_ROWS if units[:FEWEST_ROWS].sum() < MOST_UNITS else 1
        return min(len(units), max(fitting, fewest))

    def limit(self, units: float) -> float:
        """Seconds of silence that a row on trial is allowed."""
        return max(self.deadline, SLACK * (self.per_unit or 0.0) * units)

    def patience(self, units: float, largest: float, rows: int, restart: float) -> float:
        """Seconds of silence after which a task of several rows is taken from its process.

        Shorter than the deadline where a fresh process is cheap: this convicts nobody, a trial has all the time.
        """
        a_step = (self.per_unit or self.deadline) * max(largest, units * min(1.0, self.step / rows))
        return min(self.limit(units), max(self.least_patience, 2 * restart, SLACK * a_step))
