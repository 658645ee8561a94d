"""Age on the runtime of all detectors: signals arrive as the schema annotates them, and faults are the guilty one's."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.age import detector as age
from detectors.age.gates import moved
from detectors.age.table import table_of
from detectors.interface import DetectorSpec, ProcessSettings
from detectors.items import Items
from detectors.runtime import frames
from safestream.cli import run
from schemas import ages
from schemas.columns import Events, Scores
from schemas.roles import resolve
from schemas.statuses import Reason, Status
from tests.fault.scoring import Start, clients, score

CHILD = {"contacts_median_age": 12.5, "contacts_minor_share": 0.9, "followers": 12, "school_hours_share": 0.02}
GROWN = {"contacts_median_age": 41.0, "contacts_minor_share": 0.0, "followers": 90, "school_hours_share": 0.3}
AGE = "detectors.age.detector:build"


def scored(client: Any, signals: list[Mapping[str, Any]]) -> Scores:
    n = len(signals)
    return score(client, Events.unplaced([""] * n, [""] * n, [()] * n, signals))


def test_the_guilty_record_alone_is_an_error_and_an_empty_profile_is_abstained_from():
    spec = DetectorSpec("age", {}, "tests.fault.age_tripwire:build")
    rows = [CHILD, *({**GROWN, "bio": f"TRIP:{how}"} for how in ("nan", "mass", "segv", "raise", "sleep")), GROWN]
    with clients() as start:
        found = scored(start(spec, settings=ProcessSettings(deadline_ms=1500)), [*rows, {"a new signal": 1}, {}])
    said = found.age["age"]
    assert found.status[:, 0].tolist() == [0, 3, 3, 3, 3, 3, 0, Status.abstained, Status.skipped]
    assert found.reason[1:6, 0].tolist() == [
        Reason.not_a_number,
        Reason.not_a_number,
        Reason.crashed,
        Reason.raised,
        Reason.hung,
    ]
    good = found.status[:, 0] == Status.scored
    assert ages.plausible(said).tolist() == good.tolist()
    assert np.isnan(said[~good]).all()
    assert ages.reaching(said, 18)[6] > 0.8 > 0.4 > ages.reaching(said, 18)[0]


def test_identical_means_the_same_signals_too():
    with clients() as start:
        two = _two(start)
        rows = [
            CHILD,
            GROWN,
            CHILD,
            dict(reversed(CHILD.items())),
            CHILD | {"followers": 41},
            CHILD | {"followers": 40.0},
        ]
        found = scored(two, rows)
        assert found.reused is not None
        assert found.reused[:, 0].tolist() == [False, False, True, True, False, False]
        one, two_ = found.age["age"], found.age["age-new"]
        np.testing.assert_array_equal(one[2], one[0])
        np.testing.assert_array_equal(one, two_)
        again = scored(two, [GROWN | {"followers": 7}, GROWN])
        assert again.reused is not None
        assert again.reused[:, 0].tolist() == [False, True]
        np.testing.assert_array_equal(again.age["age"][1], one[1])


def _two(start: Start) -> Any:
    return start(DetectorSpec("age"), DetectorSpec("age-new", {}, AGE))


PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=9)


@given(rows=st.lists(st.dictionaries(st.text(max_size=5), PLAIN | st.lists(PLAIN, max_size=3)), max_size=5))
def test_signals_come_out_as_they_went_in_and_only_for_those_who_read_them(rows: list[dict[str, Any]]):
    n = len(rows)
    items = Items(["a"] * n, [""] * n, [()] * n, rows)
    (frame,) = frames.Splitter().feed(frames.encode_items(0, 1, items))
    assert list(frames.decode_items(frame).signals) == rows
    assert not items.seen_by(("text",)).signals


def annotated(name: str, kind: Any, role: str = "age_signal") -> dict[str, Any]:
    return {"name": name, "type": kind, "role": role}


def test_signals_are_what_the_schema_annotates():
    year, serial = annotated("year", ["null", "int"]), {"name": "serial", "type": "string"}
    bio = annotated("bio", ["null", "string"], "text")
    fields = [
        annotated("plays", {"type": "map", "values": "int"}),
        annotated("liked", {"type": "array", "items": "string"}),
        {"name": "device", "type": ["null", {"type": "record", "name": "D", "fields": [year, serial]}]},
        bio,
    ]
    roles = resolve({"type": "record", "name": "P", "fields": fields})
    record = {"plays": {"mon": 1, "tue": 2}, "liked": ["a"], "device": {"year": 2019, "serial": "s"}, "bio": "b"}
    assert roles.signals_of(record) == {"plays": [1, 2], "liked": ["a"], "device.year": [2019], "bio": "b"}
    assert roles.signals_of({"plays": {}, "liked": [], "device": None, "bio": None}) == {}
    assert resolve({"type": "record", "name": "C", "fields": [bio]}).signals_of(record) == {}


def test_what_is_published_has_the_calibrated_gates():
    model = age.open_model(age.DEFAULT_MODEL)
    rng = np.random.default_rng(5)
    found = model.predict(table_of({name: (value * rng.random(200) * 2).tolist() for name, value in GROWN.items()}))
    rows = age.rows_of(found)
    known = found.abstained == 0
    for place, gate in enumerate(found.ages):
        np.testing.assert_allclose(ages.reaching(rows, gate)[known], found.gates[known, place], atol=1e-5)
    assert (ages.plausible(rows) == known).all()


def test_mass_moves_even_where_there_was_none():
    pmf = np.zeros((1, ages.YEARS))
    pmf[0, 40] = 1
    found = moved(pmf, np.array([[0.99, 0.9, 0.9]]), (13, 16, 18))
    np.testing.assert_allclose(found[0, :13], 0.01 / 13)
    np.testing.assert_allclose(found[0, [13, 15, 16, 40]], [0.03, 0.03, 0, 0.9])


def test_events_get_a_line_with_their_age(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "profiles.jsonl"
    lines = [{"event_id": "1", "account_id": "a", **CHILD}, {"event_id": "2", "account_id": "b"}]
    file.write_text("\n".join(map(json.dumps, lines)))
    assert run(["score", "age", str(file)]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(first) == {"event_id", "detector", "model_version", "status", "scores", "age"}
    assert list(first["age"]) == ["mean", "low", "high", "p_ge_13", "p_ge_16", "p_ge_18"]
    assert first["age"]["low"] <= first["age"]["high"]
    assert 0 <= first["age"]["p_ge_18"] <= first["age"]["p_ge_16"] <= first["age"]["p_ge_13"] <= 1
    assert (first["scores"], second["status"]) == ({}, "skipped")
