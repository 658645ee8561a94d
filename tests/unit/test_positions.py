"""What is committed beside an offset is read back whole, and what isn't ours is never taken for ours."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.leaf_header import Head
from stream.caution import NO_LIMIT, Caution
from stream.positions import Position, read

KAFKAS_LIMIT = 4096  # offset.metadata.max.bytes, by default

offsets = st.integers(0, 2**63 - 1)
counts = st.integers(0, 2**31 - 1)
positions = st.builds(
    Position,
    topic_id=st.binary(min_size=16, max_size=16),
    offset=offsets,
    head=st.builds(Head, offsets, st.binary(min_size=32, max_size=32)),
    audit_offset=st.integers(-1, 2**63 - 1),
    caution=st.builds(Caution, attempts=counts, solo=counts, limit=st.integers(1, NO_LIMIT), horizon=offsets),
)


@given(positions)
def test_a_position_comes_back_as_it_was_committed(position: Position) -> None:
    sent = position.committed_as("content.comments", 2)
    assert (sent.topic, sent.partition, sent.offset) == ("content.comments", 2, position.offset)
    assert read(sent.offset, sent.metadata) == position


@given(positions)
def test_the_metadata_is_one_short_ascii_line(position: Position) -> None:
    metadata = position.committed_as("t", 0).metadata
    assert metadata is not None
    assert metadata.isascii()
    assert metadata.isprintable()
    assert len(metadata) < KAFKAS_LIMIT // 8


@given(st.none() | st.text())
@example("")
@example("safestream/1")
@example("safestream/1 a b c d e f g h")
@example("safestream/1 00 1 00 1 1 1 1 x")
@example("safestream/1 0g 1 00 1 1 1 1 1")
def test_what_is_not_ours_is_no_position(metadata: str | None) -> None:
    assert read(5, metadata) is None


@given(positions, st.data())
def test_a_line_of_ours_with_a_word_lost_or_of_another_format_is_no_position(
    position: Position, data: st.DataObject
) -> None:
    words = (position.committed_as("t", 0).metadata or "").split()
    lost = data.draw(st.integers(0, len(words) - 1))
    assert read(1, " ".join(words[:lost] + words[lost + 1 :])) is None
    assert read(1, " ".join(["safestream/2", *words[1:]])) is None


@pytest.mark.parametrize("offset", [-1, -1001])
@given(position=positions)
def test_metadata_without_an_offset_is_no_position(position: Position, offset: int) -> None:
    assert read(offset, position.committed_as("t", 0).metadata) is None
