"""Texts as people write them to get past a filter: for training, and to measure what each way costs the detector.

Each way takes a text and a source of randomness, and gives one that people still read the same.
"""
# ruff: noqa: RUF001 - look-alike letters are what this is about

import random
import re
from collections.abc import Callable, Mapping
from typing import Final

from detectors.training.labels import STRONG

_LEET: Final = {"a": "@4", "e": "3", "i": "1!", "o": "0", "s": "$5", "t": "7", "b": "8", "g": "9"}
_STARRED: Final = {"u": "*v", "c": "(*", "i": "*!", "a": "*@", "o": "*0", "e": "*3"}
_TWINS: Final = dict(zip("aceopxyijsABEHKMOPCTX", "асеорхуіјѕАВЕНКМОРСТХ", strict=True)) | {
    "а": "a", "с": "c", "е": "e", "о": "o", "р": "p", "х": "x", "у": "y", "к": "k", "м": "m", "т": "t",
}  # fmt: skip
_INVISIBLE: Final = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_MARKS: Final = "\u0300\u0301\u0302\u0303\u0308\u030a\u0323\u0332\u0336\u0338"
_BOXED: Final = {"a": "🅰", "b": "🅱", "o": "🅾", "p": "🅿", "x": "❌", "i": "ℹ", "m": "Ⓜ"}
_EMOJI: Final = {  # words that a picture stands for
    "kill": "🔪", "shoot": "🔫", "gun": "🔫", "bomb": "💣", "die": "💀", "dead": "💀", "shit": "💩", "fuck": "🖕",
    "monkeys": "🐒", "monkey": "🐒", "pigs": "🐷", "pig": "🐷", "rats": "🐀", "rat": "🐀", "dogs": "🐕", "snakes": "🐍",
    "trash": "🗑", "garbage": "🗑", "women": "👩", "woman": "👩", "men": "👨", "gay": "🏳️‍🌈", "black": "⬛", "love": "❤️",
    "hate": "😡", "disgusting": "🤮", "sick": "🤢", "fire": "🔥", "clown": "🤡", "money": "💰", "ass": "🍑",
    "dick": "🍆",
}  # fmt: skip
_NAMED: Final = re.compile(rf"\b(?:{'|'.join(_EMOJI)})\b", re.IGNORECASE)
_SPACES: Final = re.compile(r"(\s+)")
_WORD: Final = re.compile(r"(?<![@#/\w])[^\W\d_]{3,}(?!\w)")

Way = Callable[[str, random.Random], str]


def lookalikes(text: str, rng: random.Random) -> str:
    """Letters of another alphabet, or mathematical or full-width ones."""
    dress = rng.randrange(4)
    if dress == 0:
        return _some(text, rng, lambda c: chr(0xFEE0 + ord(c)) if "!" <= c <= "~" and c.isalpha() else c, 1.0)
    if dress == 1:
        return _some(text, rng, lambda c: chr(0x1D41A + ord(c) - 97) if "a" <= c <= "z" else c, 1.0)
    return _some(text, rng, lambda c: _TWINS.get(c, c), rng.choice((0.5, 1.0)))


def leetspeak(text: str, rng: random.Random) -> str:
    """Digits and signs for letters."""
    return _some(text, rng, lambda c: rng.choice(_LEET.get(c.lower(), c)), rng.choice((0.3, 0.6)))


def starred(text: str, rng: random.Random) -> str:
    """A letter of a swear word, or of one long word, hidden behind a sign."""
    if STRONG.search(text.lower()):
        return re.sub(STRONG.pattern, lambda found: _starred(found[0], rng), text, flags=re.IGNORECASE)
    words = [word for word in _WORD.finditer(text) if len(word[0]) > 3]
    if not words:
        return text
    word = rng.choice(words)
    return text[: word.start()] + _starred(word[0], rng) + text[word.end() :]


def invisible(text: str, rng: random.Random) -> str:
    """Zero-width characters within words."""
    share = rng.choice((0.2, 0.6))
    return "".join(c + rng.choice(_INVISIBLE) if c.isalpha() and rng.random() < share else c for c in text)


def combining(text: str, rng: random.Random) -> str:
    """Marks over and under letters."""
    share = rng.choice((0.3, 0.8))
    return "".join(c + rng.choice(_MARKS) if c.isalpha() and rng.random() < share else c for c in text)


def spacing(text: str, rng: random.Random) -> str:
    """Letters of some words set apart, or the spaces between words left out."""
    if rng.random() < 0.2:
        return rng.choice(("", "_", "-", ".")).join(text.split())
    between, share = rng.choice(" .-_*"), rng.choice((0.3, 0.6))
    apart = lambda found: between.join(found[0]) if rng.random() < share else found[0]  # noqa: E731
    return _WORD.sub(apart, text)


def emoji(text: str, rng: random.Random) -> str:
    """Pictures for words, boxed signs for letters."""
    text = _NAMED.sub(lambda found: _EMOJI[found[0].lower()] if rng.random() < 0.7 else found[0], text)
    return _some(text, rng, lambda c: _BOXED.get(c.lower(), c), 0.2)


def mojibake(text: str, rng: random.Random) -> str:
    """UTF-8 read as something else."""
    try:
        return text.encode("utf-8").decode(rng.choice(("cp1252", "latin-1")))
    except UnicodeDecodeError:
        return text.encode("utf-8").decode("latin-1")


def capitals(text: str, rng: random.Random) -> str:
    """All of them, or every other letter."""
    way = rng.randrange(3)
    if way == 0:
        return text.upper()
    return text.lower() if way == 1 else "".join(c.upper() if rng.random() < 0.5 else c for c in text)


def misspelling(text: str, rng: random.Random) -> str:
    """Letters repeated, swapped or left out."""
    return _WORD.sub(lambda found: _misspelt(found[0], rng) if rng.random() < 0.25 else found[0], text)


WAYS: Final[Mapping[str, Way]] = {
    "lookalikes": lookalikes,
    "leetspeak": leetspeak,
    "starred": starred,
    "invisible": invisible,
    "combining": combining,
    "spacing": spacing,
    "emoji": emoji,
    "mojibake": mojibake,
    "capitals": capitals,
    "misspelling": misspelling,
}


def obfuscated(text: str, rng: random.Random) -> str:
    """`text` in one of the ways."""
    return rng.choice(list(WAYS.values()))(text, rng)


def _some(text: str, rng: random.Random, change: Callable[[str], str], share: float) -> str:
    """A share of the characters changed, outside handles and links."""
    return "".join(
        word if word.startswith(("@", "http")) else "".join(change(c) if rng.random() < share else c for c in word)
        for word in _SPACES.split(text)
    )


def _starred(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word)) if len(word) > 1 else 0
    if rng.random() < 0.5:
        return word[:at] + rng.choice(_STARRED.get(word[at].lower(), "*-#.")) + word[at + 1 :]
    return (
        word[0] + rng.choice("*-") * max(1, len(word) - 2) + word[-1]
        if len(word) > 3 and rng.random() < 0.3
        else (word[:at] + rng.choice("*-#.") + word[at + 1 :])
    )


def _misspelt(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    way = rng.randrange(3)
    if way == 0:
        return word[:at] + word[at] * rng.randrange(2, 4) + word[at + 1 :]
    if way == 1:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :]
