"""How a worker treats records at which whole workers have died: with smaller and smaller batches, then not at all.

A detector's death is the detector process's business. This is for what kills parent and child together, such as a
container's memory limit. The state travels as metadata of the committed offset, so it survives the worker:

    loaded          a worker reads it when it takes the partition over; deaths without progress shrink the limit
    dispatched      written before the first dispatch after that, and before each one while the limit is small
    progressed      what the next commit carries: the deaths are forgotten, the limit lasts until the horizon is passed
    handed_back     the dispatch was given up in an orderly way: nobody died
"""

from dataclasses import dataclass, replace

DEATHS_BEFORE_CAUTION = 2  # a worker killed for another reason costs nobody anything
SHRINK = 8
SOLO_DEATHS = 2  # a record that was alone in the worker (stream.intake) this often when it died is not tried again
NO_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Caution:
    """Deaths at the committed offset of one source partition.

    attempts  dispatches from this offset that never came to a commit
    solo      those of them in which the record at this offset was alone
    limit     at most so many records of this partition at once
    horizon   the offset after the last record that was dispatched in vain
    """

    attempts: int = 0
    solo: int = 0
    limit: int = NO_LIMIT
    horizon: int = 0

    @property
    def careful(self) -> bool:
        """Whether each dispatch is to be written down beforehand and waited for."""
        return self.limit < NO_LIMIT

    @property
    def condemned(self) -> bool:
        """Whether the record at the committed offset is to be decided without asking any detector."""
        return self.solo >= SOLO_DEATHS

    def loaded(self, batch_size: int) -> "Caution":
        """As the next owner of the partition sees it."""
        if self.attempts < DEATHS_BEFORE_CAUTION:
            return self
        return replace(self, limit=max(1, min(self.limit, batch_size) // SHRINK))

    def dispatched(self, end: int) -> "Caution":
        """Before records up to offset `end` (exclusive) are handed to the detectors."""
        return replace(
            self,
            attempts=self.attempts + 1,
            solo=self.solo + (self.limit == 1),
            horizon=max(self.horizon, end),
        )

    def progressed(self, position: int) -> "Caution":
        """After a commit up to `position` (exclusive)."""
        if position >= self.horizon:
            return CAREFREE
        return replace(self, attempts=0, solo=0)

    def handed_back(self) -> "Caution":
        """The last dispatch was given up without a death."""
        return replace(self, attempts=max(0, self.attempts - 1), solo=max(0, self.solo - (self.limit == 1)))


CAREFREE = Caution()
