"""What a verification says: as text for a person, as JSON for a program."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from enforcement.audit.census import Statement
from enforcement.audit.completeness import Completeness
from enforcement.audit.faults import ChainId, Fault
from enforcement.audit.offset_ranges import OffsetRanges
from enforcement.audit.verifier import Report

_SHOWN: Final = 10  # faults, partitions and ranges on a screen; JSON has all that are kept
_SETS: Final = ("missing", "tail", "extra", "disputed", "unproven", "lost", "pending", "unseen")
_MEANING: Final[Mapping[str, str]] = {
    "missing": "without a leaf",
    "tail": "without a leaf after the chain's end: cut, or not decided yet (no committed offset says which)",
    "extra": "with a leaf, but never delivered",
    "disputed": "lost to retention by the chain's word, yet a census after that found them still in the log",
    "unproven": "lost to retention by the chain's word, and no census after that shows it: take one",
}
_TOPICS_UNKNOWN: Final = (
    "topics: NOT CHECKED: the leaves are of another cluster than this one, so it can't be known what topics there are;"
    " a whole chain of an invented topic would not show"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that was found.

    heads         how many chains had a head that the group committed
    trusted       the statements are signed by a key that the user named
    distrust      why statements were not used
    topics_known  whether a chain of an invented topic would have been found
    completeness  empty without a census
    """

    topic: str
    partitions: int
    group: str
    heads: int
    report: Report
    topics_known: bool
    statements: Sequence[Statement]
    trusted: bool
    distrust: Sequence[str]
    completeness: Sequence[Completeness]
    names: Mapping[bytes, str]  # topic id → topic

    @property
    def good(self) -> bool:
        """Exit code 0."""
        return not self.report.fault_count and not self.distrust and all(row.whole for row in self.completeness)

    def place(self, chain: ChainId) -> str:
        """A source partition in words."""
        return f"{self.names.get(chain.topic_id, chain.topic_id.hex())} partition {chain.partition}"


def text(outcome: Outcome) -> str:
    """The summary for a person."""
    report = outcome.report
    lines = [
        f"{outcome.topic}: {report.leaves:,} leaves, {len(report.chains)} chains, {outcome.partitions} partitions",
        *_integrity(outcome),
        *([] if outcome.topics_known else [_TOPICS_UNKNOWN]),
        *(f"census: NOT USED: {reason}" for reason in outcome.distrust),
        *_completeness(outcome),
    ]
    return "\n".join(lines)


def _integrity(outcome: Outcome) -> Iterator[str]:
    faults, count = outcome.report.faults, outcome.report.fault_count
    if not count:
        chains = len(outcome.report.chains)
        ends = f"{outcome.heads} of {chains} up to the head that the group {outcome.group} committed"
        none = f"the group {outcome.group} has committed no heads, so a missing end would not show"
        yield f"integrity: every chain holds, {ends if outcome.heads else none}"
        return
    yield f"integrity: BROKEN, {count:,} fault{'s' if count > 1 else ''}; the first bad leaf:"
    for number, fault in enumerate(faults[:_SHOWN]):
        yield ("  " if number else "> ") + fault_line(outcome, fault)
    if count > _SHOWN:
        yield f"  and {count - _SHOWN:,} more (--json names up to {len(faults):,})"


def fault_line(outcome: Outcome, fault: Fault) -> str:
    """One fault: what, where in the audit topic, which leaf, why."""
    where = f"audit partition {fault.audit_partition}"
    where += " at its end" if fault.audit_offset is None else f" offset {fault.audit_offset}"
    leaf = "" if fault.chain is None else f"; {outcome.place(fault.chain)}, sequence {fault.sequence}"
    source = "" if fault.source_offset is None else f", source offset {fault.source_offset}"
    return f"{fault.kind}: {where}{leaf}{source}: {fault.detail}"


