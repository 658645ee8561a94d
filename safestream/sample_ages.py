"""Three accounts and a surface for people of 16 and over: what they show of themselves, and what they write there.

Each writes twice; between the two, more becomes known. Nobody is behind them: the signals are made up.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from safestream.sample_events import SampleEvent
from schemas import topics

SURFACE: Final = "late_show"
GATE: Final = 16
ACCOUNTS: Final = ("grown", "young", "quiet")
TURNS: Final = ("at first", "later")
IN_SCENE: Final = 10  # events of all steps
_MARK: Final = f"{SURFACE}:"

_ADULT: Final = {
    "declared_age": 34,
    "account_age_days": 1400,
    "followers": 60,
    "following": 90,
    "contacts_median_age": 35.0,
    "contacts_minor_share": 0.0,
    "school_hours_share": 0.31,
    "bio": "Two kids, one mortgage, too much coffee",
}
_SAYS_19: Final = {
    "declared_age": 19,
    "account_age_days": 200,
    "followers": 110,
    "following": 130,
    "late_night_share": 0.16,
    "bio": "uni, beats & concerts",
}
_CHILD: Final = _SAYS_19 | {
    "contacts_median_age": 13.0,
    "contacts_minor_share": 0.8,
    "school_hours_share": 0.12,
    "late_night_share": 0.03,
    "minor_reports": 1,
    "bio": "minecraft & anime, mum says hi",
}


@dataclass(frozen=True, slots=True)
class Step:
    """Events that go out together; and what the ledger must know before the next: who has reached the gate."""

    events: tuple[SampleEvent, ...]
    known: Mapping[str, bool]


def age_steps() -> tuple[Step, ...]:
    """The scene, in order."""
    return (
        Step((_profile("grown", 0, _ADULT), _profile("young", 0, _SAYS_19)), {"grown": True, "young": True}),
        Step(_comments(TURNS[0]), {}),
        Step((_profile("young", 1, _CHILD), _profile("quiet", 1, _ADULT)), {"young": False, "quiet": True}),
        Step(_comments(TURNS[1]), {}),
    )


def _profile(account: str, revision: int, signals: Mapping[str, Any]) -> SampleEvent:
    begun = _begun(account, f"profile {revision}") | {"content_id": account_id(account), "revision": revision}
    return SampleEvent(topics.PROFILE_SIGNALS, begun | {"operation": "edit"} | dict(signals))


def _comments(turn: str) -> tuple[SampleEvent, ...]:
    said = {"surface": SURFACE, "text": "good evening, what a beautiful concert"}
    return tuple(
        SampleEvent(topics.COMMENTS, _begun(account, turn) | said, kind_of(account, turn)) for account in ACCOUNTS
    )


def account_id(account: str) -> str:
    """Its id in the events."""
    return f"account-{account}"


def kind_of(account: str, turn: str) -> str:
    """What such a comment is called in the demo's counts."""
    return f"{_MARK}{account} {turn}"


def is_of_ages(kind: str) -> bool:
    """Whether a kind is one of these."""
    return kind.startswith(_MARK)


def _begun(account: str, what: str) -> dict[str, Any]:
    name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{account} {what}"))
    begun = {"event_id": name, "content_id": name, "account_id": account_id(account), "operation": "create"}
    return begun | {"created_at": 0, "language": "en", "region": "IE"}
