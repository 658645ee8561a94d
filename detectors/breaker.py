"""The circuit breaker of one detector: what to do while its device, not a record, is at fault.

    closed ──canary fails in a fresh process──► open ──after `delay`──► half-open: one canary
       ▲                                          ▲                          │
       └──────────────canary passes───────────────┼──────────────────────────┤
                                                  └──canary fails: 2 x delay─┘

An open breaker answers every row with `error`/`device` at once. A value, not an object with a clock: time comes in.
(pybreaker and its like wrap a function call and count exceptions; here success is a canary and failure a process.)
"""

from dataclasses import dataclass
from typing import Final

FIRST_DELAY: Final = 1.0  # seconds
LONGEST_DELAY: Final = 30.0


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
