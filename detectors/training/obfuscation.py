"""Swear words as people write them to get past a filter, so that the detector sees some while it is trained."""

import random
import re
from typing import Final

from detectors.training.labels import STRONG

_LEET: Final = {"a": "@4", "e": "3", "i": "1!", "o": "0", "s": "$5", "u": "*v", "t": "7", "c": "(", "b": "8", "g": "9"}


def obfuscated(text: str, rng: random.Random) -> str:
    """`text` with each strong word respelled in one of four ways: a letter starred, swapped, doubled, or all spaced."""
    return re.sub(STRONG.pattern, lambda found: _respelled(found[0], rng), text, flags=re.IGNORECASE)


def _respelled(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word)) if len(word) > 1 else 0
    way = rng.randrange(4)
    if way == 0:
        return word[:at] + rng.choice("*-#.") + word[at + 1 :]
    if way == 1:
        return "".join(rng.choice(_LEET[c]) if c in _LEET and rng.random() < 0.5 else c for c in word.lower())
    if way == 2:
        return word[:at] + word[at] * rng.randrange(2, 5) + word[at + 1 :]
    return rng.choice(" .-_").join(word)
