"""What a worker wrote is copied to another topic, and tampered with on the way: `audit verify` names the leaf."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from safestream import cli
from schemas import topics
from schemas.leaf_header import BODY_START, NO_HEAD, Head, leaf_hash, parse, seal
from stream.local_broker import Broker
from tests import audit_chains as attack
from tests.audit_chains import Attack
from tests.pipeline import PARTITIONS, Pipeline, comments

pytestmark = pytest.mark.integration

EVENTS = 300
Leaves = list[bytes]


@dataclass(frozen=True)
class Decided:
    """A pipeline that a real worker has worked off, its audit by partition, and a census of it."""

    pipeline: Pipeline
    config: Path
    audit: list[Leaves]
    census: Path
    public_key: Path

    @property
    def target(self) -> int:
        """The audit partition that is tampered with: the fullest."""
        return max(range(PARTITIONS), key=lambda partition: len(self.audit[partition]))

    def verify(self, capsys: pytest.CaptureFixture[str], topic: str, *more: str) -> tuple[int, dict[str, Any]]:
        """Exit code and outcome of `audit verify`."""
        code = cli.run(["audit", "verify", "--config", str(self.config), "--topic", topic, "--json", *more])
        return code, json.loads(capsys.readouterr().out)

    def copy(self, tampered: Sequence[bytes]) -> str:
        """A fresh audit topic that holds `tampered` in the target partition and the rest as it was."""
        name = f"copied-audit.{uuid4().hex[:8]}"
        self.pipeline.admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(30)
        producer = Producer({"bootstrap.servers": self.pipeline.bootstrap, "enable.idempotence": True})
        for partition, leaves in enumerate(self.audit):
            for leaf in tampered if partition == self.target else leaves:
                producer.produce(name, leaf, partition=partition)
        assert producer.flush(30) == 0
        return name


@pytest.fixture(scope="module")
def decided(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decided]:
    folder = tmp_path_factory.mktemp("audit")
    pipeline = Pipeline(broker.bootstrap, folder, f"group.{uuid4().hex[:8]}")
    pipeline.produce(comments(EVENTS))
    pipeline.run_until_drained(worker={"batch_size": 40})
    audit: list[Leaves] = [[] for _ in range(PARTITIONS)]
    for message in pipeline.read(topics.AUDIT):
        audit[message.partition()].append(message.value())
    config, census, key = pipeline.config(), folder / "census.json", folder / "census.pem"
    assert cli.run(["audit", "census", "--config", str(config), "--new-key", str(key), "--out", str(census)]) == 0
    yield Decided(pipeline, config, audit, census, folder / "census.pem.pub")
    pipeline.close()


def test_what_the_worker_wrote_is_whole(decided: Decided, capsys: pytest.CaptureFixture[str]) -> None:
    """In the topic itself, which is full of transaction markers, and in an honest copy: whole, complete, trusted."""
    census = ("--census", str(decided.census), "--public-key", str(decided.public_key))
    for topic in (topics.AUDIT, decided.copy(decided.audit[decided.target])):
        code, outcome = decided.verify(capsys, topic, *census)
        assert (code, outcome["faults"], outcome["committed_heads"]) == (0, 0, len(outcome["chains"]))
        assert outcome["completeness"]["complete"]
        assert outcome["completeness"]["trusted"]
        assert sum(row["delivered"] for row in outcome["completeness"]["partitions"]) == EVENTS


def forged(leaves: Leaves, at: int) -> bytes:
    """A leaf that fits after the one before `at`: its body is that of another."""
    before = parse(leaves[at - 1])
    head = Head(before.sequence + 1, leaf_hash(leaves[at - 1]))
    row = (before.kind, before.offset + 1, leaves[at - 2][BODY_START:])
    return seal(head, leaves[at][:5], before.cluster, before.topic_id, before.partition, [row])[0][0]


DEEDS: dict[str, Callable[[Leaves], Attack]] = {
    "altered": lambda leaves: attack.altered(leaves, 20, 150),
    "removed": lambda leaves: attack.removed(leaves, 20),
    "inserted": lambda leaves: attack.inserted(leaves, 20, forged(leaves, 20)),
    "reordered": lambda leaves: attack.moved(leaves, 21, 20),
    "doubled": lambda leaves: attack.doubled(leaves, 15, 20),
    "doubled, far away": lambda leaves: attack.doubled(leaves, 10, len(leaves)),
    "cut": lambda leaves: attack.cut(leaves, len(leaves) - 2),
    "the last one altered": lambda leaves: attack.altered(leaves, len(leaves) - 1),
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_each_deed_is_named_at_its_leaf(
    decided: Decided, deed: Callable[[Leaves], Attack], capsys: pytest.CaptureFixture[str]
) -> None:
    """The kind, the audit partition and offset, the chain, the sequence and the source offset of the first bad leaf."""
    leaves = decided.audit[decided.target]
    done = deed(leaves)
    code, outcome = decided.verify(capsys, decided.copy(done.leaves))
    assert (code, outcome["faults"]) == (1, 1)
    fault = outcome["first_fault"]
    assert (fault["kind"], fault["audit_partition"], fault["audit_offset"]) == (done.kind, decided.target, done.first)
    assert (fault["topic"], fault["partition"]) == (topics.COMMENTS, decided.target)
    if done.kind in {"removed", "cut"}:
        assert fault["sequence"] == parse(leaves[20 if done.kind == "removed" else -2]).sequence
    else:
        named = parse(done.leaves[fault["audit_offset"]])
        assert (fault["sequence"], fault["source_offset"]) == (named.sequence, named.offset)


def test_a_whole_chain_of_an_invented_topic_is_named(decided: Decided, capsys: pytest.CaptureFixture[str]) -> None:
    """It holds in every way, but no input has that id; of another cluster's leaves that can't be known."""
    leaves = decided.audit[decided.target]
    first, *rest = (parse(leaf) for leaf in leaves if parse(leaf).topic_id == parse(leaves[-1]).topic_id)
    rows = [(was.kind, was.offset, leaves[-1][BODY_START:]) for was in (first, *rest[:5])]
    invented, _ = seal(NO_HEAD, leaves[0][:5], first.cluster, bytes(range(16)), first.partition, rows)
    topic = decided.copy([*leaves, *invented])
    code, outcome = decided.verify(capsys, topic, "--census", str(decided.census))
    assert (code, outcome["faults"], outcome["topic_ids_checked"]) == (1, 1, True)
    fault = outcome["first_fault"]
    assert (fault["kind"], fault["audit_partition"], fault["audit_offset"]) == ("inserted", decided.target, len(leaves))
    assert (fault["topic_id"], fault["sequence"]) == (bytes(range(16)).hex(), 0)
    code, outcome = decided.verify(capsys, topic, "--cluster-id", "another")
    assert (code, outcome["topic_ids_checked"]) == (1, False)


def test_a_cut_is_seen_by_the_census_too(decided: Decided, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the group's heads the chains hold, and nothing looks wrong; the census knows what is missing."""
    leaves = decided.audit[decided.target]
    topic = decided.copy(leaves[:-2])
    code, outcome = decided.verify(capsys, topic, "--group", "nobody")
    assert (code, outcome["completeness"]) == (0, "by the worker's word only")
    code, outcome = decided.verify(capsys, topic, "--group", "nobody", "--census", str(decided.census))
    tails = [offset for row in outcome["completeness"]["partitions"] for offset in row["tail"]]
    assert (code, tails) == (1, [[parse(leaves[-2]).offset, parse(leaves[-1]).offset]])


