"""What the fault tests share."""

from collections.abc import Iterator

import pytest

from tests.fault.scoring import Start, clients


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts clients of real detector processes, and sees to it that nothing of them is left."""
    with clients() as start:
        yield start
