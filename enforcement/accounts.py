"""Reads the accounts behind a batch of events: the ledger's states become sides of gates, and strikes.

Which accounts are asked for follows from the rules: only those of events for which a rule's other conditions hold. What
a state says is worked out once for each state, and again after `_KEPT_MS`: it changes with time only as something
expires or a birthday passes.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from enforcement.account_facts import AUTHOR, RECIPIENT, VERIFIED, AccountFacts, GateOutcome, Reading
from enforcement.flips import FlipGuard
from enforcement.ledger.state import NEVER, PARTS, AccountState, decode
from enforcement.ledger.view import BY_PROOF, UNKNOWN, AccountView, views_of
from enforcement.pack_model import AgeModel
from enforcement.packs import Pack
from schemas.columns import Events
from schemas.errors import Poison

MOST_RECIPIENTS: Final = 100  # of one message; the rest are of unknown age
_KEPT_MS: Final = 600_000
_MOST_KEPT: Final = 50_000


class States(Protocol):
    """The ledger's states, by account."""

    def get(self, accounts: Sequence[bytes]) -> tuple[list[bytes | None], list[bool]]:
        """The state of each account, None where it has none; and whether its partition has been read to the end."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What one state says, by the model in force (row 0) and by the candidate (row 1; the same without one)."""

    bits: NDArray[np.uint8]  # (2, gates)
    outcomes: tuple[tuple[str, int, str], ...]  # for the leaf
    strikes: float
    marks: tuple[tuple[str, int], ...]
    legible: bool
    compared: bool  # there are two models, and one of them knows something
    flips: bool


class Accounts:
    """The reader for one pack. Not for use from several threads."""

    def __init__(self, pack: Pack, states: States) -> None:
        age = pack.file.age
        self._gates = tuple(age.gates) if age else ()
        self._models = pack.age_models
        names: list[str | None] = [model.detector for model in self._models]
        self._names = ([*names, None][0], [None, *names][-1])  # by arm
        self._share = age.candidate.share if age and age.candidate else 0.0
        self._salt = f"{age.candidate.detector}/".encode() if age and age.candidate else b""
        self.guard = FlipGuard(age.candidate.most_flips, decides=self._share > 0) if age and age.candidate else None
        self._states = states
        self._kept: dict[bytes | None, _Found] = {}
        self._kept_since = 0

    def read(
        self, events: Events, authors: NDArray[np.bool_], recipients: NDArray[np.bool_], now_ms: int
    ) -> AccountFacts:
        """What is known of the accounts behind `n` events.

        Args:
            authors, recipients: of which events; bool, shape (n,).
        """
        if abs(now_ms - self._kept_since) > _KEPT_MS or len(self._kept) > _MOST_KEPT:
            self._kept, self._kept_since = {}, now_ms
        n, gates, readings = len(events), len(self._gates), dict[int, tuple[Reading, ...]]()
        facts = AccountFacts(
            np.zeros((n, gates), np.uint8),
            np.zeros((n, gates), np.uint8),
            np.full(n, np.nan, np.float32),
            np.zeros(n, np.bool_),
            readings,
            stopped=self.guard is not None and self.guard.stopped,
        )
        asked = [(row, AUTHOR, events.records[row]["account_id"]) for row in np.flatnonzero(authors).tolist()]
        for row in np.flatnonzero(recipients).tolist():
            asked += ((row, RECIPIENT, name) for name in _recipients(events.records[row], facts.recipient[row]))
        if asked:
            self._fill(facts, readings, asked, now_ms)
        return facts

    def _fill(
        self,
        facts: AccountFacts,
        readings: dict[int, tuple[Reading, ...]],
        asked: Sequence[tuple[int, str, str]],
        now_ms: int,
    ) -> None:
        """Write what is found into the columns. Each account is looked up once."""
        names = list(dict.fromkeys(name for *_, name in asked))
        values, caught_up = self._states.get([name.encode() for name in names])
        self._work_out({value for value in values if value not in self._kept}, now_ms)
        found = [self._kept[value] for value in values]
        ready = [followed and each.legible for followed, each in zip(caught_up, found, strict=True)]
        arms = self._arms(names, stopped=facts.stopped)
        places = {name: place for place, name in enumerate(names)}
        at, rows = np.array([places[name] for *_, name in asked]), np.array([row for row, *_ in asked])
        mine = np.array([who is AUTHOR for _, who, _ in asked])
        bits = np.array([each.bits[arm] for each, arm in zip(found, arms, strict=True)])
        facts.author[rows[mine]] = bits[at[mine]]
        facts.strikes[rows[mine]] = np.array([each.strikes for each in found], np.float32)[at[mine]]
        np.bitwise_or.at(facts.recipient, rows[~mine], bits[at[~mine]])
        facts.behind[rows[~np.array(ready)[at]]] = True
        if self.guard:
            compared, flips = (np.array([getattr(each, name) for each in found]) for name in ("compared", "flips"))
            self.guard.saw(int(compared[at].sum()), int(flips[at].sum()))
        read = self._readings(found, arms, ready, {who for _, who, _ in asked})
        for row, who, name in asked:
            readings[row] = (*readings.get(row, ()), read[who][places[name]])

    def _readings(
        self, found: Sequence[_Found], arms: Sequence[int], ready: Sequence[bool], asked: Collection[str]
    ) -> dict[str, list[Reading]]:
        """Of those asked for, author or recipient: what is written down of each account in this place."""
        return {
            who: [
                Reading(who, self._names[arm], each.outcomes, each.strikes, each.marks, caught_up)
                for each, arm, caught_up in zip(found, arms, ready, strict=True)
            ]
            for who in asked
        }

    def _arms(self, names: Sequence[str], *, stopped: bool) -> list[int]:
        """Which model decides for each account: 1 for the candidate, by a salted hash, the same for ever."""
        if not self._share or stopped:
            return [0] * len(names)
        return [int(bucket(self._salt, name) < self._share) for name in names]

    def _work_out(self, values: Collection[bytes | None], now_ms: int) -> None:
        """Keep what states say. One that can't be read, by whomever it was written, says nothing."""
        states = {value: _decoded(value) for value in values}
        legible = {value: state for value, state in states.items() if state}
        views = dict(zip(legible, views_of(list(legible.values()), now_ms), strict=True))
        for value, state in states.items():
            self._kept[value] = self._found(
                state, views.get(value, UNKNOWN), legible=value is None or state is not None
            )

    def _found(self, state: AccountState | None, view: AccountView, *, legible: bool) -> _Found:
        sides = [_sides(view, model, self._gates) for model in self._models]
        bits = np.array([[side for side, _ in row] for row in sides] or [[]], np.uint8)[[0, -1]]
        reached = bits == GateOutcome.reached
        said = (
            (source, gate, str(side.name))
            for row in sides
            for gate, (side, source) in zip(self._gates, row, strict=True)
        )
        return _Found(
            bits,
            tuple(dict.fromkeys(said)),
            view.strikes,
            tuple((topic, mark) for topic in PARTS if (mark := state.marks.of(topic)) != NEVER) if state else (),
            legible,
            len(self._models) > 1 and bool((bits != GateOutcome.unknown)[:, _by_models(sides[0])].any()),
            bool((reached[0] != reached[1]).any()),
        )


