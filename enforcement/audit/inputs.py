"""Which topics may have a chain: those that the worker reads, those in a census, and what they were made anew from.

Anybody who may write to the audit topic can invent a topic id and seal leaves under it that hold in every way. What
gives them away is that nobody else knows of such a topic.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from enforcement.audit.chain import Chain
from enforcement.audit.faults import ChainId, Fault, FaultKind

_UNKNOWN: Final = (
    "no topic that is configured as an input has it, no census given counted it, and no chain of a known topic names it"
    " as the one before; if it was an input once, give a census that counted it, or name the topic in topics.content"
)


class Inputs:
    """What the cluster and the censuses know; the verifier adds what genesis leaves say."""

    def __init__(self, ids: Iterable[bytes], replaced: Callable[[bytes], bytes | None]) -> None:
        """No leaf is seen yet.

        Args:
            ids: topic ids of the worker's inputs as the cluster has them now, and those in censuses.
            replaced: a genesis leaf → the id that its topic had before; None where it names none, or can't be read.
        """
        self._ids = set(ids)
        self._replaced = replaced
        self._former: dict[ChainId, bytes | None] = {}

    def begins(self, chain: ChainId, genesis: bytes) -> None:
        """The first genesis leaf of a chain counts."""
        if chain not in self._former:
            self._former[chain] = self._replaced(genesis)

    def strangers(self, chains: Iterable[Chain], committed: Iterable[bytes]) -> Iterator[Fault]:
        """A fault at the first leaf of each chain whose topic is unknown.

        Args:
            committed: topic ids of heads that the group committed.
        """
        known = self._known(committed)
        for chain in chains:
            first, (topic_id, partition) = chain.first, chain.id
            if first is not None and chain.leaves and topic_id not in known:
                detail = f"{chain.leaves} leaves under the topic id {topic_id.hex()}: {_UNKNOWN}"
                yield Fault(
                    FaultKind.inserted, partition, first.audit_offset, chain.id, first.sequence, first.offset, detail
                )

    def _known(self, committed: Iterable[bytes]) -> set[bytes]:
        """Only a known topic's genesis leaf vouches for another topic: two invented ones can't for each other."""
        former: dict[bytes, list[bytes]] = {}
        for chain, before in self._former.items():
            if before is not None:
                former.setdefault(chain.topic_id, []).append(before)
        known, ahead = set[bytes](), [*self._ids, *committed]
        while ahead:
            topic_id = ahead.pop()
            if topic_id not in known:
                known.add(topic_id)
                ahead += former.get(topic_id, ())
        return known
