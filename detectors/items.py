"""What detectors may read of a batch of events: columns, as everywhere."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from schemas.attachments import Attachment
from schemas.roles import SIGNALS, Role

__all__ = ["Attachment", "Items"]

# An attachment is about as much work as so many characters of text; an address of bytes counts by its length.
ATTACHMENT_UNITS: Final = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """`n` events, a row each; each column has length `n`."""

    texts: Sequence[str]  # "" where there is none
    languages: Sequence[str]  # BCP 47 as the platform says, "" unknown
    attachments: Sequence[Sequence[Attachment]]  # () nearly always
    signals: Sequence[Mapping[str, Any]] = ()  # of age, by field: text, numbers, truth values, lists; (): of no event

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
            [self.texts[row] for row in at],
            [self.languages[row] for row in at],
            [self.attachments[row] for row in at],
            [self.signals[row] for row in at] if self.signals else (),
        )

    def seen_by(self, modalities: Collection[str]) -> "Items":
        """The same without signals of age, for a detector that does not read them: they are no business of its."""
        if SIGNALS in modalities or not self.signals:
            return self
        return Items(self.texts, self.languages, self.attachments)

    def units(self, modalities: Collection[str] = (*Role, SIGNALS)) -> NDArray[np.float64]:
        """How much work each row is for a detector that reads these roles, in characters of text: (n,)."""
        units = np.zeros(len(self), np.float64)
        if Role.TEXT in modalities:
            units += np.fromiter(map(len, self.texts), np.float64, len(self))
        if SIGNALS in modalities and self.signals:
            units += [sum(len(each) for each in row.values() if isinstance(each, str)) for row in self.signals]
        for row, found in enumerate(self.attachments):
            if found:
                units[row] += sum(ATTACHMENT_UNITS + len(each.uri) for each in found if each.role in modalities)
        return units

    def readable(self, modalities: Collection[str]) -> NDArray[np.bool_]:
        """Which rows have anything for a detector that reads these roles: (n,)."""
        readable = np.zeros(len(self), np.bool_)
        if Role.TEXT in modalities:
            readable |= np.fromiter(map(bool, self.texts), np.bool_, len(self))
        if SIGNALS in modalities and self.signals:
            readable |= np.fromiter(map(bool, self.signals), np.bool_, len(self))
        for row, found in enumerate(self.attachments):
            if found and not readable[row]:
                readable[row] = any(each.role in modalities for each in found)
        return readable
