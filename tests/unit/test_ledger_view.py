"""What an account's state says at a moment: ages grow, proofs override and expire, certainty has a bound."""

from datetime import UTC, datetime
from itertools import pairwise
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcement.ledger.births import born_years_before, completed_years
from enforcement.ledger.settings import LedgerSettings
from enforcement.ledger.view import BY_PROOF, UNKNOWN, AccountView, view
from schemas.ages import GATES
from tests.ledger_records import DAY, START, Record, estimate, proven, records
from tests.unit.test_ledger_fold import folded, placed

YEAR = round(365.2425 * DAY)
FOREVER = LedgerSettings(estimate_days=3650)


def seen(*told: Record, at: int = START) -> AccountView:
    return view(folded(placed(told), settings=FOREVER), at)


def day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_of_an_unknown_account_nothing_is_known():
    assert view(None, START) == UNKNOWN


def test_one_estimate_is_what_the_model_said():
    reach = seen(estimate(age=18.0)).reach["age"]
    assert reach[18] == pytest.approx(0.5, abs=0.02)
    assert reach[13] > reach[16] > reach[18]
    assert seen(estimate(abstained=True)).reach == {}


@given(st.integers(1, 60), st.floats(14, 24), st.floats(1, 8))
def test_repeated_estimates_are_hardly_more_than_one(times: int, age: float, spread: float):
    """However often the same is said, the odds at a gate are at most those of one, to the power 1 / 0.9."""
    one = seen(estimate(age=age, spread=spread)).reach["age"]
    told = [estimate(START - n * DAY, age + n / 365.2425 * -1, spread) for n in range(times)]
    many = seen(*told).reach["age"]
    for gate in GATES:
        assert abs(_odds(many[gate])) <= abs(_odds(one[gate])) / 0.9 + 0.25


def _odds(p: float) -> float:
    return log(max(p, 1e-6) / max(1 - p, 1e-6))


def test_edits_of_one_day_count_as_one_and_the_last_of_them_holds():
    told = [estimate(START + n, 30.0) for n in range(50)]
    assert seen(*told, at=START + 60) == seen(told[-1], at=START + 60)
    assert seen(*told, estimate(START + 60, 15.0), at=START + 60) == seen(estimate(START + 60, 15.0), at=START + 60)


@given(st.floats(10, 40), st.integers(0, 3000))
def test_who_gets_older_reaches_more(age: float, days: int):
    now, later = (seen(estimate(age=age), at=START + each * DAY).reach["age"] for each in (days, days + 30))
    assert all(later[gate] >= now[gate] - 1e-9 for gate in GATES)


def test_a_year_later_everyone_is_a_year_older():
    later = seen(estimate(age=17.0), at=START + YEAR).reach["age"]
    assert later[18] == pytest.approx(seen(estimate(age=18.0)).reach["age"][18], abs=0.01)


def test_the_version_that_estimated_last_speaks_for_its_detector_and_each_detector_for_itself():
    old = estimate(START, 30.0, model_version="old")
    new = estimate(START + 2 * DAY, 14.0, model_version="new")
    other = estimate(START, 25.0, detector="age-new")
    reach = seen(old, new, other, at=START + 3 * DAY).reach
    assert set(reach) == {"age", "age-new"}
    assert reach["age"][18] < 0.2 < 0.9 < reach["age-new"][18]


@given(records, st.sampled_from(["one", "three"]))
def test_a_detector_that_abstained_last_says_nothing_until_it_estimates_again(told: list[Record], version: str):
    """Whatever it said before, of this model or another: an account can change hands."""
    late = START + 101 * DAY
    can_not = estimate(late, abstained=True, log_pmf=b"", model_version=version)
    before, after = seen(*told, at=late), seen(*told, can_not, at=late)
    assert "age" not in after.reach
    assert after.reach == {name: said for name, said in before.reach.items() if name != "age"}
    again = seen(*told, can_not, estimate(late + 1, 30.0, model_version=version), at=late + 1)
    assert again.verified or again.reach["age"][13] > 0.5


def test_of_an_estimate_and_an_abstention_at_one_time_the_abstention_holds():
    both = [estimate(), estimate(abstained=True, log_pmf=b"")]
    assert seen(*both).reach == seen(*reversed(both)).reach == {}


def test_estimates_are_forgotten():
    told = placed([estimate()])
    value = folded(told, settings=LedgerSettings(estimate_days=10))
    assert view(value, START + 10 * DAY - 1).reach
    assert not view(value, START + 10 * DAY).reach


