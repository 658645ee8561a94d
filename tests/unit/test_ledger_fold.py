"""The ledger's fold: whatever order the topics come in, however often, the state is the same bytes."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcement.ledger import fold as folding
from enforcement.ledger.fold import fold, join
from enforcement.ledger.settings import LedgerSettings
from enforcement.ledger.state import AccountState, decode, encode, marks
from enforcement.ledger.view import view
from schemas import topics
from tests.ledger_records import DAY, START, Record, estimate, newer, ordered, proven, records, restricted, reviewed

Placed = tuple[str, int, dict[str, Any]]  # topic, offset, value
SETTINGS = LedgerSettings(strike_days=30, estimate_days=60)


def placed(told: Iterable[Record]) -> list[Placed]:
    """Each with its offset, which rises within its topic, with gaps."""
    offsets: defaultdict[str, int] = defaultdict(int)
    found = []
    for topic, value in told:
        found.append((topic, offsets[topic], value))
        offsets[topic] += 1 + len(found) % 3
    return found


def folded(told: Sequence[Placed], value: bytes | None = None, settings: LedgerSettings = SETTINGS) -> bytes | None:
    for topic, offset, record in told:
        value = fold(value, topic, offset, record, settings)
    return value


def state(*told: Record, settings: LedgerSettings = SETTINGS) -> AccountState:
    value = folded(placed(told), settings=settings)
    assert value is not None
    return decode(value)


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[list[Placed], list[Placed]]:
    """The same records twice, each topic's in the order of its offsets, the topics in two orders."""
    told = placed(draw(records))
    by_topic = {name: [each for each in told if each[0] == name] for name in topics.LEDGER}
    order = draw(st.permutations([each[0] for each in told]))
    turns = {name: iter(each) for name, each in by_topic.items()}
    return told, [next(turns[name]) for name in order]


@given(interleaved())
def test_the_order_across_topics_does_not_matter(both: tuple[list[Placed], list[Placed]]):
    assert folded(both[0]) == folded(both[1])


@given(records, st.data())
def test_what_comes_again_changes_nothing(told: list[Record], data: st.DataObject):
    """A process that was killed reads from its last commit: any stretch again, at any point."""
    value: bytes | None = None
    read: list[Placed] = []
    for each in placed(told):
        value = folded([each], value)
        read.append(each)
        again = data.draw(st.integers(0, len(read)))
        assert folded(read[again:], value) == value


@given(records)
def test_a_state_is_one_sequence_of_bytes(told: list[Record]):
    value = folded(placed(told))
    assert value is None or encode(decode(value)) == value


@given(interleaved(), st.data())
def test_a_row_written_too_late_takes_nothing_away(both: tuple[list[Placed], list[Placed]], data: st.DataObject):
    """A process that was frozen stands at some prefix of its own order; joined, the rows are what is known in all."""
    ahead, late = folded(both[0]), folded(both[1][: data.draw(st.integers(0, len(both[1])))])
    if ahead is not None and late is not None:
        assert not newer(ahead, late)
        assert join(ahead, late, SETTINGS) == join(late, ahead, SETTINGS) == ahead


@given(interleaved(), st.data())
def test_two_halves_make_a_whole(both: tuple[list[Placed], list[Placed]], data: st.DataObject):
    """Each topic is ahead in one of the two rows, and the join has them all."""
    told = both[0]
    here = set(data.draw(st.lists(st.sampled_from(topics.LEDGER), unique=True)))
    one, other = (folded([each for each in told if (each[0] in here) == side]) for side in (True, False))
    if one is not None and other is not None:
        assert join(one, other, SETTINGS) == folded(told)


@given(records, st.integers(0, 100))
def test_nothing_up_to_an_erasure_is_kept(told: list[Record], day: int):
    at = START + day * DAY
    found = state(*told, ordered(at))
    assert found.erased_at is not None
    assert found.erased_at >= at
    assert all(each.decided_at > at for each in found.strikes)
    assert all(each.estimated_at > at for _, days in found.models for each in days)
    assert all(each.reviewed_at > at for each in (*found.outcomes, *found.reversals, *found.ages))


def test_an_erased_account_says_nothing_and_can_begin_again():
    before = [estimate(), restricted(), proven(verified_over=18), reviewed()]
    value = folded(placed([*before, ordered(START + DAY)]))
    assert value is not None
    said = view(value, START + 2 * DAY)
    assert (said.reach, said.strikes, said.verified, said.restrictions) == ({}, 0.0, False, ())
    assert len(value) < 80
    again = state(*before, ordered(START + DAY), restricted(START + 3 * DAY, "d9"))
    assert len(again.strikes) == 1
    assert folded([("moderation.ledger-inputs", 0, restricted()[1])], None) == folded(placed([restricted()]))


def strikes(*told: Record, at: int = START + 1, settings: LedgerSettings = SETTINGS) -> float:
    return view(folded(placed(told), settings=settings), at).strikes


def test_a_strike_counts_once_for_each_account_content_revision_and_rule():
    assert strikes(restricted(), restricted(decision="d2")) == 1.0
    assert strikes(restricted(), restricted(decision="d2", revision=1)) == 2.0
    assert strikes(restricted(), restricted(decision="d2", rule="spam")) == 2.0
    assert strikes(restricted(), restricted(decision="d2", content="c2")) == 2.0
    assert strikes(restricted(), restricted(decision="d2", content_type="messages")) == 2.0


