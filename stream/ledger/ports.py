"""What the process is given: the fold. It knows nothing of what an account's state holds."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Folded(Protocol):
    """What a record leads to."""

    @property
    def value(self) -> bytes:
        """The account's state after it."""
        ...

    @property
    def actions(self) -> Sequence[Mapping[str, Any]]:
        """Records of moderation.account-actions that follow."""
        ...

    @property
    def new(self) -> bool:
        """False for a record that was applied before: its value is the one before, and must be published again."""
        ...


class Folding(Protocol):
    """The fold, bound to its settings."""

    def step(self, value: bytes | None, topic: str, partition: int, offset: int, record: Mapping[str, Any]) -> Folded:
        """Fold a record into the state of its account.

        Raises:
            Poison: this can't be a record of the topic.
        """
        ...

    def join(self, a: bytes | None, b: bytes) -> bytes:
        """Of two rows of one account what has come furthest."""
        ...
