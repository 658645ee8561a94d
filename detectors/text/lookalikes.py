"""Words of mixed alphabets brought back to one: Cyrillic "а" in an English word, Latin "a" in a Russian one.

The table is Unicode's list of confusables (package `confusable-homoglyphs`). Only letters are replaced, and only in
words where they can't belong: a word that mixes alphabets, or one of look-alikes alone in a text of another alphabet.
"""
# ruff: noqa: RUF001, RUF002 - look-alike letters are what this is about

import re
import unicodedata
from functools import lru_cache
from typing import Final

from confusable_homoglyphs.confusables import confusables_data

_LATIN: Final = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")
_SLAVIC: Final = re.compile("[\u0400-\u052f]")
_GREEK: Final = re.compile("[\u0370-\u03ff]")
# Alphabets whose letters pass for Latin ones, and Latin letters of no living spelling (IPA, small capitals, modifiers).
_GUISE: Final = re.compile(
    "[\u0180\u0185\u0192\u01a0-\u01bf\u01dd\u0250-\u02af\u0370-\u052f\u0531-\u0587\u05c0-\u05f2\u10a0-\u10ff\u13a0-\u13fd"
    "\u1d00-\u1d7f\u2c60-\u2c7f\u2c80-\u2cff\ua730-\ua7ff\uab30-\uabbf\U00010400-\U0001044f]"
)
_SMALL: Final = re.compile("LATIN LETTER SMALL CAPITAL ([A-Z])$")
_WORD: Final = re.compile(r"[^\W\d_]+")
_OFTEN: Final = {"һ": "h", "ԁ": "d", "ѕ": "s", "і": "i", "ј": "j", "ԛ": "q", "ԝ": "w", "ɡ": "g", "ɑ": "a", "ı": "i"} | {
    "к": "k", "м": "m", "н": "h", "т": "t", "в": "b", "г": "r", "п": "n", "и": "u", "я": "r", "з": "e", "ё": "e",
    "α": "a", "β": "b", "ε": "e", "η": "n", "ι": "i", "κ": "k", "ν": "v", "ο": "o", "ρ": "p", "τ": "t", "υ": "u",
    "χ": "x", "ω": "w", "σ": "o", "μ": "u", "γ": "y", "ϲ": "c", "ѵ": "v", "ү": "y", "ґ": "r", "є": "e", "э": "e",
}  # fmt: skip


@lru_cache(maxsize=1)
def _to_latin() -> dict[str, str]:
    """Letters → the ASCII letter each looks like."""
    found: dict[str, str] = {}
    for letter, twins in confusables_data.items():
        plain = next((t["c"] for t in twins if len(t["c"]) == 1 and t["c"].isascii() and t["c"].isalpha()), None)
        if plain and len(letter) == 1 and _GUISE.match(letter):
            found[letter] = plain.lower() if letter.islower() else plain
    for letter in map(chr, (*range(0x1D00, 0x1D30), *range(0x250, 0x2B0), *range(0xA730, 0xA7C0))):
        if small := _SMALL.match(unicodedata.name(letter, "")):
            found[letter] = small[1].lower()
    return found


@lru_cache(maxsize=1)
def _loosely() -> dict[str, str]:
    """As `_to_latin`, and what people use who disguise a word: only for a word that has Latin letters as well."""
    capitals = {k.upper(): v.upper() for k, v in _OFTEN.items() if len(k.upper()) == 1 and k != "ı"}
    return _to_latin() | _OFTEN | capitals


_TO_SLAVIC: Final = dict(zip("aceopxyiABCEHKMOPTXkmtnu", "асеорхуіАВСЕНКМОРТХкмтпи", strict=True))


def one_alphabet(text: str) -> str:
    """`text` with its mixed words unmixed. Texts without such letters come back at once."""
    if not _GUISE.search(text) or not (latin := len(_LATIN.findall(text))):
        return text
    table = _to_latin()
    other = sum(c not in table for c in _SLAVIC.findall(text)) + sum(c not in table for c in _GREEK.findall(text))
    return _WORD.sub(lambda word: _unmixed(word[0], latin=latin > other), text)


def _unmixed(word: str, *, latin: bool) -> str:
    """`latin`: the letters of the text that are what they seem are mostly Latin."""
    if not _GUISE.search(word):
        return word
    mixed = _LATIN.search(word) is not None
    if latin:
        table = _loosely() if mixed else _to_latin()
        fits = all(c in table or not _GUISE.match(c) for c in word)
        return "".join(table.get(c, c) for c in word) if fits else word
    return "".join(_TO_SLAVIC.get(c, c) for c in word) if mixed and _SLAVIC.search(word) else word
