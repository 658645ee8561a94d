"""The figures in sentences, for the first page of a report and for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evaluation.age.gaps import STOPPED

Found = Mapping[str, Any]


def sentences(found: Found) -> Iterator[str]:
    """What a reader should know before any table."""
    for age, gate in found["gates"].items():
        yield _stops(age, gate)
        if "old" in gate:
            yield f"{_better(gate['matched'], age)} {_flips(gate['flips'])}"
    yield _errors(found["overall"])
    if "old" in found["models"]:
        yield _by_age(found["by_age"])
        if found["groups"]:
            yield _for_whom(found["groups"])
    for age, gate in found["gates"].items():
        if gate["equal_stops"]["new"]["columns"]:
            yield _gaps(age, gate["equal_stops"])


def _stops(age: str, gate: Found) -> str:
    new = gate["new"]
    old = gate.get("old")
    stopped, passing = _of_thousand(new["stopped"]), _of_thousand(new["passing"])
    first = f"At {age}: of 1,000 people who have reached it the model stops {stopped}"
    if new["abstained"]["count"]:
        first += f", {round(1000 * new['abstained']['value'])} of them because it abstains"
    second = f"of 1,000 who have not, {passing} pass it"
    if old:
        first += f", the one it replaces {_of_thousand(old['stopped'])}"
        second += f", {_of_thousand(old['passing'])} the other"
    return f"{first}; {second}."


def _better(matched: Found, age: str) -> str:
    change = matched["change"]["passing"]
    few = abs(round(1000 * change["value"]))
    said = {-1: "which is better", 0: "no difference that these people could show", 1: "which is worse"}
    more = "more" if change["value"] > 0 else "fewer"
    low, high = (f"{1000 * end:+.0f}" for end in change["interval"])
    return (
        f"With a threshold of {matched['threshold']:.3f}, at which it stops no more who have reached {age} than "
        f"the other does, {few} {more} of 1,000 who have not pass ({low} to {high}): {said[sign(change)]}."
    )


def _flips(flips: Found) -> str:
    passing, stopped = flips["to_passing"], flips["to_stopped"]
    return (
        f"Treatment changes for {flips['per_thousand']:.1f} accounts of 1,000: {passing['accounts']} are let through, "
        f"{_right(passing)}; {stopped['accounts']} are stopped, {_right(stopped)}."
    )


def _right(side: Found) -> str:
    return f"rightly so {side['right']['count']}" if side["accounts"] else "so none of them wrongly"


def _errors(overall: Found) -> str:
    new = overall["new"]["mae"]
    said = f"On average the model is {new['value']:.2f} years off"
    if "change" in overall:
        change = overall["change"]["mae"]
        word = {-1: "nearer", 0: "no different as far as these people show", 1: "farther"}[sign(change)]
        low, high = sorted(abs(end) for end in change["interval"])
        said += f", the one it replaces {overall['old']['mae']['value']:.2f}: {word}"
        said += f" by {low:.2f} to {high:.2f}" if sign(change) else ""
    coverage = overall["new"]["coverage"]
    return f"{said}. Its 90 % intervals hold the true age of {100 * coverage['value']:.1f} %."


def _by_age(bands: Sequence[Found]) -> str:
    sides: dict[int, list[str]] = {-1: [], 0: [], 1: []}
    for band in bands:
        sides[sign(band["change"])].append(band["band"])
    said = [
        f"{word} for those aged {', '.join(sides[side])}"
        for side, word in ((-1, "nearer"), (0, "no different"), (1, "farther off"))
        if sides[side]
    ]
    return f"By true age it is {'; '.join(said)}."


def _for_whom(groups: Found) -> str:
    sides: dict[int, list[str]] = {-1: [], 0: [], 1: []}
    for name, one in groups.items():
        if "mae" in one["change"]:
            sides[sign(one["change"]["mae"])].append(name)
    worse = f"It is farther off for {', '.join(sides[1])}." if sides[1] else "It is farther off for none."
    return (
        f"Of {len(groups)} groups it is nearer to the true age in {len(sides[-1])}; in {len(sides[0])} these people "
        f"show no difference. {worse}"
    )


def _gaps(age: str, models: Found) -> str:
    others = models.get("old", {"columns": {}})["columns"]
    said = []
    for column, new in models["new"]["columns"].items():
        other = f"; the other {_points(others[column]['gap']['stopped'])}" if column in others else ""
        said.append(f"{column} by {_points(new['gap']['stopped'])} percentage points{other}")
    share = f"{100 * STOPPED:g} % of all who have reached {age}"
    if models["new"]["everyone"]["stopped"]["value"] > STOPPED:
        return f"The model abstains from more than {share}: groups can't be compared where that many are stopped."
    return f"If {share} are stopped, the share differs between groups of {', of '.join(said)}."


def _points(gap: Found) -> str:
    return f"{100 * gap['value']:.1f} ({100 * gap['interval'][0]:.1f} to {100 * gap['interval'][1]:.1f})"


def _of_thousand(rate: Found) -> str:
    low, high = (round(1000 * end) for end in rate["interval"])
    return f"{round(1000 * rate['value'])} ({low} to {high})"


def sign(change: Found) -> int:
    """-1 or 1 where the interval lies on one side of 0, else 0."""
    low, high = change["interval"]
    return -1 if high < 0 else 1 if low > 0 else 0
