"""The verifier finds what was done to a chain, names the leaf, and finds nothing in a chain that is whole."""

import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcement.audit.faults import ChainId, Fault
from enforcement.audit.inputs import Inputs
from enforcement.audit.offset_ranges import OffsetRanges
from enforcement.audit.verifier import Report, Verifier
from schemas.leaf_header import BODY_START, NO_HEAD, Head, Kind, leaf_hash, seal
from tests import audit_chains as attack
from tests.audit_chains import CLUSTER, FRAME, Attack, chain, lost, next_offset, records, topic_id

LEAVES, HEAD = chain(range(100))  # sequence 0 is the genesis leaf, the one of offset n has sequence n + 1
OTHER, _ = chain(range(0, 200, 2), topic=2)


def verify(leaves: Sequence[bytes], head: Head | None = None, partition: int = 0, topic: int = 1) -> Report:
    heads = {ChainId(topic_id(topic), partition): head} if head else None
    verifier = Verifier(CLUSTER, next_offset, heads)
    verifier.feed(partition, records(leaves))
    verifier.finish(partition)
    if verifier.questions(partition):
        verifier.answer(partition, records(leaves))
    return verifier.report()


def replaced(genesis: bytes) -> bytes | None:
    """Reads the bodies that `born` makes."""
    former = genesis[BODY_START:].removeprefix(b"genesis")
    return topic_id(int(former)) if former else None


def born(topic: int, former: int | None = None) -> list[bytes]:
    """A whole chain, which holds: its genesis leaf says what the topic replaced."""
    rows = [(Kind.genesis, 0, b"genesis" if former is None else b"genesis%d" % former), (Kind.decision, 0, b"")]
    return seal(NO_HEAD, FRAME, CLUSTER, topic_id(topic), 0, rows)[0]


def verify_topics(*chains: Sequence[bytes], known: Sequence[int], head: ChainId | None = None) -> list[Fault]:
    """The faults of `chains`, one after the other, if the topics `known` are known."""
    heads = {head: NO_HEAD} if head else None
    verifier = Verifier(CLUSTER, next_offset, heads, Inputs(map(topic_id, known), replaced))
    verifier.feed(0, records([leaf for leaves in chains for leaf in leaves]))
    verifier.finish(0)
    report = verifier.report()
    assert report.fault_count == len(report.faults)
    return report.faults


def forge(sequence: int, previous: bytes, offset: int) -> bytes:
    rows = [(Kind.decision, offset, b"forged")]
    return seal(Head(sequence, previous), FRAME, CLUSTER, topic_id(1), 0, rows)[0][0]


def rechained(leaves: Sequence[bytes], at: int) -> list[bytes]:
    """What somebody who recomputes every hash would leave behind."""
    head, out = NO_HEAD, list[bytes]()
    for number, leaf in enumerate(leaves):
        body = b"forged" if number == at else leaf[101:]
        made, head = seal(head, FRAME, CLUSTER, topic_id(1), 0, [(Kind(leaf[12]), int.from_bytes(leaf[49:57]), body)])
        out += made
    return out


def interleaved(leaves: Sequence[bytes]) -> list[bytes]:
    """With another topic's chain in the same partition, leaf by leaf."""
    both = [leaf for pair in zip(leaves, OTHER, strict=False) for leaf in pair]
    return both + list(leaves[len(OTHER) :])


def test_a_whole_chain_has_no_fault() -> None:
    report = verify(interleaved(LEAVES), HEAD)
    assert report.faults == []
    end = report.chains[ChainId(topic_id(1), 0)]
    assert (end.head, end.start, end.leaves, end.offsets) == (HEAD, 0, 101, OffsetRanges([(0, 100)]))
    assert report.leaves == 202


ATTACKS = [
    *(attack.altered(LEAVES, at) for at in (0, 1, 50, 98, 99)),
    *(
        attack.altered(LEAVES, 50, byte)
        for byte in (0, 1, 4, 5, 9, 11, 13, 29, 45, 48, 49, 56, 57, 64, 65, 96, 97, 101)
    ),
    *(attack.altered(LEAVES, 1, byte) for byte in (5, 13, 29, 48, 49, 64, 65)),
    *(attack.removed(LEAVES, at) for at in (0, 1, 50, 99)),
    attack.removed(LEAVES, 30, 40),
    attack.removed(LEAVES, 0, 3),
    *(attack.moved(LEAVES, at, to) for at, to in ((50, 51), (51, 50), (0, 1), (1, 0), (99, 100), (50, 60), (60, 50))),
    *(attack.moved(LEAVES, at, to) for at, to in ((5, 95), (95, 5), (100, 2), (2, 100))),
    *(
        attack.doubled(LEAVES, at, to)
        for at, to in ((0, 1), (50, 51), (50, 55), (3, 95), (95, 3), (100, 101), (0, 101))
    ),
    attack.inserted(
        LEAVES, 50, forge(50, leaf_hash(LEAVES[49]), 49)
    ),  # as good as a forger can without hashes after it
    attack.inserted(LEAVES, 51, forge(50, leaf_hash(LEAVES[49]), 49)),
    attack.inserted(LEAVES, 50, forge(50, bytes(32), 49)),
    attack.inserted(LEAVES, 50, forge(51, leaf_hash(LEAVES[50]), 50)),
    attack.inserted(LEAVES, 50, forge(9999, bytes(32), 49)),
    attack.inserted(LEAVES, 50, forge(3, leaf_hash(LEAVES[2]), 2)),
    attack.inserted(LEAVES, 95, forge(3, leaf_hash(LEAVES[2]), 2)),
    attack.inserted(LEAVES, 101, forge(3, leaf_hash(LEAVES[2]), 2)),
    attack.inserted(LEAVES, 50, b"no leaf at all"),
    attack.inserted(LEAVES, 50, b""),
    attack.inserted(LEAVES, 0, forge(7, bytes(32), 49)),
    attack.inserted(LEAVES, 50, chain([1], topic=3)[0][1]),
    attack.inserted(LEAVES, 50, chain([1], partition=1)[0][1]),
]


