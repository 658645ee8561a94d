"""Training batches of the LLM guard: one policy, and as many messages as fit in a budget of tokens.

Every batch draws a category, a wording of its policy, and messages that break or keep it, so that the same message
comes with yes under one policy and with no under another. Some are wrapped in attempts to talk the guard out of its
answer; some policies stand among others, as rules on a platform do.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from detectors.training.labels import STRONG
from detectors.training.llm_cases import Case, Policy, chosen
from detectors.training.obfuscation import obfuscated

WEIGHTS: Final = {  # of the categories; every other one has 1
    "hate": 18,
    "harassment": 5,
    "threat": 4,
    "sexual": 4,
    "profanity": 3,
    "spam": 3,
    "scam": 3,
    "self_harm": 3,
}
SOURCES: Final = {"contrast_en": 1.6, "davidson": 0.6, "topics": 0.7}  # of the sources within a pool; every other has 1
_LONGEST: Final = 380  # characters; a wrapped message has to fit in one window
_SHORT: Final = 120  # characters of a message that may be wrapped


@dataclass(frozen=True, slots=True)
class Mix:
    """How batches are drawn."""

    breaking: float = 0.45  # share of messages that break the policy
    wrapped: float = 0.12  # share of the short messages
    talk: float = 0.05  # share of bare wrapper talk, among those that keep the policy
    several: float = 0.12  # share of batches with a policy among others
    obfuscate: float = 0.1  # share of the rows with a strong word


@dataclass(frozen=True, slots=True)
class Batch:
    """One policy's text and messages, and whether each breaks it."""

    policy: str
    texts: list[str]
    breaks: list[bool]


class Drawing:
    """Draws batches without end; the same cases and seed give the same ones."""

    def __init__(
        self,
        cases: Sequence[Case],
        policies: Mapping[str, Policy],
        wrappers: tuple[Sequence[str], Sequence[str]],
        mix: Mix,
        seed: int,
    ) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._policies, self._mix = policies, mix
        self._around, self._alone = wrappers
        grouped: dict[tuple[str, bool], dict[str, list[Case]]] = defaultdict(lambda: defaultdict(list))
        for case in cases:
            for category, breaks in case.known.items():
                if category in policies:
                    grouped[category, breaks][case.source].append(case)
        self._pools = {key: _Pool(by_source, self._rng) for key, by_source in grouped.items()}

    def batches(self, budget: int, length: Callable[[str], int]) -> Iterator[Batch]:
        """Each with messages of at most `budget` tokens together, by `length`."""
        names = [name for name in self._policies if (name, True) in self._pools and (name, False) in self._pools]
        weights = [WEIGHTS.get(name, 1) for name in names]
        while True:
            category = self._rng.choices(names, weights)[0]
            texts: list[str] = []
            breaks: list[bool] = []
            room = budget
            while True:
                label = self._rng.random() < self._mix.breaking
                text = self._message(category, breaks=label)
                room -= length(text)
                if room < 0:
                    break
                texts.append(text)
                breaks.append(label)
            if texts:
                yield Batch(self._policy(category), texts, breaks)

    def _policy(self, category: str) -> str:
        """One of the wordings; sometimes after a sentence about the community, which changes nothing."""
        text = self._rng.choice(self._policies[category].texts)
        if self._rng.random() < self._mix.several:
            return f"{self._rng.choice(_AROUND)} {text} {self._rng.choice(_AFTER)}"
        return text

    def _message(self, category: str, *, breaks: bool) -> str:
        rng, mix = self._rng, self._mix
        if not breaks and rng.random() < mix.talk:
            return self._talk(rng.choice((250, _LONGEST))) or self._alone[0]
        text = self._pools[category, breaks].draw().text[:_LONGEST]
        if breaks and rng.random() < mix.obfuscate and STRONG.search(text.lower()):
            text = obfuscated(text, rng)
        if len(text) <= _SHORT and rng.random() < mix.wrapped:
            return self._wrapped(text)
        return text

    def _wrapped(self, message: str) -> str:
        """In an attempt to talk the guard out of it; half of them with more talk before or after."""
        rng = self._rng
        text = chosen(rng.choice(self._around), rng).replace("{message}", message)
        more = self._talk(_LONGEST - len(text)) if rng.random() < 0.5 else ""
        return " ".join((more, text) if rng.random() < 0.5 else (text, more)).strip()

    def _talk(self, most: int) -> str:
        """Pieces of talk, up to so many characters; perhaps none."""
        found = ""
        while len(longer := f"{found} {chosen(self._rng.choice(self._alone), self._rng)}".strip()) <= most:
            found = longer
        return found


_AROUND: Final = (
    "These are the rules of a forum with members from many countries.",
    "Community guidelines, section 4.",
    "You help the moderators of a video platform. Be fair: people may be rude, ironic or in a hurry.",
    "Apply only what is written here, and nothing else.",
)
_AFTER: Final = (
    "Other rules exist but are checked elsewhere.",
    "If in doubt, go by what a reasonable reader would understand.",
    "Whether the message breaks another rule does not matter here.",
    "Context: public comments.",
)


class _Pool:
    """Cases of one category and label: a source by weight, then each of its cases once before any comes again."""

    def __init__(self, by_source: Mapping[str, list[Case]], rng: random.Random) -> None:
        self._rng = rng
        self._names = sorted(by_source)
        self._weights = [SOURCES.get(n, 1.0) * min(1.0, len(by_source[n]) / 300) for n in self._names]
        self._cases = {name: rng.sample(cases, len(cases)) for name, cases in by_source.items()}
        self._next = dict.fromkeys(self._names, 0)

    def draw(self) -> Case:
        name = self._rng.choices(self._names, self._weights)[0]
        cases, at = self._cases[name], self._next[name]
        self._next[name] = (at + 1) % len(cases)
        return cases[at]
