"""The search for guilty rows, without a process: whatever fails, whatever the hints, it ends and is right."""

from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.runtime import breaker
from detectors.runtime.breaker import Breaker
from detectors.runtime.guilt import DEADLY, TRIALS, accused, failed, narrow
from schemas.statuses import Reason

Hint = Callable[[list[int], int], int | None]  # rows of the task, position of the guilty one → the hint left behind

HINTS: dict[str, Hint] = {
    "exact": lambda rows, at: at,
    "micro-batch": lambda rows, at: at // 8 * 8,
    "none": lambda rows, at: None,
    "late": lambda rows, at: min(at + 1, len(rows) - 1),
    "stuck": lambda rows, at: 0,
    "absurd": lambda rows, at: 10_000,
}


@given(rows=st.integers(2, 500), hint=st.none() | st.integers(-3, 600), step=st.integers(0, 600))
def test_a_split_keeps_every_row_once_and_every_part_is_smaller(rows: int, hint: int | None, step: int):
    split = narrow(rows, hint, step)
    spans = sorted(split.bulk + split.suspects)
    assert [at for start, end in spans for at in range(start, end)] == list(range(rows))
    assert all(0 < end - start < rows for start, end in spans)
    assert not split.certain or [end - start for start, end in split.suspects] == [1]


def test_a_hint_for_each_row_names_the_suspect_at_once():
    split = narrow(100, 40, 1)
    assert split.certain
    assert split.suspects == ((40, 41),)
    assert split.bulk == ((0, 40), (41, 100))


def test_a_hint_for_each_micro_batch_leaves_its_rows_under_suspicion():
    split = narrow(100, 32, 16)
    assert split.suspects == tuple((at, at + 4) for at in range(32, 48, 4))
    assert split.bulk == ((0, 32), (48, 100))


@given(
    rows=st.integers(1, 120),
    guilty=st.sets(st.integers(0, 119), max_size=12),
    hint=st.sampled_from(sorted(HINTS)),
    step=st.sampled_from([1, 8, 50]),
)
def test_the_search_ends_and_finds_exactly_the_guilty(rows: int, guilty: set[int], hint: str, step: int):
    failures = 0
    cleared: list[int] = []
    convicted: list[int] = []
    tasks = deque([list(range(rows))])
    while tasks:
        task = tasks.popleft()
        positions = [at for at, row in enumerate(task) if row in guilty]
        if not positions:
            cleared += task
            continue
        failures += 1
        if len(task) == 1:
            convicted += task
            continue
        split = narrow(len(task), HINTS[hint](task, positions[0]), step)
        tasks.extend(task[start:end] for start, end in split.bulk + split.suspects)
    assert sorted(convicted) == sorted(guilty & set(range(rows)))
    assert sorted(cleared + convicted) == list(range(rows))
    assert failures <= max(rows, 40 * len(guilty))  # a hint that never moves clears one row at a time


@pytest.mark.parametrize("reason", sorted(DEADLY))
def test_a_death_counts_only_against_a_fresh_process(reason: Reason):
    trial = accused(reason)
    assert trial.fresh
    assert trial.wanted == TRIALS
    assert failed(trial, reason, fresh=False).failures == ()
    once = failed(trial, reason, fresh=True)
    assert once.verdict is None
    assert once.wanted == 1
    assert failed(once, reason, fresh=True).verdict is reason


def test_one_that_raises_alone_twice_is_guilty_without_a_fresh_process():
    trial = accused(Reason.raised)
    assert not trial.fresh
    for _ in range(TRIALS):
        assert trial.verdict is None
        assert trial.wanted == 1
        trial = failed(trial, Reason.raised, fresh=False)
    assert trial.verdict is Reason.raised


def test_one_that_raised_and_then_kills_is_tried_in_fresh_processes():
    trial = failed(accused(Reason.raised), Reason.crashed, fresh=False)
    assert trial.fresh
    assert trial.verdict is None
    assert trial.wanted == TRIALS


# --- the breaker


def test_a_breaker_waits_twice_as_long_after_each_failed_canary_up_to_half_a_minute():
    state, now, waits = Breaker(), 100.0, []
    for _ in range(7):
        state = breaker.canary_failed(state, now)
        assert state.is_open
        assert state.probe_at is not None
        assert not state.due(state.probe_at - 0.01)
        waits.append(state.probe_at - now)
        now = state.probe_at
        assert state.due(now)
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_a_closed_breaker_is_never_due():
    assert not Breaker().is_open
    assert not Breaker().due(1e9)