@pytest.mark.parametrize("committed", [None, HEAD], ids=["without a head", "with the committed head"])
@pytest.mark.parametrize("deed", ATTACKS, ids=lambda deed: f"{deed.kind} at {deed.first}")
def test_each_deed_is_named_at_its_leaf(deed: Attack, committed: Head | None) -> None:
    """One deed, one fault: its kind, and the first leaf that is bad."""
    report = verify(deed.leaves, committed)
    assert [(fault.kind, fault.audit_offset) for fault in report.faults] == [(deed.kind, deed.first)]
    assert report.fault_count == 1


# Any byte of header and body; but a genesis leaf whose topic id was altered is a genesis leaf of another chain, and one
# leaf that is left of a whole chain could as well have been put there.
BYTES = st.integers(-7, 100)


@given(st.data())
def test_any_deed_on_any_leaf_is_named(data: st.DataObject) -> None:
    """As above, anywhere on the chain, beside another chain that stays whole."""
    size = len(LEAVES)
    at = data.draw(st.integers(0, size - 2), "at")  # an altered last leaf needs the committed head
    to = data.draw(st.integers(0, size - 1).filter(lambda n: n != at), "to")
    deed = data.draw(
        st.sampled_from(
            [
                attack.altered(
                    LEAVES, at, data.draw(BYTES if at else BYTES.filter(lambda n: not 29 <= n < 45), "byte")
                ),
                attack.removed(LEAVES, at, data.draw(st.integers(1, max(1, size - 2 - at)), "many")),
                attack.moved(LEAVES, at, to),
                attack.doubled(LEAVES, at, max(at + 1, to)),
                attack.inserted(
                    LEAVES,
                    at,
                    forge(data.draw(st.integers(0, 200)), data.draw(st.binary(min_size=32, max_size=32)), at),
                ),
            ]
        ),
        "deed",
    )
    report = verify(deed.leaves)
    assert [(fault.kind, fault.audit_offset) for fault in report.faults] == [(deed.kind, deed.first)]


@given(st.integers(0, 99))
def test_a_fault_in_one_chain_leaves_the_other_whole(at: int) -> None:
    """Leaves of several chains share an audit partition; a fault names its own."""
    report = verify(interleaved(attack.removed(LEAVES, at).leaves), HEAD)
    assert [fault.chain for fault in report.faults] == [ChainId(topic_id(1), 0)]
    assert report.chains[ChainId(topic_id(2), 0)].leaves == 100


@pytest.mark.parametrize("at", [0, 1, 60, 99, 100])
def test_a_cut_is_seen_by_the_committed_head_only(at: int) -> None:
    """A chain can't know its end; the group's committed head does."""
    deed = attack.cut(LEAVES, at)
    assert verify(deed.leaves).faults == []
    (fault,) = verify(deed.leaves, HEAD).faults
    assert (fault.kind, fault.audit_offset, fault.sequence) == ("cut", None, at)


def test_the_last_leaf_altered_is_seen_by_the_committed_head_only() -> None:
    """Nothing follows it, so nothing names its hash."""
    deed = attack.altered(LEAVES, 100)
    assert verify(deed.leaves).faults == []
    assert [(f.kind, f.audit_offset) for f in verify(deed.leaves, HEAD).faults] == [("altered", 100)]


def test_a_chain_rewritten_with_new_hashes_is_seen_by_the_committed_head_only() -> None:
    """Whoever may rewrite the whole topic can make any chain; the head that was committed betrays it."""
    leaves = rechained(LEAVES, 40)
    assert verify(leaves).faults == []
    assert [fault.kind for fault in verify(leaves, HEAD).faults] == ["altered"]


def test_a_chain_that_grew_since_its_head_was_read_is_whole() -> None:
    """The head is asked for first, the worker goes on."""
    assert verify(LEAVES, Head(60, leaf_hash(LEAVES[59]))).faults == []


