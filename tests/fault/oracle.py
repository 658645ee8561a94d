"""The oracle: did every record that was delivered to the worker get what it is owed, exactly once?

It shares no code with the worker: it parses the leaf's header by its documented layout, decodes Avro with the released
schemas, and computes ids, hashes and commitments itself. Everything here is a pure function over records read; reading
is in `reading.py`.

Operations, as an outside reader with `isolation.level=read_committed` sees them:

    input        a record of a content topic, at (topic, partition, offset); its headers say what it was made to be;
                 or of moderation.controls or moderation.reviews
    leaf         a record of moderation.audit
    decision     a record of moderation.decisions
    dead letter  a record of moderation.dead-letters
    ledger input a record of moderation.ledger-inputs
    position     the group's committed offset of an input partition, and that partition's end

Analyses, and the anomalies they name:

     1 leaves      each leaf parses, is of this cluster and of a source we know, and lies in the audit partition of
                   its source partition's number: `unreadable-leaf`, `foreign-leaf`, `misplaced-leaf`
     2 chains      for each source partition, in the order of the audit partition: one genesis first, sequences
                   0, 1, 2, …, each previous hash is SHA-256(0x00 ‖ the leaf before), source offsets ascend:
                   `no-genesis`, `second-genesis`, `broken-sequence`, `broken-hash`, `reordered-leaf`
     3 coverage    each input has exactly one leaf: `lost-leaf`, `doubled-leaf`, `phantom-leaf`
     4 outcomes    each content input has exactly one decision or dead letter, a control or review has none:
                   `lost-outcome`, `doubled-decision`, `doubled-dead-letter`, `two-outcomes`, `phantom-decision`,
                   `phantom-dead-letter`
     5 agreement   the leaf's kind is that of the outcome; its commitment is SHA-256(salt ‖ value) with the salt of the
                   outcome and the value of the input (none for a tombstone): `wrong-kind`, `wrong-commitment`
     6 identity    a decision has the event id and account of its input, the account as its key and murmur2 of it as
                   its partition, and the UUIDv5 of its coordinates as its id: `wrong-decision`, `misplaced-decision`
     7 letters     dead letters keep the input's key, value, timestamp and headers, and give the expected reason:
                   `altered-dead-letter`, `wrong-reason`
     8 intent      what was made malformed is not decided, what was not is not buried: `decided-poison`, `buried-event`
     9 ledger      each decision that restricts has exactly one ledger input, no other has any: `lost-ledger-input`,
                   `doubled-ledger-input`, `phantom-ledger-input`
    10 positions   after draining, the group's position is the end of each input partition: `wrong-position`
    11 the run     as many inputs as the producer had acknowledged, so that an empty topic doesn't pass: `lost-input`

What is tolerated: nothing. A run that must tolerate something says so where it reads the verdict.
"""

import hashlib
import struct
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from tests.fault.history import Decision, Headers, History, Input, LedgerInput, Source

DECISION_NAMESPACE: Final = uuid.UUID("5afe57ea-6d0d-5e1d-8a7e-0f5a1c0de001")  # from the contract
FIRST_SEQUENCE: Final = 0

# headers that the workload writes on every input
EXPECTED: Final = "workload-expects"  # "" for an event that must be decided, else the reason of its dead letter
EVENT_ID: Final = "workload-event-id"
ACCOUNT_ID: Final = "workload-account-id"

# headers of a dead letter, from the contract
OWN_HEADERS: Final = "safestream-"
SOURCE_TOPIC: Final = "safestream-source-topic"
SOURCE_PARTITION: Final = "safestream-source-partition"
SOURCE_OFFSET: Final = "safestream-source-offset"
SOURCE_TIMESTAMP: Final = "safestream-source-timestamp"
REASON: Final = "safestream-error-reason"
SALT: Final = "safestream-commitment-salt"

GENESIS, DECISION, DEAD_LETTER = 1, 2, 3  # kinds of leaf; `lost_to_retention` never belongs to these runs
RECORDED: Final = {  # topics whose records have a leaf and no outcome
    "moderation.controls": 5,
    "moderation.reviews": 6,
    "moderation.account-actions": 7,
}
EXAMPLES: Final = 5  # of each anomaly, kept for the report


