"""What can't be decoded: kept whole, listed, shown, and replayed once its cause is mended, each time exactly once."""

import base64
import hashlib
import json
import random
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from safestream.cli import run
from schemas import headers, topics
from schemas.errors import PoisonReason
from schemas.leaf_header import Kind, parse
from stream.replay import signature
from tests.fault import workload
from tests.fault.avro import decode
from tests.fault.cluster import SAFESTREAM, wait_until
from tests.fault.oracle import EXPECTED
from tests.fault.workload import HEADLESS_ID, MAX_EVENT_BYTES, SPOILS, Record, write_schema_folder
from tests.pipeline import PARTITIONS, SIGNING_KEY, Pipeline

pytestmark = pytest.mark.integration

MARKER = "zanzibarquokka"  # stands in every text, and must not stand in any log line
LATER_ID = HEADLESS_ID + 1  # of a schema that is registered only after its first records
NEARLY_ALL = 1_040_000  # bytes: with key and headers just under what a topic takes


class Letters:
    """A pipeline with a schema folder of its user's, and our commands on it."""

    def __init__(self, pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
        self.pipeline, self.capsys = pipeline, capsys
        self.schemas = pipeline.folder / "schemas"
        write_schema_folder(self.schemas)
        self.settings = {
            "schema_registry": {"folder": str(self.schemas)},
            "worker": {"group": pipeline.group, "max_event_bytes": MAX_EVENT_BYTES},
            "log": {"level": "debug"},
        }
        self.config = pipeline.config(**self.settings)

    def decide(self) -> None:
        """A worker decides all that is there, and leaves. Behind a replay lies its transaction's marker, no record."""
        ends = dict[tuple[str, int], int]()
        for each in self.inputs():
            ends[str(each.topic()), int(each.partition() or 0)] = int(each.offset() or 0) + 1
        worker = self.pipeline.worker(**self.settings)

        def drained() -> bool:
            at = self.pipeline.positions()
            return all(at[place].committed == end for place, end in ends.items())

        wait_until("everything is decided", drained, 60, 0.2)
        assert worker.terminate()[0] == 0, worker.tail()

    def command(self, *arguments: str, config: Path | None = None) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of `safestream dead-letters …`."""
        self.capsys.readouterr()
        code = run(["dead-letters", *arguments, "--config", str(config or self.config)])
        return code, *self.capsys.readouterr()

    def replay(self, *arguments: str) -> str:
        code, out, err = self.command("replay", *arguments)
        assert code == 0, err
        return out

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        code, out, err = self.command("list", "--json", *arguments)
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def produce(self, records: Iterable[Record]) -> None:
        self.pipeline.produce_raw((each.topic, each.key, each.value, each.headers) for each in records)

    def inputs(self) -> list[Message]:
        return [message for topic in self.pipeline.content for message in self.pipeline.read(topic)]

    def decided(self) -> dict[str, list[dict[str, Any]]]:
        """Decisions by event id, each with its leaf's body under `leaf`."""
        leaves = {leaf["decision_id"]: leaf for leaf in self.leaves(Kind.decision).values()}
        found: dict[str, list[dict[str, Any]]] = {}
        for message in self.pipeline.read(topics.DECISIONS):
            made = decode(message.value(), "decision")
            found.setdefault(made["event_id"], []).append(made | {"leaf": leaves[made["decision_id"]]})
        return found

    def leaves(self, kind: Kind) -> dict[str, dict[str, Any]]:
        """Bodies of the leaves of one kind, by "topic id/partition/offset"."""
        found = {}
        for message in self.pipeline.read(topics.AUDIT):
            header = parse(message.value())
            if header.kind is kind:
                place = f"{header.topic_id.hex()}/{header.partition}/{header.offset}"
                assert place not in found
                found[place] = decode(message.value(), place)[kind.name]
        return found


@pytest.fixture
def letters(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> Iterator[Letters]:
    """At the end the workers' log lines are looked through: nothing of content or people may stand there."""
    yield Letters(pipeline, capsys)
    for worker in pipeline.workers:
        said = worker.log.read_text()
        assert MARKER not in said
        assert "account-" not in said
        assert "event-" not in said


def event(name: str, topic: str = topics.COMMENTS, **changes: Any) -> Record:
    """An event whose text has the marker."""
    chance = random.Random(name)
    fields = {"event_id": f"event-{name}", "text": MARKER, "display_name": MARKER} | changes
    return next(made for number in range(200) if (made := workload.event(chance, number, **fields)).topic == topic)


def spoilt(reason: str, name: str, topic: str = topics.COMMENTS) -> Record:
    """A record that can't be decoded; the oracle is told why."""
    of = event(name, topic)
    carried = [(key, reason.encode() if key == EXPECTED else value) for key, value in of.headers]
    return Record(topic, of.key, SPOILS[reason](random.Random(name), of), carried)


def headers_of(message: Message) -> dict[str, str]:
    return {name: (data or b"").decode() for name, data in message.headers() or []}


def test_every_reason_has_its_letter_and_its_leaf(letters: Letters) -> None:
    """Each kept byte for byte, with reason and a commitment that its salt opens; listed and shown as it is."""
    reasons = [reason.value for reason in PoisonReason if reason is not PoisonReason.WRONG_PARTITION]  # the ledger's
    assert set(reasons) == set(SPOILS), "every reason can be caused by a producer"
    huge = spoilt("too_large", "huge")
    made = [spoilt(reason, f"{reason}-{n}") for reason in reasons for n in range(2)]
    made += [
        Record(huge.topic, huge.key, (huge.value or b"") + bytes(NEARLY_ALL - len(huge.value or b"")), huge.headers)
    ]
    letters.produce([*made, *(event(f"good-{n}") for n in range(10))])
    letters.decide()
    assert letters.pipeline.verdict().anomalies == {}  # which compares key, value, headers, timestamp and commitment
    inputs = {(m.topic(), m.partition(), m.offset()): m for m in letters.inputs()}
    leaves = letters.leaves(Kind.dead_letter)
    found = letters.pipeline.read(topics.DEAD_LETTERS)
    assert len(found) == len(leaves) == len(made)
    for each in found:
        said = headers_of(each)
        place = said[headers.SOURCE_PARTITION], said[headers.SOURCE_OFFSET]
        source = inputs[said[headers.SOURCE_TOPIC], int(place[0]), int(place[1])]
        assert (each.key(), each.value(), each.timestamp()[1]) == (source.key(), source.value(), source.timestamp()[1])
        leaf = leaves["/".join([said[headers.SOURCE_TOPIC_ID], *place])]
        assert (leaf["topic"], leaf["reason"]) == (said[headers.SOURCE_TOPIC], headers_of(source)[EXPECTED])
        assert (leaf["attempt"], leaf["origin"], said[headers.ATTEMPT]) == (1, None, "1")
        salted = bytes.fromhex(said[headers.COMMITMENT_SALT]) + (each.value() or b"")
        assert leaf["commitment"] == (None if each.value() is None else hashlib.sha256(salted).digest())
        assert MARKER not in said[headers.ERROR_MESSAGE]
    listed = letters.listed()
    assert Counter(each["reason"] for each in listed) == Counter(dict.fromkeys(reasons, 2) | {"too_large": 3})
    assert_shown_as_they_are(letters, found)


def assert_shown_as_they_are(letters: Letters, found: list[Message]) -> None:
    table = letters.command("list", "--reason", "tombstone")[1].splitlines()
    assert len(table) == 4, "a heading, two letters, a sum"
    assert table[-1] == "2 dead letters: 2 tombstone"
    for letter in (each for each in found if headers_of(each)[headers.ERROR_REASON] in {"truncated", "tombstone"}):
        code, out, _ = letters.command("show", f"{letter.partition()}/{letter.offset()}")
        shown = json.loads(out)
        value = None if letter.value() is None else base64.b64encode(letter.value()).decode()
        assert (code, shown["value"], shown["key"]) == (0, value, base64.b64encode(letter.key()).decode())
        assert shown["headers"] == [[name, data.decode()] for name, data in letter.headers()]
    for wrong in ("0/99999", "nonsense"):
        code, _, err = letters.command("show", wrong)
        assert (code, len(err.splitlines())) == (2, 1)


def later(name: str) -> Record:
    """A comment by a schema that nobody has registered yet; the same fields as now."""
    of = event(name)
    carried = [(key, b"unknown_schema_id" if key == EXPECTED else value) for key, value in of.headers]
    return Record(of.topic, of.key, b"\0" + LATER_ID.to_bytes(4, "big") + (of.value or b"")[5:], carried)


def register_later(schemas: Path) -> None:
    """What the user's team forgot."""
    ids = schemas / "released" / "ids.json"
    ids.write_text(json.dumps(json.loads(ids.read_text()) | {str(LATER_ID): f"{topics.COMMENTS}/3"}))
    released = Path(workload.__file__).parents[2] / "schemas" / "released" / topics.COMMENTS / "1.avsc"
    (schemas / "released" / topics.COMMENTS / "3.avsc").write_text(released.read_text())


def claiming(of: Record, proof: str | None, attempt: int = 9) -> Record:
    """The record under headers that say it is a replay, with somebody's signature or none."""
    claim = {headers.ORIGIN: f"{'0f' * 16}/0/0", headers.ATTEMPT: str(attempt)}
    if proof is not None:
        claim[headers.REPLAY_SIGNATURE] = proof
    return Record(of.topic, of.key, of.value, [*of.headers, *((name, text.encode()) for name, text in claim.items())])


def test_replays_are_decided_once_and_given_up_in_time(letters: Letters) -> None:
    """Once the schema is there its letters are decided as what they were; what stays broken is given up."""
    letters.produce([*(later(f"later-{n}") for n in range(4)), spoilt("truncated", "never"), event("good")])
    letters.decide()
    origins = {each["origin"] for each in letters.listed("--reason", "unknown_schema_id")}
    (never,) = letters.listed("--reason", "truncated")
    assert len(origins) == 4
    register_later(letters.schemas)
    assert letters.replay("--all", "--reason", "unknown_schema_id").endswith("left for another reason: 1\n")
    assert letters.replay("--all").startswith("replayed 1; ")  # those of the other reason were not passed by
    assert letters.replay("--all").startswith("replayed 0; ")
    letters.decide()
    decided = letters.decided()
    assert {name: len(made) for name, made in decided.items()} == dict.fromkeys(decided, 1)
    replayed = [made[0] for name, made in decided.items() if name.startswith("event-later")]
    assert {each["leaf"]["origin"] for each in replayed} == origins
    assert all("replayed" in each["flags"] and not each["degraded"] for each in replayed)
    assert_given_up_after(3, never, letters)
    wrong = letters.pipeline.verdict().anomalies
    del wrong["wrong-position"]  # the oracle wants the markers committed as well
    assert wrong == {"decided-poison": 4, "altered-dead-letter": 2}, "it does not know of replays"


def assert_given_up_after(attempts: int, never: dict[str, Any], letters: Letters) -> None:
    """Its second letter is there; it is replayed until its attempts are used up, and each letter knows the first."""
    letters.replay("--all")
    letters.decide()
    found = letters.listed("--reason", "truncated")
    assert [each["attempt"] for each in found] == list(range(1, attempts + 1))
    assert {each["origin"] for each in found} == {never["origin"]}
    leaves = [leaf for leaf in letters.leaves(Kind.dead_letter).values() if leaf["reason"] == "truncated"]
    assert {(leaf["attempt"], leaf["origin"]) for leaf in leaves} == {
        (1, None),
        *((attempt, never["origin"]) for attempt in range(2, attempts + 1)),
    }
    for asked in ("--all", found[-1]["letter"]):
        assert letters.replay(asked) == f"replayed 0; given up after {attempts} attempts: 1\n"


def test_replay_headers_of_anybody_else_are_ignored(letters: Letters) -> None:
    """No signature, a wrong one, one of other bytes, one that is no text: flagged, and a first attempt."""
    ours = signature(SIGNING_KEY.encode(), f"{'0f' * 16}/0/0", 9, b"other bytes")
    forged = {"none": None, "wrong": "0" * 64, "other-bytes": ours, "accented": "\N{LATIN SMALL LETTER E WITH ACUTE}"}
    letters.produce(claiming(event(name), proof) for name, proof in forged.items())
    letters.produce(claiming(spoilt("too_short", name), proof) for name, proof in forged.items())
    letters.decide()
    decided = letters.decided()
    assert decided.keys() == {f"event-{name}" for name in forged}
    for (made,) in decided.values():
        assert "replay_unsigned" in made["flags"]
        assert "replayed" not in made["flags"]
        assert made["leaf"]["origin"] is None
    found = letters.pipeline.read(topics.DEAD_LETTERS)
    assert len(found) == len(forged)
    for letter in found:
        assert (headers_of(letter)[headers.ATTEMPT], headers.ORIGIN in headers_of(letter)) == ("1", False)
    leaves = letters.leaves(Kind.dead_letter).values()
    assert {(leaf["attempt"], leaf["origin"]) for leaf in leaves} == {(1, None)}


def test_a_replay_killed_midway_goes_on_where_it_was(letters: Letters) -> None:
    """Kill -9 between any two letters, or within one: none is replayed twice, none is left."""
    count = 150
    letters.produce(spoilt("wrong_magic_byte", f"n-{n}") for n in range(count))
    letters.decide()
    line = [*SAFESTREAM, "dead-letters", "replay", "--all", "--config", str(letters.config)]
    group = f"{letters.pipeline.group}-replay-wrong_magic_byte"
    reader = Consumer(
        {
            "bootstrap.servers": letters.pipeline.bootstrap,
            "group.id": group,
            "isolation.level": "read_uncommitted",  # else it waits for what the killed one had not committed
            "log_level": 0,
        }
    )
    with closing(reader), subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        wait_until("some are replayed", lambda: replays(reader) >= 5, 60, 0.02)
        first.kill()
        first.wait()
        assert 0 < replays(reader) < count, "killed midway"
    letters.replay("--all")
    found = (headers_of(message).get(headers.ORIGIN) for message in letters.inputs())
    times = Counter(origin for origin in found if origin is not None)
    assert times == dict.fromkeys((each["origin"] for each in letters.listed()), 1)
    assert len(times) == count


def replays(reader: Consumer) -> int:
    """How far replays of the reader's group have come, in letters."""
    asked = [TopicPartition(topics.DEAD_LETTERS, n) for n in range(PARTITIONS)]
    return sum(max(0, each.offset) for each in reader.committed(asked, timeout=10))


def test_without_a_signing_key_nothing_is_replayed(letters: Letters) -> None:
    config = letters.pipeline.config(dead_letters={"signing_key": None})
    code, out, err = letters.command("replay", "--all", config=config)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "dead_letters.signing_key" in err
