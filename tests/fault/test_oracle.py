"""The oracle is tested itself: a clean history passes, and each of these small ones shows exactly its anomaly."""

import hashlib
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.fault import oracle
from tests.fault.history import DeadLetter, Decision, History, Input, Leaf, LedgerInput, Position, Source

CLUSTER = "test-cluster"
TOPIC_IDS = {"content.comments": uuid.UUID(int=7).bytes, "moderation.controls": uuid.UUID(int=8).bytes}
SOURCES = (Source("content.comments", 0), Source("content.comments", 1))
OFFSETS = range(3, 9)  # a chain may start anywhere
POISONED, REMOVED = 5, 6  # offsets: one dead letter, one restriction, on each source
ACCOUNT = "account-1"


@dataclass
class Written:
    """A history as lists, so that a test can alter it."""

    leaves: list[Leaf]
    decisions: list[Decision]
    dead_letters: list[DeadLetter]
    ledger_inputs: list[LedgerInput]
    inputs: list[Input]
    positions: dict[Source, Position]
    acknowledged: dict[Source, int]

    def judged(self) -> oracle.Verdict:
        """The oracle's verdict; generators, as the reader of Kafka gives them."""
        return oracle.judge(
            History(
                cluster_id=CLUSTER,
                topic_ids={topic_id: name for name, topic_id in TOPIC_IDS.items()},
                partitions=2,
                leaves=(leaf for leaf in self.leaves),
                decisions=(decision for decision in self.decisions),
                dead_letters=(letter for letter in self.dead_letters),
                ledger_inputs=(each for each in self.ledger_inputs),
                inputs=(record for record in self.inputs),
                positions=self.positions,
                acknowledged=self.acknowledged,
            )
        )


def salt(offset: int) -> bytes:
    return hashlib.md5(str(offset).encode()).digest()


def made(source: Source, offset: int) -> Input:
    expected = b"truncated" if offset == POISONED else b""
    headers = (
        ("traceparent", b"00-1"),
        (oracle.EXPECTED, expected),
        (oracle.EVENT_ID, f"event-{offset}".encode()),
        (oracle.ACCOUNT_ID, ACCOUNT.encode()),
    )
    return Input(source, offset, ACCOUNT.encode(), f"{source}{offset}".encode(), headers, 1000 + offset)


def decide(record: Input) -> Decision:
    coordinates = (
        f"{CLUSTER}/{uuid.UUID(bytes=TOPIC_IDS[record.source.topic])}/{record.source.partition}/{record.offset}"
    )
    return Decision(
        partition=oracle.partition_of(ACCOUNT.encode(), 2),
        position=record.offset,
        key=ACCOUNT.encode(),
        source=record.source,
        offset=record.offset,
        decision_id=str(uuid.uuid5(oracle.DECISION_NAMESPACE, coordinates)),
        sequence=oracle.FIRST_SEQUENCE,
        event_id=f"event-{record.offset}",
        account_id=ACCOUNT,
        action="remove" if record.offset == REMOVED else "allow",
        salt=salt(record.offset),
    )


def bury(record: Input) -> DeadLetter:
    added = (
        (oracle.SOURCE_TOPIC, record.source.topic.encode()),
        (oracle.SOURCE_PARTITION, str(record.source.partition).encode()),
        (oracle.SOURCE_OFFSET, str(record.offset).encode()),
        (oracle.SOURCE_TIMESTAMP, str(record.timestamp).encode()),
        (oracle.REASON, b"truncated"),
        (oracle.SALT, salt(record.offset).hex().encode()),
    )
    return DeadLetter(0, record.offset, record.key, record.value, record.headers + added, record.timestamp)


def chain(source: Source, rows: list[tuple[int, int, bytes]]) -> list[Leaf]:
    """Leaves of (kind, source offset, commitment), chained as the documentation says."""
    leaves, previous = [], bytes(32)
    for sequence, (kind, offset, commitment) in enumerate(rows):
        cluster = hashlib.sha256(CLUSTER.encode()).digest()[:16]
        value = b"\0\0\0\0\1SFSL" + struct.pack(">HH", 1, kind) + cluster + TOPIC_IDS[source.topic]
        value += struct.pack(">iqQ", source.partition, offset, sequence) + previous + bytes(4) + commitment
        previous = hashlib.sha256(b"\0" + value).digest()
        leaves.append(Leaf(source.partition, sequence, value, commitment))
    return leaves


