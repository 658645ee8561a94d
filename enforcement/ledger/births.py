"""Ages, birthdays and proofs of age: what a day of birth between two days says at a moment."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from enforcement.ledger.state import VerifiedAge

ADULT: Final = 18  # beyond it no day of birth is kept
_DAY_ONE: Final = date(1970, 1, 1)
_OLDEST: Final = 121  # years
_EARLIEST_MS: Final = 0
_LATEST_MS: Final = 4_102_444_800_000  # 2100-01-01


def day_of(time_ms: int) -> date:
    """The UTC day of a moment; absurd ones are taken as the nearest that is not."""
    return datetime.fromtimestamp(min(max(time_ms, _EARLIEST_MS), _LATEST_MS) / 1000, UTC).date()


def completed_years(born_day: int, time_ms: int) -> int:
    """Age in completed years at a moment of someone born on a day, counted from 1970-01-01."""
    born, now = _DAY_ONE + timedelta(days=born_day), day_of(time_ms)
    return now.year - born.year - ((now.month, now.day) < (born.month, born.day))


def born_years_before(years: int, time_ms: int) -> int:
    """The latest day of birth, counted from 1970-01-01, of someone who has completed `years` at a moment."""
    now = day_of(time_ms)
    leap_day = (now.month, now.day) == (2, 29)
    return (date(now.year - years, now.month, 28 if leap_day else now.day) - _DAY_ONE).days


def verified_age(review: Mapping[str, Any]) -> VerifiedAge | None:
    """The proof in the outcome of an age check, or the withdrawal of earlier ones; None where it is neither.

    No more is kept than the gates need: of who has reached 18 that they have, and not how long ago.
    """
    at, until = int(review["reviewed_at"]), review.get("verified_until")
    if review["outcome"] == "overturned":
        return VerifiedAge(at, None, None, None)
    if review["outcome"] not in {"upheld", "changed"}:
        return None
    over, under, born = (review.get(f"verified_{name}") for name in ("over", "under", "birth_day"))
    if not all(_sensible(years) for years in (over, under)):
        return None
    if born is not None:
        return _by_document(at, until, int(born))
    if over is None and under is None:
        return None
    born_to = None if over is None else born_years_before(min(over, ADULT), at)
    grown_up = over is not None and over >= ADULT
    born_from = None if under is None or grown_up else born_years_before(under, at) + 1
    return VerifiedAge(at, until, born_from, born_to)


def _by_document(at: int, until: int | None, born: int) -> VerifiedAge | None:
    if not born_years_before(_OLDEST, at) < born <= (day_of(at) - _DAY_ONE).days:
        return None
    if completed_years(born, at) >= ADULT:
        return VerifiedAge(at, until, None, born_years_before(ADULT, at))
    return VerifiedAge(at, until, born, born)


def _sensible(years: int | None) -> bool:
    return years is None or 0 < years < _OLDEST


def proof(ages: Iterable[VerifiedAge], as_of_ms: int) -> VerifiedAge | None:
    """The latest proof, if it holds at a moment; once it has expired an earlier one that does not contradict it."""
    latest: VerifiedAge | None = None
    for each in sorted(ages, key=_by_time, reverse=True):
        if each.born_from is None and each.born_to is None:
            return None
        latest = latest or each
        if (each.until is None or each.until > as_of_ms) and _agree(each, latest):
            return each
    return None


def _agree(a: VerifiedAge, b: VerifiedAge) -> bool:
    """Whether there is a day of birth that both proofs allow."""
    pairs = ((a.born_from, b.born_to), (b.born_from, a.born_to))
    return all(start is None or end is None or start <= end for start, end in pairs)


def _by_time(age: VerifiedAge) -> tuple[int, ...]:
    missing = -(10**9)
    return age.reviewed_at, *(missing if each is None else each for each in age[1:])


def bounds(age: VerifiedAge, as_of_ms: int) -> tuple[int, int]:
    """Fewest and most completed years at a moment that a proof allows."""
    fewest = 0 if age.born_to is None else max(completed_years(age.born_to, as_of_ms), 0)
    most = _OLDEST - 1 if age.born_from is None else completed_years(age.born_from, as_of_ms)
    return fewest, max(most, fewest)
