"""A batch is shared out by weight: nobody starves, and nothing is left empty that somebody could fill."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from stream.shares import shares

TOPICS = "abcdef"
waiting_of = st.dictionaries(st.sampled_from(TOPICS), st.integers(0, 5000))
weights_of = st.fixed_dictionaries({topic: st.floats(0.001, 1000) for topic in TOPICS})
sizes = st.integers(1, 2000)


@given(waiting_of, weights_of, sizes)
def test_the_batch_is_filled_with_what_waits(waiting: dict[str, int], weights: dict[str, float], size: int) -> None:
    granted = shares(waiting, weights, size)
    assert sum(granted.values()) == min(size, sum(waiting.values()))
    assert granted.keys() == waiting.keys()
    assert all(0 <= granted[topic] <= waiting[topic] for topic in waiting)


@given(waiting_of, weights_of, sizes)
def test_each_topic_gets_its_share_or_all_it_has(waiting: dict[str, int], weights: dict[str, float], size: int) -> None:
    granted = shares(waiting, weights, size)
    hungry = [topic for topic in waiting if waiting[topic]]
    total = sum(weights[topic] for topic in hungry)
    for topic in hungry:
        assert granted[topic] >= min(waiting[topic], int(size * weights[topic] / total * (1 - 1e-9)))


@given(waiting_of, weights_of, sizes)
def test_no_topic_gets_more_for_its_weight_than_one_that_still_waits(
    waiting: dict[str, int], weights: dict[str, float], size: int
) -> None:
    """Max-min fairness; a record more or less, since records can't be cut, at each round of the sharing out."""
    granted = shares(waiting, weights, size)
    rounds = len(waiting) + 1
    hungry = [topic for topic, count in waiting.items() if granted[topic] < count]
    for poor, rich in product(hungry, waiting):
        slack = rounds / weights[rich] + rounds / weights[poor]
        assert granted[rich] / weights[rich] <= granted[poor] / weights[poor] + slack


def test_a_backfill_takes_what_the_others_leave() -> None:
    weights = {"comments": 4.0, "profiles": 1.0}
    assert shares({"comments": 10_000, "profiles": 10_000}, weights, 1000) == {"comments": 800, "profiles": 200}
    assert shares({"comments": 50, "profiles": 10_000}, weights, 1000) == {"comments": 50, "profiles": 950}
    assert shares({"comments": 50, "profiles": 10}, weights, 1000) == {"comments": 50, "profiles": 10}
