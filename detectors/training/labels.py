"""What the words in a text add to a label that people gave: the definitions behind `profanity` and `harassment`.

None of the data sets that may be shipped labels these two as we define them, so they are derived, and the model's card
says so:

    profanity    1: a strong swear word or slur stands in the text (whoever says it of whom)
                 0: neither a strong nor a mild one does
                 unknown: only a mild one ("damn", "crap"), or people found it offensive without any of these words
    harassment   1: people labelled the text offensive or hateful, and it aims an insult at the one addressed
                 0: people labelled it harmless, or it is offensive and addresses nobody
                 unknown: everything between
"""

import re
from typing import Final

_STRONG: Final = (
    r"\w*f+[u*@]+c+k\w*|fck\w*|fuk\w*|stfu|wtf|gtfo|\w*sh[i*!1]+t\w*|b[i*!1]+tch\w*|biatch\w*|cunts?|puss(?:y|ies)|"
    r"dick(?:s|head|heads)?|cocks?|cocksuck\w*|a[s$*]{2}holes?|arseholes?|dumbass\w*|jackass\w*|bastards?|"
    r"n[i*1]gg(?:a|as|az|ah|er|ers|uh)|fag(?:s|got|gots|gy)?|dykes?|trann(?:y|ies)|hoes?|thots?|whores?|sluts?|slutty|"
    r"twats?|wankers?|bollocks|tits|titties|motherf\w*|mf(?:er|ers)?|douche\w*|pricks?|piss(?:ed|ing)?|cum|jizz|"
    r"kikes?|spics?|chinks?|gooks?|wetbacks?|beaners?|pak[iy]s?|coons?"
)
_MILD: Final = (
    r"ass|arse|asses|damn\w*|crap\w*|hell|bloody|suck(?:s|ed|ing)?|retard\w*|screw(?:ed)?|bugger\w*|negro\w*|homo"
)
_INSULT: Final = (
    r"(?:b[i*!1]+tch\w*|biatch\w*|cunts?|puss(?:y|ies)|dickheads?|cocksuck\w*|a[s$*]{2}holes?|arseholes?|dumbass\w*|"
    r"jackass\w*|bastards?|nigger\w*|fag(?:s|got|gots|gy)?|dykes?|trann(?:y|ies)|hoes?|thots?|whores?|sluts?|slutty|"
    r"twats?|wankers?|motherf\w*er\w*|douche\w*|pricks?|kikes?|spics?|chinks?|gooks?|wetbacks?|beaners?|pak[iy]s?|"
    r"idiots?|idiotic|morons?|moronic|stupid|dumb|dumber|dumbest|losers?|ugly|fat|pathetic|trash|garbage|scum|worthless|"
    r"disgusting|retard\w*|freaks?|creeps?|creepy|fools?|cowards?|pigs?|ignorant|imbeciles?|clowns?|filth|filthy|"
    r"vermin|useless|braindead|brainless|lowlife|degenerates?|sickening|disgrace|rats?|monkeys?)"
)

STRONG: Final = re.compile(rf"\b(?:{_STRONG})\b")
MILD: Final = re.compile(rf"\b(?:{_MILD})\b")
ADDRESSED: Final = re.compile(r"\b(?:you|u|ya|your|ur|yer|youre|yourself|yourselves|yall)\b|y'all|you'|^\W*@user")
AIMED: Final = re.compile(
    rf"\b(?:you|u|y'all|yall|you're|youre|ur|you are)\b(?:\W+\w+){{0,2}}?\W+{_INSULT}\b"
    rf"|\b{_INSULT}\W+(?:ass\W+)?(?:you|u|yourself)\b"
    rf"|^\W*(?:@user\W+)+(?:\w+\W+){{0,3}}{_INSULT}\W*$"
    r"|\b(?:fuck|screw)\W+(?:you|u|off|yourself)\b|\bsuck\W+my\b|\bstfu\b|\bshut\W+(?:the\W+\w+\W+)?up\b"
    r"|\b(?:kill|hang|shoot|drown)\W+(?:yourself|urself)\b|\bkys\b"
    r"|\b(?:go|hope\W+you|you\W+should|u\W+should)\W+(?:to\W+hell|die)\b"
)
_RETWEET: Final = re.compile(r"\brt @user:?|@user:")  # names whom it quotes, addresses nobody

_VIOLENCE: Final = re.compile(
    r"kill|murder|shoot|shot|stab|knife|gun|bomb|burn|beat|punch|hit|smack|slap|kick|hang|lynch|rape|die|dead|death|"
    r"hurt|strangl|choke|drown|behead|gas|exterminat|execut|attack|blood|destroy|watch your|find you|deserve|fight|"
    r"whoop"
)
_SEX: Final = re.compile(
    r"sex|porn|nude|naked|nsfw|dick|cock|puss|tits|boob|breast|nipple|cum|orgas|suck|lick|fuck|horny|blow ?job|anal|"
    r"hand ?job|oral|penis|vagin|whore|slut|hoe|escort|strip|panties|erotic|bdsm|fetish|masturbat|jerk|ass\b|bang|xxx|"
    r"onlyfans"
)

UNKNOWN: Final = float("nan")


def profanity(text: str, *, offensive: bool | None) -> float:
    """1, 0 or UNKNOWN for `text`; `offensive` is what people said of it, None if nobody was asked."""
    lowered = text.lower()
    if STRONG.search(lowered):
        return 1.0
    return UNKNOWN if offensive or MILD.search(lowered) else 0.0


def harassment(text: str, *, offensive: bool | None) -> float:
    """1, 0 or UNKNOWN for `text`; `offensive` is what people said of it, None if nobody was asked."""
    lowered = _RETWEET.sub(" ", text.lower())
    aimed = AIMED.search(lowered) is not None
    if offensive:
        return 1.0 if aimed else UNKNOWN if ADDRESSED.search(lowered) else 0.0
    return 0.0 if offensive is False or not (aimed or STRONG.search(lowered)) else UNKNOWN


def mentions_violence(text: str) -> bool:
    """A word of violence stands in it: whether anybody is threatened, nobody said."""
    return _VIOLENCE.search(text.lower()) is not None


def mentions_sex(text: str) -> bool:
    """A word of sex stands in it: whether it is explicit, nobody said."""
    return _SEX.search(text.lower()) is not None
