"""The state of an account: typed, and as bytes. Equal states are equal bytes, on any machine.

A value is Confluent-framed like all of ours, but its schema id is always the built-in folder's: a rebuild elsewhere,
with another registry, gives the same bytes.
"""

import io
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import fastavro

from schemas import topics
from schemas.errors import Poison
from schemas.folder import BUILT_IN, Folder, read_schema
from schemas.wire import FRAME_BYTES, frame, schema_id

NEVER: Final = -1  # the mark before the first offset


class DayEstimate(NamedTuple):
    """The last estimate or abstention of one UTC day; ordered by time, at one time an abstention last."""

    estimated_at: int  # ms
    event_time: int  # ms
    first: int  # age of the first of `log_pmf`
    log_pmf: bytes  # as in schemas/ages.py; empty: the model abstained

    @property
    def abstained(self) -> bool:
        """Whether the model said that it can't tell."""
        return not self.log_pmf


class Strike(NamedTuple):
    """What one decision counts."""

    decision: bytes  # 16
    offence: bytes  # 8: content, revision and rule
    decided_at: int  # ms
    sequence: int
    weight: int  # hundredths
    until: int  # ms


class Outcome(NamedTuple):
    """What people made of a decision. `weight`: the most that it counts now, hundredths; None: it stands."""

    decision: bytes
    reviewed_at: int  # ms
    weight: int | None


class VerifiedAge(NamedTuple):
    """A proof; without any day of birth, the withdrawal of earlier ones. Days are counted from 1970-01-01."""

    reviewed_at: int  # ms
    until: int | None  # ms
    born_from: int | None
    born_to: int | None


class Restriction(NamedTuple):
    """An action that follows from strikes."""

    action: str
    until: int  # ms


Models = dict[tuple[str, str], tuple[DayEstimate, ...]]  # detector and version → oldest first


@dataclass(frozen=True, slots=True)
class Marks:
    """The last offset applied of each topic."""

    estimates: int = NEVER
    inputs: int = NEVER
    reviews: int = NEVER
    controls: int = NEVER

    def of(self, topic: str) -> int:
        """The mark of one of the topics."""
        return int(getattr(self, PARTS[topic]))


PARTS: Final = {
    topics.AGE_ESTIMATES: "estimates",
    topics.LEDGER_INPUTS: "inputs",
    topics.REVIEWS: "reviews",
    topics.CONTROLS: "controls",
}


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account. Every part but the last comes from one topic alone, so that their order does not matter."""

    settings: bytes
    marks: Marks
    kept_ms: int = 0
    models: tuple[tuple[tuple[str, str], tuple[DayEstimate, ...]], ...] = ()
    strikes: tuple[Strike, ...] = ()
    outcomes: tuple[Outcome, ...] = ()  # of reviews
    ages: tuple[VerifiedAge, ...] = ()
    erased_at: int | None = None
    reversals: tuple[Outcome, ...] = ()  # of controls
    restrictions: tuple[Restriction, ...] = ()  # worked out from the others


def encode(state: AccountState) -> bytes:
    """The bytes of a state."""
    out = io.BytesIO()
    number, parsed = _newest()
    out.write(frame(number))
    fastavro.schemaless_writer(out, parsed, _record(state))
    return out.getvalue()


def decode(value: bytes) -> AccountState:
    """The state of bytes that `encode` wrote.

    Raises:
        ValueError: they are no such bytes.
    """
    try:
        number = schema_id(value, len(value))
    except Poison as poison:
        raise ValueError(f"no account state: {poison}") from None
    stream = io.BytesIO(value)
    stream.seek(FRAME_BYTES)
    newest, parsed = _newest()
    try:  # without a second schema it takes a third of the time
        record: Any = fastavro.schemaless_reader(stream, _written_with(number), None if number == newest else parsed)
    except (EOFError, IndexError, struct.error) as error:
        raise ValueError(f"no account state: {error}") from None
    return _state(record)


def marks(value: bytes) -> Marks:
    """The marks of a state."""
    return decode(value).marks


def _record(state: AccountState) -> dict[str, Any]:
    at = state.marks
    return {
        "settings": state.settings,
        "estimates": {
            "mark": at.estimates,
            "kept_ms": state.kept_ms,
            "models": [
                {"detector": name, "model_version": version, "days": [day._asdict() for day in days]}
                for (name, version), days in state.models
            ],
        },
        "inputs": {"mark": at.inputs, "strikes": [each._asdict() for each in state.strikes]},
        "reviews": {
            "mark": at.reviews,
            "outcomes": [each._asdict() for each in state.outcomes],
            "ages": [each._asdict() for each in state.ages],
        },
        "controls": {
            "mark": at.controls,
            "erased_at": state.erased_at,
            "outcomes": [each._asdict() for each in state.reversals],
        },
        "restrictions": [each._asdict() for each in state.restrictions],
    }


def _state(record: dict[str, Any]) -> AccountState:
    estimates, inputs = record["estimates"], record["inputs"]
    reviews, controls = record["reviews"], record["controls"]
    return AccountState(
        settings=record["settings"],
        marks=Marks(estimates["mark"], inputs["mark"], reviews["mark"], controls["mark"]),
        kept_ms=estimates["kept_ms"],
        models=tuple(
            ((each["detector"], each["model_version"]), tuple(DayEstimate(**day) for day in each["days"]))
            for each in estimates["models"]
        ),
        strikes=tuple(Strike(**each) for each in inputs["strikes"]),
        outcomes=tuple(Outcome(**each) for each in reviews["outcomes"]),
        ages=tuple(VerifiedAge(**each) for each in reviews["ages"]),
        erased_at=controls["erased_at"],
        reversals=tuple(Outcome(**each) for each in controls["outcomes"]),
        restrictions=tuple(Restriction(**each) for each in record["restrictions"]),
    )


@lru_cache(maxsize=1)
def _newest() -> tuple[int, Any]:
    last = Folder(BUILT_IN).releases_of(topics.ACCOUNT_STATE)[-1]
    return last.id, fastavro.parse_schema(dict(read_schema(last.path)))


@lru_cache(maxsize=16)
def _written_with(number: int) -> Any:
    for each in Folder(BUILT_IN).releases_of(topics.ACCOUNT_STATE):
        if each.id == number:
            return fastavro.parse_schema(dict(read_schema(each.path)))
    raise ValueError(f"schema id {number} is no version of {topics.ACCOUNT_STATE} that this Safestream knows")
