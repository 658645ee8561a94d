"""What evades a filter is undone before a text is read; what a language needs is left alone."""
# ruff: noqa: RUF001, RUF003 - look-alike letters are what this is about

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.text.normalisation import normal_form
from detectors.training.obfuscation import WAYS, Way, combining, invisible, lookalikes


@pytest.mark.parametrize(
    ("disguised", "plain"),
    [
        ("f\u200bu\u200bc\u200bk you", "fuck you"),
        ("\uff46\uff55\uff43\uff4b you", "fuck you"),
        ("".join(chr(0x1D4EA + ord(c) - ord("a")) for c in "fuck") + " you", "fuck you"),
        ("fuсk уou", "fuck you"),  # Cyrillic с and у
        ("ᴋɪʟʟ yourself", "kill yourself"),
        ("Я нeнaвижy тебя", "Я ненавижу тебя"),  # Latin e, a, y
        ("f\u0336u\u0336c\u0336k\u0336 you", "fuck you"),
        ("ẗḧey", "they"),
        ("I h4te w0men, you 1diot, $hit", "I hate women, you idiot, shit"),
        ("i d i o t", "idiot"),
        ("K.I.L.L them", "kill them"),
        ("you_are_an_idiot", "you are an idiot"),
        ("FUCK YOU, fUcK yoU", "fuck you, fuck you"),
        ("ИДИ ДОМОЙ", "иди домой"),
        ("hÃ¤sslich", "hässlich"),
        ("🅱itch", "bitch"),
        ("\ud800", "?"),
        *((f"you{blank}idiot", "you idiot") for blank in "\u115f\u1160\u1680\u2028\u202f\u2800\u3164\uffa0"),
        ("\u3164".join("idiot"), "idiot"),
        ("f\0u\x1bc\x7fk you", "fuck you"),
        ("hé, f\0u\x01ck", "hé, fuck"),
        *(
            (between.join("idiot") + " you", "idiot you")
            for between in ("\n", "\r\n", "\t", ",", ", ", ";", "~", "·", "—")
        ),
        ("d,1,r,t,y", "dirty"),
        ("\u202ekcuf\u202c you", "fuck you"),
        ("hey \u202etoidi uoy\ncat", "hey you idiot\ncat"),
        ("\u202duoy \u202e\u2067toidi\u2069\u2069", "uoy toidi"),  # an isolate in an override stays as it is
        ("\u202e\u2066fu\u2069kc\u2069\u202c", "ckfu"),
        ("\u202dםולש\u202c", "שלום"),
        ("\u202eשלום\u202c", "שלום"),
        ("\u2067\u202bfuck\u202c you\u2069", "fuck you"),
        ("noʎ ʇoᴉpᴉ", "idiot you"),
        ("well, ʞɔnɟ so", "well, fuck so"),
    ],
)
def test_disguises_are_undone(disguised: str, plain: str):
    assert normal_form(disguised) == plain


@pytest.mark.parametrize(
    "text",
    [
        "Ich hasse Türken nicht, Müller",
        "Tiếng Việt rất khó",
        "Είμαι καλά",
        "Я ненавижу тебя",
        "Это сосна у реки",
        "क्‍या हाल है",
        "می‌خواهم",
        "日本語です",
        "Żółta łódź, cañón, ça va, İyi ığdır",
        "gr8, 2nd place, 10th, 5pm, 3km, mp3, covid19, @user1",
        "$500 for 3 tickets at 7:30",
        "www.example.com/a_b-c",
        "U.S.A., J. R. R. Tolkien, a b c",
        "a, b, c, d or a,b,c,d or A\nB\nC\nD",
        "1,2,3,4 and 1:2:3:4, 22/11/2026, 10.1.0.1, x,1,y,2",
        "春、夏、秋、冬",
        "/ʃɪp/ ɔno Λόγος",
        "I am a NASA-free text"[:6],
        "",
    ],
)
def test_what_a_language_needs_stays(text: str):
    assert normal_form(text) == text


@given(st.text(max_size=200))
def test_any_text_has_a_normal_form_that_can_be_encoded(text: str):
    normal_form(text).encode("utf-8")


@given(
    st.text(st.sampled_from("\0\x08\xc0\x80ab \n\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2069\u3164"), max_size=60)
)
def test_no_control_is_left_and_no_letter_lost(text: str):
    plain = normal_form(text)
    assert not set(plain) & set("\0\x08\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2069\u3164")
    assert plain.count("b") == text.count("b")


@pytest.mark.parametrize("way", [lookalikes, invisible, combining])
def test_what_keeps_the_letters_is_undone_wholly(way: Way):
    rng = random.Random(4)
    text = "these people should all be thrown out of the country"
    assert {normal_form(way(text, rng)) for _ in range(30)} == {text}


@pytest.mark.parametrize("name", WAYS)
def test_every_way_disguises_something_and_takes_any_text(name: str):
    rng = random.Random(1)
    texts = [
        "what the fuck is wrong with these women and their ass",
        "сука, уходи отсюда",
        "なんてことだ",
        "",
        "é",
        "a",
    ]
    changed = {WAYS[name](text, rng) for text in texts for _ in range(10)}
    assert changed - set(texts)


@pytest.mark.parametrize(
    "text",
    [
        *("a" * 100_000, "a b " * 25_000, "é" * 100_000, "1a" * 50_000, "a." * 50_000, "ÃÂ" * 50_000),
        *(
            "\u202ea" * 50_000,
            "\u202e" + "a\u2066" * 50_000 + "\u2069" * 50_000,
            "ɐǝ o " * 20_000,
            "o " * 50_000 + "ɐǝ",
        ),
        *("\u202e" + "\u2067\u202c" * 50_000, "a,b," * 25_000, "a,a;" * 25_000, "a\n\n\n" * 25_000),
    ],
)
def test_no_text_takes_long(text: str):
    began = time.process_time()
    normal_form(text)
    assert time.process_time() - began < 3
