"""What a detector is and answers, how it is found by name, and the settings of the process that runs it.

A detector is built by a factory, `Callable[[Mapping[str, Any]], Detector]`, which gets its options from the
configuration. A factory is found by entry point (group `safestream.detectors`) or named as `module:callable`.
"""

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from detectors.items import Items
from schemas.ages import WIDTH, Ages
from schemas.categories import Category
from schemas.errors import UserMistake
from schemas.evidence import Evidence
from schemas.roles import SIGNALS, Role

GROUP = "safestream.detectors"
_VERSION: Final = r"[!-~]{1,100}"  # it stands in every decision and leaf

# The built-in ones, so that a checkout works that was never installed.
BUILT_IN: Mapping[str, str] = {
    "text": "detectors.text.detector:build",
    "image": "detectors.image.detector:build",
    "known": "detectors.known.detector:build",
    "audio": "detectors.audio:build",
    "llm": "detectors.llm.guard:build",
    "openai_compatible": "detectors.llm.openai_compatible:build",
    "age": "detectors.age.detector:build",
    "lexicon": "detectors.lexicon:build",
    "null": "detectors.null:build",
}


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a detector says of `n` events and its `C` categories. What is wrong with it is the detector's fault."""

    probability: NDArray[np.float32]  # (n, C) in 0..1; NaN wherever not scored
    status: NDArray[np.uint8]  # (n,) schemas.statuses.Status; never `skipped`, which is: not asked
    reason: NDArray[np.uint8]  # (n,) schemas.statuses.Reason; none where scored
    evidence: Mapping[int, Sequence[Evidence]] = field(default_factory=dict)  # row → where and what was found
    age: Ages | None = None  # (n, schemas.ages.WIDTH) of a detector that has no categories: it estimates age

    @property
    def numbers(self) -> NDArray[np.float32]:
        """What is said in numbers: of age, or of the categories."""
        return self.probability if self.age is None else self.age

    @classmethod
    def of(
        cls,
        numbers: NDArray[np.float32],
        categories: int,
        status: NDArray[np.uint8],
        reason: NDArray[np.uint8],
        evidence: Mapping[int, Sequence[Evidence]],
    ) -> Self:
        """From `numbers`, of a detector with so many categories."""
        if categories:
            return cls(numbers, status, reason, evidence)
        return cls(np.empty((len(status), 0), np.float32), status, reason, evidence, numbers)

    @classmethod
    def scored(cls, probability: NDArray[Any], evidence: Mapping[int, Sequence[Evidence]] | None = None) -> Self:
        """Every row has its probabilities."""
        nothing = np.zeros(len(probability), np.uint8)
        return cls(probability.astype(np.float32, copy=False), nothing, nothing.copy(), evidence or {})


