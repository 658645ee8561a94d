"""Docker's stream of pull events, as the percentages a person reads."""

from stream.local_broker.container import pull_percents


def downloading(layer: str, current: int, total: int) -> dict[str, object]:
    return {"status": "Downloading", "id": layer, "progressDetail": {"current": current, "total": total}}


def test_percentages_rise_by_ten_points_or_more():
    events = [{"status": "Pulling from apache/kafka", "id": "4.1.1"}, {"status": "Pulling fs layer", "id": "a"}]
    events += [downloading("a", done, 1000) for done in range(0, 1001, 10)]
    assert list(pull_percents(events)) == list(range(10, 101, 10))


def test_a_layer_discovered_late_does_not_turn_the_count_back():
    events = [downloading("a", 500, 1000), downloading("b", 0, 1000), downloading("b", 1000, 1000)]
    assert list(pull_percents(events)) == [50, 75]
