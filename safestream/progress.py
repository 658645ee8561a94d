"""Progress of a command that may take longer than two seconds, on standard error."""

import sys
import time
from typing import Final, Self, TextIO

_QUIET_SECONDS: Final = 2.0  # what is over by then needs no progress
_EVERY_TERMINAL: Final = 0.2
_EVERY_LOG: Final = 5.0


class Progress:
    """A line that counts: rewritten in place on a terminal, written anew now and then elsewhere."""

    def __init__(self, doing: str, stream: TextIO | None = None) -> None:
        """`doing` is what the line begins with, such as "producing"."""
        self._doing = doing
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._started = time.monotonic()
        self._next = self._started + _QUIET_SECONDS
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown and self._terminal:
            self._stream.write("\r\033[K")
            self._stream.flush()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started

    def show(self, count: int, total: int | None = None, also: str = "") -> None:
        """Say how far it is, if it is time to."""
        now = time.monotonic()
        if now < self._next:
            return
        of = f" of {total:,}" if total is not None else ""
        line = f"{self._doing}: {count:,}{of}, {count / (now - self._started):,.0f}/s{also}"
        self._stream.write(f"\r\033[K{line}" if self._terminal else f"{line}\n")
        self._stream.flush()
        self._shown = True
        self._next = now + (_EVERY_TERMINAL if self._terminal else _EVERY_LOG)


def say(line: str) -> None:
    """On a terminal each line takes the place of the one before."""
    print(f"\r\033[K{line}" if sys.stderr.isatty() else line, end="" if sys.stderr.isatty() else "\n", file=sys.stderr)
    sys.stderr.flush()
