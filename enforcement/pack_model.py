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
Gate: TypeAlias = Literal[13, 16, 18]  # years; the ages that law and platforms draw lines at


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


class Years(_Part):
    """Which side of a gate an account is on. One whose age is unknown may be on either: both conditions hold."""

    under: Gate | None = Field(default=None, description="Holds below this age, and where the age is unknown.")
    at_least: Gate | None = Field(default=None, description="Holds from this age on, and where the age is unknown.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.under is None) == (self.at_least is None):
            raise ValueError("either under or at_least is needed, and not both")
        return self


class Strikes(_Part):
    """How much an account has done before."""

    at_least: float = Field(gt=0, description="The weights of its strikes that count now, added up.")


class RuleWhen(When):
    """What a rule can ask: about the event, and about the accounts behind it, as the ledger knows them."""

    author_age: Years | None = Field(default=None, description="Of the account that acted.")
    recipient_age: Years | None = Field(default=None, description="Of one at least that a message is for.")
    strikes: Strikes | None = Field(default=None, description="Of the account that acted.")

    @property
    def asks_accounts(self) -> bool:
        """Whether it needs the ledger's state."""
        return bool(self.author_age or self.recipient_age or self.strikes)


class Rule(_Part):
    """What is done where a category's score reaches a threshold and the conditions hold; the strictest decides.

    Without category and threshold the conditions decide alone, and one of them is about an account.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Unique in the pack; stands in decisions.")
    category: Category | None = Field(
        default=None, strict=False, description="The harm, one of schemas/categories.py; null: the conditions alone."
    )
    threshold: str | None = Field(default=None, description="A name of `thresholds`; with a category only.")
    action: Annotated[Action, BeforeValidator(_restriction)] = Field(description="One of schemas/actions.py.")
    reason: str = Field(min_length=1, description="The text for the person concerned.")
    detector: str | None = Field(default=None, description="Reads this detector only; null: the largest score of all.")
    when: RuleWhen = RuleWhen()
    review: bool = Field(default=False, description="Whether a person should look at it as well.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.category is None) != (self.threshold is None):
            raise ValueError("category and threshold belong together: one is missing")
        if self.category is not None:
            return self
        if not self.when.asks_accounts:
            raise ValueError("without a category it needs a condition on author_age, recipient_age or strikes")
        if self.action is Action.hold:
            raise ValueError("an account's age or strikes are nothing to wait for, so nothing is held for them")
        return self


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


class AgeModel(_Part):
    """Whose estimates of an account's age count, and from which probability on a gate is reached."""

    detector: str = Field(min_length=1, description="The detector whose estimates count.")
    gates: dict[Gate, Annotated[float, Field(gt=0, le=1)]] = Field(
        min_length=1, description="Age → P(age ≥ it) from which on an account has reached it, as the model's card says."
    )
    model_version: Version | None = Field(
        default=None, description="The version of that detector's model that the gates are for; null: any."
    )


class Candidate(AgeModel):
    """The model that is to take the other's place: its gates are worked out as well, and stand in the leaf."""

    share: float = Field(ge=0, le=1, description="Share of the accounts for which it decides; 0: none, it is compared.")
    most_flips: float = Field(
        ge=0, le=1, description="Above this share of comparisons in which it lets others pass, it decides for nobody."
    )


class Age(AgeModel):
    """The ages of accounts. To switch, `candidate` and what stands beside it change places."""

    candidate: Candidate | None = Field(default=None, description="A model on its way in, or out.")

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        other = self.candidate
        if other and other.detector == self.detector:
            raise ValueError("the candidate is another detector")
        if other and other.gates.keys() != self.gates.keys():
            raise ValueError(f"the candidate needs the same gates: {', '.join(map(str, self.gates))}")
        return self


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
    age: Age | None = Field(default=None, description="The ages of accounts, for rules that ask about them.")
