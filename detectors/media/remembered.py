"""Files that were fetched a moment ago: several detectors look at one attachment, and it is fetched once."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

MOST_BYTES: Final = 64 << 20  # of files and of their addresses, which strangers make as long as they like
MOST_FILES: Final = 1024
_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Medium:
    """A file that was fetched."""

    data: bytes
    sha256: bytes  # 32 bytes


class Remembered:
    """Address → file. The oldest go first: by age, number and size."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, Medium]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, uri: str) -> Medium | None:
        """The file, if it was fetched within the last minute."""
        while self._kept and time.monotonic() - next(iter(self._kept.values()))[0] > _SECONDS:
            self._forget_oldest()
        found = self._kept.get(uri)
        return found[1] if found else None

    def add(self, uri: str, medium: Medium) -> None:
        """Remember a file that is not remembered."""
        self._kept[uri] = time.monotonic(), medium
        self._bytes += len(uri) + len(medium.data)
        while self._bytes > MOST_BYTES or len(self._kept) > MOST_FILES:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        uri, (_, medium) = self._kept.popitem(last=False)
        self._bytes -= len(uri) + len(medium.data)