def _completeness(outcome: Outcome) -> Iterator[str]:
    rows = outcome.completeness
    if not outcome.statements:
        none = "no census is left" if outcome.distrust else "no census was given (`safestream audit census` takes one)"
        yield f"completeness: by the worker's word only: {none}"
        return
    yield _signed_by(outcome)
    bad = [row for row in rows if not row.whole]
    delivered = sum(row.delivered for row in rows)
    verdict = "INCOMPLETE" if bad else "every record that is due has its leaf"
    notes = [f"{count:,} {said}" for count, said in _notes(rows) if count]
    yield f"completeness: {verdict}; {', '.join([f'{delivered:,} records delivered', *notes])}"
    for row in bad[:_SHOWN]:
        for name, meaning in _MEANING.items():
            if len(offsets := getattr(row, name)):
                yield f"> {outcome.place(row.chain)}: {offsets.count():,} {meaning}: offsets {_ranges(offsets)}"
    if len(bad) > _SHOWN:
        yield f"  and {len(bad) - _SHOWN} more partitions"


def _notes(rows: Sequence[Completeness]) -> Iterator[tuple[int, str]]:
    yield sum(row.pending.count() for row in rows), "not decided yet"
    yield sum(row.lost.count() for row in rows), "lost to retention"
    yield sum(row.unseen.count() for row in rows), "offsets outside of the census, by the worker's word only"


def _signed_by(outcome: Outcome) -> str:
    times = sorted(statement.time_ms for statement in outcome.statements)
    when = datetime.fromtimestamp(times[-1] / 1000, UTC).isoformat(" ", "seconds")
    many = "the census" if len(times) == 1 else f"{len(times)} censuses, the last"
    if outcome.trusted:
        return f"census: {many} of {when}, signed by the key you named"
    keys = sorted({statement.public_key.hex() for statement in outcome.statements})
    return f"census: {many} of {when}; it fits its own key only ({', '.join(keys)}): name yours with --public-key"


def _ranges(offsets: OffsetRanges) -> str:
    shown = [str(first) if end == first + 1 else f"{first}-{end - 1}" for first, end in list(offsets)[:_SHOWN]]
    return ", ".join(shown) + (", ..." if len(offsets) > _SHOWN else "")


def document(outcome: Outcome) -> dict[str, Any]:
    """The same for a program; ranges are [first, last]."""
    first = outcome.report.first
    return {
        "good": outcome.good,
        "topic": outcome.topic,
        "leaves": outcome.report.leaves,
        "faults": outcome.report.fault_count,
        "first_fault": _fault(outcome, first) if first else None,
        "fault_list": [_fault(outcome, fault) for fault in outcome.report.faults],
        "chains": [
            {
                **_chain(outcome, chain),
                "leaves": end.leaves,
                "start_offset": end.start,
                "next_offset": end.next_offset,
                "next_sequence": end.head.sequence,
                "hash": end.head.hash.hex(),
                "lost_to_retention": [[lost, after - 1] for lost, after, _ in end.lost],
            }
            for chain, end in sorted(outcome.report.chains.items())
        ],
        "committed_heads": outcome.heads,
        "topic_ids_checked": outcome.topics_known,
        "completeness": _by_census(outcome) if outcome.statements else "by the worker's word only",
        "census_not_used": list(outcome.distrust),
    }


def _by_census(outcome: Outcome) -> dict[str, Any]:
    return {
        "complete": all(row.whole for row in outcome.completeness),
        "trusted": outcome.trusted,
        "partitions": [
            {**_chain(outcome, row.chain), "delivered": row.delivered}
            | {name: [[first, end - 1] for first, end in getattr(row, name)] for name in _SETS}
            for row in outcome.completeness
        ],
    }


def _fault(outcome: Outcome, fault: Fault) -> dict[str, Any]:
    return {
        "kind": str(fault.kind),
        "audit_partition": fault.audit_partition,
        "audit_offset": fault.audit_offset,
        **(_chain(outcome, fault.chain) if fault.chain else {}),
        "sequence": fault.sequence,
        "source_offset": fault.source_offset,
        "detail": fault.detail,
    }


def _chain(outcome: Outcome, chain: ChainId) -> dict[str, Any]:
    topic_id = chain.topic_id
    return {"topic": outcome.names.get(topic_id), "topic_id": topic_id.hex(), "partition": chain.partition}
