"""Text that runs backwards or stands on its head, put in the order and the letters that a reader sees.

overrides     between U+202E (or U+202D) and U+202C letters are shown in the forced direction (Unicode Annex 9)
turned        "ʞɔnɟ" is read from its end, each letter upside down
"""
# ruff: noqa: RUF001 - letters that look like others are what this is about

import re
from itertools import groupby
from typing import Final, TypeAlias

_Part: TypeAlias = tuple[str, bool]  # and whether it is a level's own, not opened within it

_OVERRIDE: Final = re.compile("[\u202d\u202e]")
_END: Final = re.compile("([\n\r\u0085\u2029])")  # of a paragraph, and of all that is open in it
_CONTROL: Final = re.compile("([\u202a-\u202e\u2066-\u2069])")
_ISOLATES: Final = "\u2066\u2067\u2068"
_LEFTWARD: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")  # Hebrew, Arabic and their like
_DEEPEST: Final = 125  # Annex 9, BD2: what opens deeper is ignored

_TURNED: Final = dict(zip("ɐɔǝɟƃɓɥᴉɾʞʃןɯɹʇʌʍʎ∀𐐒ƆᗡƎℲ⅁⋊˥ԀᴚΛ⅄┴⊥∩", "acefgghijkllmrtvwyABCDEFGKLPRVYTTU", strict=True))
_EITHER: Final = dict(zip("bdnopqsuxzlıHIMNOSWXZ", "qpuodbsnxzliHIWNOSMXZ", strict=True))  # ordinary letters as well
_MARKS: Final = {"¡": "!", "¿": "?", "˙": ".", ",": "'", "'": ",", "(": ")", ")": "("}
_UPRIGHT: Final = str.maketrans(_TURNED | _EITHER | _MARKS)
_SURE: Final = re.compile(f"[{''.join(_TURNED)}]")
_WORD: Final = re.compile(rf"([\w{''.join(_TURNED)}]+)")
_TURNABLE: Final = re.compile(f"[{''.join(_TURNED | _EITHER)}]+")


def reading_order(text: str) -> str:
    """What is between overrides in the order in which it is read, without the controls; other texts as they are."""
    if not _OVERRIDE.search(text):
        return text
    return "".join(map(_paragraph, _END.split(text)))


def _paragraph(text: str) -> str:
    controls, parts = " ", [list[_Part]()]  # what is open, outermost first, and what each holds
    ignored = 0
    for number, part in enumerate(_CONTROL.split(text)):
        if number % 2 == 0:
            parts[-1].append((part, True))
        elif part not in "\u202c\u2069":
            deep = len(controls) > _DEEPEST
            ignored += deep
            controls, parts = (controls, parts) if deep else (controls + part, [*parts, []])
        elif ignored:
            ignored -= 1
        else:
            controls = _closed(controls, parts, _stays(controls, part))
    _closed(controls, parts, 1)
    return "".join(part for part, _ in parts[0])


def _stays(controls: str, closing: str) -> int:
    """How many stay open: U+2069 closes all down to an isolate, U+202C one that is no isolate."""
    if closing == "\u2069":
        innermost = max(map(controls.rfind, _ISOLATES))
        return innermost if innermost > 0 else len(controls)
    return len(controls) - (len(controls) > 1 and controls[-1] not in _ISOLATES)


def _closed(controls: str, parts: list[list[_Part]], stay: int) -> str:
    while len(parts) > stay:
        shown = _shown(controls[len(parts) - 1], parts.pop())
        parts[-1].append((shown, False))
    return controls[:stay]


def _shown(control: str, parts: list[_Part]) -> str:
    """A forced direction turns round what runs the other way by nature; what was opened within it stays whole."""
    own = "".join(part for part, mine in parts if mine)
    leftward = 2 * len(_LEFTWARD.findall(own)) > len(own)
    if control == ("\u202d" if leftward else "\u202e"):
        return "".join(part[::-1] if mine else part for part, mine in reversed(parts))
    return "".join(part for part, _ in parts)


def upright(text: str) -> str:
    """Runs of words on their head read from their end, if half of a word's letters can be nothing else."""
    if not _SURE.search(text):
        return text
    parts = _WORD.split(text)  # words at odd places
    places = range(1, len(parts), 2)
    for turnable, run in groupby(places, lambda place: _TURNABLE.fullmatch(parts[place]) is not None):
        if turnable:
            _turn(parts, list(run))
    return "".join(parts)


def _turn(parts: list[str], run: list[int]) -> None:
    """In place. At its ends a run of a longer text may have ordinary words, which could stand either way: they stay."""
    sure = [place for place in run if _SURE.search(parts[place])]
    if not any(_on_its_head(parts[place]) for place in sure):
        return
    first, last = (run[0], run[-1]) if len(run) == len(parts) // 2 else (sure[0], sure[-1])
    turned = "".join(parts[first : last + 1]).translate(_UPRIGHT)[::-1]
    parts[first : last + 1] = [turned, *[""] * (last - first)]


def _on_its_head(word: str) -> bool:
    """Two kinds of letters that are nothing else: "∩∩" and "⊥" are mathematics."""
    found = _SURE.findall(word)
    return 2 * len(found) >= len(word) and len(set(found)) > 1
