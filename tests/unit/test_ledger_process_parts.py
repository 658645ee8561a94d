"""The parts of the ledger's process that need no broker: what it reads, what it refuses, how it ends."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from schemas import headers, topics
from schemas.errors import Poison, PoisonReason, UserMistake
from schemas.registry import open_registry
from stream.ledger import beginning
from stream.ledger.dead_letters import is_ours, letter
from stream.ledger.inputs import Inputs
from stream.ledger.settings import LedgerProcess
from stream.murmur2 import partitions_of
from tests.fault.avro import encode
from tests.ledger_records import ACCOUNT, estimate, ordered, restricted, reviewed

PARTITIONS = 8
HERE = int(partitions_of([ACCOUNT.encode()], PARTITIONS)[0])
INPUTS = Inputs(open_registry(), PARTITIONS)


def read(told: tuple[str, dict[str, object]], partition: int = HERE, at: int = 1) -> dict[str, object] | None:
    return INPUTS.read(told[0], partition, at, encode(*told))


def test_times_of_foreign_clocks_are_no_later_than_the_broker_s():
    """An erasure of the year 3000 would erase whatever comes."""
    late = 32_503_680_000_000
    assert (read(reviewed(late), at=77) or {})["reviewed_at"] == 77
    assert (read(ordered(late), at=77) or {})["issued_at"] == 77
    assert (read(reviewed(50), at=77) or {})["reviewed_at"] == 50
    assert (read(restricted(late), at=77) or {})["decided_at"] == late


def test_a_record_in_another_partition_than_its_account_s_is_refused():
    with pytest.raises(Poison) as refused:
        read(reviewed(), partition=(HERE + 1) % PARTITIONS)
    assert refused.value.reason is PoisonReason.WRONG_PARTITION
    assert ACCOUNT not in str(refused.value)


def test_an_order_that_is_about_no_account_is_nothing_to_fold():
    topic, order = ordered(kind="breaker_open")
    assert read((topic, order | {"account_id": None}), partition=0) is None


def test_what_the_worker_reads_too_has_one_dead_letter():
    broken = Poison(PoisonReason.TRUNCATED, "x")
    misplaced = Poison(PoisonReason.WRONG_PARTITION, "x")
    assert [is_ours(topic, broken) for topic in topics.LEDGER] == [True, True, False, False]
    assert all(is_ours(topic, misplaced) for topic in topics.LEDGER)


@pytest.mark.parametrize("size", [3, 3_000_000])
def test_a_dead_letter_keeps_what_has_room_and_says_where_it_lay(size: int):
    message = SimpleNamespace(
        topic=topics.REVIEWS, partition=1, offset=7, timestamp=12.345, key=b"k", value=bytes(size),
        headers=[("own", b"1"), (headers.ATTEMPT, b"forged")],
    )  # fmt: skip
    key, value, said = letter(message, "ab", Poison(PoisonReason.TRUNCATED, "cut"))
    told = dict(said)
    assert told[headers.SOURCE_OFFSET] == b"7"
    assert told[headers.SOURCE_TIMESTAMP] == b"12345"
    assert told[headers.ATTEMPT] == b"1"
    if size == 3:
        assert (key, value, told["own"]) == (b"k", bytes(3), b"1")
    else:
        assert (key, value) == (None, None)
        assert int(told[headers.LEFT_OUT_BYTES]) > size


def test_the_dead_letter_of_an_estimate_says_nothing_of_anybody_s_age():
    value = encode(*estimate())
    message = SimpleNamespace(
        topic=topics.AGE_ESTIMATES,
        partition=1,
        offset=7,
        timestamp=12.345,
        key=b"k",
        value=value,
        headers=[("own", value)],
    )
    key, kept, said = letter(message, "ab", Poison(PoisonReason.WRONG_TYPE, "field log_pmf"))
    told = dict(said)
    assert (key, kept, "own" in told) == (None, None, False)
    assert int(told[headers.LEFT_OUT_BYTES]) > 2 * len(value)
    assert (told[headers.SOURCE_OFFSET], told[headers.ERROR_REASON]) == (b"7", b"wrong_type")


def test_an_input_that_was_created_again_is_noticed(tmp_path: Path):
    settings = LedgerProcess(folder=tmp_path)
    ids = dict.fromkeys(topics.LEDGER, "ab")
    assert beginning.changed(tmp_path, ids) == []  # nothing is known yet
    beginning.keep(settings, ids)
    assert beginning.changed(tmp_path, ids) == []
    assert beginning.changed(tmp_path, ids | {topics.REVIEWS: "cd"}) == [topics.REVIEWS]
    assert [path.name for path in tmp_path.iterdir()] == [beginning.FILE]


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_broken_note_of_the_topics_is_told_in_a_line(tmp_path: Path, content: str):
    (tmp_path / beginning.FILE).write_text(content)
    with pytest.raises(UserMistake, match="delete it if no topic was created again"):
        beginning.changed(tmp_path, {topics.REVIEWS: "ab"})


def python(code: str) -> "subprocess.CompletedProcess[str]":
    """In a process of its own: Faust does not come into this one."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("codec", range(1, 5), ids=["gzip", "snappy", "lz4", "zstd"])
def test_what_a_producer_compresses_is_read(codec: int):
    """Our workers choose lz4; reviews may come with any."""
    batch = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 10_000)
    batch.append(0, 0, b"key", b"value" * 500, [])
    assert [each.value for each in MemoryRecords(bytes(batch.build())).next_batch()] == [b"value" * 500]


def test_a_process_that_stood_still_ends():
    frozen = python(
        "from stream.ledger.ending import FreezeWatch; times = iter([0.0, 2.9, 2.9, 6.0])\n"
        "watch = FreezeWatch(3.0, lambda: next(times)); watch.tick(); print('on', flush=True); watch.tick()\n"
        "print('no')"
    )
    assert (frozen.returncode, frozen.stdout.split("\n")[0], "no" in frozen.stdout) == (70, "on", False)
    assert "stood still for 3.1 s" in frozen.stdout + frozen.stderr


def test_the_hooks_fit_the_faust_that_is_pinned_and_no_other():
    done = python(
        "from stream.ledger import hooks; from schemas.errors import Fatal; hooks.check()\n"
        "hooks.driver.Consumer._add_gap = lambda self, tp: None; hooks._PARAMETERS['Consumer._add_gap'] = "
        "(hooks.driver.Consumer._add_gap, ('self', 'tp', 'offset_from', 'offset_to'))\n"
        "try: hooks.check()\n"
        "except Fatal as fatal: print(fatal)\n"
    )
    assert "it has changed: Consumer._add_gap" in done.stdout, done.stderr