@dataclass
class Verdict:
    """Counts of what was read, and every anomaly by name with its first few examples."""

    counts: Counter[str] = field(default_factory=Counter)
    anomalies: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def found(self, name: str, where: str) -> None:
        self.anomalies[name] += 1
        kept = self.examples.setdefault(name, [])
        if len(kept) < EXAMPLES:
            kept.append(where)

    def report(self) -> str:
        """The verdict for a person, a line for each count and each example."""
        lines = ["read: " + ", ".join(f"{number:,} {name}" for name, number in self.counts.items())]
        for name, number in self.anomalies.items():
            lines.append(f"VIOLATION {name}: {number:,}")
            lines += [f"    {example}" for example in self.examples[name]]
        return "\n".join(lines if self.anomalies else [*lines, "no anomaly"])


class _Stated(NamedTuple):
    """What is kept of a leaf until its input comes by."""

    kind: int
    commitment: bytes | None


class _Decided(NamedTuple):
    """What is kept of a decision until its input comes by."""

    salt: bytes
    event_id: str
    account_id: str
    fault: str  # what is wrong with it as such, "" where nothing


class _Letter(NamedTuple):
    """What is kept of a dead letter until its input comes by."""

    salt: bytes
    reason: str
    digest: bytes  # of what it must keep of its input


Stated = dict[Source, dict[int, _Stated]]
Outcomes = dict[Source, dict[int, _Decided]]
Letters = dict[Source, dict[int, _Letter]]
Delivered = dict[Source, set[int]]


def judge(history: History) -> Verdict:
    """All eleven analyses over one history."""
    verdict = Verdict()
    stated = chains(history, verdict)
    outcomes, restricted = decided(history, verdict)
    letters = buried(history, verdict)
    ledger(history.ledger_inputs, restricted, verdict)
    delivered = settle(history, stated, outcomes, letters, verdict)
    phantoms(delivered, stated, outcomes, letters, verdict)
    ends(history, delivered, verdict)
    return verdict


# --- 1, 2: leaves and chains

_HEADER: Final = struct.Struct(">BI4sHH16s16siqQ32s4s")  # the first 101 bytes; the frame is the first 5 of them
_ZEROS: Final = bytes(32)


@dataclass(slots=True)
class _Chain:
    sequence: int = 0
    hash: bytes = _ZEROS
    offset: int = -1
    start: int = -1


def chains(history: History, verdict: Verdict) -> Stated:
    """Walk every chain; each source's offsets that have a leaf, without the genesis."""
    cluster = hashlib.sha256(history.cluster_id.encode()).digest()[:16]
    heads: dict[Source, _Chain] = {}
    stated: Stated = {}
    for leaf in history.leaves:
        verdict.counts["leaves"] += 1
        where = f"moderation.audit-{leaf.partition}@{leaf.position}"
        if len(leaf.value) < _HEADER.size:
            verdict.found("unreadable-leaf", f"{where}: {len(leaf.value)} bytes")
            continue
        magic, _, tag, version, kind, of_cluster, topic_id, partition, offset, sequence, previous, reserved = (
            _HEADER.unpack_from(leaf.value)
        )
        if (magic, tag, version, reserved) != (0, b"SFSL", 1, bytes(4)):
            verdict.found("unreadable-leaf", f"{where}: magic {magic}, tag {tag!r}, version {version}")
            continue
        if of_cluster != cluster or topic_id not in history.topic_ids:
            verdict.found("foreign-leaf", where)
            continue
        source = Source(history.topic_ids[topic_id], partition)
        where = f"{_at(source, offset)} in {where}"
        if leaf.partition != partition:
            verdict.found("misplaced-leaf", where)
        chain = heads.setdefault(source, _Chain())
        _link(chain, kind, offset, sequence, previous, where, verdict)
        chain.hash = hashlib.sha256(b"\x00" + leaf.value).digest()
        if kind != GENESIS:
            _state(stated.setdefault(source, {}), offset, _Stated(kind, leaf.commitment), where, verdict)
    verdict.counts["chains"] = len(heads)
    return stated


def _link(chain: _Chain, kind: int, offset: int, sequence: int, previous: bytes, where: str, verdict: Verdict) -> None:
    first = chain.start < 0
    if first != (kind == GENESIS):
        verdict.found("no-genesis" if first else "second-genesis", where)
    if sequence != chain.sequence:
        verdict.found("broken-sequence", f"{where}: sequence {sequence}, expected {chain.sequence}")
    if previous != chain.hash:
        verdict.found("broken-hash", f"{where}: previous {previous.hex()[:16]}…, expected {chain.hash.hex()[:16]}…")
    if kind != GENESIS:
        if offset <= chain.offset:
            verdict.found("reordered-leaf", f"{where}: after offset {chain.offset}")
        chain.offset = max(chain.offset, offset)
    chain.start = offset if first else chain.start
    chain.sequence = sequence + 1


