"""One form for text before it is tokenised, in training and in scoring alike: what evades a filter is undone.

    mojibake             "hÃ¤sslich" becomes "hässlich" (ftfy)
    NFKC                 full-width, mathematical and other dressed-up letters become plain ones
    invisible characters go: zero-width, direction marks, controls, soft hyphens, tags; joiners stay where a script
                         needs them; letters and signs that look like nothing, Hangul fillers, are spaces
    direction            what an override shows backwards, and letters on their head (`detectors.text.direction`)
    odd marks            go, over, under and through letters; the accents of a language stay
    look-alike letters   a word of two alphabets becomes a word of one (`detectors.text.lookalikes`)
    leetspeak            digits and signs between letters become letters: "h4te", "$hit"
    spacing              "i d i o t", "i.d.i.o.t", one letter a line is one word; "a, b, c, d" is a list
    joined words         a text without spaces: "you_are_an_idiot"
    capitals             a word with one past its first letter becomes lower case; other case stays, it carries meaning
    emoji → its name     "knife" can be read by every vocabulary
    lone surrogates      become "?": they can't be encoded as UTF-8

Plain ASCII takes the short way: four searches.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import Final

from ftfy import fix_encoding
from ftfy.badness import is_bad

from detectors.text.direction import reading_order, upright
from detectors.text.lookalikes import one_alphabet

_SKIN: Final = {
    0x1F3FB: "light skin",
    0x1F3FC: "light skin",
    0x1F3FD: "brown skin",
    0x1F3FE: "dark skin",
    0x1F3FF: "dark skin",
}
_LETTER: Final = re.compile(r"LETTER ([A-Z])$")
_SYMBOL: Final = re.compile("[\u2190-\u2bff\U0001f000-\U0001faff]")  # arrows, symbols, dingbats, emoji
_CONTROL: Final = re.compile("[\0-\x08\x0b\x0e-\x1f\x7f]")  # without tab, line feed, form feed, carriage return
_BLANK: Final = re.compile("[\u115f\u1160\u1680\u2028\u2029\u202f\u2800\u3164\uffa0]")  # takes room, shows nothing
_INVISIBLE: Final = re.compile(
    "[\0-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f"
    "\u00ad\u034f\u061c\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f"
    "\ufeff\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]|(?<![\u0600-\u0dff])[\u200c\u200d]|(?<=[\u0621-\u064a])\u0640"
)
_MARKS: Final = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]")
_RARE_ACCENT: Final = re.compile("[\u01cd-\u024f\u1e00-\u1e9f]")  # precomposed, and in no large language but Vietnamese
_ODD: Final = re.compile(
    "[^\x00-\u017f\u0218-\u021b\u0300-\u036f\u0401\u0407\u040e\u0419\u0439\u0451\u0457\u045e]"
)  # not ordinary

_WORD: Final = re.compile(r"\w{2,}")
_ASCII_CAPITALS: Final = re.compile(r"\w[A-Z]\w*")
_JOINED: Final = re.compile(r"[^\W_]{2,}(?:([._\-+/])[^\W_]+)(?:\1[^\W_]+){2,}[.!?]*")
# Single letters with the same between each two.
_SPACED: Final = re.compile(
    r"(?<!\w)[^\W_](?:([\s!-/:-@\[-`{-~·•\u2013\u2014\u2026\u2027\u060c]{1,3})[^\W_])(?:\1[^\W_]){2,}(?!\w)"
)
_SPACER: Final = re.compile(r"[ .\-_*|/]{1,2}")  # sets digits apart as well
_SPELT: Final = re.compile("[^\\W\\d_\u0700-\U0010ffff]")  # letters of alphabets that write words with spaces
_LEET: Final = re.compile(r"(?<![\w@/.])[\w@$!|+€]*[a-zA-Z][\w@$!|+€]*(?<=\w)")
_SIGNS: Final = re.compile(r"[a-zA-Z][0-9@$!|+€]+[a-zA-Z]|(?<!\S)[$€!][a-zA-Z]{2}|(?<![\w,.:@#/])[0134578][a-zA-Z]{2}")
_LEETS: Final = str.maketrans("0134578@$!|+€9", "oieastbasiiteg")
_ORDINAL: Final = re.compile(
    r"\d+(?:st|nd|rd|th|am|pm|km|kg|mb|gb|mm|cm|ml|min|hrs?|yrs?|days?|years?)\b", re.IGNORECASE
)


def normal_form(text: str) -> str:
    """`text` as the tokenizer shall see it."""
    plain = text.isascii()
    if not plain:
        text = _of_unicode(text)
    elif not text.isprintable():
        text = _CONTROL.sub("", text)
    if _SPACED.search(text):
        text = _SPACED.sub(_closed_up, text)
    elif " " not in text and (run := _JOINED.fullmatch(text)):
        text = text.replace(run[1], " ")
    if not plain or _ASCII_CAPITALS.search(text):
        text = _WORD.sub(_lower_case, text)
    if _SIGNS.search(text):
        text = _LEET.sub(_unleeted, text)
    return text


def _of_unicode(text: str) -> str:
    if is_bad(text):
        text = fix_encoding(text)
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = _INVISIBLE.sub("", _BLANK.sub(" ", reading_order(text)))
    text = unicodedata.normalize("NFKC", upright(_bare(text)))
    if text.isascii():
        return text
    return one_alphabet(_SYMBOL.sub(lambda found: _spoken(found[0]), _INVISIBLE.sub("", text)))


def _bare(text: str) -> str:
    """Without marks that no language puts there: marks apart from their letters all go if one of them is odd."""
    if _RARE_ACCENT.search(text):
        text = _RARE_ACCENT.sub(lambda found: unicodedata.normalize("NFD", found[0])[0], text)
    if not _MARKS.search(text):
        return text
    composed = unicodedata.normalize("NFC", text)
    odd = _MARKS.search(composed) or len(_ODD.findall(composed)) > len(_ODD.findall(text))
    return _MARKS.sub("", text) if odd else composed


def _closed_up(run: re.Match[str]) -> str:
    """One word of letters set apart; lists stay: "a, b, c, d" is in the alphabet's order, "1,2,a,b" is half digits."""
    letters = run[0][:: len(run[1]) + 1]
    if _SPACER.fullmatch(run[1]):
        return letters
    listed = all(ord(b) - ord(a) == 1 for a, b in pairwise(letters))
    return run[0] if listed or 2 * len(letters) > 3 * len(_SPELT.findall(letters)) else letters


def _lower_case(word: re.Match[str]) -> str:
    """Capitals of any alphabet; Turkish dotted İ without the dot that lower() would leave behind."""
    found = word[0]
    return found if found[1:].islower() or found.islower() else found.replace("İ", "i").lower()


def _unleeted(word: re.Match[str]) -> str:
    found = word[0]
    return found if not _SIGNS.search(found) or _ORDINAL.match(found) else found.translate(_LEETS)


@lru_cache(maxsize=8192)
def _spoken(symbol: str) -> str:
    """A symbol in words: " pile of poo "; a letter in a box or a flag is that letter, without spaces."""
    if skin := _SKIN.get(ord(symbol)):
        return f" {skin} "
    name = unicodedata.name(symbol, "")
    if letter := _LETTER.search(name):
        return letter[1].lower()
    return f" {name.lower()} " if name else " "
