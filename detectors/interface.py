"""What a detector is, how it is found by name, and the settings of the process that runs it.

A detector is built by a factory, `Callable[[Mapping[str, Any]], Detector]`, which gets its options from the
configuration. A factory is found by entry point (group `safestream.detectors`) or named as `module:callable`.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.errors import UserMistake

GROUP = "safestream.detectors"

# The built-in ones, so that a checkout works that was never installed.
BUILT_IN: Mapping[str, str] = {
    "text": "detectors.text:build",
    "lexicon": "detectors.lexicon:build",
    "null": "detectors.null:build",
}


class Detector(Protocol):
    """Gives each text a probability for each of its categories.

    Its life: the factory loads it on the CPU and starts no thread (the process is forked afterwards); `warm` runs once
    in the process that scores; then `score`, again and again, from one thread.
    """

    @property
    def name(self) -> str:
        """Unique among the configured detectors; stands in scores, packs and metrics."""
        ...

    @property
    def version(self) -> str:
        """Content hash of whatever its scores depend on."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """The columns of `score`, each a `schemas.categories.Category`."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """The roles of the fields it reads, such as `text`."""
        ...

    def warm(self) -> None:
        """Move to the device and run once. Raises whatever is wrong: the device is then at fault, no record."""
        ...

    def score(self, texts: Sequence[str], at: Callable[[int], None]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Score `n` texts.

        Args:
            at: to be called with `i` before work on row `i` begins, or on the micro-batch whose first row is `i`. It
                costs a store to memory. It is the hint that finds a guilty record at once, and the sign of life that
                puts off the deadline.

        Returns:
            Probabilities in 0..1, float32 (n, len(categories)), and a `schemas.statuses.Status` each, uint8 (n,).

        Raises:
            Anything: the rows are then tried apart.
        """
        ...


Factory = Callable[[Mapping[str, Any]], Detector]


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """A detector as configured. `options` must be representable as JSON: it travels to the detector process."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    factory: str | None = None  # "module:callable"; None: by entry point, under `name`


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """How the detector process is watched. Every limit is for one scoring process."""

    deadline_ms: int = 5000  # a record alone may be silent this long, or 10 times what its length lets expect
    memory_mb: int = 2048  # growth over the size it had when it was ready
    threads: int = 1  # of torch, in a scoring process
    capacity: int = 3  # batches outstanding
    trials: int = 4  # scoring processes beside the main one, for suspects
    start_seconds: float = 120.0  # loading and first forward
    max_attempts: int = 3  # whole workers that may die at a record before it is not tried any more


@dataclass(frozen=True, slots=True)
class Description:
    """What the parent knows of a detector that lives in another process."""

    name: str
    version: str
    categories: tuple[str, ...]
    reads: tuple[str, ...]


def find_factory(spec: DetectorSpec) -> Factory:
    """The factory that `spec` means.

    Raises:
        UserMistake: there is none of that name, or it can't be imported.
    """
    found = {entry.name: entry.value for entry in entry_points(group=GROUP)}
    target = spec.factory or found.get(spec.name) or BUILT_IN.get(spec.name)
    if target is None:
        known = ", ".join(sorted({*BUILT_IN, *found}))
        raise UserMistake(f"no detector is called {spec.name!r} (known: {known}); give it a `factory: module:callable`")
    module, _, attribute = target.partition(":")
    try:
        factory: Factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserMistake(f"detector {spec.name!r}: can't import its factory {target!r}: {error}") from error
    return factory


def build(spec: DetectorSpec) -> Detector:
    """Load the detector that `spec` means, on the CPU."""
    return find_factory(spec)(spec.options)
