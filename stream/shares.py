"""Weighted shares of a batch: a backfill of one topic doesn't starve the others."""

from collections.abc import Mapping


def shares(waiting: Mapping[str, int], weights: Mapping[str, float], size: int) -> dict[str, int]:
    """How many records of each topic go into a batch of `size`.

    Max-min fair by weight: a topic gets at least its weighted share of the batch if it has that much waiting, and what
    one topic leaves goes to the others. The shares sum to `size` or to all that waits.
    """
    granted = dict.fromkeys(waiting, 0)
    room = min(size, sum(waiting.values()))
    while room:
        hungry = [topic for topic in waiting if granted[topic] < waiting[topic]]
        total = sum(weights[topic] for topic in hungry)
        portions = {topic: int(room * weights[topic] / total) for topic in hungry}
        if not any(portions.values()):
            portions[max(hungry, key=weights.__getitem__)] = 1
        for topic, portion in portions.items():
            taken = min(portion, waiting[topic] - granted[topic])
            granted[topic] += taken
            room -= taken
    return granted