class Detector(Protocol):
    """Gives each event a probability for each of its categories. What it is called is for the configuration to say.

    Its life: the factory loads it on the CPU and starts no thread (the process is forked afterwards); `warm` runs once
    in the process that scores; then `score`, again and again, from one thread.
    """

    @property
    def version(self) -> str:
        """Content hash of whatever its scores depend on."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """The columns of `score`, each a `schemas.categories.Category`; () of a detector that estimates age."""
        ...

    @property
    def modalities(self) -> tuple[str, ...]:
        """What it reads: text, image, audio, video, signals. A row that has none of them is `skipped` and not sent."""
        ...

    @property
    def languages(self) -> frozenset[str] | None:
        """BCP 47 primary tags that it was evaluated on; None: language does not matter to it.

        It abstains from any other itself (`detectors.text.language.LanguageGate`): nothing is kept from it.
        """
        ...

    @property
    def cost_ms(self) -> float:
        """Milliseconds of one core for a typical event, as declared: cheap detectors go first."""
        ...

    def warm(self) -> None:
        """Move to the device and run once. Raises whatever is wrong: the device is then at fault, no record."""
        ...

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        """Score `n` events, each of which has something that the detector reads.

        A row's answer depends on that row alone, not on its neighbours: an identical one may be reused.

        Args:
            at: to be called with `i` before work on row `i` begins, or on the micro-batch whose first row is `i`. It
                costs a store to memory. It is the hint that finds a guilty record at once, and the sign of life that
                puts off the deadline.

        Returns:
            An answer of `n` rows and len(categories) columns.

        Raises:
            Anything: the rows are then tried apart.
        """
        ...


Factory = Callable[[Mapping[str, Any]], Detector]


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """A detector as configured. `options` must be representable as JSON: it travels to the detector process."""

    name: str  # unique among the configured detectors; stands in scores, packs and metrics
    options: Mapping[str, Any] = field(default_factory=dict)
    factory: str | None = None  # "module:callable"; None: by entry point, under `name`


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """How the detector process is watched. Every limit is for one scoring process."""

    deadline_ms: int = 5000  # a record alone may be silent this long, or 10 times what its length lets expect
    memory_mb: int = 2048  # growth over the size it had when it was ready
    threads: int = 1  # of torch, in a scoring process
    trials: int = 4  # scoring processes beside the main one, for suspects
    start_seconds: float = 120.0  # loading and first forward
    reuse_entries: int = 10_000  # answers of one detector that are given again to identical events; 0: none
    reuse_seconds: float = 60.0  # … for so long
    media: Mapping[str, Any] = field(default_factory=dict)  # of `detectors.media.limits.Limits`; {}: its defaults
    folder: str | None = None  # where relative paths in the detectors' options begin; None: in the current one
    max_attempts: int = 3  # whole workers that may die at a record before it is not tried any more


@dataclass(frozen=True, slots=True)
class Description:
    """What the parent knows of a detector that lives in another process."""

    name: str
    version: str
    categories: tuple[str, ...]
    modalities: tuple[str, ...]
    languages: frozenset[str] | None = None
    cost_ms: float = 0.0

    @property
    def width(self) -> int:
        """Numbers that it says of an event."""
        return len(self.categories) or WIDTH

    @classmethod
    def of(cls, name: str, detector: Detector) -> Self:
        """What a detector says of itself, under the name that it has in the configuration."""
        said = detector.version, tuple(detector.categories), tuple(detector.modalities)
        return cls(name, *said, detector.languages, float(detector.cost_ms)).checked()

    def checked(self) -> Self:
        """Itself. UserMistake if it can't be what a detector says: what it then decides would be wrong, silently."""
        for wrong, what in (
            (not isinstance(self.version, str) or not re.fullmatch(_VERSION, self.version), "version"),
            (not set(self.categories) <= set(Category), "categories"),
            (len(set(self.categories)) < len(self.categories), "categories"),
            (not self.modalities or not set(self.modalities) <= {*Role, SIGNALS}, "modalities"),
            (self.languages is not None and not all(isinstance(each, str) for each in self.languages), "languages"),
            (not 0 <= self.cost_ms < np.inf, "cost_ms"),
        ):
            if wrong:
                raise UserMistake(f"detector {self.name!r}: its {what} can't be {getattr(self, what)!r:.200}")
        return self

    def as_json(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self) | {"languages": None if self.languages is None else sorted(self.languages)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """What `as_json` gave."""
        languages = None if said["languages"] is None else frozenset(said["languages"])
        lists = {"categories": tuple(said["categories"]), "modalities": tuple(said["modalities"])}
        return cls(**{**said, **lists, "languages": languages})


def find_factory(spec: DetectorSpec) -> Factory:
    """The factory that `spec` means.

    Raises:
        UserMistake: there is none of that name, or it can't be imported.
    """
    found = {entry.name: entry.value for entry in entry_points(group=GROUP)}
    target = spec.factory or found.get(spec.name) or BUILT_IN.get(spec.name)
    if target is None:
        known = sorted({*BUILT_IN, *found})
        close = get_close_matches(spec.name, known, n=1)
        hint = f", did you mean {close[0]}?" if close else f" (known: {', '.join(known)})"
        raise UserMistake(f"no detector is called {spec.name!r}{hint}; your own needs a `factory: module:callable`")
    module, _, attribute = target.partition(":")
    try:
        factory: Factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserMistake(f"detector {spec.name!r}: can't import its factory {target!r}: {error}") from error
    return factory


def build(spec: DetectorSpec) -> Detector:
    """Load the detector that `spec` means, on the CPU.

    Raises:
        UserMistake: there is none, or what its factory finds wrong, with where it stands in the configuration.
    """
    factory = find_factory(spec)
    try:
        return factory(spec.options)
    except UserMistake as mistake:
        raise UserMistake(f"detectors.{spec.name}: {mistake}") from mistake
