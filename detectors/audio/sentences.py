"""What a text detector is given of a passage: its sentences, and the passage as a whole.

An insult of six words scores .88 alone and .01 in a minute of gardening: a text detector tells what a text is like, and
most of that minute is harmless. The whole is scored as well, for what only shows in context.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from detectors.audio.whisper import Said

_LONGEST_MS: Final = 12_000  # of phrases that no full stop ends
_STOPS: Final = tuple(".?!…。\uff1f\uff01؟।")  # the two by number are full-width ? and !


def sentences(phrases: Iterable[Said]) -> list[Said]:
    """Phrases joined until one ends as a sentence does, or it gets long."""
    joined: list[Said] = []
    open_sentence = False
    for phrase in phrases:
        if open_sentence and phrase.end_ms - joined[-1].start_ms <= _LONGEST_MS:
            joined[-1] = together((joined[-1], phrase))
        else:
            joined.append(phrase)
        open_sentence = not phrase.text.endswith(_STOPS)
    return joined


def together(phrases: Sequence[Said]) -> Said:
    """As one, from the first's start to the last's end."""
    return Said(" ".join(each.text for each in phrases), phrases[0].start_ms, phrases[-1].end_ms)
