"""How much goes to a detector at once, and how long it may be silent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.runtime.pace import (
    FEWEST_ROWS,
    LEAST_PATIENCE,
    LONGEST_SLICE,
    MOST_ROWS,
    MOST_UNITS,
    ROW_UNITS,
    SLACK,
    Pace,
)


def shown(seconds_per_row: float, deadline: float = 5.0, step: int = 1) -> Pace:
    """A pace after a hundred rows of 100 characters."""
    pace = Pace(deadline)
    pace.measured(100 * 200.0, 100 * seconds_per_row, step)
    return pace


@given(lengths=st.lists(st.integers(0, 2_000_000), min_size=1, max_size=200), rate=st.none() | st.floats(1e-9, 1.0))
def test_a_slice_has_at_least_one_row_and_is_bounded(lengths: list[int], rate: float | None):
    units = np.array(lengths, np.float64) + ROW_UNITS
    count = Pace(5.0, per_unit=rate).rows(units)
    assert 1 <= count <= min(len(lengths), MOST_ROWS)
    assert count == 1 or units[:count].sum() <= MOST_UNITS


@pytest.mark.parametrize(
    ("seconds_per_row", "rows"), [(0.002, LONGEST_SLICE / 0.002), (1e-6, MOST_ROWS), (1.0, FEWEST_ROWS)]
)
def test_a_slice_is_what_may_be_lost_when_a_process_dies(seconds_per_row: float, rows: float):
    assert shown(seconds_per_row).rows(np.full(10_000, 200.0)) == pytest.approx(rows, abs=1)


def test_slices_shrink_with_faults_and_recover():
    pace = shown(0.002)
    units = np.full(10_000, 200.0)
    calm = pace.rows(units)
    for _ in range(10):
        pace.fault()
    assert pace.rows(units) < calm / 4
    for _ in range(100):
        pace.measured(200.0, 0.002, 1)
    assert pace.rows(units) == pytest.approx(calm, abs=1)


def test_a_row_on_trial_has_the_deadline_or_ten_times_what_its_length_lets_expect():
    pace = shown(0.002, deadline=0.3)
    assert pace.limit(200.0) == 0.3
    assert pace.limit(100_000.0) == pytest.approx(SLACK * 0.002 * 500)


def test_the_bulk_is_given_less_patience_than_a_trial_and_more_where_a_restart_is_dear():
    pace = shown(0.002)
    assert pace.patience(10_000.0, 200.0, 50, restart=0.02) == LEAST_PATIENCE
    assert pace.patience(10_000.0, 200.0, 50, restart=1.0) == 2.0
    assert pace.patience(10_000.0, 200.0, 50, restart=60.0) == pace.limit(10_000.0)


def test_patience_is_for_the_rows_between_two_hints_or_the_longest_row():
    by_row, by_micro_batch = shown(0.1), shown(0.1, step=16)
    assert by_row.patience(10_000.0, 200.0, 50, restart=0.0) == pytest.approx(SLACK * 0.1)
    assert by_micro_batch.patience(10_000.0, 200.0, 50, restart=0.0) == pytest.approx(SLACK * 1.6)
    assert by_row.patience(60_000.0, 50_000.0, 50, restart=0.0) == pytest.approx(SLACK * 25)


def test_patience_grows_with_false_alarms_and_not_with_real_hangs():
    pace = shown(0.001, deadline=5.0)

    def patience() -> float:
        return pace.patience(10_000.0, 200.0, 50, restart=0.0)

    pace.impatient()
    pace.hung()
    assert patience() == LEAST_PATIENCE
    for _ in range(10):
        pace.impatient()
    assert patience() == 5.0
