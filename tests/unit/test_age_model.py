"""From a table to a model directory and back: the same answers, whatever is missing, and none where it can't know."""

from pathlib import Path

import numpy as np
import pytest

from detectors.age.abstain import Why
from detectors.age.model import AgeModel, open_model
from detectors.age.spec import Noise
from detectors.age.table import table_of
from detectors.training.age.estimating import supported
from detectors.training.age.fit import transition
from detectors.training.age.train import train
from schemas.errors import UserMistake
from tests.people import QUICK, SPEC, people, write_csv

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("age")
    table = write_csv(place / "t.csv", people(900))
    train([table], SPEC, place / "model", QUICK, compare=False, say=lambda _: None)
    return place / "model"


@pytest.fixture(scope="module")
def model(folder: Path) -> AgeModel:
    return open_model(folder)


def test_it_learns_and_the_card_says_how_well(folder: Path, model: AgeModel) -> None:
    columns = people(2_000, seed=2)
    said = model.predict(table_of(columns))
    ages, answered = np.array(columns["age"]), said.abstained == Why.none
    error = np.abs(said.mean - ages)[answered].mean()
    assert answered.mean() > 0.95
    assert error < 0.7 * np.abs(ages - np.median(ages)).mean()
    covered = ((said.low <= ages) & (ages <= said.high))[answered]
    assert 0.86 <= covered.mean() <= 0.95
    assert said.ages == (13, 16, 18)
    assert (np.diff(said.gates[answered], axis=1) <= 0).all()
    assert '"crps"' in (folder / "card.json").read_text()


def test_the_same_columns_give_the_same_answers_in_any_company(model: AgeModel) -> None:
    table = table_of(people(50, seed=3))
    whole = model.predict(table)
    alone = model.predict(table.take(np.array([17])))
    assert np.allclose(whole.pmf[17], alone.pmf[0], atol=1e-6, equal_nan=True)
    assert len(model.predict(table.take(np.array([], np.intp))).mean) == 0


def test_any_signal_may_be_missing_and_nothing_at_all_abstains(model: AgeModel) -> None:
    columns = people(200, seed=4, missing=0.0)
    for name in SPEC.signals:
        one = model.predict(table_of({each: cells for each, cells in columns.items() if each != name}))
        assert (one.abstained == Why.none).mean() > 0.8
    empty = model.predict(table_of({"declared_age": [25, 12]}))
    assert empty.abstained.tolist() == [Why.empty, Why.empty]
    assert np.isnan(empty.gates).all()


def test_a_profile_unlike_all_others_abstains(model: AgeModel) -> None:
    strange = {"followers": [10**12] * 3, "evenings": [-1e6] * 3, "school": ["yes"] * 3, "topic": ["???"] * 3}
    assert (model.predict(table_of(strange)).abstained == Why.strange).all()


def test_a_declared_age_is_evidence_not_an_answer(model: AgeModel) -> None:
    columns = people(400, seed=5, missing=0.0)
    young = np.array(columns["age"]) < 15
    lying, silent = (
        model.predict(table_of(columns | {"declared_age": [said] * 400})).reaching(18)[young] for said in (40, None)
    )
    assert np.nanmean(silent) < 0.3
    assert np.nanmean(silent) < np.nanmean(lying) < 0.6


def test_a_changed_or_mismatched_directory_is_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "card.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert open_model(tmp_path).version == open_model(folder).version
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"hidden": 16', '"hidden": 17'))
    with pytest.raises(UserMistake, match="was changed"):
        open_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserMistake, match=r"model\.safetensors is missing"):
        open_model(tmp_path)


def test_what_is_there_is_not_overwritten(folder: Path) -> None:
    with pytest.raises(UserMistake, match="is there already"):
        train([], SPEC, folder, QUICK, compare=False, say=lambda _: None)


def test_noise_of_ages_is_spread_over_near_and_any_ages() -> None:
    ages = np.array([20, 20, 40, 60])
    table = transition(Noise(spread=2, wrong=0.1), ages, smooth=0.0)
    assert np.allclose(table.sum(axis=1), 1)
    assert table[30, 60] == pytest.approx(0.1 / 4)
    assert table[30, 29] > table[30, 27] > table[30, 25]


def test_a_classifier_knows_its_buckets_and_no_more(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", people(600))
    signals = {name: SPEC.signals[name] for name in ("evenings", "topic")}
    spec = SPEC.model_copy(update={"signals": signals, "declared": None})
    train([table], spec, tmp_path / "old", QUICK.with_head("classifier"), compare=False, say=lambda _: None)
    model = open_model(tmp_path / "old")
    assert model.estimator.network.borders == (18, 25)  # too few are under 16 in the table
    pmf = model.predict(table_of(people(300, seed=2))).pmf
    inside = pmf[:, 18:25] / pmf[:, 18:25].sum(axis=1, keepdims=True)
    assert np.nanstd(inside, axis=0).max() < 1e-5  # the same for everyone
    assert np.nanstd(pmf[:, 18:25].sum(axis=1)) > 0.05


def test_a_bucket_needs_people() -> None:
    ages = np.r_[np.full(10, 12), np.full(100, 17), np.full(100, 40)]
    assert supported((13, 16, 18, 25), ages) == (18,)
