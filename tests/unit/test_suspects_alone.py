"""A record at which workers died is with the detectors alone, and nobody waits for ever because of it."""

from collections import deque

from confluent_kafka import Consumer, Message
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.leaf_header import Kind
from stream.caution import NO_LIMIT, Caution
from stream.intake import Intake
from stream.lanes import Lane
from stream.positions import Position

DEPTH = 3  # batches with the detectors at once

lanes_of = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([1, 3, NO_LIMIT])), min_size=1, max_size=5)


def lane(partition: int, waiting: int, limit: int) -> Lane:
    caution = Caution(attempts=2, limit=limit, horizon=100)
    made = Lane("content.comments", partition, Kind.decision, Position(bytes(16), 0, caution=caution))
    for offset in range(waiting):
        made.put(Message(topic="content.comments", partition=partition, offset=offset, key=b"account", value=b"x"))
    return made


def intake(lanes: list[Lane]) -> Intake:
    made = Intake(
        Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "nobody"}), {"content.comments": 1}, 4, 1, 1
    )
    made.lanes = {(each.topic, each.partition): each for each in lanes}
    return made


@settings(max_examples=30)
@given(lanes_of, st.data())
def test_a_suspect_is_alone_and_everything_is_taken_in_order(
    given_lanes: list[tuple[int, int]], data: st.DataObject
) -> None:
    lanes = [lane(number, waiting, limit) for number, (waiting, limit) in enumerate(given_lanes)]
    taking = intake(lanes)
    under_way = deque[list[Lane]]()
    order: dict[int, list[int]] = {each.partition: [] for each in lanes}
    for _ in range(400):
        room = len(under_way) < DEPTH
        if room and taking.waiting and (not under_way or data.draw(st.booleans())):
            taken = taking.take()
            if taken:
                under_way.append([each for each, _ in taken])
            for each, message in taken:
                each.in_flight += 1
                order[each.partition].append(message.offset() or 0)
        elif under_way:
            for each in under_way.popleft():
                each.in_flight -= 1
        flying = [each for batch in under_way for each in batch]
        assert len(flying) == 1 or not any(each.suspect for each in flying)
    assert order == {n: list(range(waiting)) for n, (waiting, _) in enumerate(given_lanes)}
