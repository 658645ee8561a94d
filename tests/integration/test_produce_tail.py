"""produce and tail on a real broker, from the command line."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import fastavro
import pytest
from confluent_kafka import Producer
from fastavro.utils import generate_one

from safestream import cli
from schemas import headers, leaf_header
from schemas import topics as names
from schemas.leaf_header import Head, Kind
from schemas.registry import open_registry
from schemas.wire import frame
from stream import topics
from stream.local_broker import Broker
from stream.murmur2 import partitions_of
from stream.properties import producer_properties
from stream.reaching import Cluster
from tests.integration.pipeline import no_topics_of_ours

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cluster(broker: Broker) -> Iterator[Cluster]:
    with no_topics_of_ours(broker) as empty:
        topics.create(empty, topics.plans(list(names.CONTENT), 3, 1, 1))
        yield empty


@pytest.fixture(autouse=True)
def _configured(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", cluster.bootstrap_servers)
    monkeypatch.chdir(tmp_path)


def event(number: int, **changed: object) -> dict[str, object]:
    return {"event_id": f"e{number}", "account_id": f"konto-ä-{number}", "created_at": 1_750_000_000_000} | changed


def write(path: Path, *lines: object) -> str:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return str(path)


def tail(capsys: pytest.CaptureFixture[str], topic: str) -> list[dict]:
    capsys.readouterr()
    assert cli.run(["tail", topic, "--from-beginning", "--until-end"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_what_was_produced_is_what_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fields, defaults, the account as the key, and Java's partition for it."""
    assert (
        cli.run(["produce", "content.messages", write(tmp_path / "m", *(event(n, text="ü") for n in range(50)))]) == 0
    )
    assert "50 events produced to content.messages" in capsys.readouterr().out
    read = tail(capsys, "content.messages")
    assert {line["event_id"] for line in read} == {f"e{n}" for n in range(50)}
    for line in read:
        place = line["_kafka"]
        assert line["content_id"] == line["event_id"]
        assert (line["operation"], line["text"], line["revision"]) == ("create", "ü", 0)
        assert place["key"] == line["account_id"]
        assert place["partition"] == partitions_of([line["account_id"].encode()], 3)[0]


def test_what_tail_wrote_can_be_produced_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So that a topic can be copied with two commands."""
    cli.run(["produce", "content.comments", write(tmp_path / "c", event(1, media=[{"image": "x", "sha256": "aGk="}]))])
    (first,) = (line for line in tail(capsys, "content.comments") if line["account_id"] == "konto-ä-1")
    assert cli.run(["produce", "content.comments", write(tmp_path / "again", first)]) == 0
    again = [line for line in tail(capsys, "content.comments") if line["account_id"] == "konto-ä-1"]
    assert [{k: v for k, v in line.items() if k != "_kafka"} for line in again[:1]] == [
        {k: v for k, v in line.items() if k != "_kafka"} for line in again[1:]
    ]


def test_a_bad_line_in_a_file_means_that_nothing_was_produced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named by number and field, and the topic is as it was."""
    before = tail(capsys, "content.profile-signals")
    path = write(tmp_path / "p", event(1), event(2), event(3, created_at="now"), event(4, nonsense=1), event(5))
    assert cli.run(["produce", "content.profile-signals", path]) == 2
    said = capsys.readouterr().err
    assert f"{path}:3: created_at: a whole number is expected" in said
    assert "1 more bad lines" in said
    assert tail(capsys, "content.profile-signals") == before


