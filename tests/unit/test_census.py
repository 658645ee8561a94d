"""The census counts what was delivered, can't be altered after it was signed, and shows which record lacks its leaf."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from enforcement.audit import census, signing_keys
from enforcement.audit.census import BadStatement, Statement, Tally
from enforcement.audit.completeness import CLOCKS_APART_MS, Completeness, compare
from enforcement.audit.faults import ChainId
from enforcement.audit.offset_ranges import OffsetRanges
from enforcement.audit.verifier import ChainEnd
from schemas.errors import UserMistake
from schemas.leaf_header import NO_HEAD

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CHAIN = ChainId(bytes(range(16)), 2)
TIME = 1_790_000_000_123


def tally(offsets: Sequence[int], end: int, previous: Statement | None = None, start: int = 0) -> Tally:
    counted = census.begin("content.comments", CHAIN.topic_id, CHAIN.partition, (start, end), previous)
    for offset in offsets:
        if offset >= counted.start:
            counted.add(offset, b"account-%d" % offset, None if offset % 3 == 0 else b"value")
    return counted


def statement(
    offsets: Sequence[int], end: int, previous: Statement | None = None, time_ms: int = TIME, start: int = 0
) -> Statement:
    return census.sign(KEY, "a-cluster", time_ms, [tally(offsets, end, previous, start)], previous)


def chain_end(offsets: Sequence[int], lost: Sequence[tuple[int, int, int]] = ()) -> ChainEnd:
    held = OffsetRanges((offset, offset + 1) for offset in offsets)
    last = max([*(offset + 1 for offset in offsets), *(end for _, end, _ in lost), 0])
    return ChainEnd(NO_HEAD, 0, last, len(offsets) + 1, held, list(lost))


def compared(end: ChainEnd | None, *statements: Statement, position: int | None = None) -> Completeness:
    positions = {} if position is None else {CHAIN: position}
    (row,) = compare({CHAIN: end} if end else {}, statements, positions)
    return row


@given(st.sets(st.integers(0, 200)))
def test_a_statement_reads_back_as_it_was_signed(offsets: set[int]) -> None:
    """Ranges, counts, digests and times survive the file."""
    signed = statement(sorted(offsets), 201)
    assert census.read(census.write(signed)) == signed


def test_the_digest_is_what_the_page_says() -> None:
    """Worked out here step by step."""
    digest = bytes(32)
    for offset in (3, 4):
        key = hashlib.sha256(b"account-%d" % offset).digest()
        value = bytes(32) if offset == 3 else hashlib.sha256(b"value").digest()
        digest = hashlib.sha256(digest + offset.to_bytes(8, "big") + key + value).digest()
    assert tally([3, 4], 5).digest == digest


def test_two_censuses_in_a_row_count_as_one() -> None:
    """The second begins where the first ended, and its digest goes on."""
    first = statement(range(10), 12)
    second = statement(range(12, 30), 30, first)
    (continued,), (whole,) = second.tallies, statement([*range(10), *range(12, 30)], 30).tallies
    assert (continued.start, continued.digest_before) == (12, first.tallies[0].digest)
    assert continued.digest == whole.digest
    assert second.previous == first.digest
    assert compared(chain_end([*range(10), *range(12, 30)]), first, second).whole


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["partitions"][0].update(ranges=[[0, 8]], count=9),
        lambda document: document["partitions"][0].update(digest="00" * 32),
        lambda document: document.update(cluster_id="another"),
        lambda document: document.update(time="2026-01-01T00:00:00.000+00:00"),
        lambda document: document.update(public_key=KEY.public_key().public_bytes_raw().hex()[::-1]),
        lambda document: document.update(signature="00" * 64),
        lambda document: document["partitions"][0].update(added="field"),
    ],
)
def test_a_statement_altered_after_signing_is_refused(change: Callable[[dict], None]) -> None:
    document = json.loads(census.write(statement(range(10), 10)))
    change(document)
    with pytest.raises(BadStatement, match="signature doesn't fit"):
        census.read(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format": "safestream-census/2"}', '{"format": 1', "\x00"])
def test_what_is_no_statement_is_refused(text: str) -> None:
    with pytest.raises(BadStatement, match="no census statement"):
        census.read(text)


def test_a_skipped_offset_is_missing() -> None:
    """Exactly the offset that a worker passed over in silence."""
    row = compared(chain_end([*range(7), *range(8, 20)]), statement(range(20), 20))
    assert list(row.missing) == [(7, 8)]
    assert not row.whole


def test_markers_and_aborted_records_are_missed_by_nobody() -> None:
    """They are delivered to neither, so there are gaps on both sides."""
    offsets = [offset for offset in range(30) if offset % 7]
    assert compared(chain_end(offsets), statement(offsets, 30)).whole


def test_a_leaf_for_a_record_that_never_was_is_extra() -> None:
    row = compared(chain_end(range(20)), statement([*range(5), *range(6, 20)], 20))
    assert list(row.extra) == [(5, 6)]
    assert not row.whole


def test_the_end_is_pending_while_the_committed_offset_says_so() -> None:
    """Not decided yet is no fault; without a committed offset it can't be told from a cut."""
    end, taken = chain_end(range(20)), statement(range(25), 25)
    waiting = compared(end, taken, position=20)
    assert (waiting.whole, list(waiting.pending)) == (True, [(20, 25)])
    passed = compared(end, taken, position=22)
    assert (passed.whole, list(passed.missing), list(passed.pending)) == (False, [(20, 22)], [(22, 25)])
    unknown = compared(end, taken)
    assert (unknown.whole, list(unknown.tail)) == (False, [(20, 25)])


