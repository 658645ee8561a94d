"""The short version of `make faults`: the trained text detector, and one of each fault, in at most 90 seconds."""

from pathlib import Path

import pytest

from tests.fault.run import SHORT, execute

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    """After every fault, each record has exactly one leaf and exactly one outcome, and the chains verify."""
    outcome = execute(SHORT, tmp_path, print)
    assert outcome.clean, outcome.report()
