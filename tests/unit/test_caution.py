"""Records that kill whole workers are reached and condemned after a bounded number of deaths, and nobody else is.

The model is the worker's loop without Kafka: what it commits, what it writes down before it dispatches, and what its
successor therefore knows.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.caution import CAREFREE, DEATHS_BEFORE_CAUTION, NO_LIMIT, SHRINK, SOLO_DEATHS, Caution

DEPTH = 3  # batches under way at once


@dataclass
class Partition:
    """One source partition of `size` records, across the lives of its workers."""

    size: int
    guilty: set[int]
    batch_size: int
    offset: int = 0
    caution: Caution = CAREFREE
    condemned: list[int] = field(default_factory=list)
    deaths: int = 0

    def live(self) -> bool:
        """One worker's life: True if it came to the end."""
        self.caution = self.caution.loaded(self.batch_size)
        written = False
        while self.offset < self.size:
            careful, condemned = self.caution.careful, self.caution.condemned
            end = min(self.size, self.offset + min(self.caution.limit, self.batch_size))
            if careful or not written:
                self.caution, written = self.caution.dispatched(end), True
            # a batch further on kills before this one is committed
            seen = end if careful else min(self.size, end + (DEPTH - 1) * self.batch_size)
            tried = set(range(self.offset + condemned, seen))
            if tried & self.guilty:
                self.deaths += 1
                return False
            if condemned:
                self.condemned.append(self.offset)
            self.offset, self.caution = end, self.caution.progressed(end)
        return True


def most_deaths(batch_size: int, guilty: int) -> int:
    """For each guilty record, in each batch before it is at the front: one that nobody wrote down, and
    DEATHS_BEFORE_CAUTION at each size of batch.
    """
    sizes, limit = 1, batch_size
    while limit > 1:
        limit //= SHRINK
        sizes += 1
    return guilty * DEPTH * (1 + DEATHS_BEFORE_CAUTION * sizes + SOLO_DEATHS)


@given(
    size=st.integers(1, 400),
    guilty=st.sets(st.integers(0, 399), max_size=5),
    batch_size=st.integers(1, 200),
)
@settings(max_examples=300)
def test_exactly_the_guilty_are_condemned_after_a_bounded_number_of_deaths(
    size: int, guilty: set[int], batch_size: int
) -> None:
    partition = Partition(size, {each for each in guilty if each < size}, batch_size)
    most = most_deaths(batch_size, len(partition.guilty))
    while not partition.live():
        assert partition.deaths <= most
    assert partition.condemned == sorted(partition.guilty)
    assert partition.offset == size


@pytest.mark.parametrize(("batch_size", "deaths"), [(1, 4), (8, 4), (64, 5), (1000, 6)])
def test_how_many_deaths_one_record_at_the_front_costs(batch_size: int, deaths: int) -> None:
    """Two before caution, one at each size of batch, two alone."""
    partition = Partition(5000, {0}, batch_size)
    while not partition.live():
        pass
    assert partition.deaths == deaths


@given(st.lists(st.sampled_from(["die", "commit", "hand back"]), max_size=30), st.integers(2, 2000))
def test_an_innocent_record_is_condemned_only_if_it_was_alone_when_workers_died(
    fates: list[str], batch_size: int
) -> None:
    """Whatever befalls workers: a record is condemned after SOLO_DEATHS deaths alone, with no commit between."""
    caution, alone, offset = CAREFREE, 0, 0
    for fate in fates:
        caution = caution.loaded(batch_size)
        size = min(caution.limit, batch_size)
        dispatched = caution.dispatched(offset + size)
        if fate == "die":
            alone += size == 1
            caution = dispatched
        elif fate == "commit":
            offset, alone = offset + size, 0
            caution = dispatched.progressed(offset)
        else:
            caution = dispatched.handed_back()
        assert caution.condemned == (alone >= SOLO_DEATHS)


@given(st.integers(1, 2000), st.integers(0, 5), st.integers(0, 100))
def test_a_dispatch_handed_back_is_no_death(batch_size: int, deaths: int, offset: int) -> None:
    caution = CAREFREE
    for _ in range(deaths):
        caution = caution.loaded(batch_size).dispatched(offset + 1)
    loaded = caution.loaded(batch_size)
    back = loaded.dispatched(offset + 1).handed_back()
    assert (back.attempts, back.solo, back.limit) == (loaded.attempts, loaded.solo, loaded.limit)


def test_one_death_costs_nobody_anything_and_past_the_horizon_all_is_forgotten() -> None:
    once = CAREFREE.dispatched(100).loaded(1000)
    assert once.limit == NO_LIMIT
    careful = once.dispatched(100).loaded(1000)
    assert careful.limit == 1000 // SHRINK
    assert careful.progressed(99).careful
    assert careful.progressed(100) == CAREFREE
