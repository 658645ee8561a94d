"""The text detector with room for less than the forward that its token budget allows, as on a machine that is full.

Factory: `tests.fault.short_of_memory:build`, options as the text detector's. The warm-up has all the room it wants; it
measures what the whole budget takes. Then each forward may take `_SHARE` of that more than the process has. The limit
is the kernel's, on address space, so it is torch that finds no memory, and says so in its own words.
"""

import ctypes
import resource
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
from torch import Tensor

from detectors.model_directory import open_directory
from detectors.options import checked
from detectors.text import Options, TextDetector

_SHARE: Final = 0.75  # half the tokens take half of it, and a little
_STATUS: Final = Path("/proc/self/status")


class ShortOfMemory(TextDetector):
    """See the module."""

    _room = resource.RLIM_INFINITY  # bytes; while it warms up, there is enough

    def warm(self) -> None:
        super().warm()
        _trim()
        before = psutil.Process().memory_info().rss
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # begins the peak anew
        self._forward_of(self._budget.tokens)
        self._room = int(_SHARE * (_peak() - before))

    def _forward(self, chunks: Sequence[Sequence[int]]) -> Tensor:
        _trim()
        with _room_for(self._room):
            return super()._forward(chunks)


def _trim() -> None:
    """What the C library keeps for later would be room beyond the limit."""
    ctypes.CDLL(None).malloc_trim(0)


def _peak() -> int:
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


@contextmanager
def _room_for(more: int) -> Iterator[None]:
    """Address space for so many bytes more than the process has now."""
    if more != resource.RLIM_INFINITY:
        more += psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (more, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def build(options: Mapping[str, Any]) -> ShortOfMemory:
    """As the text detector's."""
    chosen = checked(Options, options)
    return ShortOfMemory(open_directory(chosen.model), chosen)
