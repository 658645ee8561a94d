"""What the state of an account says at a moment: expiry and birthdays are worked out here, when it is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from enforcement.ledger.births import bounds, proof
from enforcement.ledger.posterior import Floats, between, fused, reaching
from enforcement.ledger.standing import strikes
from enforcement.ledger.state import AccountState, DayEstimate, decode
from schemas.ages import GATES

BY_PROOF: Final = ""  # in `reach`: the gates that a verified age decides


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account at a moment.

    `reach`: detector → gate → P(age ≥ gate); a detector without an estimate is absent, and one that
    abstained last. With a verified age the gates that it decides are under "", 0.0 or 1.0, and what the detectors say
    of the others is within what is proven.
    """

    reach: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    verified: bool = False  # a proof of age holds
    strikes: float = 0.0  # sum of weights, not expired and not taken back
    restrictions: tuple[str, ...] = ()  # actions in force on the account, mildest first


UNKNOWN: Final = AccountView()


def view(value: bytes | None, as_of_ms: int) -> AccountView:
    """The view of a state's bytes; of no state nothing is known.

    Raises:
        ValueError: the bytes are no state.
    """
    return UNKNOWN if value is None else views_of([decode(value)], as_of_ms)[0]


def views_of(states: Sequence[AccountState], as_of_ms: int) -> list[AccountView]:
    """The views of many states; their distributions are worked out together."""
    models = [_newest_models(state, as_of_ms) for state in states]
    days = [each for found in models for each in found.values()]
    pmfs = iter(fused(days, as_of_ms) if days else ())
    return [
        _view(state, {detector: next(pmfs) for detector in found}, as_of_ms)
        for state, found in zip(states, models, strict=True)
    ]


def _view(state: AccountState, pmfs: Mapping[str, Floats], as_of_ms: int) -> AccountView:
    proven = proof(state.ages, as_of_ms)
    reach: dict[str, Mapping[int, float]] = {}
    within = None
    if proven is not None:
        within = fewest, most = bounds(proven, as_of_ms)
        decided = {gate: float(fewest >= gate) for gate in GATES if fewest >= gate or most < gate}
        reach[BY_PROOF] = decided
    for detector, pmf in pmfs.items():
        inside = pmf if within is None else between(pmf, *within)
        if inside is not None:
            reach[detector] = reaching(inside)
    return AccountView(
        reach=reach,
        verified=proven is not None,
        strikes=strikes(state, as_of_ms) / 100,
        restrictions=tuple(each.action for each in state.restrictions if each.until > as_of_ms),
    )


def _newest_models(state: AccountState, as_of_ms: int) -> dict[str, list[DayEstimate]]:
    """Detector → the estimates that still count, of the version that spoke last; none if it abstained last."""
    found: dict[str, list[DayEstimate]] = {}
    for (detector, _), days in state.models:
        fresh = [each for each in days if each.estimated_at + state.kept_ms > as_of_ms]
        if fresh and (detector not in found or fresh[-1].estimated_at >= found[detector][-1].estimated_at):
            found[detector] = fresh
    return {
        detector: [each for each in days if not each.abstained]
        for detector, days in found.items()
        if not days[-1].abstained
    }
