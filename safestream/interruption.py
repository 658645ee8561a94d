"""Ctrl-C, SIGTERM and a closed terminal, for a command that has started processes which must not outlive it."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Inside the block the first of these signals raises KeyboardInterrupt; cleaning up is then left in peace."""

    def __init__(self, words: str) -> None:
        """`words` are said when it happens."""
        self._words = words
        self._held = False
        self._came = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._arrive) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        if not self._came:  # otherwise this process only ends
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _arrive(self, *_: object) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self._came = True
        print(f"\nsafestream: {self._words}", file=sys.stderr)
        if not self._held:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """A block that is interrupted after it, not within: starting a process and noting that it is ours."""
        self._held = True
        yield
        self._held = False
        if self._came:
            raise KeyboardInterrupt
