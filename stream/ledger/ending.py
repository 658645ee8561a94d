"""Ends that leave nothing behind: the process stops at once, and what it had not acknowledged is read again."""

import os
import sys
import time
from collections.abc import Callable
from threading import Thread
from typing import Final

import structlog

EXIT: Final = 70  # "internal software error" of sysexits.h: a supervisor starts it again
_TICK_SECONDS: Final = 0.1
# Goes on while the machine is suspended, unlike CLOCK_MONOTONIC; macOS has none and its monotonic clock will do.
_BOOT_CLOCK: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)
_log = structlog.get_logger(__name__)


def end(why: str, error: BaseException | None = None) -> None:
    """End this process now, without Faust's own way of stopping, which would commit and flush."""
    _log.critical("the ledger ends", why=why, exc_info=error)
    sys.stderr.flush()
    os._exit(EXIT)


def elapsed() -> float:
    """Seconds since some moment, those of a suspended machine included where the system counts them."""
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)


class FreezeWatch:
    """Notices that the process stood still for so long that another may have taken its partitions.

    Broker-side fencing does not exist for what is written at least once: whoever was frozen (a suspended machine, a
    stopped container) and wakes would write rows that are older than its successor's. So it ends, before it writes.
    """

    def __init__(self, longest_seconds: float, clock: Callable[[], float] = elapsed) -> None:
        self._longest = longest_seconds
        self._clock = clock
        self._last = clock()

    def start(self) -> None:
        """Begin to tick, in a thread of its own."""
        Thread(target=self._run, name="freeze-watch", daemon=True).start()

    def check(self) -> None:
        """End the process if it stood still; to be called before each write."""
        stood = self._clock() - self._last
        if stood > self._longest:
            end(f"it stood still for {stood:.1f} s, and {self._longest:.1f} s are too long")

    def tick(self) -> None:
        """`check`, and begin to count anew."""
        self.check()
        self._last = self._clock()

    def _run(self) -> None:
        while True:
            self.tick()
            time.sleep(_TICK_SECONDS)
