"""One form for text before it is tokenised, in training and in scoring alike.

    NFKC               full-width, mathematical and other dressed-up letters become plain ones
    emoji → its name   BERT's vocabulary has next to no emoji; "knife" it can read
    lone surrogates    become "?": they can't be encoded as UTF-8

Zero-width characters, control characters and accents are removed by the tokenizer itself (BertNormalizer).
"""

import re
import unicodedata
from functools import lru_cache

_SKIN = {
    0x1F3FB: "light skin",
    0x1F3FC: "light skin",
    0x1F3FD: "brown skin",
    0x1F3FE: "dark skin",
    0x1F3FF: "dark skin",
}
_LETTER = re.compile(r"LETTER ([A-Z])$")
_ABOVE_LATIN = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]")  # arrows, symbols, dingbats, emoji


def normal_form(text: str) -> str:
    """`text` as the tokenizer shall see it. Pure ASCII comes back as it is, which is the fast way."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text).encode("utf-8", "replace").decode("utf-8")
    return _ABOVE_LATIN.sub(lambda found: _spoken(found[0]), text)


@lru_cache(maxsize=8192)
def _spoken(symbol: str) -> str:
    """A symbol in words: " pile of poo "; a letter in a box or a flag is that letter, without spaces."""
    if skin := _SKIN.get(ord(symbol)):
        return f" {skin} "
    name = unicodedata.name(symbol, "")
    if letter := _LETTER.search(name):
        return letter[1].lower()
    return f" {name.lower()} " if name else " "
