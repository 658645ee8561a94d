"""How an account stands: strikes by what it did and what people made of it, and what follows from their sum."""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from enforcement.ledger.state import AccountState, Restriction
from schemas.actions import AccountAction


class Offence(NamedTuple):
    """One content, revision and rule: what it counts, hundredths, until when, ms."""

    weight: int
    until: int


def offences(state: AccountState) -> list[Offence]:
    """What counts. Decided twice it counts once; taken back once it is taken back."""
    most = _most(state)
    weights: defaultdict[bytes, int] = defaultdict(int)
    until: defaultdict[bytes, int] = defaultdict(int)
    limit: dict[bytes, int] = {}
    for strike in state.strikes:
        weights[strike.offence] = max(weights[strike.offence], strike.weight)
        until[strike.offence] = max(until[strike.offence], strike.until)
        said = most.get(strike.decision)
        if said is not None:
            limit[strike.offence] = min(limit.get(strike.offence, said), said)
    counted = (Offence(min(weight, limit.get(each, weight)), until[each]) for each, weight in weights.items())
    return [each for each in counted if each.weight]


def _most(state: AccountState) -> dict[bytes, int]:
    """The most that decisions count, where people said so; what was said last holds."""
    said = sorted((*state.outcomes, *state.reversals), key=lambda each: (each.reviewed_at, each.weight == 0))
    latest = {each.decision: each.weight for each in said}
    return {decision: weight for decision, weight in latest.items() if weight is not None}


def strikes(state: AccountState, as_of_ms: int) -> int:
    """Sum of the weights that count at a moment, hundredths."""
    return sum(each.weight for each in offences(state) if each.until > as_of_ms)


def restrictions(state: AccountState, ladder: Mapping[str, float]) -> tuple[Restriction, ...]:
    """The actions that the strikes lead to, each until so many have expired that their sum is below its step."""
    last_first = sorted(offences(state), key=lambda each: -each.until)
    found = ((AccountAction[action], _until(last_first, round(100 * at))) for action, at in ladder.items())
    return tuple(Restriction(action.name, until) for action, until in sorted(found) if until)


def _until(last_first: list[Offence], step: int) -> int:
    """When the sum falls below a step; 0 where it does not reach it."""
    total = 0
    for each in last_first:
        total += each.weight
        if total >= step:
            return each.until
    return 0
