"""What detectors may read of a batch of events: columns, as everywhere."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from schemas.attachments import Attachment
from schemas.roles import Role

__all__ = ["Attachment", "Items"]

# An attachment is about as much work as so many characters of text; an address of bytes counts by its length.
ATTACHMENT_UNITS: Final = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """`n` events, a row each; each column has length `n`."""

    texts: Sequence[str]  # "" where there is none
    languages: Sequence[str]  # BCP 47 as the platform says, "" unknown
    attachments: Sequence[Sequence[Attachment]]  # () nearly always

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Texts alone, of unknown language."""
        return cls(texts, [""] * len(texts), [()] * len(texts))

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> "Items":
        """The rows at these positions, in their order."""
        at = rows.tolist() if isinstance(rows, np.ndarray) else rows
        return Items(
            [self.texts[row] for row in at], [self.languages[row] for row in at], [self.attachments[row] for row in at]
        )

    def units(self, modalities: Collection[str] = tuple(Role)) -> NDArray[np.float64]:
        """How much work each row is for a detector that reads these roles, in characters of text: (n,)."""
        units = np.zeros(len(self), np.float64)
        if Role.TEXT in modalities:
            units += np.fromiter(map(len, self.texts), np.float64, len(self))
        for row, found in enumerate(self.attachments):
            if found:
                units[row] += sum(ATTACHMENT_UNITS + len(each.uri) for each in found if each.role in modalities)
        return units

    def readable(self, modalities: Collection[str]) -> NDArray[np.bool_]:
        """Which rows have anything for a detector that reads these roles: (n,)."""
        readable = np.zeros(len(self), np.bool_)
        if Role.TEXT in modalities:
            readable |= np.fromiter(map(bool, self.texts), np.bool_, len(self))
        for row, found in enumerate(self.attachments):
            if found and not readable[row]:
                readable[row] = any(each.role in modalities for each in found)
        return readable
