"""What the ledger is told: what a strike counts and for how long, and from when on an account is restricted."""

import hashlib
from functools import cached_property
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from schemas.actions import RESTRICTIONS, AccountAction
from schemas.ages import GATES
from schemas.categories import Category

_DAY_MS: Final = 24 * 3600 * 1000
_LADDER: Final = tuple(each.name for each in AccountAction if each is not AccountAction.request_age_assurance)


def _actions(weights: dict[str, float]) -> dict[str, float]:
    return _known(weights, tuple(action.name for action in RESTRICTIONS), "an action on content that restricts")


def _categories(weights: dict[str, float]) -> dict[str, float]:
    return _known(weights, tuple(Category), "a category")


def _steps(ladder: dict[str, float]) -> dict[str, float]:
    if any(at < 0.01 for at in ladder.values()):
        raise ValueError("a step begins at 0.01 strikes or more")
    return _known(ladder, _LADDER, "an action on accounts that strikes can lead to")


def _known(weights: dict[str, float], names: tuple[str, ...], what: str) -> dict[str, float]:
    for name, weight in weights.items():
        if name not in names:
            raise ValueError(f"{name} is not {what}: {', '.join(names)}")
        if not 0 <= weight <= 1000:
            raise ValueError(f"{name}: {weight} is not between 0 and 1000")
    return weights


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AgeAssurance(_Section):
    """When an account is asked to prove its age: a detector can't say on which side of the gate it is."""

    detector: str = Field(min_length=1, description="The detector whose estimates count.")
    gate: int = Field(default=18, description=f"One of {', '.join(map(str, GATES))}.")
    above: float = Field(default=0.2, ge=0, le=1, description="Asked if P(age ≥ gate) is at least this,")
    below: float = Field(default=0.8, ge=0, le=1, description="and at most this.")


class LedgerSettings(_Section):
    """What the fold depends on besides its records: a state says which settings it was folded with."""

    strike_weights: Annotated[dict[str, float], AfterValidator(_actions)] = Field(
        default={"limit_reach": 0.25, "age_restrict": 0.25, "remove": 1.0},
        description="What a decision counts, by its action; nothing for an action that is not named.",
    )
    category_factors: Annotated[dict[str, float], AfterValidator(_categories)] = Field(
        default={}, description="By what the weight is multiplied, by category; 1 for one that is not named."
    )
    strike_days: int = Field(default=90, ge=1, le=3650, description="A strike expires so long after its event.")
    ladder: Annotated[dict[str, float], AfterValidator(_steps)] = Field(
        default={"warn": 1.0, "limit_features": 3.0, "suspend": 6.0},
        description="Action on the account → sum of weights from which on it is taken.",
    )
    estimate_days: int = Field(default=365, ge=1, le=3650, description="An estimate of age is forgotten after so long.")
    age_assurance: AgeAssurance | None = Field(
        default=None, description="When an account is asked to prove its age; null: never."
    )

    @cached_property
    def digest(self) -> bytes:
        """8 bytes that stand for these settings."""
        return hashlib.sha256(self.model_dump_json().encode()).digest()[:8]

    @property
    def strike_ms(self) -> int:
        """Life of a strike, milliseconds."""
        return self.strike_days * _DAY_MS

    @property
    def kept_ms(self) -> int:
        """Life of an estimate, milliseconds."""
        return self.estimate_days * _DAY_MS

    def weight(self, action: str | None, category: str | None) -> int:
        """What a decision counts, hundredths."""
        return round(100 * self.strike_weights.get(action or "", 0.0) * self.category_factors.get(category or "", 1.0))


DEFAULTS: Final = LedgerSettings()
