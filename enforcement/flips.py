"""The guard of a migration: how often the candidate would treat an account otherwise than the model in force.

One comparison is one account in one event of which both gates were worked out, if either model knows its age. It counts
as a flip if one of the models lets the account pass a gate and the other does not. Once the share of flips among the
last comparisons is above what the pack allows, the candidate decides for nobody: until the worker starts anew, since
accounts would else go back and forth. Each worker counts what it decides itself.
"""

from collections import deque
from typing import Final

import structlog

WINDOW: Final = 10_000  # comparisons that are looked back on
LEAST: Final = 500  # before so many nothing is concluded

_log = structlog.get_logger(__name__)


class FlipGuard:
    """Counts comparisons, and stops the candidate.

    Attributes:
        compared, flipped: since the start.
        stopped: whether the candidate decides for nobody any more.
    """

    def __init__(self, most: float, *, decides: bool) -> None:
        """Nothing is compared yet.

        Args:
            most: the largest share of flips that is allowed, 0 to 1.
            decides: whether the candidate decides for anybody; else it is compared, and there is nothing to stop.
        """
        self._decides = decides
        self.compared = self.flipped = 0
        self.stopped = False
        self._most = most
        self._batches: deque[tuple[int, int]] = deque()  # the last ones: compared, flipped
        self._seen = self._differed = 0  # of these

    def saw(self, compared: int, flipped: int) -> None:
        """Count a batch."""
        if not compared:
            return
        self.compared += compared
        self.flipped += flipped
        self._batches.append((compared, flipped))
        self._seen += compared
        self._differed += flipped
        while self._seen - self._batches[0][0] >= WINDOW:
            gone, differed = self._batches.popleft()
            self._seen -= gone
            self._differed -= differed
        if self._decides and not self.stopped and self._seen >= LEAST and self._differed > self._most * self._seen:
            self.stopped = True
            share = round(self._differed / self._seen, 4)
            _log.error("the candidate's ages decide for nobody: they change too much", share=share, most=self._most)
