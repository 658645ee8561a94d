"""Contrast cases: what a template becomes, and what is said of a file that is wrong."""

from pathlib import Path

import pytest

from detectors.training.contrast import FOLDER, expand, load, read
from detectors.training.rows import CATEGORIES
from schemas.errors import UserMistake

CASES = """\
language: de
groups:
  - {about: gender, pl: Frauen, sg: eine Frau, class: f}
  - {about: origin, pl: Zugezogene, sg: ein Zugezogener, class: m}
others:
  - {pl: Schachteln, sg: eine Schachtel, class: f}
words: {ort: [Bonn, Ulm, Hof], satz: ["in {ort}"]}
cases:
  - kind: praise
    labels: []
    unknown: [harassment]
    texts: ["{group.pl} sind da, {group.pl} bleiben {satz}", "<m:der|f:die> [gute|beste] {group.sg}", "nur dies"]
  - kind: hate
    labels: [hate, threat]
    texts: ["weg mit {group.pl}"]
"""


@pytest.fixture
def cases(tmp_path: Path):
    path = tmp_path / "de.yaml"
    path.write_text(CASES)
    return path


def test_slots_alternatives_and_agreement(cases: Path):
    texts = {row.text.lower() for row in expand(read(cases), 50)}
    assert {"die gute eine frau", "der beste ein zugezogener", "nur dies", "weg mit frauen"} <= texts
    assert "frauen sind da, frauen bleiben in ulm" in texts
    assert not any(first in text and "zugezogene sind" in text for text in texts for first in ("frauen",))
    assert not any(mark in text for text in texts for mark in "{}[]<>|")


def test_labels_are_real_zeros_but_for_the_unknown(cases: Path):
    rows = {row.kind: row for row in expand(read(cases), 5)}
    assert [c for c, label in zip(CATEGORIES, rows["hate"].labels, strict=True) if label] == ["hate", "threat"]
    praise = dict(zip(CATEGORIES, rows["praise"].labels, strict=True))
    assert praise.pop("harassment") != praise["hate"]
    assert set(praise.values()) == {0.0}


def test_a_template_gives_a_bounded_number_of_different_texts_always_the_same_ones(cases: Path):
    rows = list(expand(read(cases), 3))
    for group in {row.group for row in rows}:
        mine = [row.text for row in rows if row.group == group]
        assert len(mine) == len(set(mine)) <= 3
    assert rows == list(expand(read(cases), 3)) or [r.text for r in rows] == [r.text for r in expand(read(cases), 3)]


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("weg mit {group.pl}", "weg mit {slur.pl}", r"nothing is listed for \{slur\.pl\}"),
        ("weg mit {group.pl}", "weg mit {stadt}", r"nothing is listed for \{stadt\}"),
        ("[hate, threat]", "[hat]", r"cases\.1\.labels\.0"),
        ("language: de", "sprache: de", "language"),
        ("words: {", "words: {{", "yaml: while parsing"),
    ],
)
def test_a_wrong_file_is_named_with_the_place(cases: Path, old: str, new: str, word: str):
    cases.write_text(CASES.replace(old, new))
    with pytest.raises(UserMistake, match=word):
        load(cases.parent, 3)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_ships_expands_cleanly_and_has_both_kinds(path: Path):
    contrast = read(path)
    rows = list(expand(contrast, 1))
    assert contrast.language == path.stem
    assert not [row.text for row in rows if any(mark in row.text for mark in "{}[]<>")]
    for c in range(len(CATEGORIES)):
        assert {0.0, 1.0} <= {row.labels[c] for row in rows}