def test_a_proof_overrides_and_can_expire():
    child, proof = estimate(age=14.0), proven(verified_over=18, verified_until=START + 90 * DAY)
    told = (child, proof)
    during, after = seen(*told, at=START + 89 * DAY), seen(*told, at=START + 90 * DAY)
    assert (during.verified, during.reach[BY_PROOF]) == (True, {13: 1.0, 16: 1.0, 18: 1.0})
    assert (after.verified, BY_PROOF in after.reach) == (False, False)
    assert after.reach["age"][18] < 0.5


def test_a_proof_that_leaves_a_gate_open_bounds_what_the_models_say_of_it():
    said = seen(estimate(age=14.5), proven(verified_over=16))
    assert said.reach[BY_PROOF] == {13: 1.0, 16: 1.0}
    assert said.reach["age"][16] == pytest.approx(1.0)
    assert 0 < said.reach["age"][18] < 1


def test_a_proof_is_withdrawn():
    said = seen(proven(START, verified_over=18), proven(START + 5, "overturned"), at=START + 9)
    assert not said.verified
    again = seen(proven(START, "overturned"), proven(START + 5, verified_under=16), at=START + 9)
    assert again.reach[BY_PROOF] == {16: 0.0, 18: 0.0}


def test_of_two_proofs_the_later_holds_and_when_it_expires_the_earlier_if_both_can_be_true():
    later = proven(START + 5, verified_over=16, verified_until=START + DAY)
    told = (proven(START, verified_over=13), later)
    assert seen(*told, at=START + 9).reach[BY_PROOF] == {13: 1.0, 16: 1.0}
    assert seen(*told, at=START + DAY).reach[BY_PROOF] == {13: 1.0}
    assert not seen(proven(START, verified_under=15), later, at=START + DAY).verified


@given(st.integers(13, 18), st.integers(0, 5))
def test_an_expired_proof_of_minority_brings_no_adult_back(under: int, days: int):
    adult = proven(START, verified_over=18)
    child = proven(START + DAY, verified_under=under, verified_until=START + 2 * DAY)
    assert not seen(adult, child, at=START + (2 + days) * DAY).verified


def test_a_birthday_passes():
    born = (datetime(2009, 6, 15, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    told = proven(day("2025-01-01"), verified_birth_day=born)
    reach = {when: seen(told, at=day(when)).reach[BY_PROOF] for when in ("2025-06-14", "2025-06-15", "2027-06-15")}
    assert reach["2025-06-14"] == {13: 1.0, 16: 0.0, 18: 0.0}
    assert reach["2025-06-15"] == {13: 1.0, 16: 1.0, 18: 0.0}
    assert reach["2027-06-15"] == {13: 1.0, 16: 1.0, 18: 1.0}


def test_who_was_proven_to_have_reached_an_age_grows_up_for_certain():
    told = proven(day("2024-02-29"), verified_over=13)
    assert seen(told, at=day("2029-02-27")).reach[BY_PROOF] == {13: 1.0, 16: 1.0}
    assert seen(told, at=day("2029-02-28")).reach[BY_PROOF] == {13: 1.0, 16: 1.0, 18: 1.0}


def test_no_more_of_a_grown_up_is_kept_than_that():
    born = (datetime(1970, 3, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
    by_document, by_estimate = proven(verified_birth_day=born), proven(verified_over=18)
    assert folded(placed([by_document])) == folded(placed([by_estimate])) == folded(placed([proven(verified_over=40)]))


@given(st.integers(1, 100), st.integers(0, 40_000), st.integers(0, 24))
def test_the_latest_birth_of_who_has_completed_some_years_is_exact(years: int, days: int, hours: int):
    at = days * DAY + hours * DAY // 25
    born = born_years_before(years, at)
    assert completed_years(born, at) == years
    leap_day = datetime.fromtimestamp(at / 1000, UTC).strftime("%m-%d") == "02-29"
    assert leap_day or completed_years(born + 1, at) == years - 1


@given(st.integers(-20_000, 20_000))
def test_completed_years_rise_by_one_at_a_time(born: int):
    ages = [completed_years(born, at * DAY) for at in range(max(born, 0), max(born, 0) + 2000, 7)]
    assert all(0 <= after - before <= 1 for before, after in pairwise(ages))


@pytest.mark.parametrize("absurd", [{"verified_over": 999}, {"verified_birth_day": 10**6}, {"verified_over": -3}, {}])
def test_an_absurd_proof_proves_nothing(absurd: dict[str, int]):
    assert not seen(proven(**absurd)).verified
