"""What a rule can ask about an event besides its scores.

A new kind of condition on the event is a field of `Facts` and of `When`; those on accounts are in
`enforcement.account_facts`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from types import NoneType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from enforcement.account_facts import AccountFacts
from enforcement.pack_model import When
from schemas.columns import Events
from schemas.roles import Role

FIELDS: Final = ("content_type", "surface", "audience", "operation", "attachment")
DELETE: Final = "delete"

_PREFIX: Final = "content."
_CAN_BE: Final = {str, NoneType}
_ROLES: Final = (Role.AUDIO.value, Role.IMAGE.value, Role.VIDEO.value)
_COMBINED: Final = [each for n in range(len(_ROLES) + 1) for each in combinations(_ROLES, n)]


@dataclass(frozen=True, slots=True)
class Facts:
    """What policy may know of `n` events: columns of strings, None where the event does not say.

    A user's own schema can put anything there; what is no string is for `check` to refuse, not for this class.
    """

    content_type: Sequence[str]
    surface: Sequence[str | None]
    audience: Sequence[str | None]
    operation: Sequence[str]
    attachment: Sequence[tuple[str, ...]]  # roles of what is attached, each once, in alphabetical order
    accounts: AccountFacts | None = None  # of the accounts behind them; None: nothing was read

    def __len__(self) -> int:
        return len(self.operation)

    def row(self, i: int) -> "Facts":
        """One event alone."""
        accounts = self.accounts.row(i) if self.accounts else None
        columns: Any = {field: [getattr(self, field)[i]] for field in FIELDS}
        return Facts(**columns, accounts=accounts)


def content_type(topic: str) -> str:
    """The topic without a leading `content.`."""
    return topic.removeprefix(_PREFIX)


def facts(events: Events) -> Facts:
    """The facts of a batch. An event without operation creates."""
    types = {topic: content_type(topic) for topic in set(events.topics)}
    records = events.records
    return Facts(
        [types[topic] for topic in events.topics],
        [record.get("surface") for record in records],
        [record.get("audience") for record in records],
        [record.get("operation") or "create" for record in records],
        [tuple(sorted({each.role for each in found})) if found else () for found in events.attachments],
    )


class Conditions:
    """The conditions of all rules, as tables: (value of a field, rule) → whether the rule allows the value."""

    def __init__(self, whens: Sequence[When]) -> None:
        self._tables = [(field, *_table(field, whens)) for field in FIELDS if any(getattr(w, field) for w in whens)]

    def hold(self, facts: Facts) -> NDArray[np.bool_]:
        """For which events which rule's conditions hold; shape (n, rules), or (1, 1) where no rule has any.

        Raises:
            TypeError: a condition asks about a field that is not a string in this event.
        """
        held = np.ones((1, 1), dtype=bool)
        for field, codes, table in self._tables:
            column = getattr(facts, field)
            if field != "attachment":  # which is ours
                check(field, column)
            held = held & table[np.fromiter((codes.get(value, 0) for value in column), np.intp, len(column))]
        return held


def check(field: str, column: Sequence[object]) -> None:
    """Refuse what is not a string.

    Raises:
        TypeError: names the field and the type, never the value.
    """
    if odd := set(map(type, column)) - _CAN_BE:
        raise TypeError(f"{field} is a {odd.pop().__name__}, not a string")


def _table(field: str, whens: Sequence[When]) -> tuple[dict[Any, int], NDArray[np.bool_]]:
    """Value → row, and the rows; row 0 is for every value that no rule names."""
    if field == "attachment":
        return _attachment_table(whens)
    named = sorted({value for when in whens for value in getattr(when, field) or ()})
    codes: dict[Any, int] = {value: row for row, value in enumerate(named, 1)}
    table = np.empty((len(named) + 1, len(whens)), dtype=bool)
    for column, when in enumerate(whens):
        allowed = getattr(when, field)
        table[:, column] = [allowed is None or value in allowed for value in (None, *named)]
    return codes, table


def _attachment_table(whens: Sequence[When]) -> tuple[dict[Any, int], NDArray[np.bool_]]:
    """Combination of roles → row; a rule allows those that have one of the roles it names. Row 0 has none."""
    codes = {combined: row for row, combined in enumerate(_COMBINED)}
    table = np.empty((len(_COMBINED), len(whens)), dtype=bool)
    for column, when in enumerate(whens):
        wanted = when.attachment
        table[:, column] = [wanted is None or not set(wanted).isdisjoint(combined) for combined in _COMBINED]
    return codes, table