def rows_of(inputs: list[Input]) -> list[tuple[int, int, bytes]]:
    rows = [(oracle.GENESIS, OFFSETS[0], b"")]
    for record in inputs:
        kind = oracle.DEAD_LETTER if record.offset == POISONED else oracle.DECISION
        rows.append((kind, record.offset, hashlib.sha256(salt(record.offset) + (record.value or b"")).digest()))
    return rows


@pytest.fixture
def written() -> Written:
    """A clean history: each source has four decisions, one restriction and one dead letter."""
    inputs = [made(source, offset) for source in SOURCES for offset in OFFSETS]
    return Written(
        leaves=[
            leaf for source in SOURCES for leaf in chain(source, rows_of([i for i in inputs if i.source == source]))
        ],
        decisions=[decide(record) for record in inputs if record.offset != POISONED],
        dead_letters=[bury(record) for record in inputs if record.offset == POISONED],
        ledger_inputs=[LedgerInput(source, REMOVED) for source in SOURCES],
        inputs=inputs,
        positions={source: Position(OFFSETS.stop, OFFSETS.stop) for source in SOURCES},
        acknowledged={source: len(OFFSETS) for source in SOURCES},
    )


def rechain(of: Written, change: Callable[[list[tuple[int, int, bytes]]], None]) -> None:
    """Change the first source's leaves as the worker might have written them: chained, but wrong."""
    rows = rows_of([record for record in of.inputs if record.source == SOURCES[0]])
    change(rows)
    of.leaves = chain(SOURCES[0], rows) + [leaf for leaf in of.leaves if leaf.partition != SOURCES[0].partition]


def flip(value: bytes, at: int) -> bytes:
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


Alter = Callable[[Written], object]


def leaf_with(at: int, **changes: object) -> Alter:
    return lambda of: of.leaves.__setitem__(at, of.leaves[at]._replace(**changes))  # type: ignore[arg-type]


def flipped_leaf(at: int, byte: int) -> Alter:
    return lambda of: of.leaves.__setitem__(at, of.leaves[at]._replace(value=flip(of.leaves[at].value, byte)))


def decision_with(**changes: object) -> Alter:
    return lambda of: of.decisions.__setitem__(0, of.decisions[0]._replace(**changes))  # type: ignore[arg-type]


def letter_with(**changes: object) -> Alter:
    return lambda of: of.dead_letters.__setitem__(0, of.dead_letters[0]._replace(**changes))  # type: ignore[arg-type]


def letter_without(header: str) -> Alter:
    def alter(of: Written) -> None:
        kept = tuple(each for each in of.dead_letters[0].headers if each[0] != header)
        of.dead_letters[0] = of.dead_letters[0]._replace(headers=kept)

    return alter


def swap(rows: list, at: int) -> None:  # type: ignore[type-arg]
    rows[at], rows[at + 1] = rows[at + 1], rows[at]


