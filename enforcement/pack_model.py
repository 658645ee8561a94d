"""What a policy pack may say: the shape of `pack.yaml`. The rest is checked in `enforcement.packs`."""

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.actions import RESTRICTIONS, Action
from schemas.categories import Category
from schemas.model_versions import is_draft

DEFAULT_MISSING = Action.hold  # where a pack says nothing about a missing score

MissingStatus: TypeAlias = Literal["abstained", "error"]
Attached: TypeAlias = Literal["image", "audio", "video"]
Operation: TypeAlias = Literal["create", "edit"]  # a deletion is never judged: there is nothing left to judge


def as_action(value: Any) -> Action:
    """An action by its name, for pydantic."""
    names = [action.name for action in Action]
    if value not in names:
        raise ValueError(f"no such action (known: {', '.join(names)})")
    return Action[value]


def _restriction(value: Any) -> Action:
    action = as_action(value)
    if action not in RESTRICTIONS:
        raise ValueError("a rule restricts; what no rule catches is allowed anyway")
    return action


def _evaluated(version: str) -> str:
    if is_draft(version):
        raise ValueError("of a model that was not evaluated: fill in its card first, and take the version it has then")
    return version


Version: TypeAlias = Annotated[str, AfterValidator(_evaluated)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Threshold(_Part):
    """From which probability on a rule fires. It belongs to the calibration of one detector."""

    value: float = Field(gt=0, le=1, description="The probability from which on a rule fires, over 0 up to 1.")
    detector: str | None = Field(default=None, description="The detector whose scores it is for; null: any.")
    model_version: Version | None = Field(default=None, description="The version of that detector's model; null: any.")


class When(_Part):
    """Conditions on the event; all that are given must hold. A list means: one of these."""

    content_type: list[str] | None = Field(default=None, min_length=1)
    surface: list[str] | None = Field(default=None, min_length=1)
    audience: list[str] | None = Field(default=None, min_length=1)
    operation: list[Operation] | None = Field(default=None, min_length=1)
    attachment: list[Attached] | None = Field(default=None, min_length=1)  # has one of these at least


class Rule(_Part):
    """One category's score, a threshold, and what is done from there on. Of those that fire, the strictest decides."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Unique in the pack; stands in decisions.")
    category: Category = Field(strict=False, description="The harm, one of schemas/categories.py.")
    threshold: str = Field(description="A name of `thresholds`.")
    action: Annotated[Action, BeforeValidator(_restriction)] = Field(description="One of schemas/actions.py.")
    reason: str = Field(min_length=1, description="The text for the person concerned.")
    detector: str | None = Field(default=None, description="Reads this detector only; null: the largest score of all.")
    when: When = When()
    review: bool = Field(default=False, description="Whether a person should look at it as well.")


class Band(_Part):
    """Scores of a cheap detector that leave open what is right. A card says how its bands were chosen."""

    detector: str
    category: Category = Field(strict=False)
    low: float = Field(ge=0, le=1, description="From this probability on.")
    high: float = Field(gt=0, le=1, description="To below this probability.")
    model_version: Version | None = Field(default=None, description="The version of the detector's model; null: any.")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} is not under high {self.high}")
        return self


class Asking(_Part):
    """When a detector is asked. One that the pack does not list is asked about everything it can read."""

    when: When = When()
    unsure: tuple[Band, ...] = Field(
        default=(), strict=False, description="Asked where one of these bands holds; without any: wherever `when` does."
    )
    second_look: bool = Field(
        default=False, description="It works from moderation.second-look; until then the decision is provisional."
    )
    meanwhile: Annotated[Action, BeforeValidator(as_action)] = Field(
        default=Action.allow, description="The mildest that a provisional decision may be."
    )
    policies: dict[str, str] = Field(
        default_factory=dict, description="Category → the policy's text, for a detector that reads it (an LLM guard)."
    )


class Hold(_Part):
    """What every hold gets."""

    deadline_hours: float = Field(gt=0, le=24 * 366, strict=False, description="Hours until a hold must end.")


class PackFile(_Part):
    """`pack.yaml`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    thresholds: dict[str, Threshold]
    rules: tuple[Rule, ...] = Field(strict=False)
    hold: Hold
    on_missing: dict[str, dict[MissingStatus, Annotated[Action, BeforeValidator(as_action)]]] = Field(
        default_factory=dict,
        description="Detector → status → action where a score is missing; hold where it is not said.",
    )
    detectors: dict[str, Asking] = Field(
        default_factory=dict, description="Detector → when it is asked; about everything where it is not said."
    )
