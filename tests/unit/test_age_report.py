"""`safestream evaluate age`: two models on people whom neither has learnt from, in figures and on a page."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.age.spec import Spec
from detectors.age.table import table_of
from detectors.training.age import parts
from detectors.training.age.train import train
from evaluation.age import gates, limits, rates
from evaluation.age.answers import AtGate
from evaluation.age.groups import holm
from safestream import cli
from schemas.errors import UserMistake
from tests.people import QUICK, SPEC, people, write_csv

pytestmark = pytest.mark.usefixtures("one_thread")

LEARNT = 5_200
SMALL_SPEC = Spec.model_validate(
    {
        "target": "age",
        "account": "id",
        "signals": {"evenings": "number", "topic": "category"},
        "groups": ["sex"],
        "gates": [18, 25],
    }
)


def accounts(rows: int, seed: int) -> dict[str, list[Any]]:
    """People with accounts of their own."""
    return people(rows, seed) | {"id": [f"{seed}-{row}" for row in range(rows)]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models `new` and `old` of one table, and a small one of few people."""
    place = tmp_path_factory.mktemp("report")
    table = write_csv(place / "people.csv", accounts(LEARNT, 1))
    few = write_csv(place / "few.csv", accounts(400, 8))
    for name, head, learnt in (("new", "distribution", table), ("old", "classifier", table), ("small", "corn", few)):
        recipe = replace(QUICK, head=head, most_steps=150)  # type: ignore[arg-type]
        train([learnt], SMALL_SPEC, place / name, recipe, compare=False, say=lambda _: None)
    return place


def evaluate(place: Path, model: str, table: str, out: Path, *more: str) -> dict[str, Any]:
    arguments = ["evaluate", "age", str(place / model), "--table", str(place / table), "--out", str(out), *more]
    assert cli.run(arguments) == 0
    return json.loads((out / "report.json").read_text())  # type: ignore[no-any-return]