def _decoded(value: bytes | None) -> AccountState | None:
    try:
        return None if value is None else decode(value)
    except (Poison, ValueError):
        return None


def bucket(salt: bytes, account: str) -> float:
    """Where an account stands among all, from 0 to below 1; another salt mixes them anew."""
    digest = hashlib.blake2b(account.encode(), digest_size=8, key=salt[:64]).digest()
    return int.from_bytes(digest, "big") / 2**64


def _sides(view: AccountView, model: AgeModel, gates: Sequence[int]) -> list[tuple[GateOutcome, str]]:
    """Of each gate. Who does not reach one reaches no higher one, wherever the thresholds lie."""
    found, highest = {}, GateOutcome.reached
    for gate in sorted(gates):
        side, source = _side(view, model, gate)
        highest = side if highest is GateOutcome.reached else highest
        found[gate] = (highest if side is GateOutcome.reached else side), source
    return [found[gate] for gate in gates]


def _by_models(sides: Sequence[tuple[GateOutcome, str]]) -> list[bool]:
    """Which gates no proof decides: there both models say the same."""
    return [source != VERIFIED for _, source in sides]


def _side(view: AccountView, model: AgeModel, gate: int) -> tuple[GateOutcome, str]:
    """On which side of a gate an account is, and whose word that is: the model's, or a proof's (BY_PROOF)."""
    for source in (BY_PROOF, model.detector):
        if gate in (reach := view.reach.get(source, {})):
            reached = reach[gate] >= model.gates[gate]  # type: ignore[index]  # a gate of the pack
            return (GateOutcome.reached if reached else GateOutcome.below), source or VERIFIED
    return GateOutcome.unknown, model.detector


def _recipients(record: dict[str, Any], bits: NDArray[np.uint8]) -> Sequence[str]:
    """Whom a message is for; those who can't be read are of unknown age, which goes into `bits`, shape (gates,)."""
    said = record.get("recipient_ids")
    if said is None:
        return ()
    names = [name for name in said if isinstance(name, str)] if isinstance(said, list) else []
    if not names or len(names) > MOST_RECIPIENTS:
        bits |= np.uint8(GateOutcome.unknown)
    return list(dict.fromkeys(names))[:MOST_RECIPIENTS]
