"""Policy packs: a folder with `pack.yaml` and, beside it, test cases in files named `*_test.yaml`.

A pack is data. Its version is the SHA-256 of the bytes of `pack.yaml`, so anybody can work it out again.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from pydantic import ValidationError

from enforcement.located_yaml import Document, Mistakes, Problem
from enforcement.pack_model import Age, AgeModel, Asking, Band, PackFile, Rule
from schemas.actions import Action
from schemas.errors import UserMistake

FILE: Final = "pack.yaml"
DEFAULT: Final = Path(__file__).parent / "packs" / "default"

RESERVED: Final = ("deletion", "policy_error")  # rule names of decisions that no rule of a pack makes


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """A pack whose shape and references are right; which detectors there are it does not know yet."""

    folder: Path
    version: str  # 64 hexadecimal digits
    file: PackFile
    document: Document  # where each part of the file stands
    notices: tuple[Problem, ...] = ()

    @property
    def name(self) -> str:
        """As it says itself."""
        return self.file.name

    @property
    def bound(self) -> Iterator[tuple[str, str, str]]:
        """What belongs to one version of a model: a threshold, a band or a gate in words, its detector, the version."""
        for name, threshold in self.file.thresholds.items():
            if threshold.detector and threshold.model_version:
                yield f"the threshold {name!r}", threshold.detector, threshold.model_version
        for name, asking in self.file.detectors.items():
            for band in asking.unsure:
                if band.model_version:
                    yield f"a band in which {name!r} is asked", band.detector, band.model_version
        for model in self.age_models:
            if model.model_version:
                yield "a gate of the section 'age'", model.detector, model.model_version

    @property
    def versions(self) -> dict[str, str]:
        """Detector → the model version that its thresholds and bands are for, where the pack says."""
        return {detector: version for _, detector, version in self.bound}

    @property
    def age_models(self) -> tuple[AgeModel, ...]:
        """Whose estimates of ages count, or may count: the one in force, then the candidate."""
        age = self.file.age
        return () if age is None else (age, *([age.candidate] if age.candidate else []))

    @property
    def named_detectors(self) -> frozenset[str]:
        """Those that the pack says something of, ages aside."""
        said = {each.detector for each in self.file.thresholds.values()} | {each.detector for each in self.file.rules}
        return frozenset({name for name in said if name} | self.file.on_missing.keys() | self.file.detectors.keys())

    @property
    def reads_accounts(self) -> bool:
        """Whether a rule asks about an account, so that the ledger's state is needed."""
        return any(rule.when.asks_accounts for rule in self.file.rules)

    @property
    def reads_recipients(self) -> bool:
        """Whether a rule asks about accounts that others write to: their state lies in any partition."""
        return any(rule.when.recipient_age for rule in self.file.rules)

    def unbound(self) -> Self:
        """The same for whatever versions of the models: thresholds and bands as they are."""
        free = {name: each.model_copy(update={"model_version": None}) for name, each in self.file.thresholds.items()}
        asking = {name: each.model_copy(update={"unsure": _free(each)}) for name, each in self.file.detectors.items()}
        update = {"thresholds": free, "detectors": asking, "age": _any_model(self.file.age)}
        return replace(self, file=self.file.model_copy(update=update))

    def on_missing(self, detector: str, status: str) -> Action:
        """What a score means that is not there; `hold` where the pack does not say."""
        said: Mapping[str, Action] = self.file.on_missing.get(detector, {})  # type: ignore[assignment]  # Literal keys
        return said.get(status, Action.hold)


def load_pack(folder: Path = DEFAULT) -> Pack:
    """The pack in a folder.

    Raises:
        UserMistake: no such folder or file.
        Mistakes: all that is wrong with the pack, each with file, line and column.
    """
    path = folder / FILE
    if not path.is_file():
        raise UserMistake(f"{folder}: no policy pack here: a pack is a folder with a {FILE}")
    document = Document(path)
    try:
        file = PackFile.model_validate(document.data)
    except ValidationError as error:
        raise Mistakes([document.problem(e["loc"], sentence(e["loc"], e["msg"])) for e in error.errors()]) from None
    found = list(_check(file, document))
    if mistakes := [problem for problem in found if not problem.notice]:
        raise Mistakes(mistakes)
    version = hashlib.sha256(path.read_bytes()).hexdigest()
    return Pack(folder, version, file, document, tuple(found))


def _free(asking: Asking) -> tuple[Band, ...]:
    return tuple(band.model_copy(update={"model_version": None}) for band in asking.unsure)


def _any_model(age: Age | None) -> Age | None:
    if age is None:
        return None
    candidate = age.candidate and age.candidate.model_copy(update={"model_version": None})
    return age.model_copy(update={"model_version": None, "candidate": candidate})


def sentence(place: tuple[str | int, ...], message: str) -> str:
    """What pydantic says of a place, as one of our lines."""
    message = message.removeprefix("Value error, ")
    return f"{'.'.join(str(step) for step in place) or 'the file'}: {message[:1].lower()}{message[1:]}"


def _check(file: PackFile, document: Document) -> Iterator[Problem]:
    """What the shape does not say: names that must exist, be unique, agree."""
    seen: set[str] = set(RESERVED)
    used: set[str] = set()
    for number, rule in enumerate(file.rules):
        if rule.id in seen:
            yield document.problem(("rules", number, "id"), f"the rule id {rule.id!r} is taken")
        seen.add(rule.id)
        yield from _check_gates(file, document, number, rule)
        if rule.threshold is None:
            continue
        used.add(rule.threshold)
        threshold = file.thresholds.get(rule.threshold)
        if threshold is None:
            known = ", ".join(file.thresholds) or "none"
            message = f"no threshold is called {rule.threshold!r} (known: {known})"
            yield document.problem(("rules", number, "threshold"), message)
        elif rule.detector and threshold.detector and rule.detector != threshold.detector:
            message = f"the threshold {rule.threshold!r} is for the detector {threshold.detector!r}"
            yield document.problem(("rules", number, "detector"), message)
    yield from _check_bands(file, document)
    for name, threshold in file.thresholds.items():
        if threshold.model_version and not threshold.detector:
            yield document.problem(("thresholds", name), "a model_version needs a detector")
        if name not in used:
            yield document.problem(("thresholds", name), f"no rule uses the threshold {name!r}", notice=True)


def _check_gates(file: PackFile, document: Document, number: int, rule: Rule) -> Iterator[Problem]:
    """A condition on an age needs a gate of the section `age`."""
    for name in ("author_age", "recipient_age"):
        years = getattr(rule.when, name)
        if years is None:
            continue
        gate, place = years.under or years.at_least, ("rules", number, "when", name)
        if file.age is None:
            yield document.problem(place, "ages need the section `age`: whose estimates count, and its gates")
        elif gate not in file.age.gates:
            known = ", ".join(map(str, file.age.gates))
            yield document.problem(place, f"the section `age` has no gate {gate} (known: {known})")


def _check_bands(file: PackFile, document: Document) -> Iterator[Problem]:
    """A band is about what has looked before; those that are asked at once see nothing of each other."""
    at_once = {name: asking for name, asking in file.detectors.items() if not asking.second_look}
    for name, asking in at_once.items():
        for number, band in enumerate(asking.unsure):
            if band.detector in at_once:
                message = (
                    f"{band.detector!r} is asked at the same time as {name!r}, for both are listed here: let {name!r} "
                    f"take a second look, or leave {band.detector!r} out, so that it looks at everything first"
                )
                yield document.problem(("detectors", name, "unsure", number, "detector"), message)
