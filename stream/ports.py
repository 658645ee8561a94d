"""What the worker is handed: who detects and who decides. Neither is known here by name."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.columns import Events, Scores


class Detectors(Protocol):
    """The detectors, in a process of their own. One thread calls these."""

    @property
    def room(self) -> int:
        """How many more batches `submit` takes now."""
        ...

    @property
    def restarts(self) -> int:
        """How often a scoring process was replaced."""
        ...

    @property
    def healthy(self) -> bool:
        """Whether the device answers."""
        ...

    def submit(self, number: int, events: Events) -> None:
        """Hand over a batch; returns at once."""
        ...

    def collect(self, timeout: float) -> tuple[int, Scores] | None:
        """The next batch scored, in the order of submission; None after `timeout` seconds without one."""
        ...

    def discard(self) -> None:
        """Forget every outstanding batch."""
        ...


class Verdicts(Protocol):
    """What was decided on the `n` events of a batch, encoded."""

    @property
    def actions(self) -> NDArray[np.uint8]:
        """Shape (n,): `schemas.actions.Action`."""
        ...

    @property
    def degraded(self) -> NDArray[np.bool_]:
        """Shape (n,): decided without something that policy asked for."""
        ...

    @property
    def decisions(self) -> list[bytes]:
        """Values for moderation.decisions."""
        ...

    @property
    def leaf_bodies(self) -> list[bytes]:
        """Bodies of the leaves, to follow the fixed header."""
        ...

    @property
    def ledger_inputs(self) -> list[bytes | None]:
        """Values for moderation.ledger-inputs; None where the ledger need not know."""
        ...

    @property
    def second_looks(self) -> list[bytes | None]:
        """Values for moderation.second-look; None where nobody is still to look."""
        ...


class Flips(Protocol):
    """How often two models of age were compared since the start, and how often they differed."""

    compared: int
    flipped: int
    stopped: bool  # the candidate decides for nobody any more


class Judge(Protocol):
    """Decides, and says what goes into the audit. Pure but for the salts it draws, and the states it reads."""

    @property
    def flips(self) -> Flips | None:
        """How the candidate's ages differ from those in force; None without a candidate."""
        ...

    def judge(self, events: Events, scores: Scores, now_ms: int) -> Verdicts:
        """Decide a batch; never raises because of an event."""
        ...

    def dead_letter_body(
        self,
        *,
        reason: str,
        topic: str,
        timestamp_ms: int,
        attempt: int,
        value: bytes | None,
        origin: str | None,
        salt: bytes,
        now_ms: int,
    ) -> bytes:
        """Body of the leaf of a record that can't be decoded."""
        ...

    def recorded_body(self, *, topic: str, timestamp_ms: int, value: bytes, salt: bytes | None, now_ms: int) -> bytes:
        """Body of the leaf of a control or a review."""
        ...

    def genesis_body(self, *, topic: str, cluster_id: str, previous_topic_id: bytes | None, now_ms: int) -> bytes:
        """Body of the leaf that begins a chain."""
        ...

    def lost_body(self, *, topic: str, first: int, next_offset: int, now_ms: int) -> bytes:
        """Body of the leaf for offsets [first, next_offset) that the log no longer has."""
        ...

    def next_offset(self, leaf: bytes) -> int:
        """The source offset that follows what a leaf stands for."""
        ...

    def topic_of_genesis(self, leaf: bytes) -> str | None:
        """The topic's name in a genesis leaf; None for any other leaf."""
        ...
