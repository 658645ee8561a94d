"""Who made the detector fail? Pure functions; nothing here runs a detector.

    a task fails ──► rows before the hint        go on with the bulk: the detector had passed them
                     suspects: hint … hint+step  are tried in about √k parts of √k rows, in another process
                     rows after                  go on with the bulk
    one row under suspicion fails ──► trial: alone, after a canary batch passed in the same process; twice
    trial: fails both times → guilty.  Comes back once → innocent, and its score counts.
           canary fails → the device is at fault, nobody is blamed.

Each failure splits its task into strictly smaller ones, so a wrong hint costs time and never an innocent record, and
the search ends. A death counts only against a process that had scored nothing but the canary.
"""

from dataclasses import dataclass, replace
from math import isqrt
from typing import Final

from schemas.statuses import Reason

TRIALS: Final = 2
GUILTY: Final = (Reason.raised, Reason.crashed, Reason.hung, Reason.memory, Reason.not_a_number)
DEADLY: Final = frozenset({Reason.crashed, Reason.hung, Reason.memory})

Span = tuple[int, int]  # positions in a task's rows, the end excluded


@dataclass(frozen=True, slots=True)
class Split:
    """What to try next: spans that together hold each row of the failed task once."""

    bulk: tuple[Span, ...]
    suspects: tuple[Span, ...]
    certain: bool  # the hint names one row: it may go to trial at once


def narrow(rows: int, hint: int | None, step: int) -> Split:
    """Split a failed task of at least two rows.

    Args:
        rows: in the task.
        hint: position the detector last said it was at, if it said any.
        step: rows that it works on between two hints, as far as is known.
    """
    if hint is None or not 0 <= hint < rows:
        return Split((), _parts(0, rows), certain=False)
    end = min(rows, hint + max(1, step))
    bulk = tuple(span for span in ((0, hint), (end, rows)) if span[0] < span[1])
    return Split(bulk, _parts(hint, end), certain=end - hint == 1)


def _parts(start: int, end: int) -> tuple[Span, ...]:
    """About √k parts of √k rows: the guilty one of k is alone after two more failures, at √k tasks each."""
    size = isqrt(end - start)
    return tuple((at, min(at + size, end)) for at in range(start, end, size))


@dataclass(frozen=True, slots=True)
class Trial:
    """One row's trial so far."""

    fresh: bool  # it must begin in a process that has scored nothing but the canary
    failures: tuple[Reason, ...] = ()

    @property
    def wanted(self) -> int:
        """How many more times the row must be tried alone; two deadly trials may run side by side."""
        return TRIALS - len(self.failures) if self.fresh else 1

    @property
    def verdict(self) -> Reason | None:
        """Why the row is guilty; None as long as it isn't."""
        return self.failures[-1] if len(self.failures) >= TRIALS else None


def accused(reason: Reason) -> Trial:
    """The trial of a row that failed with `reason` in the company of others, or in a process that was not fresh."""
    return Trial(fresh=reason in DEADLY)


def failed(trial: Trial, reason: Reason, *, fresh: bool) -> Trial:
    """The row failed alone, after the canary had passed; `fresh`: in a process that had scored nothing else."""
    if reason in DEADLY and not fresh:
        return replace(trial, fresh=True)  # it is deadlier than it seemed: such evidence counts from a fresh one only
    return Trial(trial.fresh or reason in DEADLY, (*trial.failures, reason))
