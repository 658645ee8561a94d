"""The circuit breaker of a server that many threads ask.

While it is open one question goes through when that is due, and what it finds decides. A question that began before the
last opening or closing says nothing of the server as it is now, so one outage counts once, whoever is under way.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from detectors.runtime.breaker import Breaker, canary_failed

FAILURES: Final = 4  # in a row, and the breaker opens
_log = structlog.get_logger(__name__)


class Unanswered(Exception):
    """No verdict on this question: the server does not answer it as agreed."""


class Away(Unanswered):
    """The server can't be reached, is late, overloaded or broken: whatever it is asked."""


class Outage:
    """Thread-safe."""

    def __init__(self, url: str) -> None:
        """`url`: of the server, for the log."""
        self._url = url
        self._lock = threading.Lock()
        self._breaker, self._failures = Breaker(), 0
        self._period = 0  # grows whenever the breaker opens or closes
        self._probing = False

    @contextmanager
    def question(self) -> Iterator[None]:
        """Around one question. Raises Away at once while the server is left alone; Away from within is a failure."""
        period, failed = self._began(time.monotonic()), False
        try:
            yield
        except Away:
            failed = True
            raise
        finally:
            self._ended(period, time.monotonic(), failed=failed)

    def _began(self, now: float) -> int:
        with self._lock:
            if self._breaker.is_open:
                if self._probing or not self._breaker.due(now):
                    raise Away("the server has failed several times and is left alone for a while")
                self._probing = True
            return self._period

    def _ended(self, period: int, now: float, *, failed: bool) -> None:
        with self._lock:
            if period != self._period:
                return
            self._failures = self._failures + 1 if failed else 0
            if failed and (self._breaker.is_open or self._failures >= FAILURES):
                self._turn(canary_failed(self._breaker, now))
                _log.warning("server_left_alone", url=self._url)
            elif self._breaker.is_open and not failed:
                self._turn(Breaker())
                _log.info("server_back", url=self._url)

    def _turn(self, breaker: Breaker) -> None:
        self._breaker, self._failures, self._probing = breaker, 0, False
        self._period += 1
