"""What the states must be: every committed input of every account, folded in another order than the ledger's."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from confluent_kafka import Message

from enforcement.ledger.fold import fold, join
from enforcement.ledger.state import decode as state_of
from schemas import topics
from stream.murmur2 import partitions_of
from tests.fault.avro import decode
from tests.fault.reading import read
from tests.ledger_records import newer

PARTITIONS = 3
_TIMES = {topics.REVIEWS: "reviewed_at", topics.CONTROLS: "issued_at"}


@dataclass
class Verdict:
    """What was found."""

    inputs: int = 0
    accounts: int = 0
    rows: int = 0
    actions: int = 0
    wrong: list[str] = field(default_factory=list)  # whatever must not be
    went_back: int = 0  # rows older than one before them, which readers ignore

    def report(self) -> str:
        head = (
            f"{self.inputs} inputs, {self.accounts} accounts, {self.rows} rows of state, {self.actions} actions, "
            f"{self.went_back} rows that went back, {len(self.wrong)} wrong"
        )
        return "\n".join([head, *self.wrong[:10]])


def last_offsets(bootstrap: str) -> dict[tuple[str, int], int]:
    """(topic, partition) → offset of its last committed record."""
    return {(m.topic(), m.partition()): m.offset() for m in read(bootstrap, *topics.LEDGER)}


def judge(bootstrap: str) -> Verdict:
    """Compare every account's last row with what the inputs say, byte by byte, and its actions with its state."""
    verdict = Verdict()
    inputs = _inputs(bootstrap, verdict)
    first, last = _rows(bootstrap, verdict)
    verdict.accounts = len(inputs)
    for account, told in inputs.items():
        expected: bytes | None = None
        for topic, offset, record in told:
            expected = fold(expected, topic, offset, record)
        if last.get(account) != expected:
            verdict.wrong.append(f"{account!r}: {_difference(last.get(account), expected)}")
        again: bytes | None = first.get(account)  # a snapshot, and all the topics on top of it
        for topic, offset, record in told:
            again = fold(again, topic, offset, record)
        if again != expected:
            verdict.wrong.append(f"{account!r}: rebuilt from a snapshot it differs")
    verdict.wrong += [f"{account!r}: a state without inputs" for account in last.keys() - inputs.keys()]
    _judge_actions(bootstrap, last, verdict)
    return verdict


def _difference(found: bytes | None, expected: bytes | None) -> str:
    if found is None or expected is None:
        return "no state" if found is None else "a state of nothing"
    return f"{state_of(found).marks} in place of {state_of(expected).marks}"


def _inputs(bootstrap: str, verdict: Verdict) -> dict[bytes, list[tuple[str, int, Any]]]:
    """Account → its records, topic after topic."""
    found: defaultdict[bytes, list[tuple[str, int, Any]]] = defaultdict(list)
    for topic in reversed(topics.LEDGER):
        for message in read(bootstrap, topic):
            verdict.inputs += 1
            record = _record(topic, message)
            account = (record or {}).get("account_id")
            if account is not None and partitions_of([account.encode()], PARTITIONS)[0] == message.partition():
                found[account.encode()].append((topic, message.offset(), record))
    return found


def _record(topic: str, message: Message) -> dict[str, Any] | None:
    """None for what a test broke."""
    try:
        told = decode(message.value(), topic)
    except KeyError:
        return None
    record = {
        name: round(value.timestamp() * 1000) if isinstance(value, datetime) else value for name, value in told.items()
    }
    if topic in _TIMES:
        record[_TIMES[topic]] = min(record[_TIMES[topic]], message.timestamp()[1])
    return record


def _rows(bootstrap: str, verdict: Verdict) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Some early row of each account, and what a reader holds at the end who lets the higher marks win."""
    early: dict[bytes, bytes] = {}
    last: dict[bytes, bytes] = {}
    for message in read(bootstrap, topics.ACCOUNT_STATE):
        verdict.rows += 1
        account, value = message.key(), message.value()
        before = last.get(account)
        verdict.went_back += before is not None and before != value and not newer(before, value)
        last[account] = join(before, value)
        early.setdefault(account, value)
    return early, last


def _judge_actions(bootstrap: str, last: dict[bytes, bytes], verdict: Verdict) -> None:
    """What was said of an account last is how it stands; an id is said with one meaning only."""
    said: dict[bytes, dict[str, Any]] = defaultdict(dict)
    meanings: dict[str, Any] = {}
    for record in _actions(bootstrap):
        verdict.actions += 1
        if meanings.setdefault(record["action_id"], record) != record:
            verdict.wrong.append(f"{record['action_id']}: two meanings")
        said[record["account_id"].encode()][record["action"]] = record
    for account, value in last.items():
        stands = {each.action: each.until for each in state_of(value).restrictions}
        told = {name: record["until"] for name, record in said[account].items() if record["in_force"]}
        if told != stands:
            verdict.wrong.append(f"{account!r}: told {told}, stands {stands}")


def _actions(bootstrap: str) -> Iterable[dict[str, Any]]:
    for message in read(bootstrap, topics.ACCOUNT_ACTIONS):
        yield decode(message.value(), topics.ACCOUNT_ACTIONS)