def test_a_later_decision_of_the_same_event_replaces_the_earlier():
    assert strikes(restricted(action="limit_reach"), restricted(START + 5, sequence=1)) == 1.0
    assert strikes(restricted(), restricted(START + 5, action="label", sequence=1)) == 0.0


def test_what_counts_nothing_takes_no_room():
    """Else an account could push its strikes out by what is hardly wrong."""
    slight = [restricted(START + n, f"slight-{n}", f"s{n}", action="label", sequence=1) for n in range(100)]
    assert strikes(restricted(), *slight) == 1.0


def test_what_was_decided_on_less_than_was_asked_for_says_nothing_about_the_account():
    assert strikes(restricted(degraded=True)) == 0.0
    assert strikes(restricted(category=None)) == 0.0  # an age gate or a former strike is no offence


def test_weights_come_from_the_settings_and_are_told_by_the_state():
    heavy = LedgerSettings(strike_weights={"remove": 2.0}, category_factors={"hate": 1.5})
    assert strikes(restricted(), settings=heavy) == 3.0
    assert strikes(restricted(action="limit_reach"), settings=heavy) == 0.0
    assert state(restricted(), settings=heavy).settings == heavy.digest != SETTINGS.digest


def test_a_strike_expires_from_its_event_when_it_is_read():
    told = restricted(START + DAY, event_time=START)
    assert strikes(told, at=START + 30 * DAY - 1) == 1.0
    assert strikes(told, at=START + 30 * DAY) == 0.0
    absurd = restricted(START, event_time=START + 10_000 * DAY)
    assert strikes(absurd, at=START + 30 * DAY) == 0.0


def test_a_reversal_may_come_before_what_it_reverses():
    back = reviewed(START + 10)
    assert strikes(restricted(), back) == strikes(back, restricted()) == 0.0
    assert strikes(restricted(), restricted(decision="d2"), back) == 0.0
    assert strikes(ordered(START + 10, "reverse", ("d1",)), restricted()) == 0.0
    assert strikes(restricted(content="c2", decision="d2"), back, restricted()) == 1.0


@pytest.mark.parametrize("first", [True, False])
def test_an_order_takes_back_every_decision_that_it_names(first: bool):
    """However many, and also if most of them count nothing any more."""
    order = ordered(START + 1000, "reverse", tuple(f"d{n}" for n in range(folding.MOST_TAKEN_BACK)))
    told = [restricted(START + n, f"d{n}", f"c{n}") for n in range(0, folding.MOST_TAKEN_BACK, 10)]
    assert strikes(*([order, *told] if first else [*told, order]), at=START + 2000) == 0.0


def test_what_stands_pushes_nothing_out_that_was_taken_back():
    upheld = [reviewed(START + 20 + n, f"other-{n}", "upheld") for n in range(2 * folding.MOST_UPHELD)]
    assert strikes(restricted(), reviewed(START + 10), *upheld, at=START + 1000) == 0.0
    assert len(state(*upheld).outcomes) == folding.MOST_UPHELD


@pytest.mark.parametrize("seed", range(5))
def test_an_erasure_may_come_anywhere_among_more_outcomes_than_are_kept(seed: int):
    draw = random.Random(seed)
    outcomes = ["upheld"] * 9 + ["overturned"]
    said = placed(
        reviewed(START + draw.randrange(100), f"d{draw.randrange(150)}", draw.choice(outcomes)) for _ in range(150)
    )
    erasure = placed([ordered(START + draw.randrange(100))])
    cut = draw.randrange(150)
    assert folded([*erasure, *said]) == folded([*said[:cut], *erasure, *said[cut:]]) == folded([*said, *erasure])


def test_of_several_outcomes_the_last_holds():
    assert strikes(restricted(), reviewed(START + 10), reviewed(START + 20, outcome="upheld")) == 1.0
    assert strikes(restricted(), reviewed(START + 20), reviewed(START + 10, outcome="upheld")) == 0.0
    assert strikes(restricted(), reviewed(START + 10, outcome="changed", action="limit_reach")) == 0.25
    assert strikes(restricted(), reviewed(START + 10, outcome="escalated")) == 1.0


def test_the_ladder_restricts_until_strikes_expire():
    told = [restricted(START + day * DAY, f"d{day}", f"c{day}") for day in range(3)]
    value = folded(placed(told))
    assert view(value, START + 3 * DAY).restrictions == ("warn", "limit_features")
    assert view(value, START + 30 * DAY).restrictions == ("warn",)
    assert view(value, START + 32 * DAY).restrictions == ()
    taken_back = folded(placed([*told, reviewed(START + 4 * DAY, "d1")]))
    assert view(taken_back, START + 4 * DAY).restrictions == ("warn",)


def test_a_state_stays_small_however_much_comes():
    told = [restricted(START + n, f"d{n}", f"c{n}") for n in range(300)]
    told += [reviewed(START + n, f"d{n}") for n in range(300)]
    told += [estimate(START + n * DAY // 4, model_version=str(n % 9)) for n in range(200)]
    told += [proven(START + n, verified_over=13 + n % 5) for n in range(30)]
    value = folded(placed(told))
    assert value is not None
    assert len(value) < 12_000
    found = decode(value)
    assert len(found.strikes) == folding.MOST_STRIKES
    assert found.marks == marks(value)


@pytest.mark.parametrize("value", [b"", b"\0", b"\0\0\0\0\1", b"\1abcdefgh"])
def test_what_is_no_state_is_refused(value: bytes):
    with pytest.raises(Exception, match=r"byte|schema id"):
        decode(value)
