"""What the LLM guard learns from: messages, each with the policies it is known to break or to keep.

    data sets    train-role sets, as the text detector reads them
    contrast     the text detector's contrast cases, English
    topics       `guard/topics.yaml`: messages for policies that no data set is about

A category that nothing is known of is absent. That a message is not about a topic which its source is never about
(gambling, say) is taken as known.
"""

import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from detectors.training.labels import mentions_violence
from detectors.training.rows import CATEGORIES, Examples

HERE: Final = Path(__file__).parent
GUARD: Final = HERE / "guard"
_CHOICE: Final = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
_TOPICAL: Final = ("gambling", "medical", "spoilers")  # what none of the data sets is about
_DESPAIR: Final = re.compile(r"suicid|sel[fv]|alive|pills|jump|end it|starv|cut|goodbye")
Part = Literal["train", "calibration", "test"]
_PLACES: Final[dict[Part, slice]] = {"train": slice(-2), "calibration": slice(-2, -1), "test": slice(-1, None)}
_SHORTEST: Final = 3  # characters of a message
CONTRAST: Final = "contrast_en"
SOURCES: Final = frozenset({"davidson", "hatemoji", "toxigen", "implicit_hate", "vicomtech", "sms_spam", CONTRAST})

# For topics that touch each other: breaking one says nothing about the other.
_TOUCHING: Final = {
    frozenset(pair)
    for pair in (
        ("scam", "spam"),
        ("scam", "privacy"),
        ("scam", "medical"),
        ("gambling", "spam"),
        ("gambling", "scam"),
        ("drugs", "spam"),
        ("drugs", "alcohol_tobacco"),
        ("drugs", "medical"),
        ("weapons", "spam"),
        ("weapons", "threat"),
        ("sexual", "spam"),
        ("sexual", "scam"),
        ("sexual", "privacy"),
        ("sexual", "profanity"),
        ("sexual", "harassment"),
        ("privacy", "harassment"),
        ("privacy", "threat"),
        ("self_harm", "harassment"),
        ("self_harm", "threat"),
        ("self_harm", "medical"),
        ("self_harm", "drugs"),
        ("politics", "hate"),
    )
}


@dataclass(frozen=True, slots=True)
class Case:
    """One message. `known`: category → whether it breaks that policy."""

    text: str
    source: str
    known: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Policy:
    """One category's wordings: the first is the default; `held_out` is never trained on."""

    texts: tuple[str, ...]
    held_out: str


def policies() -> dict[str, Policy]:
    """By category, as written in `guard/policies.yaml`."""
    return {name: Policy(tuple(said["texts"]), said["held_out"]) for name, said in _read("policies.yaml").items()}


def wrappers() -> tuple[list[str], list[str]]:
    """Attempts to talk the guard out of its answer: around a `{message}`, and alone."""
    said = _read("wrappers.yaml")
    return list(said["around"]), list(said["alone"])


def chosen(text: str, rng: random.Random) -> str:
    """Each `[a|b]` becomes one of its parts."""
    while _CHOICE.search(text):
        text = _CHOICE.sub(lambda found: rng.choice(found[1].split("|")), text)
    return text


def from_examples(examples: Examples, rows: Iterable[int]) -> Iterator[Case]:
    """These rows of the data sets and contrast cases, where they are of a source that the guard learns from."""
    for i in rows:
        if examples.sources[i] in SOURCES and len(examples.texts[i]) >= _SHORTEST:
            labels = zip(CATEGORIES, examples.labels[i].tolist(), strict=True)
            known = {str(category): bool(label) for category, label in labels if not math.isnan(label)}
            also = _other_topics(examples.texts[i], examples.sources[i])
            yield Case(examples.texts[i], examples.sources[i], dict.fromkeys(also, False) | known)


def _other_topics(text: str, source: str) -> Iterator[str]:
    """The topics that a text of this source is certainly not about."""
    yield from _TOPICAL
    if source == CONTRAST:
        yield from ("drugs", "weapons", "alcohol_tobacco")
    if source == "sms_spam":
        yield "politics"
    if not mentions_violence(text) and not _DESPAIR.search(text.lower()):
        yield "self_harm"


def from_topics(seed: int, *, times: int, part: Part) -> Iterator[Case]:
    """Topical messages `times` each, with other words.

    Of each topic the last `yes` and the last `no` are for testing, those before them for calibration.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    topics = _read("topics.yaml")
    for topic, said in topics.items():
        for breaks, texts in ((True, said.get("yes", [])), (False, said["no"])):
            for text in texts[_PLACES[part]]:
                known = _topical(topic, list(topics), breaks=breaks)
                yield from (Case(chosen(text, rng), "topics", known) for _ in range(times))


def _topical(topic: str, topics: Sequence[str], *, breaks: bool) -> dict[str, bool]:
    every = {*topics, "hate"} - {"benign"}
    known = {other: False for other in every if frozenset((topic, other)) not in _TOUCHING}
    if topic == "benign":
        return known | dict.fromkeys(("harassment", "threat", "profanity", "spam"), False)
    return known | {topic: breaks}


def _read(name: str) -> Any:
    return yaml.safe_load((GUARD / name).read_text(encoding="utf-8"))
