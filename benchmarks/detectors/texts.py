"""Texts as platforms see them: most short, a few long. Of everyday words, so that nobody's comments stand here."""

import random

WORDS = """
the a of to and is was not this that with for you it my his her they we song band live last night never again really
good bad worst best podcast episode guest listen play list friend sister work morning city rain coffee why when because
maybe people think know want need should would could still just only already guitar drums voice
""".split()  # noqa: SIM905 - a list of words, read as one


def mixed(count: int, seed: int = 0) -> list[str]:
    """Lengths as in comments: log-normal, median about 14 words, one in a hundred over 150."""
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=max(1, round(chance.lognormvariate(2.65, 1.05))))) for _ in range(count)]
