"""One record more: the state of an account before, and after.

The records of one topic come in the order of their offsets, those of several topics in any: the state is the same. It
holds for each topic the latest of what came, by the records' own times, and nothing up to the last erasure. Both "the
latest N" and "later than T" can be taken in either order, which is why an erasure may overtake what it erases.
Expiry is left to the readers; what has expired by the latest record of its own kind is dropped.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

import numpy as np

from enforcement.ledger.births import verified_age
from enforcement.ledger.settings import DEFAULTS, LedgerSettings
from enforcement.ledger.standing import restrictions
from enforcement.ledger.state import (
    PARTS,
    AccountState,
    DayEstimate,
    Marks,
    Outcome,
    Strike,
    VerifiedAge,
    decode,
    encode,
)
from schemas import topics
from schemas.ages import YEARS
from schemas.errors import Poison, PoisonReason

MOST_STRIKES: Final = 64  # the latest; far beyond any ladder
MOST_TAKEN_BACK: Final = 1024  # an order may reverse many decisions, also such as no strike is kept of any more
MOST_UPHELD: Final = 64
MOST_AGES: Final = 4
MOST_DAYS: Final = 5  # of estimates of one model
MOST_MODELS: Final = 6
_DAY_MS: Final = 24 * 3600 * 1000
_UNLIKELY: Final = 12 * 2048  # e^-12, as schemas/ages.py has it
_Any = TypeVar("_Any")


def fold(
    value: bytes | None, topic: str, offset: int, record: Mapping[str, Any], settings: LedgerSettings = DEFAULTS
) -> bytes:
    """The state after a record. One that was applied before changes nothing.

    Args:
        value: the state before; None for an account that is new.
        topic: one of `schemas.topics.LEDGER`.
        offset: the record's; an account's records of a topic are all in one partition.
        record: decoded, with times in milliseconds.

    Raises:
        Poison: this can't be a record of the topic.
        ValueError: `value` is no state.
    """
    if value is None:
        return encode(advanced(None, topic, offset, record, settings))
    state = decode(value)
    return encode(advanced(state, topic, offset, record, settings)) if offset > state.marks.of(topic) else value


def advanced(
    state: AccountState | None, topic: str, offset: int, record: Mapping[str, Any], settings: LedgerSettings
) -> AccountState:
    """`fold`, of states, for an offset that was not applied before."""
    state = state or AccountState(settings.digest, Marks())
    state = replace(state, settings=settings.digest, kept_ms=settings.kept_ms)
    state = _INTO[topic](state, record, settings)
    return _settled(replace(state, marks=replace(state.marks, **{PARTS[topic]: offset})), settings)


def join(a: bytes | None, b: bytes, settings: LedgerSettings = DEFAULTS) -> bytes:
    """Of two rows of one account what has come furthest, topic by topic: what a frozen process wrote late adds none."""
    if a is None or a == b:
        return b
    left, right = decode(a), decode(b)
    ahead = {part: getattr(right.marks, part) > getattr(left.marks, part) for part in PARTS.values()}
    if not any(ahead.values()):
        return a
    if all(ahead.values()) or all(getattr(right.marks, part) >= getattr(left.marks, part) for part in ahead):
        return b
    fields = {name: getattr(right, name) for part, names in _FIELDS.items() if ahead[part] for name in names}
    seen = replace(left.marks, **{part: getattr(right.marks, part) for part in ahead if ahead[part]})
    return encode(_settled(replace(left, marks=seen, **fields), settings))


_FIELDS: Final = {
    "estimates": ("models", "kept_ms"),
    "inputs": ("strikes",),
    "reviews": ("outcomes", "ages"),
    "controls": ("erased_at", "reversals"),
}


def _settled(state: AccountState, settings: LedgerSettings) -> AccountState:
    """Nothing that was erased, and what follows from the rest."""
    if (erased := state.erased_at) is not None:
        models = ((model, tuple(day for day in days if day.estimated_at > erased)) for model, days in state.models)
        state = replace(
            state,
            models=tuple((model, days) for model, days in models if days),
            strikes=tuple(each for each in state.strikes if each.decided_at > erased),
            outcomes=tuple(each for each in state.outcomes if each.reviewed_at > erased),
            reversals=tuple(each for each in state.reversals if each.reviewed_at > erased),
            ages=tuple(each for each in state.ages if each.reviewed_at > erased),
        )
    return replace(state, restrictions=restrictions(state, settings.ladder))


# --- age estimates


def _estimate(state: AccountState, record: Mapping[str, Any], settings: LedgerSettings) -> AccountState:
    day, model = _day(record), (str(record["detector"]), str(record["model_version"]))
    models = dict(state.models)
    models[model] = _latest_days([*models.get(model, ()), day])
    newest = max(days[-1].estimated_at for days in models.values())
    kept = {
        model: fresh
        for model, days in models.items()
        if (fresh := tuple(each for each in days if each.estimated_at + settings.kept_ms > newest))
    }
    latest = sorted(kept.items(), key=lambda item: (item[1][-1].estimated_at, item[0]))[-MOST_MODELS:]
    return replace(state, models=tuple(sorted(latest)))


def _day(record: Mapping[str, Any]) -> DayEstimate:
    at = int(record["estimated_at"])
    of = min(int(record["event_time"]), at)
    if record["abstained"]:
        return DayEstimate(at, of, YEARS, b"")
    packed = record["log_pmf"]
    if len(packed) != 2 * YEARS:
        raise Poison(PoisonReason.WRONG_TYPE, f"field log_pmf: {len(packed)} bytes in place of {2 * YEARS}")
    likely = np.flatnonzero(np.frombuffer(packed, ">u2") <= _UNLIKELY)
    first, last = (int(likely[0]), int(likely[-1])) if len(likely) else (0, YEARS - 1)
    return DayEstimate(at, of, first, bytes(packed[2 * first : 2 * last + 2]))


def _latest_days(days: list[DayEstimate]) -> tuple[DayEstimate, ...]:
    """The last estimate of each of the last days: edits in a row are not more evidence."""
    of_day = {each.estimated_at // _DAY_MS: each for each in sorted(days)}
    return tuple(sorted(of_day.values())[-MOST_DAYS:])


# --- restrictions on content


def _input(state: AccountState, record: Mapping[str, Any], settings: LedgerSettings) -> AccountState:
    decided, sequence = int(record["decided_at"]), int(record["sequence"])
    # Without a category a rule asked about the account alone: being 15, or having been warned, is no offence.
    blameless = record["degraded"] or record["category"] is None
    weight = 0 if blameless else settings.weight(record["action"], record["category"])
    decision = _hash(record["decision_id"], 16)
    if not weight:  # counts nothing; what the same decision counted before falls away, and takes no room
        left = (each for each in state.strikes if each.decision != decision or each[2:4] > (decided, sequence))
        return replace(state, strikes=tuple(left)) if sequence else state
    offence = f"{record['content_type']}\0{record['content_id']}\0{record.get('revision') or 0}\0{record['rule']}"
    until = min(int(record["event_time"]), decided) + settings.strike_ms
    strike = Strike(decision, _hash(offence, 8), decided, sequence, weight, until)
    strikes = _latest_of_each([*state.strikes, strike], lambda each: (each.decided_at, each.sequence, each))
    newest = max(each.decided_at for each in strikes)
    return replace(state, strikes=_sorted_tail((each for each in strikes if each.until > newest), MOST_STRIKES))


def _hash(text: str, size: int) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:size]


# --- what people decided


def _review(state: AccountState, record: Mapping[str, Any], settings: LedgerSettings) -> AccountState:
    if record["occasion"] == "age_assurance":
        age = verified_age(record)
        return state if age is None else replace(state, ages=_ages([*state.ages, age]))
    weights = {"upheld": None, "overturned": 0, "changed": settings.weight(record["action"], record["category"])}
    if record["outcome"] not in weights:
        return state
    outcome = Outcome(_hash(record["decision_id"], 16), int(record["reviewed_at"]), weights[record["outcome"]])
    return replace(state, outcomes=_outcomes([*state.outcomes, outcome], settings))


def _control(state: AccountState, record: Mapping[str, Any], settings: LedgerSettings) -> AccountState:
    at = int(record["issued_at"])
    if record["kind"] == "erase":
        return replace(state, erased_at=at if state.erased_at is None else max(state.erased_at, at))
    if record["kind"] == "reverse":
        reversed_ = [Outcome(_hash(each, 16), at, 0) for each in record["decision_ids"]]
        return replace(state, reversals=_outcomes([*state.reversals, *reversed_], settings))
    return state


def _outcomes(outcomes: list[Outcome], settings: LedgerSettings) -> tuple[Outcome, ...]:
    latest = _latest_of_each(outcomes, lambda each: (each.reviewed_at, each.weight is not None, each.weight or 0))
    newest = max((each.reviewed_at for each in latest), default=0)
    fresh = [each for each in latest if each.reviewed_at + settings.strike_ms > newest]
    # A bound for each, not a rank: dropping only by time is what commutes with an erasure.
    taken_back = _sorted_tail((each for each in fresh if each.weight is not None), MOST_TAKEN_BACK)
    upheld = _sorted_tail((each for each in fresh if each.weight is None), MOST_UPHELD)
    return tuple(sorted((*taken_back, *upheld), key=lambda each: each.decision))


def _ages(ages: list[VerifiedAge]) -> tuple[VerifiedAge, ...]:
    distinct = sorted(set(ages), key=lambda each: (each.reviewed_at, [(part is not None, part or 0) for part in each]))
    return tuple(distinct[-MOST_AGES:])


# --- "the latest of each", "the latest N"


def _latest_of_each(entries: Iterable[Any], rank: Callable[[Any], Any]) -> list[Any]:
    """The entry of each decision with the highest rank, which begins with its time."""
    of_decision: dict[bytes, Any] = {}
    for each in sorted(entries, key=rank):
        of_decision[each.decision] = each
    return list(of_decision.values())


def _sorted_tail(entries: Iterable[_Any], most: int) -> tuple[_Any, ...]:
    """The latest, by decision."""
    latest = sorted(entries, key=_time_and_decision)[-most:]
    return tuple(sorted(latest, key=lambda each: each.decision))  # type: ignore[attr-defined]


def _time_and_decision(entry: Any) -> tuple[int, bytes]:
    return (entry.decided_at if isinstance(entry, Strike) else entry.reviewed_at), entry.decision


_INTO: Final[Mapping[str, Callable[[AccountState, Mapping[str, Any], LedgerSettings], AccountState]]] = {
    topics.AGE_ESTIMATES: _estimate,
    topics.LEDGER_INPUTS: _input,
    topics.REVIEWS: _review,
    topics.CONTROLS: _control,
}
