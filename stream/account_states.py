"""What a worker knows of accounts: moderation.account-state, followed for the partitions that it has.

    follow    those of its content; if rules ask about recipients, all, since theirs lie anywhere
    waiting   content waits until the states of its partition are read to the end seen when it was taken over, or until
              the deadline: then it is decided with what there is, and the decisions say degraded
    get       the states of a batch's accounts

An account whose state lies in a partition that isn't followed (its event is misplaced) is unknown at first; from then
on that partition is followed too.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from typing import Any

import structlog

from stream.account_follower import Follower
from stream.account_store import AccountStore
from stream.murmur2 import partitions_of

_log = structlog.get_logger(__name__)


class AccountStates:
    """The states of accounts. For the worker's own thread."""

    def __init__(
        self,
        store: AccountStore,
        properties: Mapping[str, Any],
        topic_id: Callable[[], bytes],
        partitions: int,
        deadline: float,
        *,
        everywhere: bool,
    ) -> None:
        """Nothing is followed yet.

        Args:
            properties: of a reader, see `stream.properties`.
            topic_id: asks the broker for the topic's id.
            partitions: of every topic.
            deadline: seconds that content waits at most, from when its partition is taken over.
            everywhere: follow every partition, whichever the worker has.
        """
        self._store, self._follower = store, Follower(store, properties, topic_id)
        self._count, self._deadline, self._everywhere = partitions, deadline, everywhere
        self._held: frozenset[int] = frozenset()
        self._numbers = count(1)
        self._turns: dict[int, int] = {}  # followed partition → the number of when it was taken over
        self._since: dict[int, float] = {}  # … and when it was last found to be behind
        self._late: set[int] = set()  # those that were not ready by the deadline

    def close(self) -> None:
        """Stop following."""
        self._follower.close()
        self._store.close()

    def follow(self, taken: Collection[int], held: Collection[int]) -> None:
        """The worker has taken over the content of the partitions `taken`, and has that of `held` in all."""
        self._held = frozenset(held)
        followed = set(range(self._count)) if self._everywhere and held else set(held)
        again = followed if self._everywhere and taken else followed & set(taken)
        again |= followed - self._turns.keys()
        self._turns = {each: next(self._numbers) if each in again else self._turns[each] for each in followed}
        self._since = {each: time.monotonic() if each in again else self._since[each] for each in followed}
        self._follower.want(self._turns)

    @property
    def behind(self) -> frozenset[int]:
        """Partitions whose states are not read to the end that was seen when they were taken over."""
        reached = self._follower.reached
        return frozenset(each for each, turn in self._turns.items() if reached.get(each) != turn)

    def waiting(self) -> frozenset[int]:
        """Partitions whose content is to wait.

        Raises:
            Fatal: the states can't be followed any more.
        """
        self._follower.check()
        behind, now = self.behind, time.monotonic()
        late = {each for each in behind if now - self._since[each] > self._deadline}
        for each in late - self._late:
            _log.error("accounts' states are not read in time: deciding degraded", partition=each)
        self._late = late
        for each in self._turns.keys() - behind:
            self._since[each] = now  # if it must be read anew, the time for that begins then
        if self._everywhere:
            return self._held if behind - late else frozenset()
        return (behind - late) & self._held

    def get(self, accounts: Sequence[bytes]) -> tuple[list[bytes | None], list[bool]]:
        """The state of each account, None where it has none, and whether its partition is read to the end."""
        partitions = partitions_of(accounts, self._count).tolist()
        strange = set(partitions) - self._turns.keys()
        if strange:
            self._turns |= dict.fromkeys(strange, next(self._numbers))
            self._since |= dict.fromkeys(strange, time.monotonic())
            self._follower.want(self._turns)
        behind = self.behind
        return self._store.get(accounts, partitions), [each not in behind for each in partitions]
