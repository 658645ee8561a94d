"""The circuit breaker of one detector: what to do while its device, not a record, is at fault.

    closed ──canary fails in a fresh process──► open ──after `delay`──► half-open: one canary
       ▲                                          ▲                          │
       └──────────────canary passes───────────────┼──────────────────────────┤
                                                  └──canary fails: 2 x delay─┘

An open breaker answers every row with `error`/`device` at once. A value, not an object with a clock: time comes in.
(pybreaker and its like wrap a function call and count exceptions; here success is a canary and failure a process.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FIRST_DELAY: Final = 1.0  # seconds
LONGEST_DELAY: Final = 30.0
AWAY: Final = "its server does not answer"  # the one fault that a worker starts with: it may be back in a minute


@dataclass(frozen=True, slots=True)
class Breaker:
    """`probe_at` is None while closed; times are seconds of one monotonic clock."""

    probe_at: float | None = None
    delay: float = FIRST_DELAY

    @property
    def is_open(self) -> bool:
        """Nothing but a canary may be sent to the device."""
        return self.probe_at is not None

    def due(self, now: float) -> bool:
        """Half-open: send a canary."""
        return self.probe_at is not None and now >= self.probe_at


def canary_failed(breaker: Breaker, now: float) -> Breaker:
    """Open, or open again for twice as long."""
    if not breaker.is_open:
        return Breaker(now + FIRST_DELAY, FIRST_DELAY)
    delay = min(2 * breaker.delay, LONGEST_DELAY)
    return Breaker(now + delay, delay)


class Breakers:
    """One for each detector, by its place."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._states = [Breaker() for _ in names]
        self._faults: dict[int, str] = {}

    def is_open(self, detector: int) -> bool:
        """Whether its device is held at fault."""
        return self._states[detector].is_open

    @property
    def closed(self) -> list[int]:
        """The detectors that may score."""
        return [place for place, state in enumerate(self._states) if not state.is_open]

    @property
    def all_closed(self) -> bool:
        """Whether every detector may score."""
        return not any(state.is_open for state in self._states)

    def due(self, now: float) -> list[int]:
        """The detectors that are to be probed."""
        return [place for place, state in enumerate(self._states) if state.due(now)]

    def anything_to_do(self, now: float) -> bool:
        """Whether any detector may score or is to be probed."""
        return any(not state.is_open or state.due(now) for state in self._states)

    @property
    def faults(self) -> list[tuple[str, str]]:
        """The detectors that are at fault, and where they failed."""
        return [(self._names[place], where) for place, where in self._faults.items()]

    def failed(self, detector: int, now: float, where: str) -> bool:
        """Open; says whether it was closed before."""
        was_open = self.is_open(detector)
        self._states[detector] = canary_failed(self._states[detector], now)
        self._faults[detector] = where
        return not was_open

    def passed(self, detector: int) -> bool:
        """Close; says whether it was open before."""
        was_open = self.is_open(detector)
        self._states[detector] = Breaker()
        self._faults.pop(detector, None)
        return was_open