def test_two_models_on_the_people_that_training_held_apart(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluate(place, "new", "people.csv", tmp_path / "r", "--against", str(place / "old"))
    assert {one["judged"] for one in found["models"].values()} == {"held apart"}
    assert 0.17 * LEARNT < found["people"]["judged"] < 0.23 * LEARNT
    for gate in found["gates"].values():
        flips, new, old = gate["flips"], gate["new"], gate["old"]
        changed = flips["to_stopped"]["accounts"] - flips["to_passing"]["accounts"]
        stopped = [one["stopped"]["count"] + gate["below"] - one["passing"]["count"] for one in (new, old)]
        assert changed == stopped[0] - stopped[1]
    assert found["overall"]["new"]["mae"]["value"] < found["overall"]["old"]["mae"]["value"]
    page = (tmp_path / "r" / "report.html").read_text()
    assert page.index("What this cannot show") < page.index("<h1>")
    assert not re.search(r"<(script|link|img)|https?://(?!www\.w3\.org/2000/svg)", page)
    assert "rightly so" in capsys.readouterr().out


def test_in_a_small_table_nobody_is_judged_by_who_has_learnt_from_them(place: Path, tmp_path: Path) -> None:
    found = evaluate(place, "small", "few.csv", tmp_path / "r")
    assert found["models"]["new"]["judged"] == "folds"
    assert found["people"]["judged"] == 400
    card = json.loads((place / "small" / "card.json").read_text())["evaluation"]["test"]
    assert found["overall"]["new"]["mae"]["value"] == pytest.approx(card["mae"]["value"], abs=1e-3)


def test_people_it_has_not_learnt_from_are_all_asked_about(place: Path, tmp_path: Path) -> None:
    write_csv(place / "others.csv", accounts(700, 9))
    found = evaluate(place, "new", "others.csv", tmp_path / "r")
    assert (found["models"]["new"]["judged"], found["people"]["judged"]) == ("unseen", 700)


def test_what_can_not_be_judged_is_one_line(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = accounts(LEARNT, 1)
    digests = parts.digests_of(table_of(columns), SMALL_SPEC, QUICK.seed)
    learnt = np.flatnonzero(~parts.held_apart(digests, 0.2))[:500]
    write_csv(place / "learnt.csv", {name: [cells[row] for row in learnt] for name, cells in columns.items()})
    command = [
        "evaluate",
        "age",
        str(place / "new"),
        "--table",
        str(place / "learnt.csv"),
        "--out",
        str(tmp_path / "r"),
    ]
    assert cli.run(command) == 2
    assert "has learnt from every row of the table" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_rows_are_dealt_by_what_they_say_in_any_order_and_company() -> None:
    table = table_of(people(400))
    digests = parts.digests_of(table, SPEC, 3)
    order = np.random.default_rng(1).permutation(400)[:150]
    assert (parts.digests_of(table.take(order), SPEC, 3) == digests[order]).all()
    assert 0.1 < parts.held_apart(digests, 0.2).mean() < 0.3
    assert parts.held_apart(parts.digests_of(table, SPEC, 4), 0.2).tolist() != parts.held_apart(digests, 0.2).tolist()
    assert parts.recognised(digests, parts.fingerprints(digests, order)) == 150
    assert parts.recognised(digests, ["00", "01"]) == 0


def test_a_threshold_stops_no_more_than_the_share() -> None:
    rng = np.random.default_rng(2)
    for rows in (1, 7, 400):
        reach = np.round(rng.random(rows), 1)  # many are equal
        for share in (0.0, 0.05, 0.5, 1.0):
            assert (reach < rates.threshold_for(reach, share)).mean() <= share
    reach = np.where(rng.random(1000) < 0.1, np.nan, rng.random(1000))
    gate = AtGate(reach, np.zeros(1000, bool))
    assert gate.below(rates.threshold_for(reach, 0.05)).mean() == np.isnan(reach).mean()  # abstained: stopped anyway


def test_as_many_are_stopped_at_the_threshold_that_keeps_the_share() -> None:
    rng = np.random.default_rng(3)
    ages = rng.integers(10, 40, 20_000)
    above = ages >= 18
    old, new = ((ages + rng.normal(0, noise, 20_000)) / 60 for noise in (8, 4))
    stopped = old < rates.threshold_for(old[above], 0.05)
    found = gates.together(AtGate(new, new < 0.3), AtGate(old, stopped), above)["matched"]
    assert found["new"]["stopped"]["value"] == pytest.approx(0.05, abs=1e-3)
    assert found["new"]["stopped"]["count"] <= stopped[above].sum()
    assert found["change"]["passing"]["interval"][1] < 0  # the better model lets fewer pass
    assert found["flips"]["to_passing"]["right"]["value"] > 0.5


def test_the_first_line_says_what_is_missing() -> None:
    blogs = np.r_[np.full(50, 14), np.full(50, 17), np.full(50, 23), np.full(50, 30)]
    said = limits.first_line(SPEC, blogs, limits.judged_gates([13, 16, 18], blogs))
    assert "nobody under 13" in said
    assert "Nobody here is 18 to 22, which makes the gate at 18 look easier" in said
    dates = np.arange(19, 60).repeat(30)
    said = limits.first_line(SPEC, dates, limits.judged_gates([13, 16, 18, 21, 25], dates))
    assert "Challenge ages (21 and 25) stand in for 18" in said
    simulated = SPEC.model_copy(update={"about": SPEC.about.model_copy(update={"simulated": True})})
    assert "nothing here is evidence of how real people" in limits.first_line(simulated, np.arange(5, 60), [13, 16, 18])


def test_holm_corrects_and_keeps_the_order() -> None:
    assert holm(np.array([0.04, 0.01, 0.03])).tolist() == pytest.approx([0.06, 0.03, 0.06])
    assert holm(np.array([])).tolist() == []


def test_words_of_a_table_are_no_markup_on_the_page(place: Path, tmp_path: Path) -> None:
    columns = accounts(700, 10)
    columns["sex"] = ["<script>alert(1)</script>" if row % 2 else "m" for row in range(700)]
    write_csv(place / "hostile.csv", columns)
    evaluate(place, "new", "hostile.csv", tmp_path / "r")
    assert "<script" not in (tmp_path / "r" / "report.html").read_text()


def test_people_can_not_be_known_without_the_account_column() -> None:
    columns = accounts(400, 1)
    del columns["id"]
    with pytest.raises(UserMistake, match="the column id, the spec's account, is not in the table"):
        parts.digests_of(table_of(columns), SMALL_SPEC, 1)
