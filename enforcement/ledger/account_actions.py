"""What is done about an account: the actions that begin, change or end with a record.

A record that comes again, because a process died before it could acknowledge it, says how every action of the account
stands: whatever was to be published before is in that. Who acts on them can take each as the last word, and tell what
it has seen by its id.
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from enforcement.ledger import standing
from enforcement.ledger.fold import advanced
from enforcement.ledger.settings import LedgerSettings
from enforcement.ledger.state import AccountState, decode, encode
from enforcement.ledger.view import BY_PROOF, views_of
from schemas import topics
from schemas.actions import AccountAction

NAMESPACE: Final = uuid.UUID("5afe57ea-6d0d-5e1d-8a7e-0f5a1c0de002")  # fixed for ever: every id depends on it
_ASKED: Final = AccountAction.request_age_assurance.name
_MADE_AT: Final = {
    topics.AGE_ESTIMATES: "estimated_at",
    topics.LEDGER_INPUTS: "decided_at",
    topics.REVIEWS: "reviewed_at",
    topics.CONTROLS: "issued_at",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Step:
    """What a record leads to."""

    value: bytes  # the account's state
    actions: tuple[dict[str, Any], ...]  # records of moderation.account-actions
    new: bool  # False: it was applied before


def step(value: bytes | None, place: Place, record: Mapping[str, Any], settings: LedgerSettings) -> Step:
    """Fold a record, and say what follows for the account.

    Raises:
        Poison: this can't be a record of the topic.
        ValueError: `value` is no state.
    """
    before = None if value is None else decode(value)
    as_of = int(record[_MADE_AT[place.topic]])
    mark = -1 if before is None else before.marks.of(place.topic)
    if value is not None and before is not None and place.offset <= mark:
        again = _standing(before, as_of, settings) if place.offset == mark else {}
        return Step(value, tuple(_records(again, before, place, record, settings)), new=False)
    after = advanced(before, place.topic, place.offset, record, settings)
    was = {} if before is None else _standing(before, as_of, settings)
    now = _standing(after, as_of, settings)
    changed = {name: until for name, until in now.items() if until != was.get(name, _ENDED)}
    return Step(encode(after), tuple(_records(changed, after, place, record, settings)), new=True)


_ENDED: Final = 0


def _standing(state: AccountState, as_of_ms: int, settings: LedgerSettings) -> dict[str, int | None]:
    """Action → until when it is in force, 0 where it is not, None where it has no end of its own."""
    found: dict[str, int | None] = dict.fromkeys(settings.ladder, _ENDED)
    found |= {each.action: each.until for each in state.restrictions if each.until > as_of_ms}
    if settings.age_assurance is not None:
        found[_ASKED] = None if _undecided(state, as_of_ms, settings) else _ENDED
    return found


def _undecided(state: AccountState, as_of_ms: int, settings: LedgerSettings) -> bool:
    """Whether the account is to prove its age: no proof decides the gate, and the detector can't say."""
    wanted = settings.age_assurance
    if wanted is None or not state.models:
        return False
    [seen] = views_of([state], as_of_ms)
    reach = seen.reach.get(wanted.detector, {}).get(wanted.gate)
    decided = wanted.gate in seen.reach.get(BY_PROOF, {})
    return not decided and reach is not None and wanted.above <= reach <= wanted.below


def _records(
    actions: Mapping[str, int | None],
    state: AccountState,
    place: Place,
    record: Mapping[str, Any],
    settings: LedgerSettings,
) -> Iterator[dict[str, Any]]:
    as_of, account = int(record[_MADE_AT[place.topic]]), record["account_id"]
    strikes = standing.strikes(state, as_of)
    for name, until in sorted(actions.items(), key=lambda item: AccountAction[item[0]]):
        in_force = until != _ENDED
        told = f"{account}/{name}/{until}/{strikes}/{place.topic}/{place.partition}/{place.offset}"
        yield {
            "action_id": str(uuid.uuid5(NAMESPACE, told)),
            "account_id": account,
            "action": name,
            "in_force": in_force,
            "until": until or None,
            "strikes": strikes / 100,
            "threshold": settings.ladder.get(name),
            "cause_topic": place.topic,
            "cause_partition": place.partition,
            "cause_offset": place.offset,
            "as_of": as_of,
            "settings": settings.digest.hex(),
        }
