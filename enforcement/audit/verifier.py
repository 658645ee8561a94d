"""Does the audit stream hold? A state machine over leaves in committed order; it knows no Kafka and does no I/O.

For each audit partition: `feed` its records from the first to the last, then `finish` it. If `questions` says so, read
the partition once more into `answer`: only then is a copy of a leaf long gone by told from a forgery. `report` says
what was found. What makes a leaf fit, and how the faults are told from each other, is in `chain`; which topics may have
a chain at all, in `inputs`.

Memory: one leaf's header for each chain, the ranges of offsets that have leaves, and at most `KEPT` faults.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from enforcement.audit.chain import Chain
from enforcement.audit.faults import ChainId, Fault, FaultKind, Seen
from enforcement.audit.inputs import Inputs
from enforcement.audit.offset_ranges import OffsetRanges
from schemas.leaf_header import BadLeaf, Head, Kind, leaf_hash, parse

KEPT: Final = 1000  # faults that are kept; the rest is counted
_UNREADABLE: Final = 64  # records that are no leaves, kept until the chain that lacks them is found
_CHAIN: Final = slice(13, 49)  # cluster, topic id and partition in a leaf: what a chain is found by

NextOffset = Callable[[bytes], int]
"""The first source offset after those that a lost-to-retention leaf stands for; `BadLeaf` if its body doesn't say."""

Record = tuple[int, int, bytes | None]
"""A record of the audit topic: offset, timestamp in ms, value."""


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """What a chain amounts to. `start` is the offset in its genesis leaf; None where it has none."""

    head: Head
    start: int | None
    next_offset: int
    leaves: int
    offsets: OffsetRanges
    lost: list[tuple[int, int, int]]  # first, end, and when it was said, in ms


@dataclass(slots=True)
class Report:
    """The outcome of a verification. `faults` are in the order of the topic; beyond `KEPT` they are only counted."""

    leaves: int = 0
    faults: list[Fault] = field(default_factory=list)
    fault_count: int = 0
    chains: dict[ChainId, ChainEnd] = field(default_factory=dict)

    @property
    def first(self) -> Fault | None:
        """The first bad leaf."""
        return min(self.faults, key=lambda fault: fault.place, default=None)


