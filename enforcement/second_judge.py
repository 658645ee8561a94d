"""The judge of events that were decided provisionally: their scores so far and those of now, decided together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import structlog

from enforcement.accounts import Accounts
from enforcement.decide import check_versions
from enforcement.flips import FlipGuard
from enforcement.judge import Judge, Schemas, Verdicts
from enforcement.other_leaves import OtherLeaves
from enforcement.packs import Pack
from enforcement.second_look import Shape, joined, shape
from schemas.columns import Events, Scores
from schemas.errors import UserMistake
from schemas.registry import Schema

_MOST_SHAPES: Final = 16  # workers of so many versions write at once; beyond, an encoder is made anew
_log = structlog.get_logger(__name__)


class SecondJudge(OtherLeaves):
    """Decides batches of moderation.second-look. Not for use from several threads.

    Args:
        versions: detector → model version, of those that look now.
        schema_of: schema id → schema, as `Registry.by_id`.
        accounts: as for `Judge`.

    Raises:
        UserMistake: the pack is for other versions of them.
    """

    def __init__(
        self,
        pack: Pack,
        cluster_id: str,
        schemas: Schemas,
        versions: Mapping[str, str],
        schema_of: Callable[[int], Schema],
        accounts: Accounts | None = None,
    ) -> None:
        super().__init__(schemas.leaf, schema_of)
        check_versions(pack, versions)
        self._accounts = accounts
        self._pack, self._cluster_id, self._schemas = pack, cluster_id, schemas
        self._judges: dict[Shape, Judge] = {}

    def judge(self, events: Events, scores: Scores, now_ms: int) -> Verdicts:
        """Decide and encode a batch; `scores` are those of the detectors that look now."""
        actions, degraded = np.zeros(len(events), np.uint8), np.zeros(len(events), np.bool_)
        columns: list[list[Any]] = [[None] * len(events) for _ in range(4)]
        for rows, whole in joined(events, scores):
            verdicts = self._judge_of(whole).judge(events.take(rows), whole, now_ms)
            actions[rows], degraded[rows] = verdicts.actions, verdicts.degraded
            for column, values in zip(columns, _lists(verdicts), strict=True):
                for row, value in zip(rows, values, strict=True):
                    column[row] = value
        return Verdicts(actions, degraded, *columns)

    @property
    def flips(self) -> FlipGuard | None:
        """As of `Judge`."""
        return self._accounts.guard if self._accounts else None

    def _judge_of(self, scores: Scores) -> Judge:
        found = self._judges.pop(shape(scores), None) or self._made(scores)
        self._judges[shape(scores)] = found  # the latest at the end
        if len(self._judges) > _MOST_SHAPES:
            del self._judges[next(iter(self._judges))]
        return found

    def _made(self, scores: Scores) -> Judge:
        """A first look by a model that the pack is not for any more still counts: its event is held by no mistake.

        Only a first look can be by another one: those that look now were checked at the start.
        """
        try:
            return Judge(self._pack, self._cluster_id, self._schemas, *shape(scores), self._schema_of, self._accounts)
        except UserMistake as mistake:
            _log.warning("a first look was made with another model than the pack is for", reason=str(mistake))
            return Judge(
                self._pack.unbound(), self._cluster_id, self._schemas, *shape(scores), self._schema_of, self._accounts
            )


def _lists(verdicts: Verdicts) -> Sequence[Sequence[bytes | None]]:
    return verdicts.decisions, verdicts.leaf_bodies, verdicts.ledger_inputs, verdicts.second_looks
