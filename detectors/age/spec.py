"""Which columns the age model reads, and how each is to be understood: a feature spec in YAML.

    target: {column: age, verified: age_checked, noise: {spread: 0.5, wrong: 0.01, lies: 0.33}}
    signals:
      followers: count
      bio: text
      interests: {kind: tags, separators: [","]}
      income: {kind: number, missing: ["-1"]}
    declared: {column: declared_age, lies: 0.33}
    groups: {sex: category, ethnicity: tags}
    gates: [13, 16, 18]
    buckets: [13, 16, 18, 25]

A signal may be missing anywhere, in a cell or as a whole column; what stands in no spec is not read.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from schemas import ages
from schemas.errors import UserMistake

YEARS: Final = ages.YEARS  # distributions are over 0 to 120
OLDEST: Final = YEARS - 1
PUBLISHED: Final = ages.GATES  # of which every prediction says the probability

Kind = Literal["number", "count", "category", "tags", "flag", "text"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Signal(_Strict):
    """One column that the model reads."""

    kind: Kind
    missing: tuple[str, ...] = Field(default=(), description="Values that mean that nothing is known.")
    separators: tuple[str, ...] = Field(default=(",",), description="Of tags: what stands between two of them.")
    html: bool = Field(default=False, description="Values have HTML entities (&rsquo;), to be turned into characters.")


class Noise(_Strict):
    """How the ages of the training table deviate from the true ones, as far as that is known."""

    spread: float = Field(default=0.0, ge=0, le=10, description="Standard deviation of small errors, years.")
    wrong: float = Field(default=0.0, ge=0, le=0.5, description="Share of ages that say nothing of the true one.")
    lies: float = Field(
        default=0.0, ge=0, le=0.9, description="Share of the people below a gate whose age, as declared, is above it."
    )


class Target(_Strict):
    """The column with the ages that are learnt: whole years, 0 to 120."""

    column: str = Field(min_length=1)
    missing: tuple[str, ...] = Field(default=(), description="Values that mean that the age is not known.")
    verified: str | None = Field(
        default=None,
        description="Column that says whose age is verified: the noise is that of all others, and calibration and "
        "figures come from the verified alone.",
    )
    noise: Noise = Noise()


class Declared(_Strict):
    """The age that the account itself declared: evidence with a bounded weight (see `detectors.age.declared`)."""

    column: str = Field(min_length=1)
    missing: tuple[str, ...] = ()
    lies: float = Field(
        default=0.33, ge=0.05, le=0.95, description="Share of the people below a gate who declare to be above it."
    )
    denials: float = Field(default=0.03, ge=0.005, le=0.5, description="Share of declared ages that mean nothing.")
    spread: float = Field(default=1.0, gt=0, le=10, description="Standard deviation of honest ones, years.")
    weight: float = Field(
        default=30.0, ge=1, description="Most by which a declared age multiplies the odds of one age against another."
    )
    weight_below: float = Field(
        default=30.0, ge=1, description="The same of declared ages below 18, by which nobody gains anything."
    )


class About(_Strict):
    """What the table can't say of itself, for the model's card."""

    name: str = Field(default="", description="Of the model; else the folder's.")
    summary: str = Field(default="", description="What the model is, in front of the signals that it reads.")
    licence: str = Field(default="As the table that it was trained on: say here what that allows.", min_length=1)
    origin: str = Field(default="", description="Where the table comes from.")
    simulated: bool = Field(default=False, description="Nobody in the table is real: reports say so in the first line.")
    limits: tuple[str, ...] = Field(default=(), description="Weaknesses that the figures do not show.")


def _short(value: Any) -> Any:
    """`followers: count` for `followers: {kind: count}`."""
    return {"kind": value} if isinstance(value, str) else value


class Spec(_Strict):
    """A feature spec. Every column has one role: a group is never a signal."""

    target: Annotated[Target, BeforeValidator(lambda value: {"column": value} if isinstance(value, str) else value)]
    signals: dict[str, Annotated[Signal, BeforeValidator(_short)]] = Field(min_length=1)
    declared: Annotated[
        Declared | None, BeforeValidator(lambda value: {"column": value} if isinstance(value, str) else value)
    ] = None
    groups: Annotated[
        dict[str, Annotated[Signal, BeforeValidator(_short)]],
        BeforeValidator(lambda value: dict.fromkeys(value, "category") if isinstance(value, list) else value),
    ] = Field(default={}, description="Columns that figures are split by, never an input: categories or tags.")
    account: str | None = Field(default=None, description="Column that joins several tables, one row an account.")
    gates: tuple[Annotated[int, Field(ge=1, le=OLDEST)], ...] = PUBLISHED
    least_signals: int = Field(
        default=1, ge=0, description="The model abstains from profiles with fewer; the declared age is not counted."
    )
    buckets: tuple[Annotated[int, Field(ge=1, le=OLDEST)], ...] = Field(
        default=(13, 16, 18, 25), description="First age of each bucket but the first, for the head `classifier`."
    )
    about: About = About()

    @model_validator(mode="after")
    def _one_role_each(self) -> Self:
        named = [*self._target, *self.signals, *self.groups, *([self.declared.column] if self.declared else [])]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)}: a column has one role only (target, signal, declared or group)")
        for name, rising in (("gates", self.gates), ("buckets", self.buckets)):
            if list(rising) != sorted(set(rising)):
                raise ValueError(f"{name} must rise")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the spec names, the target first."""
        declared = (self.declared.column,) if self.declared else ()
        account = (self.account,) if self.account else ()
        return (*self._target, *self.signals, *declared, *self.groups, *account)

    @property
    def _target(self) -> tuple[str, ...]:
        return (self.target.column, self.target.verified) if self.target.verified else (self.target.column,)


def read_spec(path: Path) -> Spec:
    """The spec in a YAML file; UserMistake with the file, the place in it and what is wrong there."""
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserMistake(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    try:
        return Spec.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UserMistake(f"{path}: {place}: {first['msg']}") from None
