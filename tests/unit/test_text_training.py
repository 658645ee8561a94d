"""From data sets to a model directory, on sentences of our own."""

import csv
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from detectors.base_models import locate
from detectors.items import Items
from detectors.model_directory import open_directory
from detectors.text import build
from detectors.training.datasets import CATEGORIES, Examples, cleaned, load
from detectors.training.fit import QUOTAS, Recipe, fit, masked_loss
from detectors.training.labels import harassment, profanity
from detectors.training.obfuscation import obfuscated
from detectors.training.splits import split
from detectors.training.text import BASE, train
from schemas.errors import UserMistake

SWEARING = ("bitch", "cunt", "whore", "slut", "twat", "asshole")


def sentence(number: int, *, bad: bool) -> str:
    """Words of random letters, so that no two sentences are near-identical, and an insult among them if `bad`."""
    rng = random.Random(number * 2 + bad)
    words = ["".join(rng.choices("abcdefghiklmnoprstu", k=rng.randrange(3, 9))) for _ in range(10)]
    return " ".join([*words[:5], *(["you", rng.choice(SWEARING)] if bad else ["with", "thanks"]), *words[5:]])


def write_csv(path: Path, rows: list[dict[str, Any]]):
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def data(tmp_path: Path):
    """Every source in its publisher's format, with a few hundred made-up rows."""
    bad = [i % 2 == 0 for i in range(240)]
    texts = [sentence(i, bad=b) for i, b in enumerate(bad)]
    write_csv(
        tmp_path / "davidson/labeled_data.csv",
        [
            {"class": "02"[not b] if i % 4 else "12"[not b], "tweet": t}
            for i, (t, b) in enumerate(zip(texts, bad, strict=True))
        ],
    )
    for part, name in enumerate(("train", "validation", "test")):
        rows = [
            {"entry_id": i, "text": sentence(1000 * part + i + 1000, bad=i % 2 == 0), "label_gold": int(i % 2 == 0)}
            | {"matched_id": i ^ 1}
            for i in range(40)
        ]
        write_csv(tmp_path / f"hatemoji/build_{name}.csv", rows)
    (tmp_path / "safenlp").mkdir()
    for start, name, group in ((5000, "toxiGen", "poets"), (6000, "implicitHate", "all_groups")):
        rows = [
            {"text": sentence(start + i, bad=i % 2 == 0), "label": "neutral" if i % 2 else "hate"}
            | {"toxicity_score": 1.0 if i % 2 else 5.0, "target_groups": [group]}
            for i in range(60)
        ]
        (tmp_path / f"safenlp/{name}.json").write_text(json.dumps(rows))
    rows = [
        {"file_id": f"{i}_1", "label": "noHate" if i % 2 else "hate", "text": sentence(7000 + i, bad=i % 2 == 0)}
        for i in range(60)
    ]
    write_csv(tmp_path / "vicomtech/sentences.csv", rows)
    return tmp_path


def examples(texts: list[str], groups: list[str] | None = None) -> Examples:
    n = len(texts)
    return Examples(texts, ["s"] * n, groups or [""] * n, np.zeros((n, len(CATEGORIES)), np.float32))


def test_from_data_to_a_directory_that_scores(data: Path, tmp_path: Path):
    """The whole way, with one short epoch: what comes out opens, is calibrated, and tells the two kinds apart."""
    lines: list[str] = []
    recipe = Recipe(epochs=1, quotas=dict.fromkeys(QUOTAS, (48, 48)), learning_rate=3e-3)
    card = train(data, tmp_path / "model", recipe, lines.append)
    detector = build({"model": tmp_path / "model", "device": "cpu"})
    items = Items.of([sentence(9001, bad=True), sentence(9002, bad=False)])
    scores = detector.score(items, lambda _: None).probability
    assert (scores[0] > scores[1]).all()
    assert card.model_dump(mode="json") == open_directory(tmp_path / "model").card.model_dump(mode="json")
    assert card.evaluation["test"]["hate"]["roc_auc"] > 0.8
    assert any("rows/s" in line and "left" in line for line in lines)
    with pytest.raises(UserMistake, match="there already"):
        train(data, tmp_path / "model", recipe, lines.append)


