"""In which language a text is, and when a detector declines it."""
# ruff: noqa: RUF001 - Cyrillic is meant

import pytest

from detectors.language import LanguageGate, primary

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
    ],
)
def test_what_is_declined(gate: LanguageGate, text: str, said: str, declined: bool):
    assert gate.declined([text], [said]).tolist() == [declined]


def test_tags_are_read_by_their_language_alone():
    assert [primary(tag) for tag in ("pt-BR", "zh_Hans", "EN", "und", "")] == ["pt", "zh", "en", "", ""]
