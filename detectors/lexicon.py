"""A detector by word list: profanity, harassment, hate. Fast, and blind to meaning; the list says so itself."""

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from detectors.interface import Answer
from detectors.items import Items
from schemas.categories import Category
from schemas.errors import UserMistake

WORDS: Final = Path(__file__).parent / "lexicon.txt"
MOST_TOKENS: Final = 200_000  # harmless tokens remembered: some 20 MB

_NO_WORD: Final = re.compile(r"[^\w*]+|_+")
# ASCII that is no part of a word becomes a space; every byte of a longer character is left alone.
_SPACED: Final = bytes(c if c >= 128 or c == ord("*") or chr(c).isalnum() else ord(" ") for c in range(256))

Vector = tuple[float, ...]  # a probability for each category


class LexiconDetector:
    """The probability of a category is that of its worst word in the text; 0 where there is none."""

    categories: tuple[str, ...] = (Category.HATE, Category.HARASSMENT, Category.PROFANITY)
    modalities = ("text",)
    languages = None  # it knows the words of its list, and says nothing of any other
    cost_ms = 0.02

    def __init__(self, content: str) -> None:
        """Take a word list as `lexicon.txt` explains it.

        Raises:
            UserMistake: a line that is not one; the message has its number.
        """
        self.version = hashlib.sha256(content.encode()).hexdigest()[:16]
        self._words: dict[bytes, Vector] = {}
        self._beginnings: dict[bytes, Vector] = {}
        self._phrases: dict[bytes, list[tuple[str, Vector]]] = {}  # by a phrase's longest word
        self._harmless: set[bytes] = set()  # learned: no listed word, nor one with a listed beginning
        self._word = lru_cache(10_000)(self._compare)
        for number, line in enumerate(content.splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                self._add(number, line)

    def _add(self, number: int, line: str) -> None:
        category, probability, words = line.split(maxsplit=2) if len(line.split()) > 2 else ("", "", "")
        if category not in self.categories or not re.fullmatch(r"0?\.\d+|0|1", probability):
            raise UserMistake(f"word list, line {number}: not `category probability word`: {line.strip()!r}")
        words, scores = words.strip().lower(), tuple(float(probability) * (c == category) for c in self.categories)
        if " " in words:
            self._phrases.setdefault(max(words.encode().split(), key=len), []).append((words, scores))
        elif words.endswith("*"):
            start = words[:-1].encode()
            self._beginnings[start] = _worst([scores, self._beginnings.get(start, scores)])
        else:
            word = words.encode()
            self._words[word] = _worst([scores, self._words.get(word, scores)])

    def warm(self) -> None:
        """Nothing to warm."""

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        """The worst word's probability for each category; all `scored`."""
        found: dict[int, Vector] = {}
        for row, text in enumerate(items.texts):
            at(row)
            if hits := self._hits(text.lower()):
                found[row] = _worst(hits)
        probability = np.zeros((len(items), len(self.categories)), np.float32)
        if found:
            probability[list(found)] = list(found.values())
        return Answer.scored(probability)

    def _hits(self, lowered: str) -> list[Vector]:
        spaced = lowered if lowered.isascii() else _NO_WORD.sub(" ", lowered)
        tokens = set(spaced.encode("utf-8", "replace").translate(_SPACED).split())
        tokens -= self._harmless
        return [hit for token in tokens for hit in self._look_up(token, lowered)]

    def _look_up(self, token: bytes, lowered: str) -> list[Vector]:
        """What a token of the text `lowered` says; a harmless one is remembered, and never asked for again."""
        phrases = self._phrases.get(token, ())
        hits = [scores for phrase, scores in phrases if phrase in lowered]
        if word := self._word(token):
            hits.append(word)
        elif not phrases:
            if len(self._harmless) >= MOST_TOKENS:
                self._harmless.clear()
            self._harmless.add(token)
        return hits

    def _compare(self, token: bytes) -> Vector | None:
        hits = [scores for start, scores in self._beginnings.items() if token.startswith(start)]
        hits += [self._words[token]] if token in self._words else []
        return _worst(hits) if hits else None


def _worst(hits: list[Vector]) -> Vector:
    return hits[0] if len(hits) == 1 else tuple(map(max, zip(*hits, strict=True)))


def build(options: Mapping[str, Any]) -> LexiconDetector:
    """Factory; option `words`: the path of a word list in place of ours."""
    if unknown := set(options) - {"words"}:
        raise UserMistake(f"unknown option {min(unknown)!r}")
    path = Path(options.get("words") or WORDS)
    try:
        return LexiconDetector(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserMistake(f"can't read the word list {path}: {error.strerror}") from error