class Verifier:
    """Verifies any number of audit partitions, one after the other or alternately."""

    def __init__(
        self,
        cluster: bytes,
        next_offset: NextOffset,
        heads: Mapping[ChainId, Head] | None = None,
        inputs: Inputs | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            cluster: a `cluster_tag`.
            heads: committed ends of chains, read before the audit topic's end was.
            inputs: None if it isn't known which topics there are: then a chain of an invented topic is not found.
        """
        self._cluster = cluster
        self._next_offset = next_offset
        self._heads = dict(heads or {})
        self._inputs = inputs
        self._partitions: dict[int, _Partition] = {}

    def feed(self, partition: int, records: Iterable[Record]) -> None:
        """The next records of an audit partition, in the order of their offsets."""
        if partition not in self._partitions:
            heads = {chain: head for chain, head in self._heads.items() if chain.partition == partition}
            self._partitions[partition] = _Partition(partition, self._cluster, self._next_offset, heads, self._inputs)
        self._partitions[partition].feed(records)

    def finish(self, partition: int) -> None:
        """The audit partition ends here."""
        self.feed(partition, ())
        self._partitions[partition].finish()

    @property
    def unread(self) -> list[int]:
        """Audit partitions in which there are committed heads, and that nobody has read."""
        return sorted({chain.partition for chain in self._heads} - self._partitions.keys())

    def questions(self, partition: int) -> bool:
        """Whether a second reading of this partition would tell more."""
        return bool(self._partitions[partition].questions)

    def answer(self, partition: int, records: Iterable[Record]) -> None:
        """The same records again, from the first."""
        self._partitions[partition].answer(records)

    def report(self) -> Report:
        """What was found in the partitions that are finished."""
        report = Report()
        for part in self._partitions.values():
            report.leaves += part.leaves
            report.faults += part.faults
            report.fault_count += part.fault_count
            report.chains |= {chain.id: _end(chain) for chain in part.chains.values() if chain.leaves}
        self._add_strangers(report)
        report.faults.sort(key=lambda fault: fault.place)
        return report

    def _add_strangers(self, report: Report) -> None:
        """A fault at the first leaf of each chain whose topic nobody knows; it says more than another one there."""
        if self._inputs is None:
            return
        chains = (chain for part in self._partitions.values() for chain in part.chains.values())
        found = self._inputs.strangers(chains, {chain.topic_id for chain in self._heads})
        strangers = {(fault.chain, fault.place): fault for fault in found}
        others = [fault for fault in report.faults if (fault.chain, fault.place) not in strangers]
        report.fault_count += len(strangers) - (len(report.faults) - len(others))
        report.faults = [*others, *strangers.values()]


def _end(chain: Chain) -> ChainEnd:
    head = Head(chain.sequence, chain.hash or b"")
    return ChainEnd(head, chain.start, chain.next_offset, chain.leaves, chain.offsets, chain.lost)


class _Partition:
    """One audit partition: its chains, and what belongs to none of them."""

    def __init__(
        self,
        number: int,
        cluster: bytes,
        next_offset: NextOffset,
        heads: Mapping[ChainId, Head],
        inputs: Inputs | None,
    ) -> None:
        self.number = number
        self.leaves = 0
        self.faults: list[Fault] = []
        self.fault_count = 0
        self.questions: dict[tuple[bytes, int], list[tuple[int, Seen]]] = {}
        self._cluster = cluster
        self._next_offset = next_offset
        self._inputs = inputs
        self._unreadable: dict[int, str] = {}  # audit offset → why
        self._number = number.to_bytes(4, "big")
        self.chains = {self._key(chain_id): Chain(chain_id, head, self) for chain_id, head in heads.items()}
        self._foreign: dict[bytes, Chain] = {}  # of another cluster or partition: nothing of them may be here

    def _key(self, chain: ChainId) -> bytes:
        return self._cluster + chain.topic_id + self._number

    def feed(self, records: Iterable[Record]) -> None:
        """Read and sort leaves to their chains."""
        chains, sha256 = self.chains, hashlib.sha256
        for audit_offset, time_ms, value in records:
            self.leaves += 1
            try:
                kind, _, _, _, offset, sequence, previous = parse(value or b"")
                if kind is Kind.genesis:
                    end = offset
                    if self._inputs and value:
                        self._inputs.begins(ChainId(value[29:45], self.number), value)
                elif kind is Kind.lost_to_retention:
                    end = self._end_of_loss(value or b"", offset)
                else:
                    end = offset + 1
            except BadLeaf as bad:
                self._no_leaf(audit_offset, str(bad))
                continue
            assert value is not None
            digest = sha256(b"\x00" + value).digest()
            leaf = Seen(audit_offset, kind, offset, end, sequence, previous, digest, time_ms)
            chain = chains.get(value[_CHAIN])
            if chain is None:
                self._first_of(value[_CHAIN], leaf)
            else:
                chain.take(leaf)

    def _end_of_loss(self, leaf: bytes, offset: int) -> int:
        end = self._next_offset(leaf)
        if end <= offset:
            raise BadLeaf(f"it says that offsets from {offset} to {end - 1} are lost")
        return end

    def _no_leaf(self, audit_offset: int, why: str) -> None:
        if len(self._unreadable) < _UNREADABLE:
            self._unreadable[audit_offset] = why
        else:
            self._fault(Fault(FaultKind.inserted, self.number, audit_offset, None, None, None, f"no leaf: {why}"))

    def _first_of(self, key: bytes, leaf: Seen) -> None:
        """A leaf of a chain that wasn't seen here before."""
        chain_id = ChainId(key[16:32], int.from_bytes(key[32:], "big", signed=True))
        if key[:16] == self._cluster and chain_id.partition == self.number:
            chain = self.chains[key] = Chain(chain_id, None, self)
            chain.first = leaf
            chain.take(leaf)
            return
        foreign = self._foreign.setdefault(key, Chain(chain_id, None, self))
        if not foreign.window:
            foreign.window.append(leaf)
        foreign.leaves += 1

    def finish(self) -> None:
        """Close every chain; what is left then belongs to none."""
        for chain in list(self.chains.values()):
            if not _lonely(chain):
                chain.finish()
        for chain in list(self.chains.values()):
            if _lonely(chain):
                self._alone(chain)
        for chain in self._foreign.values():
            detail = f"{chain.leaves} leaves of {_stranger(chain.id, self.number)}"
            self.found(FaultKind.inserted, chain, chain.window[0], chain.window[0].sequence, detail)
        for audit_offset, why in self._unreadable.items():
            self._fault(Fault(FaultKind.inserted, self.number, audit_offset, None, None, None, f"no leaf: {why}"))

    def _alone(self, chain: Chain) -> None:
        """One leaf, not a first one, of a chain that has no other here."""
        leaf = chain.window.pop()
        self.found(FaultKind.inserted, chain, leaf, leaf.sequence, "the only leaf of its chain, and not a first one")

    # --- Notes, for chains

    def found(self, kind: FaultKind, chain: Chain, leaf: Seen | None, sequence: int, detail: str) -> int:
        gone = leaf is None or kind is FaultKind.removed
        offset = None if gone or leaf is None else leaf.offset
        place = None if leaf is None else leaf.audit_offset
        for number, known in enumerate(self.faults):
            if place is not None and known.audit_offset == place and known.chain == chain.id:
                return number
        return self._fault(Fault(kind, self.number, place, chain.id, sequence, offset, detail))

    def _fault(self, fault: Fault) -> int:
        self.fault_count += 1
        if len(self.faults) < KEPT:
            self.faults.append(fault)
        return self.fault_count - 1

    def amend(self, number: int, kind: FaultKind, detail: str) -> None:
        if number < len(self.faults):
            self.faults[number] = replace(self.faults[number], kind=kind, detail=detail)

    def ask(self, number: int, chain: Chain, leaf: Seen) -> None:
        if number < KEPT:
            self.questions.setdefault((self._key(chain.id), leaf.sequence), []).append((number, leaf))

    def claim(self, chain: Chain, until: int | None) -> bool:
        return self._claim_misnamed(chain) or (until is not None and self._claim_unreadable(chain, until))

    def _claim_misnamed(self, chain: Chain) -> bool:
        """A leaf that follows by its hash, but says it is of another topic, partition or cluster."""
        for chains in (self.chains, self._foreign):
            for key, other in chains.items():
                leaf = other.window[0] if other.window else None
                alone = other.leaves == 1 if chains is self._foreign else _lonely(other)
                if leaf and alone and (leaf.sequence, leaf.previous) == (chain.sequence, chain.hash):
                    del chains[key]
                    detail = f"by its hash it belongs here, its header says {_stranger(other.id, self.number)}"
                    self.found(FaultKind.altered, chain, leaf, leaf.sequence, detail)
                    return True
        return False

    def _claim_unreadable(self, chain: Chain, until: int) -> bool:
        after = chain.last.audit_offset if chain.last else -1
        for audit_offset, why in self._unreadable.items():
            if after < audit_offset < until:
                del self._unreadable[audit_offset]
                fault = Fault(FaultKind.altered, self.number, audit_offset, chain.id, chain.sequence, None, why)
                self._fault(fault)
                return True
        return False

    # --- the second reading

    def answer(self, records: Iterable[Record]) -> None:
        """Find what stood at the sequences asked for: the same leaf was doubled, another one makes it a forgery."""
        open_questions = dict(self.questions)
        for audit_offset, _, value in records:
            if not open_questions:
                break
            try:
                key = (value[_CHAIN], parse(value).sequence) if value else None
            except BadLeaf:
                continue
            leaves = open_questions.get(key) if key else None
            if leaves and value and audit_offset not in {leaf.audit_offset for _, leaf in leaves}:
                for number, leaf in leaves:
                    self._answered(number, leaf, audit_offset, leaf_hash(value))
                del open_questions[key]  # type: ignore[arg-type]
        for leaves in open_questions.values():
            for number, leaf in leaves:
                self.amend(number, FaultKind.reordered, f"sequence {leaf.sequence} stands nowhere else")

    def _answered(self, number: int, leaf: Seen, audit_offset: int, digest: bytes) -> None:
        kind = FaultKind.doubled if digest == leaf.hash else FaultKind.inserted
        same = "the same leaf" if digest == leaf.hash else f"sequence {leaf.sequence}, with other bytes,"
        self.amend(number, kind, f"{same} stands at audit offset {audit_offset}")


def _lonely(chain: Chain) -> bool:
    """One leaf, and it doesn't begin the chain."""
    alone = chain.last is None and len(chain.window) == 1 and chain.head is None
    return alone and chain.window[0].sequence > 0


def _stranger(chain: ChainId, here: int) -> str:
    where = f"partition {chain.partition}" if chain.partition != here else f"topic id {chain.topic_id.hex()}"
    return f"a chain that has no place here: {where}"
