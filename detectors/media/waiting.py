"""Waiting for what has no deadline of its own: drivers of stores, name servers, a network's disk."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final, TypeVar

from detectors.media.errors import MediaError

_SIGN_EVERY: Final = 0.05  # seconds: half of the least patience that anybody has with a detector

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T], alive: Callable[[], None]) -> T:
    """What `work` gives, done on a thread of its own, which is left behind when the time is over.

    Raises:
        MediaError: it took longer, or raised whatever it did.
    """
    done, ends = Future[T](), time.monotonic() + seconds
    threading.Thread(target=_do, args=(work, done), name="media", daemon=True).start()
    while not wait((done,), timeout=_SIGN_EVERY).done:
        alive()
        if time.monotonic() > ends:
            raise _slow(seconds)
    try:
        return done.result()
    except (MediaError, MemoryError):
        raise
    except TimeoutError:
        raise _slow(seconds) from None
    except Exception as error:  # noqa: BLE001 - a driver raises what its library does
        raise MediaError(f"it can't be fetched: {type(error).__name__}") from None


def _slow(seconds: float) -> MediaError:
    return MediaError(f"not here within {seconds:g} seconds")


def _do(work: Callable[[], T], done: "Future[T]") -> None:
    try:
        done.set_result(work())
    except Exception as error:  # noqa: BLE001 - for whoever waits
        done.set_exception(error)
