"""Where a detector found what, and in which bank: never the content itself, nor a word of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, Self


class BadEvidence(ValueError):
    """Not evidence: the detector that gave it is at fault. The message names the field, never its value."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One finding. What does not apply is None."""

    category: str  # a `schemas.categories.Category`, or what was seen: `text`, `speech`, `music`
    score: float  # of this finding alone
    attachment: int | None = None  # place among the event's attachments; None: its text
    frame: int | None = None  # of an animated image or a video
    box: tuple[int, int, int, int] | None = None  # x, y, width, height in pixels
    start_ms: int | None = None  # of a recording or a video
    end_ms: int | None = None
    bank: str | None = None  # known content: the bank's name
    hash: str | None = None  # … the bank's hash that matched, hexadecimal
    distance: int | None = None  # … bits between the two

    def as_json(self) -> dict[str, Any]:
        """What is known, as JSON takes it."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """What `as_json` gave."""
        known: dict[str, Any] = dict(said)
        if "box" in known:
            known["box"] = tuple(known["box"])
        return cls(**known)

    def check(self) -> None:
        """Whether every field has its type.

        Raises:
            BadEvidence: one has not; a detector's own carelessness must not travel into decisions.
        """
        for each in fields(self):
            if not _fits(each.name, getattr(self, each.name)):
                raise BadEvidence(f"evidence: its {each.name} is {type(getattr(self, each.name)).__name__}")


def _fits(name: str, value: Any) -> bool:
    if name == "score":
        return isinstance(value, float) and isfinite(value)
    if value is None:
        return name != "category"
    if name == "box":
        return isinstance(value, tuple) and len(value) == 4 and all(type(side) is int for side in value)
    return isinstance(value, str) if name in {"category", "bank", "hash"} else type(value) is int
