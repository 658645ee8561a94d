"""What a detector says of itself is checked before anything is decided by it."""

from typing import Any

import numpy as np
import pytest

from detectors.interface import Description
from detectors.null import build
from schemas.errors import UserMistake


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("version", None),
        ("version", ""),
        ("version", "x" * 10_000),
        ("categories", ("nonsense",)),
        ("categories", ("hate", "hate")),
        ("modalities", ("smell",)),
        ("modalities", ()),
        ("languages", frozenset({5})),
        ("cost_ms", np.nan),
    ],
)
def test_what_can_not_be_is_named(said: str, value: Any) -> None:
    """Taken as it is, each would let events pass, or end a worker in the middle of its work."""
    detector: Any = build({})
    assert Description.of("null", detector)
    odd = type("Odd", (), {name: getattr(detector, name) for name in Description.__slots__ if name != "name"})()
    setattr(odd, said, value)
    with pytest.raises(UserMistake, match=f"detector 'odd': its {said} can't be"):
        Description.of("odd", odd)
