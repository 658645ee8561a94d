"""Three accounts and a surface for people of 16 and over: what they show of themselves, and what they write there.

Each writes twice; between the two, more becomes known. Nobody is behind them: the signals are made up.
"""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

from safestream.sample_events import SampleEvent
from schemas import topics

SURFACE: Final = "late_show"
GATE: Final = 16
ACCOUNTS: Final = ("grown", "young", "quiet")
TURNS: Final = ("at first", "later")
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
_SHOWN: Final[tuple[tuple[float, str, Mapping[str, Any]], ...]] = (  # when, who, signals
    (0.02, "grown", _ADULT),
    (0.02, "young", _SAYS_19),
    (0.5, "young", _CHILD),
    (0.5, "quiet", _ADULT),
)
_WRITE: Final = (0.45, 0.97)  # when they write


def age_events() -> Iterator[tuple[float, SampleEvent]]:
    """Events, and when each comes, as a share of the whole run."""
    for at, account, signals in _SHOWN:
        profile = _begun(account, f"profile {at}") | {"content_id": account, "operation": "edit"}
        yield at, SampleEvent(topics.PROFILE_SIGNALS, profile | dict(signals))
    for at, turn in zip(_WRITE, TURNS, strict=True):
        for account in ACCOUNTS:
            comment = _begun(account, turn) | {"surface": SURFACE, "text": "good evening, what a beautiful concert"}
            yield at, SampleEvent(topics.COMMENTS, comment, kind_of(account, turn))


def kind_of(account: str, turn: str) -> str:
    """What such a comment is called in the demo's counts."""
    return f"{_MARK}{account} {turn}"


def is_of_ages(kind: str) -> bool:
    """Whether a kind is one of these."""
    return kind.startswith(_MARK)


def _begun(account: str, what: str) -> dict[str, Any]:
    name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{account} {what}"))
    begun = {"event_id": name, "content_id": name, "account_id": f"account-{account}", "operation": "create"}
    return begun | {"created_at": 0, "language": "en", "region": "IE"}
