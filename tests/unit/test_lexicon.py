"""The word list: what it hits, what it must not hit, and that its version says what it is."""

from pathlib import Path

import pytest

from detectors.interface import DetectorSpec, build
from detectors.items import Items
from detectors.lexicon import WORDS, LexiconDetector
from schemas.errors import UserMistake

HATE, HARASSMENT, PROFANITY = range(3)

HITS = [
    ("What the FUCK?!", PROFANITY),
    ("fuckers.", PROFANITY),
    ("what a load of (bullshit)", PROFANITY),
    ("“shit”, he said", PROFANITY),  # typographic quotes
    ("oh f**k", PROFANITY),
    ("just Kill Yourself", HARASSMENT),
    ("you_idiot", HARASSMENT),
    ("straße\nsieg heil", HATE),
]
NEAR_MISSES = [
    "Scunthorpe",
    "a class of assistants",
    "cockpit",
    "shiitake",
    "Dickens",
    "classic bass",
    "you kill time",
    "",
]


@pytest.fixture(scope="module")
def lexicon() -> LexiconDetector:
    return LexiconDetector(WORDS.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("text", "category"), HITS)
def test_hits(lexicon: LexiconDetector, text: str, category: int):
    for _ in range(2):  # what it learns about tokens changes no score
        assert lexicon.score(Items.of([text]), lambda _: None).probability[0, category] > 0.5


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_near_misses(lexicon: LexiconDetector, text: str):
    for _ in range(2):
        assert not lexicon.score(Items.of([text]), lambda _: None).probability.any()


def test_the_worst_word_counts_for_each_category(lexicon: LexiconDetector):
    answer = lexicon.score(Items.of(["damn", "damn fuck", "damn idiot", "fine"]), lambda _: None)
    scores = answer.probability
    assert scores[:, PROFANITY].tolist() == pytest.approx([0.5, 0.95, 0.5, 0.0])
    assert scores[:, HARASSMENT].tolist() == pytest.approx([0.0, 0.0, 0.8, 0.0])
    assert not answer.status.any()


def test_a_hint_is_given_before_each_row(lexicon: LexiconDetector):
    hints: list[int] = []
    lexicon.score(Items.of(["a", "b", "c"]), hints.append)
    assert hints == [0, 1, 2]


def test_another_list_is_another_version(tmp_path: Path):
    path = tmp_path / "words.txt"
    path.write_text("profanity 0.9 frak\n", encoding="utf-8")
    other = build(DetectorSpec("lexicon", {"words": str(path)}))
    assert other.version != build(DetectorSpec("lexicon")).version
    assert other.score(Items.of(["frak"]), lambda _: None).probability.max() == pytest.approx(0.9)


@pytest.mark.parametrize("line", ["profanity frak", "rude 0.9 frak", "profanity 1.9 frak", "profanity nine frak"])
def test_a_wrong_line_is_named(line: str):
    with pytest.raises(UserMistake, match="line 2"):
        LexiconDetector(f"# ours\n{line}\n")


def test_a_missing_file_and_a_wrong_option_are_the_users_mistake(tmp_path: Path):
    with pytest.raises(UserMistake, match="can't read"):
        build(DetectorSpec("lexicon", {"words": str(tmp_path / "none.txt")}))
    with pytest.raises(UserMistake, match="'word'"):
        build(DetectorSpec("lexicon", {"word": "x"}))
    with pytest.raises(UserMistake, match=r"^detectors\.null: delay: "):
        build(DetectorSpec("null", {"delay": 1}))
    with pytest.raises(UserMistake, match=r"^detectors\.slow: ms_per_event: "):
        build(DetectorSpec("slow", {"ms_per_event": "a while"}, "detectors.null:build"))
