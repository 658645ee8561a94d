"""The text detector on a machine whose memory takes `ROOM` word pieces in one forward, and not one more.

Factory: `tests.fault.short_of_memory:build`, options as the text detector's. The warm-up has all the room it wants, as
on a machine that others fill up later. What is too much is really asked of torch's allocator, so the words are its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch

from detectors.loading.model_directory import open_directory
from detectors.options import checked
from detectors.text.detector import Options, TextDetector

ROOM: Final = 600
_MORE_THAN_THERE_IS: Final = 1 << 50  # floats


class ShortOfMemory(TextDetector):
    """See the module."""

    _room = 1 << 30

    def warm(self) -> None:
        super().warm()
        self._room = ROOM

    def _forward(self, chunks: Sequence[Sequence[int]]) -> torch.Tensor:
        if sum(map(len, chunks)) > self._room:
            torch.empty(_MORE_THAN_THERE_IS)
        return super()._forward(chunks)


def build(options: Mapping[str, Any]) -> ShortOfMemory:
    """As the text detector's."""
    chosen = checked(Options, options)
    return ShortOfMemory(open_directory(chosen.model), chosen)
