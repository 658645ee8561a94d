"""From scores to the bytes of everything that is published about them: decisions, leaf bodies, ledger inputs.

    decide → which outcome, which score        `enforcement.decide`, arrays
    encode → a column at a time                `enforcement.records`, one bytes.join a row

A policy that raises on a batch is asked again row by row; the row that raises is held. Whatever can be decoded gets a
decision, so nothing about an event may stop this: what a user's own schema puts where we expect a string is left out
of the records, not complained about.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from enforcement.accounts import Accounts
from enforcement.conditions import Facts, facts
from enforcement.decide import Decisions, Policy, decide, failed
from enforcement.encode import DecisionEncoder, LeafEncoder, LedgerEncoder, Ruling
from enforcement.flips import FlipGuard
from enforcement.other_leaves import OtherLeaves
from enforcement.packs import Pack
from enforcement.second_look import SecondLookEncoder
from schemas.columns import Events, Score, Scores
from schemas.registry import Schema


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What a batch of `n` events leads to; every list has length `n`."""

    actions: NDArray[np.uint8]  # `Action`, (n,)
    degraded: NDArray[np.bool_]  # (n,)
    decisions: list[bytes]  # values for moderation.decisions
    leaf_bodies: list[bytes]  # of kind `decision`, without frame and header
    ledger_inputs: list[bytes | None]  # values for moderation.ledger-inputs; None for what is allowed at first sight
    second_looks: list[bytes | None]  # values for moderation.second-look; None where nobody is still to look


@dataclass(frozen=True, slots=True)
class Schemas:
    """What is written: decision, leaf, ledger input, second look."""

    decision: Schema
    leaf: Schema
    ledger_input: Schema
    second_look: Schema


class Judge(OtherLeaves):
    """Decides batches and encodes the result. Not for use from several threads.

    Args:
        columns, detectors, versions: of the scores that it will be given.
        schema_of: schema id → schema, as `Registry.by_id`: a chain may hold leaves of older schemas.
        accounts: reads the ledger's state; None where there is none: then nothing is known of any account.

    Raises:
        UserMistake: the pack does not fit the detectors' versions.
    """

    def __init__(
        self,
        pack: Pack,
        cluster_id: str,
        schemas: Schemas,
        columns: Sequence[Score],
        detectors: Sequence[str],
        versions: Sequence[str],
        schema_of: Callable[[int], Schema],
        accounts: Accounts | None = None,
    ) -> None:
        super().__init__(schemas.leaf, schema_of)
        self._accounts = accounts
        self.policy = Policy(pack, columns, detectors, versions)
        self._cluster_id = cluster_id
        self._actions = np.array([outcome.action for outcome in self.policy.outcomes], dtype=np.uint8)
        self._decisions = DecisionEncoder(self.policy, schemas.decision)
        self._leaves = LeafEncoder(self.policy, self._bodies)
        self._ledger_inputs = LedgerEncoder(self.policy, schemas.ledger_input)
        self._second_looks = SecondLookEncoder(self.policy, schemas.second_look)

    def judge(self, events: Events, scores: Scores, now_ms: int) -> Verdicts:
        """Decide and encode a batch.

        Args:
            now_ms: the time of the decision, milliseconds since 1970; deadlines count from it.
        """
        asked = self._with_accounts(facts(events), events, now_ms)
        decided = self._decide(asked, scores, now_ms)
        ruling = Ruling.of(self._cluster_id, events, asked, scores, decided, now_ms)
        actions = self._actions[decided.outcome]
        return Verdicts(
            actions,
            decided.degraded,
            self._decisions(ruling),
            self._leaves(ruling),
            self._ledger_inputs(ruling, np.flatnonzero((actions != 0) | (np.array(ruling.sequences) > 0)).tolist()),
            self._second_looks(ruling),
        )

    @property
    def flips(self) -> FlipGuard | None:
        """How the pack's two models of age compare; None where it has one."""
        return self._accounts.guard if self._accounts else None

    def _with_accounts(self, asked: Facts, events: Events, now_ms: int) -> Facts:
        """The facts, and what the rules ask about accounts."""
        if self._accounts is None or not self.policy.accounts:
            return asked
        try:
            authors, recipients = self.policy.asking(asked)
        except TypeError:  # an event says something odd: it is held, and its neighbours' accounts are read
            authors = recipients = np.ones(len(events), np.bool_)
        return replace(asked, accounts=self._accounts.read(events, authors, recipients, now_ms))

    def _decide(self, asked: Facts, scores: Scores, now_ms: int) -> Decisions:
        try:
            return decide(self.policy, asked, scores, now_ms)
        except Exception:  # noqa: BLE001 - whatever a policy raises, every event gets a decision
            return _joined([self._decide_one(asked.row(i), scores.take([i]), now_ms) for i in range(len(asked))])

    def _decide_one(self, asked: Facts, scores: Scores, now_ms: int) -> Decisions:
        try:
            return decide(self.policy, asked, scores, now_ms)
        except Exception:  # noqa: BLE001 - as above; the decision says `policy_error`
            return failed(self.policy, len(scores.detectors), now_ms)


def _joined(rows: Sequence[Decisions]) -> Decisions:
    return Decisions(*(np.concatenate([getattr(row, field.name) for row in rows]) for field in fields(Decisions)))