def test_lost_offsets_belong_to_the_chain() -> None:
    """A lost leaf stands for a range, and the next leaf must not lie within it."""
    rows = [(Kind.genesis, 5, b""), (Kind.decision, 5, b""), lost(6, 90), (Kind.decision, 90, b"")]
    leaves, head = seal(NO_HEAD, FRAME, CLUSTER, topic_id(1), 0, rows)
    report = verify(leaves, head)
    assert report.faults == []
    assert report.chains[ChainId(topic_id(1), 0)].lost == [(6, 90, 0)]
    rows[3] = (Kind.decision, 89, b"")
    leaves, _ = seal(NO_HEAD, FRAME, CLUSTER, topic_id(1), 0, rows)
    assert [fault.kind for fault in verify(leaves).faults] == ["doubled"]


@pytest.mark.parametrize(
    ("rows", "kind", "at"),
    [
        (
            [(Kind.genesis, 0, b""), (Kind.decision, 4, b""), (Kind.decision, 4, b"x"), (Kind.decision, 5, b"")],
            "doubled",
            2,
        ),
        (
            [(Kind.genesis, 0, b""), (Kind.decision, 4, b""), (Kind.decision, 2, b""), (Kind.decision, 5, b"")],
            "reordered",
            2,
        ),
        ([(Kind.genesis, 7, b""), (Kind.decision, 3, b""), (Kind.decision, 8, b"")], "reordered", 1),
        ([(Kind.decision, 0, b""), (Kind.decision, 1, b"")], "altered", 0),
        ([(Kind.genesis, 0, b""), (Kind.genesis, 1, b""), (Kind.decision, 1, b"")], "altered", 1),
    ],
)
def test_a_worker_that_seals_what_it_must_not_is_found(rows: list[tuple[Kind, int, bytes]], kind: str, at: int) -> None:
    """The hashes hold, the rules don't: an offset twice, an offset backwards, no genesis, two of them."""
    leaves, head = seal(NO_HEAD, FRAME, CLUSTER, topic_id(1), 0, rows)
    assert [(fault.kind, fault.audit_offset) for fault in verify(leaves, head).faults] == [(kind, at)]


def test_a_leaf_in_another_audit_partition_has_no_place_there() -> None:
    """The audit partition is the source partition's number."""
    (fault,) = verify(LEAVES, partition=1).faults
    assert (fault.kind, fault.audit_offset) == ("inserted", 0)
    assert "partition 0" in fault.detail


def test_a_whole_chain_of_another_cluster_has_no_place_here() -> None:
    leaves = [leaf[:13] + bytes(16) + leaf[29:] for leaf in OTHER]
    (fault,) = verify(leaves).faults
    assert (fault.kind, fault.audit_offset) == ("inserted", 0)


def test_a_whole_chain_of_a_topic_that_nobody_knows_is_inserted() -> None:
    """It holds in every way; its first leaf is named, beside a chain that stays whole."""
    (fault,) = verify_topics(LEAVES, born(7), known=[1])
    assert (fault.kind, fault.audit_offset, fault.chain) == ("inserted", len(LEAVES), ChainId(topic_id(7), 0))
    assert topic_id(7).hex() in fault.detail
    assert verify_topics(LEAVES, born(7), known=[1, 7]) == []


def test_a_topic_that_a_known_one_replaced_is_known() -> None:
    """As often as it was made anew; and a topic that the group committed a head of is known too."""
    assert verify_topics(born(1), born(2, former=1), born(3, former=2), known=[3]) == []
    assert verify_topics(born(1), born(2, former=1), known=[], head=ChainId(topic_id(2), 0)) == []


def test_invented_topics_do_not_vouch_for_each_other() -> None:
    """Nor does one for itself."""
    faults = verify_topics(born(1), born(7, former=8), born(8, former=7), born(9, former=9), known=[1])
    assert [(fault.kind, fault.audit_offset) for fault in faults] == [("inserted", at) for at in (2, 4, 6)]


def test_one_fault_for_an_invented_chain_that_does_not_even_hold() -> None:
    """Without its genesis leaf it would be `removed` of a chain that never was."""
    faults = verify_topics(LEAVES, chain(range(5), topic=7)[0][1:], known=[1])
    assert [(fault.kind, fault.audit_offset) for fault in faults] == [("inserted", len(LEAVES))]


def test_without_the_topics_an_invented_chain_passes() -> None:
    """Whoever verifies without a cluster can't know; `audit verify` says so then."""
    assert verify([*LEAVES, *born(7)]).faults == []


def test_faults_are_counted_beyond_what_is_kept() -> None:
    """A topic full of rubbish doesn't fill memory."""
    report = verify([b"rubbish"] * 5000)
    assert report.fault_count == 5000
    assert len(report.faults) == 1000


def test_memory_does_not_grow_with_the_chain() -> None:
    """30,000 leaves pass through in less than 2 MB, batch and all; kept, their hashes alone would be more."""
    verifier, head = Verifier(CLUSTER, next_offset), NO_HEAD
    rows = [(Kind.genesis, 0, b"")]
    tracemalloc.start()
    for first in range(0, 30_000, 500):
        leaves, head = seal(head, FRAME, CLUSTER, topic_id(1), 0, rows)
        verifier.feed(0, records(leaves))
        rows = [(Kind.decision, offset, b"body") for offset in range(first, first + 500)]
    held, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 300_000
    assert highest < 2_000_000
