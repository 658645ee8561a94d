"""A record that was compressed into its topic may be larger than any topic of ours takes."""

from confluent_kafka import Message

from schemas import headers
from schemas.errors import Poison, PoisonReason
from schemas.leaf_header import Kind
from stream.dead_letters import MOST_BYTES, headers_of, row_of
from stream.decoding import Undecodable
from stream.lanes import Lane
from stream.positions import Position
from stream.topics import plans

LANE = Lane("content.comments", 0, Kind.decision, Position(bytes(16), 0))


def dead(key: bytes, value: bytes, own: bytes) -> Undecodable:
    message = Message(
        topic="content.comments", partition=0, offset=7, key=key, value=value, headers=[("own", own)], timestamp=(1, 5)
    )
    return Undecodable(message, Poison(PoisonReason.TOO_LARGE, "too large"), 1, None, 5)


def test_a_record_that_the_topic_takes_is_kept_whole() -> None:
    letter = dead(b"key", b"value", b"own")
    assert row_of(letter.message) == {"key": b"key", "value": b"value"}
    said = dict(headers_of(letter, LANE, bytes(16), 0))
    assert said["own"] == b"own"
    assert headers.LEFT_OUT_BYTES not in said


def test_a_record_that_it_does_not_take_leaves_its_size() -> None:
    """Else the transaction fails each time it is tried, and the partition stands still."""
    for parts in ((bytes(MOST_BYTES), b"", b""), (b"", bytes(MOST_BYTES), b""), (b"", b"", bytes(MOST_BYTES))):
        letter = dead(*parts)
        row, said = row_of(letter.message), headers_of(letter, LANE, bytes(16), 0)
        assert row == {"key": None, "value": None}
        assert dict(said)[headers.LEFT_OUT_BYTES] == str(MOST_BYTES + len("own")).encode()
        assert sum(len(name) + len(data or b"") for name, data in said) < 1000


def test_decisions_have_room_for_the_longest_ids() -> None:
    """An account id of nearly an event's size is the decision's key and stands in its value."""
    most = {plan.name: int(plan.settings.get("max.message.bytes", 0)) for plan in plans(["content.comments"], 1, 1, 1)}
    for name in ("moderation.decisions", "moderation.ledger-inputs"):
        assert most[name] > 2 * most["content.comments"] + 100_000


def test_what_waits_is_weighed_with_key_and_headers() -> None:
    """Else a flood of headers is never a reason to pause."""
    lane = Lane("content.comments", 0, Kind.decision, Position(bytes(16), 0))
    lane.put(dead(bytes(10), bytes(20), bytes(30)).message)
    assert lane.waiting_bytes == 10 + 20 + len("own") + 30
    lane.take()
    assert lane.waiting_bytes == 0