POISON_AT = OFFSETS.index(POISONED)
CASES: dict[str, tuple[Alter, set[str]]] = {
    # name → (what is done to a clean history, the anomalies it must show, and no other)
    "a leaf is cut short": (
        leaf_with(2, value=b"\0\0\0\0\1SFSL"),
        {"unreadable-leaf", "broken-hash", "broken-sequence", "lost-leaf"},
    ),
    "a leaf of another layout": (flipped_leaf(6, 10), {"unreadable-leaf", "lost-leaf"}),
    "a leaf of another cluster": (flipped_leaf(6, 13), {"foreign-leaf", "lost-leaf"}),
    "a leaf of another topic": (flipped_leaf(6, 29), {"foreign-leaf", "lost-leaf"}),
    "a leaf in another audit partition": (leaf_with(6, partition=1), {"misplaced-leaf"}),
    "no genesis": (lambda of: rechain(of, lambda rows: rows.pop(0)), {"no-genesis"}),
    "two geneses": (lambda of: rechain(of, lambda rows: rows.insert(1, rows[0])), {"second-genesis"}),
    "a leaf altered in its header": (flipped_leaf(3, 64), {"broken-hash", "broken-sequence"}),
    "a leaf altered in its body": (flipped_leaf(3, 110), {"broken-hash"}),
    "a leaf removed": (lambda of: of.leaves.pop(3), {"broken-hash", "broken-sequence", "lost-leaf"}),
    "a leaf removed and chained over": (lambda of: rechain(of, lambda rows: rows.pop(3)), {"lost-leaf"}),
    "a leaf doubled": (
        lambda of: of.leaves.insert(3, of.leaves[3]),
        {"broken-hash", "broken-sequence", "reordered-leaf", "doubled-leaf"},
    ),
    "a leaf doubled and chained": (
        lambda of: rechain(of, lambda rows: rows.insert(3, rows[3])),
        {"reordered-leaf", "doubled-leaf"},
    ),
    "leaves reordered": (lambda of: swap(of.leaves, 3), {"broken-hash", "broken-sequence", "reordered-leaf"}),
    "leaves reordered and chained": (lambda of: rechain(of, lambda rows: swap(rows, 2)), {"reordered-leaf"}),
    "the chain begins anew": (lambda of: rechain(of, lambda rows: rows.insert(4, rows[0])), {"second-genesis"}),
    "the last leaf cut off": (lambda of: of.leaves.pop(6), {"lost-leaf"}),
    "a leaf for an offset never delivered": (
        lambda of: rechain(of, lambda rows: rows.append((oracle.DECISION, 99, b""))),
        {"phantom-leaf"},
    ),
    "a decision dropped": (lambda of: of.decisions.pop(0), {"lost-outcome"}),
    "a decision doubled": (lambda of: of.decisions.append(of.decisions[0]), {"doubled-decision"}),
    "an extra decision": (lambda of: of.decisions.append(decide(made(SOURCES[0], 99))), {"phantom-decision"}),
    "a decision for an unknown topic": (
        lambda of: of.decisions.append(decide(made(SOURCES[0], 3))._replace(source=Source("content.other", 0))),
        {"phantom-decision"},
    ),
    "a decision for a dead letter": (lambda of: of.decisions.append(decide(of.inputs[POISON_AT])), {"two-outcomes"}),
    "a dead letter dropped": (lambda of: of.dead_letters.pop(), {"lost-outcome"}),
    "a dead letter doubled": (lambda of: of.dead_letters.append(of.dead_letters[0]), {"doubled-dead-letter"}),
    "an extra dead letter": (lambda of: of.dead_letters.append(bury(made(SOURCES[0], 99))), {"phantom-dead-letter"}),
    "a record vanished with its leaf and decision, chained over": (
        lambda of: (rechain(of, lambda rows: rows.pop(1)), of.decisions.pop(0)),
        {"lost-leaf", "lost-outcome"},
    ),
    "a leaf that calls a decision a dead letter": (
        lambda of: rechain(of, lambda rows: rows.__setitem__(1, (oracle.DEAD_LETTER, *rows[1][1:]))),
        {"wrong-kind"},
    ),
    "a commitment to other bytes": (decision_with(salt=b"other"), {"wrong-commitment"}),
    "an input altered after it was decided": (
        lambda of: of.inputs.__setitem__(0, of.inputs[0]._replace(value=b"other")),
        {"wrong-commitment"},
    ),
    "an order decided": (lambda of: of.decisions.append(order(of)), {"phantom-decision"}),
    "an order buried": (lambda of: of.dead_letters.append(bury(made(ordered(of), 0))), {"phantom-dead-letter"}),
    "an order with a decision's leaf": (lambda of: order(of, kind=oracle.DECISION), {"wrong-kind"}),
    "another event's decision": (decision_with(event_id="event-99"), {"wrong-decision"}),
    "another account's key": (decision_with(key=b"other"), {"wrong-decision"}),
    "another decision id": (decision_with(decision_id=str(uuid.UUID(int=1))), {"wrong-decision"}),
    "a later sequence": (decision_with(sequence=oracle.FIRST_SEQUENCE + 1), {"wrong-decision"}),
    "a decision in another partition": (
        decision_with(partition=1 - oracle.partition_of(ACCOUNT.encode(), 2)),
        {"misplaced-decision"},
    ),
    "a dead letter of other bytes": (letter_with(value=b"other"), {"altered-dead-letter"}),
    "a dead letter of another key": (letter_with(key=None), {"altered-dead-letter"}),
    "a dead letter of another time": (letter_with(timestamp=1), {"altered-dead-letter"}),
    "a dead letter that lost a header": (letter_without("traceparent"), {"altered-dead-letter"}),
    "a dead letter from nowhere": (letter_without(oracle.SOURCE_OFFSET), {"altered-dead-letter", "lost-outcome"}),
    "a dead letter with another reason": (
        lambda of: of.inputs.__setitem__(POISON_AT, relabelled(of.inputs[POISON_AT], b"too_large", of)),
        {"wrong-reason"},
    ),
    "a malformed record decided": (
        lambda of: of.inputs.__setitem__(0, relabelled(of.inputs[0], b"truncated", of)),
        {"decided-poison"},
    ),
    "a good record buried": (
        lambda of: of.inputs.__setitem__(POISON_AT, relabelled(of.inputs[POISON_AT], b"", of)),
        {"buried-event"},
    ),
    "a ledger input dropped": (lambda of: of.ledger_inputs.pop(), {"lost-ledger-input"}),
    "a ledger input doubled": (lambda of: of.ledger_inputs.append(of.ledger_inputs[0]), {"doubled-ledger-input"}),
    "a ledger input for an allowed event": (
        lambda of: of.ledger_inputs.append(LedgerInput(SOURCES[0], OFFSETS[0])),
        {"phantom-ledger-input"},
    ),
    "a position short of the end": (
        lambda of: of.positions.update({SOURCES[0]: Position(OFFSETS.stop - 1, OFFSETS.stop)}),
        {"wrong-position"},
    ),
    "no position": (lambda of: of.positions.update({SOURCES[0]: Position(None, OFFSETS.stop)}), {"wrong-position"}),
    "an acknowledged input that is gone": (lambda of: of.acknowledged.update({SOURCES[0]: 99}), {"lost-input"}),
}


