"""Texts with the people in them exchanged for others, so that no name of a group foretells a label: English, German.

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
_STEMS: Final = (  # of German adjectives; an ending stays as it is
    "muslimisch jüdisch christlich katholisch evangelisch buddhistisch hinduistisch atheistisch islamisch schwul "
    "lesbisch bisexuell homosexuell heterosexuell transsexuell transgeschlechtlich nichtbinär afrikanisch arabisch "
    "asiatisch türkisch kurdisch syrisch afghanisch marokkanisch iranisch indisch chinesisch japanisch vietnamesisch "
    "polnisch russisch rumänisch griechisch italienisch spanisch französisch amerikanisch europäisch deutsch "
    "österreichisch schwarz weiß ausländisch geflüchtet weiblich männlich jung alt blind gehörlos taub gelähmt "
    "behindert autistisch "
)
_COMMON: Final = (  # put in a text, but not taken for a group where they stand
    "old older young younger straight white black blind male female men american "
    "schwarz weiß jung alt blind taub deutsch männlich weiblich "
)
_ENDING: Final = {"en": "", "de": "(?:e[rnms]?)?"}


def _forms(*lists: str) -> dict[str, list[str]]:
    """Each word with all that may stand in its place."""
    forms = [[word.replace("|", " ") for word in words.split()] for words in lists]
    return {word: form for form in forms for word in form}


def _found(words: set[str], ending: str) -> re.Pattern[str]:
    longest_first = sorted(map(re.escape, words), key=len, reverse=True)
    return re.compile(rf"\b(?P<word>{'|'.join(longest_first)})(?P<ending>{ending})\b", re.IGNORECASE)


_FORMS: Final = {"en": _forms(_MANY, _QUALITY), "de": _forms(_STEMS)}
_FOUND: Final = {
    language: _found(forms.keys() - set(_COMMON.split()), _ENDING[language]) for language, forms in _FORMS.items()
}


def exchanged(text: str, language: str, rng: random.Random) -> str:
    """`text` with each group it names replaced by another, the same one by the same; capitals and endings as before.

    A text in another language than English and German stays as it is.
    """
    if language not in _FOUND:
        return text
    chosen: dict[str, str] = {}

    def other(found: re.Match[str]) -> str:
        word = found["word"].lower()
        if word not in chosen:
            chosen[word] = rng.choice(_FORMS[language][word])
        new = chosen[word].capitalize() if found[0][0].isupper() else chosen[word]
        return new + found["ending"]

    return _FOUND[language].sub(other, text)
