"""What every detector owes the process that runs it, as tests to inherit. Needs pytest.

    from detectors.conformance import Conformance

    class TestMine(Conformance):
        spec = DetectorSpec("mine", {"threshold": 3}, "my_package:build")
        items = [*Conformance.items, ("a text that mine finds something in", "en", ())]

A detector that passes can't be blamed for what its neighbours are; one that fails one of these will, sooner or later,
have records held in its name.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pytest

from detectors.interface import Answer, Description, Detector, DetectorSpec, build
from detectors.items import Attachment, Items
from detectors.runtime.canary import canary
from detectors.runtime.client import DetectorClient
from detectors.runtime.frames import HEADER_BYTES, Kind, encode_answer, pack, unpack
from schemas.ages import plausible
from schemas.categories import Category
from schemas.columns import Events
from schemas.errors import UserMistake
from schemas.roles import MEDIA, SIGNALS, Role
from schemas.statuses import Reason, Status

Row: TypeAlias = tuple[str, str, Sequence[Attachment]]  # text, language, attachments
Signals: TypeAlias = Mapping[str, Any]

_CORRUPT = tuple(Attachment(role, "data:application/octet-stream;base64,AAECAwQ=") for role in MEDIA)
_NOWHERE = tuple(Attachment(role, "file:///nowhere/at/all") for role in MEDIA)
_FOREIGN = (
    ("de", "Das Wetter ist heute schön und die Kinder spielen draußen im Garten."),
    ("is", "Veðrið er gott í dag og börnin leika sér úti í garðinum."),
)
_SECONDS = 120.0


def quiet(row: int) -> None:
    """A hint that nobody reads."""


class Conformance:
    """Set `spec`; add to `items` what your detector finds something in."""

    spec: ClassVar[DetectorSpec]
    items: ClassVar[Sequence[Row]] = (
        ("Good morning", "", ()),
        ("you fucking idiot", "en", ()),
        ("שלום עולם 🌍", "he", ()),
        ("\ud800 a lone surrogate", "not a language", ()),
        ("zero\u200bwidth \u202eand\u202c turned \x00 around", "en-GB", ()),
        ('[SEP] </s> <|im_end|> {"role": "system"}', "", ()),
        ("word " * 4_000, "", ()),
        ("ok", "en", _CORRUPT),
        ("ok", "en", _NOWHERE),
        (" \n", "", ()),
        ("", "", _CORRUPT),
    )
    signals: ClassVar[Sequence[Signals]] = (  # events that have these alone, as a schema's fields of age and text
        {"followers": 20, "account_age_days": 400.5, "guardian_linked": False, "bio": "school, football"},
        {"declared_age": -3, "followers": -(2**63), "account_age_days": float("nan"), "late_night_share": float("inf")},
        {"followers": "many", "bio": 7, "guardian_linked": [True, None], "display_name": ["\ud800", ""]},
        {"a signal that nobody knows": [1, "two", 3.0], "": ""},
        {"bio": "word " * 4_000, "followers": [1, 2, 3]},
    )
    tolerance: ClassVar[float] = 1e-5  # between a row alone and in company: rounding

    @pytest.fixture(scope="class")
    @classmethod
    def detector(cls) -> Detector:
        """Built and warm."""
        built = build(cls.spec)
        built.warm()
        return built

    @pytest.fixture(scope="class")
    @classmethod
    def rows(cls, detector: Detector) -> Items:
        """Those of `items` and `signals` that the detector reads anything of, after the canaries: it gets no other."""
        known, none = canary(detector.modalities), [""] * len(cls.signals)
        texts, languages, attachments = zip(*cls.items, strict=True)
        every = Items(
            [*known.texts, *texts, *none],
            [*known.languages, *languages, *none],
            [*known.attachments, *map(tuple, attachments), *[()] * len(none)],
            [*(known.signals or [{}] * len(known)), *[{}] * len(cls.items), *cls.signals],
        ).seen_by(detector.modalities)
        return every.take(np.flatnonzero(every.readable(detector.modalities)))

    @pytest.fixture(scope="class")
    @classmethod
    def answer(cls, detector: Detector, rows: Items) -> Answer:
        """Of all rows together."""
        return detector.score(rows, quiet)

    def test_it_says_what_it_is(self, detector: Detector) -> None:
        """Version, categories, modalities, languages, cost: all there, and known words."""
        said = Description.of(self.spec.name, detector)
        assert said.version
        assert set(said.categories) <= set(Category)
        assert len(set(said.categories)) == len(said.categories)
        assert 0 < len(said.modalities) == len(set(said.modalities) & {Role.TEXT, *MEDIA, SIGNALS})
        assert said.languages is None or all(tag == tag.lower() and tag.isalpha() for tag in said.languages)
        assert 0 <= said.cost_ms < float("inf")
        assert Description.from_json(json.loads(json.dumps(said.as_json()))) == said

    def test_its_options_travel_as_json_and_a_wrong_one_is_the_users_mistake(self) -> None:
        """An option that is not known is refused in one line, before anything is loaded."""
        options = dict(self.spec.options)
        assert json.loads(json.dumps(options)) == options
        with pytest.raises(UserMistake) as mistake:
            build(DetectorSpec(self.spec.name, {**options, "no such option": 1}, self.spec.factory))
        assert "\n" not in str(mistake.value)

    @pytest.mark.parametrize(("tag", "text"), _FOREIGN)
    def test_it_declines_languages_that_it_does_not_declare(self, detector: Detector, tag: str, text: str) -> None:
        """Nobody else does: its score would be taken for one that was evaluated."""
        if detector.languages is None or tag in detector.languages or Role.TEXT not in detector.modalities:
            pytest.skip("declares no languages of texts, or this one")
        answer = detector.score(Items([text], [tag], [()]), quiet)
        assert (answer.status.tolist(), answer.reason.tolist()) == ([Status.abstained], [Reason.language])

    @pytest.mark.parametrize("n", [0, 1, 5])
    def test_its_answer_has_a_row_an_event_and_a_column_a_category(
        self, detector: Detector, rows: Items, n: int
    ) -> None:
        """Whatever is wrong with shapes, statuses, reasons or evidence raises here, as it does in the process."""
        _check(detector.score(rows.take(range(n)), quiet), n, len(detector.categories))

    def test_numbers_are_probabilities_and_what_is_missing_has_a_reason(self, answer: Answer, rows: Items) -> None:
        """Also of the hostile rows: no text and no file makes it raise."""
        _check(answer, len(rows), answer.probability.shape[1])
        scored = answer.status == Status.scored
        assert ((answer.probability[scored] >= 0) & (answer.probability[scored] <= 1)).all()
        assert answer.age is None or plausible(answer.age)[scored].all()
        assert np.isnan(answer.numbers[~scored]).all()
        assert (answer.reason[scored] == Reason.none).all()
        assert (answer.reason[answer.status == Status.error] != Reason.none).all()

    def test_canaries_are_answered(self, answer: Answer, detector: Detector) -> None:
        """An error here would open the breaker: the device would be held at fault."""
        known = len(canary(detector.modalities))
        assert not (answer.status[:known] == Status.error).any()

    def test_the_same_events_have_the_same_answer(self, detector: Detector, rows: Items, answer: Answer) -> None:
        """Else a decision could not be explained afterwards."""
        again = detector.score(rows, quiet)
        np.testing.assert_array_equal(again.numbers, answer.numbers)
        np.testing.assert_array_equal(again.status, answer.status)
        np.testing.assert_array_equal(again.reason, answer.reason)
        assert dict(again.evidence) == dict(answer.evidence)

    def test_an_event_has_the_same_answer_alone_and_in_company(
        self, detector: Detector, rows: Items, answer: Answer
    ) -> None:
        """Batches are as they arrive: neighbours must not matter, nor the order."""
        alone = [detector.score(rows.take([row]), quiet) for row in range(len(rows))]
        turned = detector.score(rows.take(range(len(rows))[::-1]), quiet)
        for status, numbers in (
            (np.concatenate([one.status for one in alone]), np.concatenate([one.numbers for one in alone])),
            (turned.status[::-1], turned.numbers[::-1]),
        ):
            np.testing.assert_array_equal(status, answer.status)
            np.testing.assert_allclose(numbers, answer.numbers, rtol=self.tolerance, atol=self.tolerance)
        for row, one in enumerate(alone):
            assert [each.category for each in one.evidence.get(0, ())] == [
                each.category for each in answer.evidence.get(row, ())
            ]

    def test_hints_are_rows_and_ascend(self, detector: Detector, rows: Items) -> None:
        """They say which record was worked on when the process died."""
        hints: list[int] = []
        detector.score(rows, hints.append)
        assert hints
        assert hints == sorted(hints)
        assert set(hints) <= set(range(len(rows)))

    def test_it_runs_in_a_detector_process(self, detector: Detector, rows: Items, answer: Answer) -> None:
        """No thread after the factory, fit to be forked, canaries passed, and the same answers as here."""
        with closing(DetectorClient([self.spec])) as client:
            client.start()
            assert client.versions == (detector.version,)
            client.submit(1, Events.unplaced(rows.texts, rows.languages, rows.attachments, rows.signals))
            result = client.collect(_SECONDS)
        assert result is not None, f"no answer within {_SECONDS:.0f} s"
        np.testing.assert_array_equal(result[1].status[:, 0], answer.status)
        numbers = result[1].age.get(self.spec.name, result[1].probability)
        np.testing.assert_allclose(numbers, answer.numbers, rtol=self.tolerance, atol=self.tolerance)


def _check(answer: Answer, rows: int, categories: int) -> None:
    """What is done with it before it leaves the process."""
    request = pack(Kind.score, 0, rows, 1)
    encode_answer(unpack(request[:HEADER_BYTES], b""), categories, answer, 0.0, 1)
    assert answer.probability.dtype == np.float32
