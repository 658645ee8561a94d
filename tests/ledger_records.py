"""Records of the ledger's four topics, drawn and told."""

from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from enforcement.ledger.state import PARTS, marks
from schemas import topics
from schemas.ages import YEARS, encode_log_pmf

DAY = 24 * 3600 * 1000
START = 1_750_000_000_000
ACCOUNT = "account-1"

Record = tuple[str, dict[str, Any]]  # topic, value


@cache
def around(age: float, spread: float = 3.0) -> bytes:
    """A distribution round an age, as it goes over the topic."""
    pmf = np.exp(-0.5 * ((np.arange(YEARS) + 0.5 - age) / spread) ** 2)
    return encode_log_pmf((pmf / pmf.sum())[None])[0]


def estimate(at: int = START, age: float = 20.0, spread: float = 3.0, **others: Any) -> Record:
    return topics.AGE_ESTIMATES, {
        "source_topic": "content.profile-signals", "source_partition": 0, "source_offset": 5, "event_time": at,
        "estimated_at": at, "account_id": ACCOUNT, "detector": "age", "model_version": "one", "abstained": False,
        "mean": age, "low": int(age) - 5, "high": int(age) + 5, "log_pmf": around(age, spread),
    } | others  # fmt: skip


def restricted(at: int = START, decision: str = "d1", content: str = "c1", **others: Any) -> Record:
    return topics.LEDGER_INPUTS, {
        "decision_id": decision, "source_topic": "content.comments", "source_partition": 0, "source_offset": 7,
        "event_time": at, "account_id": ACCOUNT, "content_id": content, "content_type": "comments", "action": "remove",
        "rule": "hate", "category": "hate", "degraded": False, "sequence": 0, "decided_at": at, "revision": 0,
    } | others  # fmt: skip


def reviewed(at: int = START, decision: str = "d1", outcome: str = "overturned", **others: Any) -> Record:
    return topics.REVIEWS, {
        "review_id": "r1", "account_id": ACCOUNT, "decision_id": decision, "decision_sequence": 0, "content_id": None,
        "occasion": "appeal", "outcome": outcome, "action": None, "category": None, "note": None, "reviewer_id": None,
        "reviewed_at": at, "verified_over": None, "verified_under": None, "verified_birth_day": None,
        "verified_until": None,
    } | others  # fmt: skip


def proven(at: int = START, outcome: str = "upheld", **others: Any) -> Record:
    return reviewed(at, "", outcome, occasion="age_assurance", **others)


def ordered(at: int = START, kind: str = "erase", decisions: tuple[str, ...] = ()) -> Record:
    return topics.CONTROLS, {
        "control_id": "k1", "account_id": ACCOUNT, "kind": kind, "subject": None, "version": None,
        "decision_ids": list(decisions), "reason": None, "issued_by": "me", "issued_at": at,
    }  # fmt: skip


_times = st.integers(0, 200).map(lambda days: START + days * DAY // 2)
_decisions = st.sampled_from(["d1", "d2", "d3", "d4"])
_estimates = st.builds(
    estimate, _times, st.sampled_from([12.0, 17.5, 30.0]),
    detector=st.sampled_from(["age", "age-new"]), model_version=st.sampled_from(["one", "two"]),
    abstained=st.booleans(),
)  # fmt: skip
_restricted = st.builds(
    restricted, _times, _decisions, st.sampled_from(["c1", "c2"]), action=st.sampled_from(["remove", "limit_reach"]),
    sequence=st.integers(0, 2), degraded=st.booleans(), revision=st.integers(0, 1),
)  # fmt: skip
_reviews = st.builds(
    reviewed, _times, _decisions, st.sampled_from(["upheld", "overturned", "changed", "escalated", "unknown"]),
    action=st.sampled_from(["limit_reach", "allow", None]),
)  # fmt: skip
_proofs = st.builds(
    proven, _times, st.sampled_from(["upheld", "overturned"]), verified_over=st.sampled_from([None, 13, 16, 18, 40]),
    verified_under=st.sampled_from([None, 16, 18]), verified_until=st.none() | _times,
    verified_birth_day=st.none() | st.integers(10_000, 17_000),
)  # fmt: skip
_controls = st.builds(
    ordered, _times, st.sampled_from(["erase", "reverse", "breaker_open"]), st.lists(_decisions, max_size=2).map(tuple)
)
records = st.lists(_estimates | _restricted | _reviews | _proofs | _controls, max_size=30)


def newer(a: bytes | None, b: bytes) -> bool:
    """Whether `b` has applied anything that `a` has not: a row of a process that was frozen has not."""
    if a is None:
        return True
    seen, found = marks(a), marks(b)
    return any(getattr(found, part) > getattr(seen, part) for part in PARTS.values())
