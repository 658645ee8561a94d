"""Labelled texts, one by one and as columns."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.categories import Category

CATEGORIES: Final = (
    Category.HATE,
    Category.HARASSMENT,
    Category.PROFANITY,
    Category.THREAT,
    Category.SEXUAL,
    Category.SPAM,
    Category.SCAM,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text. Rows of one `group` must share a split."""

    text: str
    source: str
    group: str
    labels: tuple[float, ...]  # as CATEGORIES: 1, 0, or NaN where the source does not say
    kind: str = ""  # of a contrast case


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """`n` labelled texts as columns."""

    texts: list[str]
    sources: list[str]
    groups: list[str]
    labels: NDArray[np.float32]  # (n, len(CATEGORIES)), NaN where the source does not say

    @classmethod
    def of(cls, rows: list[Row]) -> "Examples":
        """The same as columns."""
        labels = np.array([row.labels for row in rows], np.float32).reshape(len(rows), len(CATEGORIES))
        return cls([row.text for row in rows], [row.source for row in rows], [row.group for row in rows], labels)

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.intp]) -> "Examples":
        """The rows at these positions, in this order."""
        return Examples(
            [self.texts[i] for i in rows],
            [self.sources[i] for i in rows],
            [self.groups[i] for i in rows],
            self.labels[rows],
        )
