"""What the simulated population is assumed to be: a YAML file, so that other assumptions are another file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import UserMistake

STATED: Final = Path(__file__).with_name("assumptions.yaml")

Floats = NDArray[np.float64]
Share = Annotated[float, Field(ge=0, le=1)]


def _rising(curve: dict[float, float]) -> dict[float, float]:
    return dict(sorted(curve.items()))


Curve = Annotated[dict[float, float], Field(min_length=1), AfterValidator(_rising)]  # by age, straight lines between


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lies(_Strict):
    """What those from the first to the last age declare, if not their own."""

    first: int
    last: int
    told: dict[int, Share] = Field(alias="as", description="Share who declare an age from this one up.")


class Opened(_Strict):
    """When accounts were opened."""

    mean: float = Field(gt=0)
    new: Share
    earliest: float = Field(ge=0)


class Families(_Strict):
    """Accounts of adults that a child uses too."""

    share: Share
    first: int
    last: int
    child_first: int
    child_last: int
    least: Share
    most: Share


class Contacts(_Strict):
    """Who the contacts are."""

    number: int = Field(ge=1)
    strangers: Share
    spread: Curve


class Hours(_Strict):
    """A share of activity: mean by age; the larger the concentration, the more alike."""

    curve: Curve
    concentration: float = Field(gt=0)
    holidays: Share = 0.0
    in_holidays: Share = 0.0


class Counts(_Strict):
    """Median by age, and the standard deviation of the logarithm."""

    curve: Curve
    spread: float = Field(ge=0)


class Assured(_Strict):
    """Who has shown a proof of age."""

    adults: Share
    borrowed: Share


class Quiet(_Strict):
    """Accounts that hardly do anything."""

    share: Share
    missing: Share


class Fresh(_Strict):
    """Accounts so young that not much is known."""

    days: int = Field(ge=0)
    missing: Share


class Bio(_Strict):
    """Words by the age that they are typical of, and the spread."""

    words_least: int = Field(ge=1)
    words_most: int = Field(ge=1)
    words: dict[str, tuple[float, float]] = Field(min_length=1)


class Assumptions(_Strict):
    """assumptions.yaml."""

    ages: Curve
    lies: tuple[Lies, ...]
    above: Share
    nonsense: Share
    slips: float = Field(ge=0)
    undeclared: Share
    verified: Share
    seeming: Curve
    opened: Opened
    families: Families
    contacts: Contacts
    school_hours: Hours
    late_night: Hours
    followers: Counts
    following: Counts
    minor_reports: Curve
    guardian: Curve
    assured: Assured
    missing: dict[str, Share]
    quiet: Quiet
    fresh: Fresh
    bio: Bio


def along(curve: Mapping[float, float], ages: Floats) -> Floats:
    """A curve's values at ages, of any shape."""
    return np.asarray(np.interp(ages, list(curve), list(curve.values())), np.float64)


def read_assumptions(path: Path = STATED, changes: Mapping[str, Any] | None = None) -> Assumptions:
    """The file's, with some replaced: `changes` has the file's shape. UserMistake says what is wrong, and where."""
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Assumptions.model_validate(_merged(said, changes or {}))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserMistake(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise UserMistake(f"{path}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from None


def _merged(said: Any, changes: Any) -> Any:
    if not isinstance(said, Mapping) or not isinstance(changes, Mapping):
        return changes
    return {**said, **{key: _merged(said.get(key), value) for key, value in changes.items()}}
