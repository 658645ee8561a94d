"""The harms a detector can score: the MLCommons AILuminate hazards, and what user content needs beyond them."""

from enum import StrEnum


class Category(StrEnum):
    """One harm. The value is the name in scores, packs, decisions and metrics."""

    VIOLENT_CRIMES = "violent_crimes"
    NON_VIOLENT_CRIMES = "non_violent_crimes"
    SEX_RELATED_CRIMES = "sex_related_crimes"
    CHILD_SEXUAL_EXPLOITATION = "child_sexual_exploitation"
    DEFAMATION = "defamation"
    SPECIALIZED_ADVICE = "specialized_advice"
    PRIVACY = "privacy"
    INTELLECTUAL_PROPERTY = "intellectual_property"
    INDISCRIMINATE_WEAPONS = "indiscriminate_weapons"
    HATE = "hate"
    SELF_HARM = "self_harm"
    SEXUAL = "sexual"
    # beyond the hazards: what people do to each other on a platform
    THREAT = "threat"
    HARASSMENT = "harassment"
    PROFANITY = "profanity"
    SPAM = "spam"
    SCAM = "scam"
    GROOMING = "grooming"
    BAN_EVASION = "ban_evasion"