def _state(of: dict[int, _Stated], offset: int, said: _Stated, where: str, verdict: Verdict) -> None:
    if offset in of:
        verdict.found("doubled-leaf", where)
    of[offset] = said


# --- 4, 6, 7: what came out


def decided(history: History, verdict: Verdict) -> tuple[Outcomes, set[tuple[Source, int]]]:
    """Each source's decisions by offset, and the coordinates of those that restrict."""
    ids = {name: uuid.UUID(bytes=topic_id) for topic_id, name in history.topic_ids.items()}
    outcomes: Outcomes = {}
    restricted: set[tuple[Source, int]] = set()
    for each in history.decisions:
        verdict.counts["decisions"] += 1
        where = f"{_at(each.source, each.offset)} in moderation.decisions-{each.partition}@{each.position}"
        of = outcomes.setdefault(each.source, {})
        if each.offset in of:
            verdict.found("doubled-decision", where)
        if each.partition != partition_of(each.account_id.encode(), history.partitions):
            verdict.found("misplaced-decision", where)
        of[each.offset] = _Decided(each.salt, each.event_id, each.account_id, _faults(history, ids, each))
        if each.action != "allow":
            restricted.add((each.source, each.offset))
    return outcomes, restricted


def _faults(history: History, ids: dict[str, uuid.UUID], each: Decision) -> str:
    coordinates = f"{history.cluster_id}/{ids.get(each.source.topic)}/{each.source.partition}/{each.offset}"
    checks = {
        "decision_id": each.decision_id == str(uuid.uuid5(DECISION_NAMESPACE, coordinates)),
        "sequence": each.sequence == FIRST_SEQUENCE,
        "key": each.key == each.account_id.encode(),
    }
    return ", ".join(name for name, right in checks.items() if not right)


@lru_cache(maxsize=1 << 16)
def partition_of(key: bytes, partitions: int) -> int:
    """Where Java's default partitioner puts a key: murmur2 with its seed, as `org.apache.kafka.common.utils.Utils`."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for (word,) in struct.iter_unpack("<I", key[:whole]):
        k = word * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if rest := key[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions


def buried(history: History, verdict: Verdict) -> Letters:
    """Each source's dead letters by offset."""
    letters: Letters = {}
    for each in history.dead_letters:
        verdict.counts["dead letters"] += 1
        headers = {name: value or b"" for name, value in each.headers if name.startswith(OWN_HEADERS)}
        try:
            source = Source(headers[SOURCE_TOPIC].decode(), int(headers[SOURCE_PARTITION]))
            offset, reason = int(headers[SOURCE_OFFSET]), headers[REASON].decode()
            salt, noted = bytes.fromhex(headers[SALT].decode()), int(headers[SOURCE_TIMESTAMP])
        except (KeyError, ValueError) as error:
            verdict.found("altered-dead-letter", f"moderation.dead-letters-{each.partition}@{each.position}: {error!r}")
            continue
        of = letters.setdefault(source, {})
        if offset in of:
            verdict.found("doubled-dead-letter", _at(source, offset))
        kept = tuple(header for header in each.headers if not header[0].startswith(OWN_HEADERS))
        of[offset] = _Letter(salt, reason, _digest(each.key, each.value, kept, each.timestamp, noted))
    return letters


def _digest(key: bytes | None, value: bytes | None, headers: Headers, *timestamps: int) -> bytes:
    return hashlib.sha256(repr((key, value, headers, timestamps)).encode()).digest()


# --- 9: the ledger


def ledger(inputs: Iterable[LedgerInput], restricted: set[tuple[Source, int]], verdict: Verdict) -> None:
    """Ledger inputs against the decisions that restrict."""
    noted: set[tuple[Source, int]] = set()
    for each in inputs:
        verdict.counts["ledger inputs"] += 1
        coordinates = (each.source, each.offset)
        if coordinates in noted:
            verdict.found("doubled-ledger-input", _at(*coordinates))
        if coordinates not in restricted:
            verdict.found("phantom-ledger-input", _at(*coordinates))
        noted.add(coordinates)
    for coordinates in sorted(restricted - noted):
        verdict.found("lost-ledger-input", _at(*coordinates))


# --- 3 to 8: each input against what it got


