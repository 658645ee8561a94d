"""The cascade: cheap detectors on everything, then the others on what is asked of them."""

from collections.abc import Callable, Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from detectors.interface import Description
from detectors.runtime.outstanding import Batch
from schemas.columns import Events, Scores
from schemas.errors import UserMistake

# Which rows the later detectors get, bool (n, len(later)); in the scores so far they are `skipped`.
Ask = Callable[[Events, Scores], NDArray[np.bool_]]

log = structlog.get_logger(__name__)


class Stages:
    """Which detectors come first, which later, and which batches have not been asked about."""

    def __init__(self, detectors: Sequence[Description], ask: Ask | None, later: Sequence[str]) -> None:
        """`later`: names, the columns of what `ask` answers.

        Raises:
            UserMistake: one that is not configured.
        """
        names = [each.name for each in detectors]
        if unknown := [name for name in later if name not in names]:
            raise UserMistake(f"asked for by policy, but not configured: {', '.join(unknown)} (there are: {names})")
        cheap_first = sorted(range(len(names)), key=lambda place: detectors[place].cost_ms)
        self.first = [place for place in cheap_first if ask is None or names[place] not in later]
        self._later = [names.index(name) for name in later] if ask else []
        self._ask = ask
        self._unasked: dict[Batch, None] = {}

    def begin(self, batch: Batch) -> None:
        """The first detectors have got it."""
        if self._later:
            self._unasked[batch] = None

    def withheld(self, batch: Batch, detector: int) -> bool:
        """Whether it isn't known yet what this detector gets of the batch."""
        return batch in self._unasked and detector in self._later

    def due(self) -> list[tuple[Batch, int]]:
        """Ask about the batches that the first detectors are done with: who gets their unsettled cells now."""
        ready = [batch for batch in self._unasked if not any(len(batch.unsettled(place)) for place in self.first)]
        for batch in ready:
            del self._unasked[batch]
            mask = self._asked(batch)
            for column, place in enumerate(self._later):
                batch.skip(place, np.flatnonzero(~mask[:, column]))
        return [(batch, place) for batch in ready for place in self._later]

    def _asked(self, batch: Batch) -> NDArray[np.bool_]:
        assert self._ask is not None
        try:
            return self._ask(batch.events, batch.scores()).reshape(len(batch), len(self._later))
        except Exception as error:  # noqa: BLE001  # asked in vain it is dear, not asked it is blind
            log.error("cascade_failed", error=type(error).__name__, events=len(batch))  # noqa: TRY400  # may quote content
            return np.ones((len(batch), len(self._later)), np.bool_)

    def forget(self) -> None:
        """All batches have been dropped."""
        self._unasked.clear()
