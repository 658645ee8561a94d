"""What people wrote, for a screen: enough to see what a decision was about, without printing it.

Short everyday words stay; of every other word only the first letter does.
"""

from typing import Final

_PLAIN: Final = frozenset(
    "a about all am an and are as at be but by can did do does for from go had has have he her here him his how i if "  # noqa: SIM905
    "in is it its just like me more my no not of off on one or our out she so some that the their them then there they "
    "this to too up us was we were what when where which who why will with would you your".split()
)


def mask(text: str, width: int) -> str:
    """`text` on one line of at most `width` characters."""
    line = " ".join(_masked(word) for word in text.split())
    return line if len(line) <= width else line[: max(0, width - 1)] + "…"


def _masked(word: str) -> str:
    letters = [at for at, character in enumerate(word) if character.isalnum()]
    if not letters or "".join(word[at] for at in letters).lower() in _PLAIN:
        return word
    first, last = letters[0], letters[-1]  # what stands between them goes too: f.u.c.k
    shown = word[first] if last > first else "·"
    return word[:first] + shown + "·" * (last - first) + word[last + 1 :]