def test_skip_bad_names_every_line_it_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is lost in silence: each on standard error, their number in the summary."""
    lines = [event(1), "{", event(2, account_id=""), "", event(3)]
    assert cli.run(["produce", "content.profile-signals", "--skip-bad", write(tmp_path / "p", *lines)]) == 0
    out, err = capsys.readouterr()
    assert "2 events produced" in out
    assert "2 bad lines skipped" in out
    assert "p:2: not JSON" in err
    assert "p:3: account_id: empty" in err


def test_standard_input_stops_at_the_bad_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stood before it was produced, and the message says how much."""
    lines = "".join(json.dumps(each) + "\n" for each in (event(1), event(2, text=5), event(3)))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    assert cli.run(["produce", "content.comments", "-"]) == 2
    said = capsys.readouterr().err
    assert "standard input:2: text: a string is expected, not a number; the 1 events before it were produced" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["produce", "content.coments", "f"], "no such topic: content.coments"),
        (["produce", "content.comments", "nowhere.jsonl"], "nowhere.jsonl: can't be read: No such file"),
        (["tail", "content.coments"], "no such topic: content.coments"),
    ],
)
def test_a_wrong_name_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    """Exit code 2; and no topic was created by asking."""
    assert cli.run(arguments) == 2
    assert said in capsys.readouterr().err


def test_an_event_over_the_limit_is_told_before_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worker would make a dead letter of it."""
    monkeypatch.setenv("SAFESTREAM_WORKER__MAX_EVENT_BYTES", "1000")
    assert cli.run(["produce", "content.comments", write(tmp_path / "c", event(1, text="x" * 2000))]) == 2
    assert "more than worker.max_event_bytes (1,000)" in capsys.readouterr().err


def test_tail_shows_leaves_dead_letters_and_what_cannot_be_decoded(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """A leaf's header is parsed, a dead letter has headers and base64, aborted records don't appear."""
    leaf_schema = open_registry().latest(names.AUDIT)
    whole = io.BytesIO()
    fastavro.schemaless_writer(whole, leaf_schema.parsed, generate_one(leaf_schema.parsed))
    body = whole.getvalue()[leaf_header.BODY_START - leaf_header.HEADER_START :]
    (leaf,), _ = leaf_header.seal(Head(), frame(leaf_schema.id), bytes(16), bytes(16), 1, [(Kind.decision, 7, body)])
    producer = Producer(producer_properties(cluster.bootstrap_servers, {}, "tail-test"))
    producer.init_transactions(20)
    for commit in (False, True):
        producer.begin_transaction()
        producer.produce(names.AUDIT, leaf, partition=1)
        producer.produce(names.DEAD_LETTERS, b"\xff", b"\xfe", headers=[(headers.ATTEMPT, b"1"), ("own", b"\xff")])
        producer.produce(names.DECISIONS, b"nonsense", b"k")
        producer.commit_transaction(20) if commit else producer.abort_transaction(20)
    (seen,) = tail(capsys, names.AUDIT)
    assert seen["_kafka"]["partition"] == 1
    assert seen["header"] == {
        "kind": "decision",
        "cluster": "00" * 16,
        "topic_id": "00" * 16,
        "partition": 1,
        "offset": 7,
        "sequence": 0,
        "previous": "00" * 32,
    }
    assert seen["hash"] == leaf_header.leaf_hash(leaf).hex()
    (letter,) = tail(capsys, names.DEAD_LETTERS)
    assert letter["headers"] == [[headers.ATTEMPT, "1"], ["own", {"base64": "/w=="}]]
    assert (letter["value"], letter["_kafka"]["key"]) == ("/w==", {"base64": "/g=="})
    (decision,) = tail(capsys, names.DECISIONS)
    assert decision["error"] == "wrong_magic_byte"
    (pipeline,) = tail(capsys, names.PIPELINE)
    assert (pipeline["_kafka"]["key"], pipeline["value"]) == ("partitions", "3")


def test_tail_follows_until_its_reader_goes(cluster: Cluster, tmp_path: Path) -> None:
    """Without --until-end it waits for more; when the pipe closes it ends without a word."""
    command = [sys.executable, "-m", "safestream", "tail", "content.comments", "--from-beginning"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        cli.run(["produce", "content.comments", write(tmp_path / "c", event(77))])
        while b'"e77"' not in (line := process.stdout.readline()):
            assert line
        process.stdout.close()
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            cli.run(["produce", "content.comments", write(tmp_path / "c", event(78))])
        assert process.returncode == 0
        assert process.stderr.read() == b""
