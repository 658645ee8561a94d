"""English texts with the people in them exchanged for others, so that no name of a group foretells a label.

Public sets name some groups mostly in hateful texts, and others hardly at all. Whether a text is hateful does not
depend on which group it is about, so a word for one is replaced by a word of the same form for another: counterfactual
augmentation, as in Dixon et al. 2018 and Zmigrod et al. 2019.
"""

import random
import re
from typing import Final

_MANY: Final = (
    "muslims jews christians catholics protestants hindus sikhs buddhists mormons atheists gays lesbians "
    "homosexuals heterosexuals bisexuals women men girls boys blacks whites asians latinos latinas hispanics "
    "mexicans arabs africans europeans americans canadians indians chinese|people japanese|people pakistanis "
    "nigerians syrians immigrants migrants refugees foreigners teenagers millennials pensioners boomers "
    "trans|people queer|people deaf|people blind|people disabled|people old|people young|people "
)
_QUALITY: Final = (
    "muslim jewish christian catholic protestant hindu sikh buddhist taoist mormon gay lesbian bisexual "
    "homosexual heterosexual straight queer transgender trans nonbinary lgbt lgbtq female male black white asian "
    "latino latina latinx hispanic mexican arab african african|american european american canadian indian "
    "chinese japanese middle|eastern pakistani nigerian immigrant refugee teenage young younger old older elderly "
    "middle|aged millennial deaf blind paralyzed disabled autistic "
)
_FORMS: Final = [[word.replace("|", " ") for word in words.split()] for words in (_MANY, _QUALITY)]
_FORM: Final = {word: form for form in _FORMS for word in form}
_COMMON: Final = {
    "old",
    "older",
    "young",
    "younger",
    "straight",
    "white",
    "black",
    "blind",
    "male",
    "female",
    "men",
    "american",
}
_FOUND: Final = re.compile(
    r"\b(?:" + "|".join(sorted(map(re.escape, _FORM.keys() - _COMMON), key=len, reverse=True)) + r")\b", re.IGNORECASE
)


def exchanged(text: str, rng: random.Random) -> str:
    """`text` with each group it names replaced by another, the same one by the same; capitals as before."""
    chosen: dict[str, str] = {}

    def other(found: re.Match[str]) -> str:
        word = found[0].lower()
        if word not in chosen:
            chosen[word] = rng.choice(_FORM[word])
        return chosen[word].capitalize() if found[0][0].isupper() else chosen[word]

    return _FOUND.sub(other, text)