def test_an_offset_that_the_worker_committed_past_is_missing() -> None:
    """Even if it is the last one: nothing is pending before the committed offset."""
    row = compared(chain_end(range(20)), statement(range(21), 21), position=21)
    assert list(row.missing) == [(20, 21)]


def test_a_partition_without_any_leaf_is_not_whole() -> None:
    assert not compared(None, statement(range(3), 3)).whole
    assert compared(None, statement([], 0)).whole


def test_what_lies_outside_of_the_census_rests_on_the_workers_word() -> None:
    row = compared(chain_end(range(30)), statement(range(20), 20))
    assert (row.whole, list(row.unseen)) == (True, [(20, 30)])


LATER = TIME + CLOCKS_APART_MS + 1
HOUR = 3_600_000


def test_a_loss_is_believed_once_a_later_census_found_the_log_begin_after_it() -> None:
    """An honest worker behind a lossy retention: whole, as soon as a census was taken since; until then not proven."""
    end = chain_end([*range(5), *range(9, 20)], [(5, 9, TIME)])
    before = statement(range(20), 20, time_ms=TIME - HOUR)
    unproven = compared(end, before)
    assert (unproven.whole, list(unproven.unproven), list(unproven.lost)) == (False, [(5, 9)], [])
    after = compared(end, before, statement([], 20, before, TIME + HOUR, start=9))
    assert (after.whole, list(after.unproven), list(after.lost)) == (True, [], [(5, 9)])


def test_a_loss_is_disputed_if_a_census_read_the_record_later() -> None:
    """For ever: that retention took it after all, another census later, changes nothing."""
    end = chain_end([*range(5), *range(9, 20)], [(5, 9, TIME)])
    read = statement(range(20), 20, time_ms=LATER)
    gone = statement([], 20, read, LATER + HOUR, start=20)
    for statements in ([read], [gone, read]):
        row = compared(end, *statements)
        assert (row.whole, list(row.disputed), list(row.lost)) == (False, [(5, 9)], [])


def test_a_skipped_offset_does_not_pass_as_lost_after_the_census_read_it() -> None:
    """Censuses that go on from the last never read it again, but where the log began shows that it was there."""
    first = statement(range(20), 20, time_ms=TIME - HOUR)
    end = chain_end([*range(7), *range(8, 30)], [(7, 8, TIME)])
    assert list(compared(end, first).unproven) == [(7, 8)]
    second = statement(range(20, 30), 30, first, LATER)
    row = compared(end, first, second)
    assert (row.whole, list(row.disputed), list(row.unproven)) == (False, [(7, 8)], [])


@pytest.mark.parametrize("start", [0, 20])
def test_a_loss_dated_in_the_future_does_not_escape(start: int) -> None:
    """Its time is the worker's own word: as long as no census is later than it, nothing proves it."""
    end = chain_end([*range(7), *range(8, 20)], [(7, 8, TIME + 100 * 365 * 24 * HOUR)])
    first = statement(range(20), 20)
    row = compared(end, first, statement([], 20, first, TIME + HOUR, start=start))
    assert (row.whole, list(row.unproven), list(row.lost)) == (False, [(7, 8)], [])


def test_of_a_loss_only_what_the_log_still_had_is_disputed() -> None:
    """The log began at 7: 5 and 6 were gone, 7 and 8 were not."""
    row = compared(chain_end(range(5), [(5, 9, TIME)]), statement(range(7, 9), 9, time_ms=LATER, start=7))
    assert (list(row.lost), list(row.disputed)) == ([(5, 7)], [(7, 9)])


def test_a_loss_where_no_census_looked_rests_on_the_workers_word() -> None:
    row = compared(chain_end(range(20), [(20, 25, TIME)]), statement(range(20), 20, time_ms=TIME))
    assert (row.whole, list(row.unseen)) == (True, [(20, 25)])


def test_a_statement_that_contradicts_itself_is_refused() -> None:
    """However well it is signed: nobody reads before the log's start."""
    row = Tally("content.comments", CHAIN, log_start=5, start=0, end=9)
    with pytest.raises(BadStatement, match="contradict each other"):
        census.read(census.write(census.sign(KEY, "a-cluster", TIME, [row])))


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_missing_and_extra_are_the_differences(delivered: set[int], leaves: set[int]) -> None:
    """Of the sets, whatever they are."""
    row = compared(chain_end(sorted(leaves)), statement(sorted(delivered), 61), position=61)
    assert row.missing.count() == len(delivered - leaves)
    assert row.extra.count() == len(leaves - delivered)


def test_keys_are_made_once_and_read_back(tmp_path: Path) -> None:
    """The private half is its owner's alone; the public half is a file or hexadecimal."""
    path = tmp_path / "census.pem"
    key = signing_keys.make(path)
    public = key.public_key().public_bytes_raw()
    assert path.stat().st_mode & 0o777 == 0o600
    assert signing_keys.private(path).public_key().public_bytes_raw() == public
    assert signing_keys.public(str(path) + ".pub") == signing_keys.public(public.hex()) == public
    with pytest.raises(UserMistake, match="is there already"):
        signing_keys.make(path)
    for wrong in (tmp_path / "none", tmp_path / "census.pem.pub"):
        with pytest.raises(UserMistake):
            signing_keys.private(wrong)
    for wrong in (str(path), "abc", "00" * 31):
        with pytest.raises(UserMistake):
            signing_keys.public(wrong)
