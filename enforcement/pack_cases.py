"""A pack's own test cases: files named `*_test.yaml` beside `pack.yaml`.

cases:
  - name: one step under the threshold is allowed
    event: {content_type: comments, audience: public}       # what is not said is null, and the operation create
    author: {age: 15, strikes: 2}                           # not said: of unknown age, without strikes
    recipients: [{age: 30}, {}]                             # of a message; {} is of unknown age, as above
    scores: {text: {hate: 0.899}}                           # detector → category → probability
    statuses: {lexicon: error}                              # detectors without scores, and why
    expect: {action: allow, rule: null, degraded: true}     # what is not said is not looked at
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from enforcement.account_facts import AccountFacts
from enforcement.conditions import Facts
from enforcement.decide import Policy, decide
from enforcement.located_yaml import Document, Mistakes, Problem
from enforcement.pack_model import Attached, as_action
from enforcement.packs import Pack, sentence
from schemas.actions import Action
from schemas.categories import Category
from schemas.columns import Score, Scores
from schemas.statuses import Status

PATTERN: Final = "*_test.yaml"

Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Event(_Part):
    """What policy may know of the event."""

    content_type: str = "comments"
    surface: str | None = None
    audience: str | None = None
    operation: Literal["create", "edit", "delete"] = "create"
    attachment: tuple[Attached, ...] = ()


class Account(_Part):
    """An account behind the event, as the ledger knows it."""

    age: int | None = Field(default=None, ge=0, le=120)  # completed years
    strikes: float = Field(default=0.0, ge=0)


class Expectation(_Part):
    """What must come out."""

    action: Annotated[Action, BeforeValidator(as_action)]
    rule: str | None = None
    degraded: bool | None = None


class Case(_Part):
    """One event, its scores, and the decision that is expected."""

    name: str
    event: Event = Event()
    author: Account = Account()
    recipients: tuple[Account, ...] = ()
    scores: dict[str, dict[Category, Probability]] = {}
    statuses: dict[str, Literal["skipped", "abstained", "error"]] = {}
    expect: Expectation

    @model_validator(mode="after")
    def _either_or(self) -> "Case":
        if both := self.scores.keys() & self.statuses.keys():
            raise ValueError(f"the detector {min(both)} has scores, so its status is scored")
        return self


class CaseFile(_Part):
    """One `*_test.yaml`."""

    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What a case led to; `failure` says where and how it differs from what is expected."""

    case: Case
    failure: Problem | None = None


def run_cases(pack: Pack) -> Iterator[Result]:
    """Run every case of a pack, in the order of files and cases.

    Raises:
        Mistakes: all that is wrong with the files, before any case runs.
    """
    for document, cases in _read(pack.folder):
        for number, case in enumerate(cases):
            difference = _difference(case, *_outcome(pack, case))
            place = ("cases", number, "expect")
            yield Result(case, document.problem(place, f"{case.name}: {difference}") if difference else None)


def untested(pack: Pack) -> Iterator[Problem]:
    """A notice for each rule that no case expects to decide.

    Raises:
        Mistakes: as `run_cases`.
    """
    expected = {case.expect.rule for _, cases in _read(pack.folder) for case in cases}
    for number, rule in enumerate(pack.file.rules):
        if rule.id not in expected:
            message = f"no case expects the rule {rule.id!r} to decide"
            yield pack.document.problem(("rules", number, "id"), message, notice=True)


def columns_of(scores: Mapping[str, Mapping[Category, float]]) -> tuple[Score, ...]:
    """The columns of what stands in a case or in lines of scores: detector → category → probability."""
    return tuple(Score(detector, category.value) for detector, given in scores.items() for category in given)


def one_row(
    scores: Mapping[str, Mapping[Category, float]], statuses: Mapping[str, Status], versions: Mapping[str, str]
) -> Scores:
    """The scores of one event; a detector without scores has a status other than `scored`."""
    columns, detectors = columns_of(scores), (*scores, *(name for name in statuses if name not in scores))
    return Scores(
        columns,
        detectors,
        tuple(versions.get(name, "") for name in detectors),
        np.array([[p for given in scores.values() for p in given.values()]], dtype=np.float32),
        np.array([[statuses.get(name, Status.scored) for name in detectors]], dtype=np.uint8),
        np.zeros((1, len(detectors)), dtype=np.uint8),
    )


def _read(folder: Path) -> list[tuple[Document, tuple[Case, ...]]]:
    read: list[tuple[Document, tuple[Case, ...]]] = []
    problems: list[Problem] = []
    for path in sorted(folder.glob(PATTERN)):
        document = Document(path)
        try:
            read.append((document, CaseFile.model_validate(document.data).cases))
        except ValidationError as error:
            problems += [document.problem(e["loc"], sentence(e["loc"], e["msg"])) for e in error.errors()]
    if problems:
        raise Mistakes(problems)
    return read


def _outcome(pack: Pack, case: Case) -> tuple[Action, str | None, bool]:
    """Decide about a case, with the model versions that the pack is for."""
    statuses = {detector: Status[status] for detector, status in case.statuses.items()}
    scores = one_row(case.scores, statuses, pack.versions)
    policy = Policy(pack, scores.columns, scores.detectors, scores.versions)
    event = case.event
    facts = Facts(
        [event.content_type],
        [event.surface],
        [event.audience],
        [event.operation],
        [tuple(sorted(set(event.attachment)))],
        AccountFacts.stated(policy.gates, case.author.age, case.author.strikes, [r.age for r in case.recipients]),
    )
    decided = decide(policy, facts, scores, as_of_ms=0)
    outcome = policy.outcomes[decided.outcome[0]]
    return outcome.action, outcome.rule, bool(decided.degraded[0])


def _difference(case: Case, action: Action, rule: str | None, degraded: bool) -> str | None:
    found: dict[str, Any] = {"action": action, "rule": rule, "degraded": degraded}
    wrong = [name for name in case.expect.model_fields_set if getattr(case.expect, name) != found[name]]
    if not wrong:
        return None
    return f"expected {_said(case.expect.model_dump(include=set(wrong)))}, got {_said({n: found[n] for n in wrong})}"


def _said(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {v.name if isinstance(v, Action) else v}" for name, v in sorted(values.items()))