def settle(history: History, stated: Stated, outcomes: Outcomes, letters: Letters, verdict: Verdict) -> Delivered:
    """Each delivered input must have exactly one leaf and one outcome, and they must be of it."""
    delivered: Delivered = {}
    for record in history.inputs:
        verdict.counts["inputs"] += 1
        delivered.setdefault(record.source, set()).add(record.offset)
        leaf = stated.get(record.source, {}).get(record.offset)
        decision = outcomes.get(record.source, {}).get(record.offset)
        letter = letters.get(record.source, {}).get(record.offset)
        where = _at(record.source, record.offset)
        if leaf is None:
            verdict.found("lost-leaf", where)
        if record.source.topic in RECORDED:
            _settle_recorded(record, leaf, decision, letter, where, verdict)
        elif decision is None and letter is None:
            verdict.found("lost-outcome", where)
        elif decision is not None and letter is not None:
            verdict.found("two-outcomes", where)
        elif decision is not None:
            _settle_decision(record, leaf, decision, where, verdict)
        elif letter is not None:
            _settle_letter(record, leaf, letter, where, verdict)
    return delivered


def _settle_recorded(
    record: Input,
    leaf: _Stated | None,
    decision: _Decided | None,
    letter: _Letter | None,
    where: str,
    verdict: Verdict,
) -> None:
    if leaf is not None and leaf.kind != RECORDED[record.source.topic]:
        verdict.found("wrong-kind", f"{where}: the leaf says {leaf.kind}")
    if decision is not None:
        verdict.found("phantom-decision", where)
    if letter is not None:
        verdict.found("phantom-dead-letter", where)


def _settle_decision(record: Input, leaf: _Stated | None, decision: _Decided, where: str, verdict: Verdict) -> None:
    if record.header(EXPECTED):
        verdict.found("decided-poison", f"{where}: made to be {record.header(EXPECTED)}")
    if decision.fault:
        verdict.found("wrong-decision", f"{where}: {decision.fault}")
    if (decision.event_id, decision.account_id) != (record.header(EVENT_ID), record.header(ACCOUNT_ID)):
        verdict.found("wrong-decision", f"{where}: of event {decision.event_id}")
    _agree(record, leaf, DECISION, decision.salt, where, verdict)


def _settle_letter(record: Input, leaf: _Stated | None, letter: _Letter, where: str, verdict: Verdict) -> None:
    expected = record.header(EXPECTED)
    if not expected:
        verdict.found("buried-event", f"{where}: {letter.reason}")
    elif letter.reason != expected:
        verdict.found("wrong-reason", f"{where}: {letter.reason}, expected {expected}")
    if letter.digest != _digest(record.key, record.value, record.headers, record.timestamp, record.timestamp):
        verdict.found("altered-dead-letter", where)
    _agree(record, leaf, DEAD_LETTER, letter.salt, where, verdict)


def _agree(record: Input, leaf: _Stated | None, kind: int, salt: bytes, where: str, verdict: Verdict) -> None:
    if leaf is None:
        return
    if leaf.kind != kind:
        verdict.found("wrong-kind", f"{where}: the leaf says {leaf.kind}, the outcome is {kind}")
    if leaf.commitment != (None if record.value is None else hashlib.sha256(salt + record.value).digest()):
        verdict.found("wrong-commitment", where)


def phantoms(delivered: Delivered, stated: Stated, outcomes: Outcomes, letters: Letters, verdict: Verdict) -> None:
    """Whatever stands for an offset that was never delivered."""
    for name, by_source in (("leaf", stated), ("decision", outcomes), ("dead-letter", letters)):
        for source, offsets in by_source.items():
            for offset in sorted(offsets.keys() - delivered.get(source, set())):
                verdict.found(f"phantom-{name}", _at(source, offset))


# --- 10, 11: the ends


def ends(history: History, delivered: Delivered, verdict: Verdict) -> None:
    """The group's positions, and that nothing the producer was promised is missing from the inputs themselves."""
    for source, position in history.positions.items():
        if position.end > 0 and position.committed != position.end:
            verdict.found("wrong-position", f"{_at(source, position.end)}: committed {position.committed}")
    for source, number in history.acknowledged.items():
        if len(delivered.get(source, ())) < number:
            verdict.found("lost-input", f"{source}: {len(delivered.get(source, ()))} of {number} acknowledged")


def _at(source: Source, offset: int) -> str:
    return f"{source.topic}-{source.partition}@{offset}"
