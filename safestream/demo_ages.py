"""The demo's scene with three accounts: each step goes out once the ledger knows what the step before has shown."""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from enforcement.ledger.view import view
from safestream.demo_tally import Tally
from safestream.demo_traffic import Ready, encoded
from safestream.sample_ages import ACCOUNTS, GATE, Step, account_id, age_steps
from schemas.registry import Registry

_KEYS: Final = frozenset(account_id(name).encode() for name in ACCOUNTS)
_ARRIVE_SECONDS: Final = 1.0  # a worker has a state a moment after it was published


class Scene:
    """Which events are due. `saw` is called by the thread that reads, `due` by the one that produces."""

    def __init__(self, registry: Registry, tally: Tally, reached: float) -> None:
        """`reached`: the P(age ≥ gate) of the pack's gate."""
        self._steps = [(step, [encoded(each, registry) for each in step.events]) for step in age_steps()]
        self._tally, self._reached = tally, reached
        self._known: dict[str, bool] = {}
        self._sent: Step | None = None
        self._since: float | None = None  # when it was seen that the next step may go

    def saw(self, key: bytes, value: bytes | None) -> None:
        """The ledger has published an account's state."""
        if key not in _KEYS:
            return
        reach: Mapping[int, float] = view(value, time.time_ns() // 1_000_000).reach.get("age", {})
        if GATE in reach:
            self._known[key.decode()] = reach[GATE] >= self._reached

    def due(self, now: float) -> Sequence[Ready]:
        """What is to be sent now, once."""
        if not self._steps or not self._may_go():
            return ()
        self._since = self._since or now
        if self._sent is not None and now - self._since < _ARRIVE_SECONDS:
            return ()
        (self._sent, events), self._since = self._steps.pop(0), None
        return events

    @property
    def over(self) -> bool:
        """Whether everything has been sent."""
        return not self._steps

    def _may_go(self) -> bool:
        if self._sent is None:
            return True
        decided = self._tally.kinds_of_ages()
        known = all(self._known.get(account_id(name)) is told for name, told in self._sent.known.items())
        return known and all(each.kind in decided for each in self._sent.events if each.kind)
