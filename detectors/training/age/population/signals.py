"""What the platform knows of the accounts: the columns of the topic content.profile-signals, most of them missing."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.training.age.population.assumptions import Assumptions, Counts, Floats, Hours, along
from detectors.training.age.population.people import Ages, People, ages, declared, drawn

Columns = Mapping[str, Sequence[Any]]
Cells = NDArray[Any]
_NEED_TIME: Final = ("contacts_median_age", "contacts_minor_share", "school_hours_share", "late_night_share", "bio")


def population(rows: int, said: Assumptions, seed: int) -> Columns:
    """A table: `true_age`, `age` as the platform has it (declared, where it is not verified), and the signals.

    None where there is nothing. The same seed and assumptions give the same table.
    """
    rng = np.random.default_rng(seed)
    people = drawn(rows, said, rng)
    opened = _opened(people, said, rng)
    cells = _signals(people, opened, said, rng)
    quiet = rng.random(rows) < said.quiet.share
    missing = {name: _lacking(name, quiet, opened, said, rng) for name in cells}
    recorded = np.where(people.verified, people.true, people.declared)
    return {
        "account_id": [f"listener-{seed}-{row:07d}" for row in range(rows)],
        "true_age": people.true.tolist(),
        "age": _told(recorded, recorded < 0),
        "age_verified": ["yes" if one else "no" for one in people.verified.tolist()],
        "account": np.where(people.family, "family", np.where(opened < said.fresh.days, "new", "usual")).tolist(),
        "declared_age": _told(people.declared, people.declared < 0),
        **{name: _told(one, missing[name] | (one == -1)) for name, one in cells.items()},
    }


def _signals(people: People, opened: Ages, said: Assumptions, rng: np.random.Generator) -> dict[str, Cells]:
    """Every signal of everyone, as if nothing were missing; a proof of -1 years is none."""
    seeming = people.seeming
    median, minors = _contacts(people, said, rng)
    adult = people.true >= 18
    assured = rng.random(len(people)) < np.where(adult, said.assured.adults, said.assured.borrowed)
    return {
        "account_age_days": opened,
        "followers": _counts(said.followers, seeming, opened, rng),
        "following": _counts(said.following, seeming, opened, rng),
        "contacts_median_age": median.round(1),
        "contacts_minor_share": minors.round(3),
        "school_hours_share": _hours(said.school_hours, seeming, rng).round(3),
        "late_night_share": _hours(said.late_night, seeming, rng).round(3),
        "minor_reports": rng.poisson(along(said.minor_reports, seeming)),
        "guardian_linked": np.where(rng.random(len(people)) < along(said.guardian, seeming), "true", "false"),
        "age_assured_over": np.where(assured, 18, -1),
        "bio": _bios(seeming, said, rng),
    }


def _lacking(
    name: str, quiet: NDArray[np.bool_], opened: Ages, said: Assumptions, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(n,) where a signal is missing."""
    missing = rng.random(len(opened)) < said.missing.get(name, 0.0)
    fresh = (opened < said.fresh.days) & (rng.random(len(opened)) < said.fresh.missing)
    silent = quiet & (rng.random(len(opened)) < said.quiet.missing)
    return missing | (fresh & (name in _NEED_TIME)) | silent


def _opened(people: People, said: Assumptions, rng: np.random.Generator) -> Ages:
    """(n,) days since the account was opened."""
    longest = ((people.true - said.opened.earliest) * 365.25).clip(28.0)
    days = np.minimum(rng.exponential(said.opened.mean, len(people)) + 28, longest)
    new = rng.random(len(people)) < said.opened.new
    return np.where(new, rng.integers(0, 28, len(people)), days).astype(np.int64)


def _contacts(people: People, said: Assumptions, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(n,) median of what contacts declare, and the share of those who declare less than 18."""
    shape = (len(people), said.contacts.number)
    near = people.seeming[:, None] + along(said.contacts.spread, people.seeming)[:, None] * rng.normal(size=shape)
    other = ages(shape[0] * shape[1], said, rng).reshape(shape)
    true = np.where(rng.random(shape) < said.contacts.strangers, other, near.clip(6, 95).astype(np.int64))
    told = declared(true.ravel(), said, rng).reshape(shape)
    return np.median(told, axis=1), np.asarray((told < 18).mean(axis=1), np.float64)


def _hours(said: Hours, seeming: Floats, rng: np.random.Generator) -> Floats:
    """(n,) Beta with the mean of the curve; in holidays pupils' school hours are like all others."""
    mean = along(said.curve, seeming)
    away = rng.random(len(seeming)) < said.holidays
    mean = np.where(away, np.maximum(mean, said.in_holidays), mean).clip(0.005, 0.995)
    return rng.beta(mean * said.concentration, (1 - mean) * said.concentration)


def _counts(said: Counts, seeming: Floats, opened: Ages, rng: np.random.Generator) -> Ages:
    """(n,) log-normal; an account needs half a year to half of what it will have."""
    grown = opened / (opened + 180)
    median = along(said.curve, seeming) * grown * 1.5
    return np.floor(median * np.exp(said.spread * rng.normal(size=len(seeming)))).astype(np.int64)


def _bios(seeming: Floats, said: Assumptions, rng: np.random.Generator) -> Cells:
    """(n,) texts: words, each as likely as it is typical of the age."""
    words = np.array(list(said.bio.words))
    centre, spread = np.array(list(said.bio.words.values())).T
    likely = np.exp(-0.5 * ((np.arange(100)[:, None] - centre) / spread) ** 2) + 0.01
    levels = np.cumsum(likely / likely.sum(axis=1, keepdims=True), axis=1)[seeming.astype(np.int64)]
    numbers = rng.integers(said.bio.words_least, said.bio.words_most + 1, len(seeming))
    picks = [(levels < rng.random((len(seeming), 1))).sum(axis=1) for _ in range(said.bio.words_most)]
    rows = words[np.stack(picks, axis=1).clip(max=len(words) - 1)].tolist()
    return np.array([" ".join(row[:number]) for row, number in zip(rows, numbers.tolist(), strict=True)], object)


def _told(values: Cells, missing: NDArray[np.bool_]) -> list[Any]:
    return [None if nothing else value for value, nothing in zip(values.tolist(), missing.tolist(), strict=True)]
