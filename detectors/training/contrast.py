"""Sentences of our own, in pairs that differ in one thing: who is meant, whether it is meant, who says it.

    contrast/<language>.yaml    groups, slurs, others, words; cases: kind, labels, texts with slots

    {group.pl} {slur.sg} {other.pl}   an entry of that list; the same slot twice in a text is the same entry
    {place}                           one of words.place; {NAME} of words is a name in capitals or not, as written
    [a|b]                             one of the alternatives
    <m:der|f:die>                     by the class of the text's group, slur or other

A category that a case doesn't name is a real 0, one under `unknown` is NaN. Each text (a template) is filled a bounded
number of times, so that none dominates, and all its fillings fall into one part: what is held apart is templates.
"""

import hashlib
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detectors.training.labels import UNKNOWN
from detectors.training.rows import CATEGORIES, Row
from schemas.categories import Category
from schemas.errors import UserMistake

FOLDER: Final = Path(__file__).parent / "contrast"
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is ten times as fast
PEOPLE: Final = {"group": "groups", "slur": "slurs", "other": "others"}
_SLOT: Final = re.compile(r"\{(\w+)(?:\.(pl|sg))?\}")
_CHOICE: Final = re.compile(r"\[([^\[\]]*)\]")
_BY_CLASS: Final = re.compile(r"<([^<>]*)>")
_TRIES: Final = 4  # fillings tried for each one wanted: a template with few slots soon repeats itself


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Entry(_Strict):
    """People or things that a slot may stand for."""

    about: str = ""
    pl: str
    sg: str
    kind: str = Field("", alias="class")  # what agreement needs: m, f, n

    def form(self, number: str) -> str:
        """`number` is "pl" or "sg"."""
        return self.sg if number == "sg" else self.pl


class Case(_Strict):
    """Templates with the same labels, for the same reason."""

    kind: str
    labels: list[Category]
    unknown: list[Category] = []
    texts: list[str] = Field(min_length=1)


class Contrast(_Strict):
    """One language's file."""

    language: str
    groups: list[Entry] = []
    slurs: list[Entry] = []
    others: list[Entry] = []
    words: dict[str, list[str]] = {}
    cases: list[Case]

    def entries(self, slot: str) -> list[Entry]:
        """Of `group`, `slur` or `other`."""
        found: list[Entry] = getattr(self, PEOPLE[slot])
        return found


def load(folder: Path, most: int) -> tuple[list[Row], dict[str, str]]:
    """Every language's rows, at most `most` of a template, and each file's SHA-256 by "contrast/file".

    Raises UserMistake for a file that can't be read or a slot that has no list.
    """
    rows: list[Row] = []
    digests: dict[str, str] = {}
    for path in sorted(folder.glob("*.yaml")):
        digests[f"contrast/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
        rows += expand(read(path), most)
    return rows, digests


def read(path: Path) -> Contrast:
    """One file, validated."""
    try:
        return Contrast.model_validate(yaml.load(path.read_text(encoding="utf-8"), _LOADER))  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        raise UserMistake(f"{path}: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise UserMistake(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def expand(contrast: Contrast, most: int) -> Iterator[Row]:
    """Up to `most` different fillings of each template; the template and its number of fillings decide which."""
    for case in contrast.cases:
        labels = _labels(case)
        for template in case.texts:
            name = f"contrast/{contrast.language}/{hashlib.sha256(template.encode()).hexdigest()[:12]}"
            rng = random.Random(name)  # noqa: S311 - reproducible, not secret
            found = {fill(template, contrast, rng): None for _ in range(_TRIES * most)}
            for text in list(found)[:most]:
                yield Row(text, f"contrast_{contrast.language}", name, labels, case.kind)


def fill(template: str, contrast: Contrast, rng: random.Random) -> str:
    """One text: slots filled, alternatives chosen, agreement made, a capital at the beginning if it was written so."""
    chosen: dict[str, Entry] = {}
    words: dict[str, str] = {}
    text = template
    for _ in range(3):  # a word may hold a slot of its own
        text = _CHOICE.sub(lambda found: rng.choice(found[1].split("|")), text)
        text = _SLOT.sub(lambda found: _filled(found, contrast, chosen, words, rng), text)
    kind = next((entry.kind for entry in chosen.values() if entry.kind), "")
    text = _BY_CLASS.sub(lambda found: _agreeing(found[1], kind), text)
    return text[:1].upper() + text[1:] if rng.random() < 0.7 else text


def _labels(case: Case) -> tuple[float, ...]:
    return tuple(UNKNOWN if c in case.unknown else float(c in case.labels) for c in CATEGORIES)


def _filled(
    found: re.Match[str], contrast: Contrast, chosen: dict[str, Entry], words: dict[str, str], rng: random.Random
) -> str:
    slot, number = found[1], found[2]
    if slot in PEOPLE and number:
        if slot not in chosen:
            chosen[slot] = rng.choice(_known(contrast.entries(slot), found[0], contrast))
        return chosen[slot].form(number)
    if slot not in words:
        words[slot] = rng.choice(_known(_list(contrast.words, slot), found[0], contrast))
    return words[slot]


def _list(words: Mapping[str, list[str]], slot: str) -> list[str]:
    return words.get(slot) or words.get(slot.lower()) or (list(_NAMES) if slot == "NAME" else [])


def _known(entries: list[Any], slot: str, contrast: Contrast) -> list[Any]:
    if not entries:
        raise UserMistake(f"contrast cases of {contrast.language}: nothing is listed for {slot}")
    return entries


def _agreeing(alternatives: str, kind: str) -> str:
    forms = dict(part.partition(":")[::2] for part in alternatives.split("|"))
    return forms.get(kind, next(iter(forms.values())))


_NAMES: Final = ("Anna", "Tom", "Maria", "Ali", "Eva", "Ivan", "Lena", "Omar", "Nina", "Alex", "Sara", "Leo")