def test_the_same_seed_gives_the_same_weights(data: Path):
    rows, _ = load(data)
    recipe = Recipe(epochs=1, quotas=dict.fromkeys(QUOTAS, (8, 8)))
    first, again = (fit(rows, locate(BASE.base()), recipe, lambda _: None) for _ in range(2))
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_missing_data_set_is_named_with_where_to_get_it(data: Path):
    (data / "vicomtech/sentences.csv").unlink()
    with pytest.raises(UserMistake, match=r"sentences\.csv is missing: get vicomtech from https://github\.com"):
        load(data)


def test_loading_keeps_no_handle_and_no_link():
    assert cleaned("RT @some_body: look https://t.co/x &amp;lt;3") == "RT @user: look http <3"


def test_identical_texts_are_kept_once_and_near_identical_ones_stay_together():
    base = [f"number {i} is quite unlike the other {i * 7919 % 1000} ones in what it says {i**3}" for i in range(300)]
    near = [text.replace("quite", "very") for text in base]
    same = [text.upper() + "!!" for text in base]
    parts = split(examples(base + near + same))
    where = {int(i): name for name in ("train", "calibration", "test") for i in getattr(parts, name)}
    assert all(600 + i not in where for i in range(300))
    assert sum(where[i] == where[300 + i] for i in range(300)) >= 285
    assert {"train", "calibration", "test"} == set(where.values())


def test_rows_of_one_group_stay_together():
    rng = random.Random(2)
    texts = ["".join(rng.choice("abcdefgh ") for _ in range(60)) for _ in range(200)]
    parts = split(examples(texts, [f"pair/{i // 2}" for i in range(200)]))
    train_part = set(parts.train.tolist())
    assert all((i in train_part) == (i + 1 in train_part) for i in range(0, 200, 2))


def test_parts_do_not_change_when_rows_are_added():
    rng = random.Random(3)
    texts = ["".join(rng.choice("abcdefgh ") for _ in range(60)) for _ in range(400)]
    before, after = split(examples(texts[:200])), split(examples(texts))
    assert [i for i in after.test if i < 200] == before.test.tolist()


@pytest.mark.parametrize(
    ("text", "offensive", "label"),
    [
        ("what the fuck", None, 1.0),
        ("What the FUCK", False, 1.0),
        ("sh1t happens", None, 1.0),
        ("a cocktail in Scunthorpe, class", None, 0.0),
        ("damn it", None, math.nan),
        ("those people should go home", True, math.nan),
    ],
)
def test_profanity_by_its_definition(text: str, offensive: bool | None, label: float):
    assert profanity(text, offensive=offensive) == pytest.approx(label, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "offensive", "label"),
    [
        ("you are such an idiot", True, 1.0),
        ("@user loser", True, 1.0),
        ("go kill yourself", True, 1.0),
        ("RT @user: these hoes be crazy", True, 0.0),
        ("you know how these hoes are crazy about this", True, math.nan),
        ("you are such an idiot", False, 0.0),
        ("you are such an idiot", None, math.nan),
        ("see you tomorrow", None, 0.0),
    ],
)
def test_harassment_by_its_definition(text: str, offensive: bool | None, label: float):
    assert harassment(text, offensive=offensive) == pytest.approx(label, nan_ok=True)


def test_an_unknown_label_takes_no_part_in_the_loss():
    logits = torch.tensor([[1.0, -3.0], [0.5, 2.0]], requires_grad=True)
    loss = masked_loss(logits, torch.tensor([[1.0, math.nan], [0.0, math.nan]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert (logits.grad[:, 1] == 0).all()
    assert (logits.grad[:, 0] != 0).all()


def test_only_strong_words_are_respelled():
    rng = random.Random(1)
    found = {obfuscated("what the fuck is this", rng) for _ in range(50)}
    assert len(found) > 10
    assert all(text.startswith("what the ") and text.endswith(" is this") for text in found)
    assert obfuscated("nothing of the kind", rng) == "nothing of the kind"
