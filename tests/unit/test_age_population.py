"""The simulated population: Ofcom's shares come out, columns are the events'; and the model that is made of it."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from detectors.age.abstain import Why
from detectors.age.model import AgeCard, open_model
from detectors.age.spec import Noise, read_spec
from detectors.age.table import table_of
from detectors.loading.model_directory import CARD, SHIPPED, read_json
from detectors.training.age.fit import transition
from detectors.training.age.parts import split
from detectors.training.age.population.assumptions import read_assumptions
from detectors.training.age.population.people import declared
from detectors.training.age.population.signals import population
from detectors.training.age.rows import checked
from schemas.errors import UserMistake
from tests.people import people

DEMO = SHIPPED / "age-demo"
ROOT = Path(__file__).parents[2]
SPEC = read_spec(ROOT / "detectors" / "training" / "age" / "specs" / "listening.yaml")


def test_children_declare_what_the_survey_found() -> None:
    said, rng = read_assumptions(), np.random.default_rng(1)

    def share(first: int, last: int, gate: int) -> float:
        return float((declared(rng.integers(first, last + 1, 40_000), said, rng) >= gate).mean())

    found = [share(8, 12, 16), share(8, 12, 18), share(8, 15, 16), share(8, 17, 18)]
    assert found == pytest.approx([0.39, 0.23, 0.47, 0.32], abs=0.03)


def test_the_same_seed_is_the_same_table_and_another_is_not() -> None:
    said = read_assumptions()
    assert population(200, said, 1) == population(200, said, 1)
    assert population(200, said, 1)["true_age"] != population(200, said, 2)["true_age"]


def test_only_a_sample_has_a_verified_age_and_most_signals_are_missing_somewhere() -> None:
    columns = population(4_000, read_assumptions(changes={"opened": {"new": 0.5}}), 3)
    for true, age, verified, told in zip(
        *(columns[name] for name in ("true_age", "age", "age_verified", "declared_age")), strict=True
    ):
        assert age == (true if verified == "yes" else told)
    empty = {name: sum(cell is None for cell in columns[name]) / 4_000 for name in SPEC.signals}
    assert empty["contacts_median_age"] > 0.75  # new accounts have no contacts yet
    assert all(share < 1 for share in empty.values())
    assert columns["account"].count("new") == pytest.approx(2_000, abs=150)


def test_assumptions_of_another_shape_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match=r"opened\.new"):
        read_assumptions(changes={"opened": {"new": 3}})
    (tmp_path / "a.yaml").write_text("ages: [")
    with pytest.raises(UserMistake, match="not readable as YAML"):
        read_assumptions(tmp_path / "a.yaml")


def test_the_model_reads_fields_of_the_event() -> None:
    schema = json.loads((ROOT / "schemas" / "avro" / "content.profile-signals.avsc").read_text())
    roles = {field["name"]: field["role"] for field in schema["fields"]}
    assert {roles[name] for name in (*SPEC.signals, "declared_age")} == {"age_signal", "text"}
    assert {name for name, role in roles.items() if role == "age_signal"} <= {*SPEC.signals, "declared_age"}


def test_a_lie_goes_up_and_over_a_gate() -> None:
    ages = np.arange(8, 70).repeat(10)
    told = transition(Noise(lies=0.4), ages, smooth=0.0)
    assert told.sum(axis=1) == pytest.approx(1.0)
    assert told[12, 13:].sum() == pytest.approx(0.4, abs=0.01)
    assert told[17, 18:].sum() == pytest.approx(0.4, abs=0.01)
    assert told[30, 30] == pytest.approx(1.0, abs=0.01)


def test_only_verified_ages_calibrate_and_test() -> None:
    rng = np.random.default_rng(1)
    verified, digests = rng.random(9_000) < 0.2, rng.integers(0, 2**64 - 1, 9_000, np.uint64)
    parts = split(digests, verified)
    assert verified[parts.test].all()
    assert verified[parts.calibration].all()
    assert sorted([*parts.train, *parts.calibration, *parts.test]) == list(range(9_000))
    assert len(parts.calibration) == pytest.approx(verified.sum() / 3, rel=0.1)
    assert (digests[parts.test] < digests[parts.calibration].min()).all()


def test_too_few_verified_ages_are_one_line() -> None:
    spec = SPEC.model_copy(update={"groups": {}})
    columns = population(6_000, read_assumptions(changes={"verified": 0.01}), 1)
    with pytest.raises(UserMistake, match=r"column age_verified: .* ages are verified: at least 1500"):
        checked(table_of(columns), spec)
    with pytest.raises(UserMistake, match=r"target\.verified, is not in the table"):
        checked(table_of(people(300)), spec)


def test_the_card_begins_with_what_the_model_must_not_do() -> None:
    card = read_json(AgeCard, DEMO / CARD)
    assert "demonstration that must not decide about people" in card.name
    assert card.summary.startswith("A demonstration that must not decide about people")
    assert sum(file.stat().st_size for file in DEMO.iterdir()) < 300_000


def test_the_bundled_model_doubts_a_child_who_declares_to_be_an_adult() -> None:
    columns = {
        "declared_age": [19, 34, 22],
        "contacts_median_age": [13.0, 33.0, None],
        "contacts_minor_share": [0.8, 0.0, None],
        "school_hours_share": [0.12, 0.3, None],
        "bio": ["homework, roblox & my bestie", "Kids. Mortgage. Wine!", None],
    }
    found = open_model(DEMO).predict(table_of(columns))
    assert found.abstained.tolist() == [Why.none, Why.none, Why.empty]
    assert found.reaching(16)[0] < 0.3
    assert found.reaching(18)[1] > 0.9
    assert all(one >= other for one, other in pairwise(found.gates[1].tolist()))