def test_a_chain_sealed_anew_without_a_leaf_is_seen_by_the_census(
    decided: Decided, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever can recompute every hash makes a chain that holds; the record without a leaf betrays them."""
    leaves = decided.audit[decided.target]
    anew, heads = list[bytes](), dict[bytes, Head]()
    for leaf in [*leaves[:20], *leaves[21:]]:
        was = parse(leaf)
        rows = [(was.kind, was.offset, leaf[BODY_START:])]
        head = heads.get(was.topic_id, NO_HEAD)
        made, heads[was.topic_id] = seal(head, leaf[:5], was.cluster, was.topic_id, was.partition, rows)
        anew += made
    census = ("--census", str(decided.census))
    code, outcome = decided.verify(capsys, decided.copy(anew), "--group", "nobody", *census)
    missing = [offset for row in outcome["completeness"]["partitions"] for offset in row["missing"]]
    skipped = parse(leaves[20]).offset
    assert (code, outcome["faults"], missing) == (1, 0, [[skipped, skipped]])
    code, outcome = decided.verify(capsys, decided.copy(anew), *census)
    assert (code, outcome["first_fault"]["kind"]) == (1, "cut")  # one leaf less than the committed head says


def test_a_census_that_cannot_be_relied_upon_is_not_used(
    decided: Decided, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Altered after it was signed, or signed by somebody else: exit code 1, and why."""
    altered = tmp_path / "altered.json"
    altered.write_text(decided.census.read_text().replace("+00:00", "+01:00"))
    code, outcome = decided.verify(capsys, topics.AUDIT, "--census", str(altered))
    assert (code, len(outcome["census_not_used"]), outcome["completeness"]) == (1, 1, "by the worker's word only")
    code, outcome = decided.verify(capsys, topics.AUDIT, "--census", str(decided.census), "--public-key", "00" * 32)
    assert (code, "another key" in outcome["census_not_used"][0]) == (1, True)


def test_a_census_goes_on_from_the_last(decided: Decided, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Nothing came in between: it counts nothing, and both together still cover everything."""
    key, second = str(decided.census.with_name("census.pem")), tmp_path / "second.json"
    said = ["audit", "census", "--config", str(decided.config), "--key", key, "--out", str(second)]
    assert cli.run([*said, "--since", str(decided.census)]) == 0
    assert "0 records" in capsys.readouterr().err
    censuses = ("--census", str(decided.census), "--census", str(second), "--public-key", str(decided.public_key))
    code, outcome = decided.verify(capsys, topics.AUDIT, *censuses)
    assert (code, outcome["completeness"]["complete"]) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "--topic", "no.such.topic"], "no such topic: no.such.topic"),
        (["verify", "--census", "/no/such/file"], "can't read /no/such/file"),
        (["verify", "--public-key", "nonsense"], "can't read the key nonsense"),
        (["verify", "--property", "acks"], "expected NAME=VALUE"),
        (["verify", "--property", "isolation.level=read_uncommitted"], "can't be set"),
        (["census"], "--new-key FILE"),
        (["census", "--key", "/no/such/key"], "can't read the key"),
        (["census", "--new-key", "/no/such/folder/key"], "can't write the key"),
        (["census", "--key", "k", "--topic", "no.such.topic"], "no such topic"),
        (["census", "--key", "k", "--since", "/no/such/file"], "can't read /no/such/file"),
    ],
)
def test_a_mistake_is_one_line(
    decided: Decided, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["audit", *arguments, "--config", str(decided.config)]) == 2
    shown = capsys.readouterr()
    assert (said in shown.err, shown.err.count("\n"), shown.out) == (True, 1, "")
