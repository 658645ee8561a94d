"""The demo's parts that need no broker: events, how they are spoilt, pace, masks, and the tally."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safestream.demo_tally import Outcome, Sent, Tally, percentile
from safestream.demo_traffic import due, encode, prepare
from safestream.masking import mask
from safestream.sample_events import endless_events, sample_events
from safestream.sample_malformed import REASONS, write_careless_schema
from schemas import topics
from schemas.decode import DEFAULT_MAX_BYTES, Decoder
from schemas.errors import Poison, PoisonReason
from schemas.registry import open_registry

COMMENTS = [f"comment number {number}" for number in range(50)]
PLACE = (topics.COMMENTS, 0, 7)


def test_events_are_repeatable_and_every_comment_is_among_them() -> None:
    """The same seed gives the same events; each comment is created once."""
    events = sample_events(COMMENTS, 1000)
    assert events == sample_events(COMMENTS, 1000)
    created = [e.text for e in events if e.topic == topics.COMMENTS and e.record["operation"] == "create"]
    assert [created.count(comment) for comment in COMMENTS] == [1] * len(COMMENTS)
    assert {e.topic for e in events} == set(topics.CONTENT)
    assert {e.record["operation"] for e in events} == {"create", "edit", "delete"}


@pytest.mark.parametrize("topic", topics.CONTENT)
def test_endless_events_fit_their_schema(topic: str) -> None:
    """What is made up can be encoded."""
    made = endless_events(topic, seed=3)
    assert all(encode(open_registry().latest(topic), next(made).record) for _ in range(200))


def test_each_spoilt_event_is_poison_for_its_reason(tmp_path: Path) -> None:
    """All reasons come up, about 1 % in all, and the worker's decoder says what was meant; the others are decoded."""
    write_careless_schema(tmp_path)
    decoder = Decoder(open_registry(tmp_path))
    ready = prepare(sample_events(COMMENTS, 2200), open_registry(), DEFAULT_MAX_BYTES)
    spoilt = [each for each in ready if each.spoilt]
    assert Counter(each.spoilt for each in spoilt) == dict.fromkeys(REASONS, 2)
    assert set(REASONS) == set(PoisonReason) - {PoisonReason.WRONG_PARTITION}  # which the ledger alone refuses
    for each in spoilt:
        with pytest.raises(Poison) as raised:
            decoder.decode(each.topic, each.value)
        assert raised.value.reason is each.spoilt


@given(st.floats(0, 1000), st.floats(0, 10))
def test_the_pace_never_goes_back(seconds: float, more: float) -> None:
    """And it is a whole cycle's events after each cycle."""
    assert due(seconds) <= due(seconds + more)
    assert due(seconds + 10) - due(seconds) in range(due(10) - 1, due(10) + 2)


@given(st.text(), st.integers(2, 40))
def test_a_mask_is_one_line_and_no_longer_than_it_may_be(text: str, width: int) -> None:
    """Whatever was written."""
    masked = mask(text, width)
    assert len(masked) <= width
    assert "\n" not in masked


@pytest.mark.parametrize("word", ["idiot", "f.u.c.k", "sh*t", "“idiot,”", "x"])
def test_a_mask_hides_words(word: str) -> None:
    """Only the first letter stays, and short everyday words."""
    masked = mask(f"you are {word}", 60)
    assert masked.startswith("you are ")
    assert sum(character.isalnum() for character in masked.removeprefix("you are ")) <= 1


@pytest.mark.parametrize("decision_first", [True, False])
def test_a_tally_takes_both_orders(decision_first: bool) -> None:
    """A decision may be seen before the producer hears that its event has arrived."""
    tally = Tally()
    steps = [
        lambda: tally.became(PLACE, Outcome(3.5, action="label", category="profanity")),
        lambda: tally.produced(PLACE, Sent(3.0, topics.COMMENTS, "text", None)),
    ]
    for step in steps if decision_first else steps[::-1]:
        step()
    numbers, shown = tally.read()
    assert (numbers.actions, numbers.latencies) == ({("label", "profanity"): 1}, [0.5])
    assert (numbers.lag[topics.COMMENTS], numbers.doubled, numbers.mistaken, len(shown)) == (0, 0, 0, 1)


def test_a_tally_finds_what_is_wrong() -> None:
    """Twice the same, a decision about what was spoilt, and nothing at all."""
    tally = Tally()
    for offset in range(2):
        tally.produced((topics.COMMENTS, 0, offset), Sent(1.0, topics.COMMENTS, "", PoisonReason.TRUNCATED))
    for _ in range(2):
        tally.became((topics.COMMENTS, 0, 0), Outcome(2.0, action="allow"))
    numbers, _ = tally.read()
    assert (numbers.doubled, numbers.mistaken, numbers.lag[topics.COMMENTS]) == (1, 1, 1)
    assert tally.missing() == [(topics.COMMENTS, 0, 1)]


def test_percentiles_are_of_what_was_seen() -> None:
    """Nearest rank; 0 of nothing."""
    assert percentile([], 0.5) == 0.0
    assert percentile([float(n) for n in range(100)], 0.99) == 99.0