def ordered(of: Written, kind: int = oracle.RECORDED["moderation.controls"]) -> Source:
    """An order, with its leaf."""
    source = Source("moderation.controls", 0)
    of.inputs.append(Input(source, 0, None, b"order", (), 1))
    of.leaves += chain(source, [(oracle.GENESIS, 0, b""), (kind, 0, b"")])
    return source


def order(of: Written, kind: int = oracle.RECORDED["moderation.controls"]) -> Decision:
    """A decision on an order."""
    return decide(made(ordered(of, kind), 0))


def relabelled(record: Input, expected: bytes, of: Written) -> Input:
    """The same record, made to be something else; its dead letter keeps the new headers."""
    headers = tuple((name, expected if name == oracle.EXPECTED else value) for name, value in record.headers)
    new = record._replace(headers=headers)
    for at, letter in enumerate(of.dead_letters):
        if letter.position == record.offset and letter.value == record.value:
            of.dead_letters[at] = bury(new)
    return new


def test_a_clean_history_passes(written: Written) -> None:
    """Ten decisions and two dead letters on two chains: nothing to find."""
    verdict = written.judged()
    assert not verdict.anomalies
    assert verdict.counts == {
        "inputs": 12, "leaves": 14, "chains": 2, "decisions": 10, "dead letters": 2, "ledger inputs": 2,
    }  # fmt: skip


def test_an_order_needs_its_leaf_only(written: Written) -> None:
    """A record of moderation.controls has a leaf of its own kind, and nothing else."""
    ordered(written)
    assert not written.judged().anomalies


@pytest.mark.parametrize("name", CASES)
def test_each_anomaly_is_found_and_named(written: Written, name: str) -> None:
    """Altering a clean history in one way shows that way's anomalies, and no other."""
    alter, expected = CASES[name]
    alter(written)
    assert set(written.judged().anomalies) == expected


def test_every_anomaly_named_in_the_header_has_a_case() -> None:
    """The header's list of names and the cases that show them are the same."""
    named = {word.strip("`,.:;") for word in (oracle.__doc__ or "").split() if word.startswith("`") and "-" in word}
    assert named == {anomaly for _, anomalies in CASES.values() for anomaly in anomalies}


def test_the_report_names_where(written: Written) -> None:
    """A person reads which offset it is, and only the first few of many."""
    written.decisions.clear()
    written.ledger_inputs.clear()
    report = written.judged().report()
    assert "VIOLATION lost-outcome: 10" in report
    assert "content.comments-0@3" in report
    assert report.count("content.comments-0@") == oracle.EXAMPLES


@pytest.mark.parametrize(
    ("key", "hashed"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536), (b"abc", 479470107)],
)
def test_murmur2_is_javas(key: bytes, hashed: int) -> None:
    """Golden values from Apache Kafka's own UtilsTest.testMurmur2."""
    assert oracle.partition_of(key, 1 << 31) == hashed & 0x7FFFFFFF
