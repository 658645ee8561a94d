"""From data sets to a model directory, on sentences of our own."""

import csv
import json
import math
import random
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from detectors.items import Items
from detectors.loading.model_directory import open_directory
from detectors.text.detector import build
from detectors.text.foundation import Foundation
from detectors.training.datasets import cleaned, load
from detectors.training.directory import unfinished
from detectors.training.drawing import Pools, batches
from detectors.training.fit import Trainer, fit, masked_loss, twin_loss
from detectors.training.identities import exchanged
from detectors.training.labels import harassment, profanity
from detectors.training.llm_cases import from_topics
from detectors.training.llm_evaluation import hatecheck
from detectors.training.material import gather
from detectors.training.recipe import Phase, Recipe
from detectors.training.rows import CATEGORIES, Examples
from detectors.training.splits import gist, split
from detectors.training.text import BASE, held_apart, train
from schemas.errors import UserMistake

SWEARING = ("bitch", "cunt", "whore", "slut", "twat", "asshole")
OWN = """\
language: en
groups: [{about: origin, pl: newcomers, sg: a newcomer}, {about: age, pl: teenagers, sg: a teenager, class: m}]
words:
  one: [apples, pears, plums, cherries, grapes, lemons, figs, dates, limes, melons]
  two: [red, green, blue, yellow, pink, brown, white, grey, black, violet]
cases:
"""


def sentence(number: int, *, bad: bool) -> str:
    """Words of random letters, so that no two sentences are near-identical, and an insult among them if `bad`."""
    rng = random.Random(number * 2 + bad)
    words = ["".join(rng.choices("abcdefghiklmnoprstu", k=rng.randrange(3, 9))) for _ in range(10)]
    return " ".join([*words[:5], *(["you", rng.choice(SWEARING)] if bad else ["with", "thanks"]), *words[5:]])


def write_csv(path: Path, rows: list[dict[str, Any]], delimiter: str = ","):
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def own(tmp_path: Path):
    """Contrast cases: for each category templates that have it and templates that have none."""
    lines = []
    for category in ("", *CATEGORIES):
        word = " ".join([category or "nothing"] * 4)
        texts = [f'      - "{word} t{i} {{two}} {{one}} for {{group.pl}}"' for i in range(40)]
        lines += [f"  - kind: {category or 'none'}", f"    labels: [{category}]", "    texts:", *texts]
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "en.yaml").write_text(OWN + "\n".join(lines) + "\n")
    return folder


@pytest.fixture
def data(tmp_path: Path):
    """Every source in its publisher's format, with made-up rows."""
    folder = tmp_path / "data"
    folder.mkdir()
    bad = [i % 2 == 0 for i in range(240)]
    texts = [sentence(i, bad=b) for i, b in enumerate(bad)]
    write_csv(
        folder / "davidson/labeled_data.csv",
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
        write_csv(folder / f"hatemoji/build_{name}.csv", rows)
    (folder / "safenlp").mkdir()
    for start, name, group in ((5000, "toxiGen", "poets"), (6000, "implicitHate", "all_groups")):
        rows = [
            {"text": sentence(start + i, bad=i % 2 == 0), "label": "neutral" if i % 2 else "hate"}
            | {"toxicity_score": 1.0 if i % 2 else 5.0, "target_groups": [group]}
            for i in range(60)
        ]
        (folder / f"safenlp/{name}.json").write_text(json.dumps(rows))
    rows = [
        {"file_id": f"{i}_1", "label": "noHate" if i % 2 else "hate", "text": sentence(7000 + i, bad=i % 2 == 0)}
        for i in range(60)
    ]
    write_csv(folder / "vicomtech/sentences.csv", rows)
    rows = [
        {"id": i, "tweet": sentence(8000 + i, bad=i % 2 == 0), "subtask_a": "NOT" if i % 2 else "OFF"}
        | {"subtask_b": "NULL" if i % 2 else "TIN", "subtask_c": "NULL" if i % 2 else "IND"}
        for i in range(60)
    ]
    write_csv(folder / "olid/olid-training-v1.0.tsv", rows, "\t")
    (folder / "tweeteval/hate").mkdir(parents=True)
    for start, part in ((9000, "train"), (9500, "val")):
        lines = [sentence(start + i, bad=i % 2 == 0) + "\n" for i in range(40)]
        (folder / f"tweeteval/hate/{part}_text.txt").write_text("".join(lines))
        (folder / f"tweeteval/hate/{part}_labels.txt").write_text("1\n0\n" * 20)
    lines = [
        sentence(11000 + i, bad=i % 2 == 0) + ("\tOTHER\tOTHER\n" if i % 2 else "\tOFFENSE\tABUSE\n") for i in range(60)
    ]
    (folder / "germeval2018").mkdir()
    (folder / "germeval2018/training.txt").write_text("".join(lines))
    rows = [
        {"comments": sentence(12000 + i, bad=i % 2 == 0), "contain_gender_bias": "False"}
        | {"bias": "none" if i % 2 else "others", "hate": "none" if i % 2 else "hate"}
        for i in range(60)
    ]
    write_csv(folder / "korean_hate/train.tsv", rows, "\t")
    (folder / "sms_spam").mkdir()
    lines = [("ham\t" if i % 2 else "spam\twin cash ") + sentence(13000 + i, bad=False) + "\n" for i in range(60)]
    (folder / "sms_spam/sms.tsv").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def foundation():
    return Foundation(BASE.base(), BASE.kind)


def examples(texts: list[str], groups: list[str] | None = None) -> Examples:
    n = len(texts)
    return Examples(texts, ["s"] * n, groups or [""] * n, np.zeros((n, len(CATEGORIES)), np.float32))


def small(rounds: int, rows: int, **more: Any) -> Recipe:
    return Recipe(phases=(Phase(1, 1.0, peak=1.0), Phase(rounds - 1, 0.5)), round_rows=rows, fillings=6, **more)


@pytest.mark.timeout(900)  # two minutes of one core, and cores are shared
def test_from_data_to_a_directory_that_scores(data: Path, own: Path, tmp_path: Path):
    """The whole way, with few rows: what comes out opens, is calibrated, and tells the two kinds apart."""
    lines: list[str] = []
    card = train(
        data, tmp_path / "model", small(4, 300, batch_pieces=256, learning_rate=1e-3, obfuscate=0.0), lines.append, own
    )
    detector = build({"model": tmp_path / "model", "device": "cpu"})
    scores = detector.score(Items.of([sentence(9001, bad=True), sentence(9002, bad=False)]), lambda _: None).probability
    assert scores[0, 0] > scores[1, 0]
    assert card.model_dump(mode="json") == open_directory(tmp_path / "model").card.model_dump(mode="json")
    assert card.evaluation["test"]["hate"]["roc_auc"]["value"] > 0.7
    assert set(card.evaluation["evasion"]) >= {"lookalikes", "leetspeak", "invisible", "combining", "spacing"}
    assert any("rows/s" in line and "left" in line for line in lines)
    assert not (tmp_path / "model.state").exists()
    with pytest.raises(UserMistake, match="there already"):
        train(data, tmp_path / "model", small(2, 8), lines.append, own)


def test_a_stopped_run_goes_on_and_gives_the_same_weights(
    data: Path, own: Path, tmp_path: Path, foundation: Foundation
):
    """Stopped in its second round: that round is done again, from the state after the first."""
    recipe = small(2, 24)
    rows, _ = gather(data, own, recipe.fillings)
    whole = fit(rows, foundation, recipe, tmp_path / "whole.state", lambda _: None)
    stopped = Trainer(foundation, recipe)
    vocabulary, pools = foundation.vocabulary(), Pools(rows, recipe)
    done = 0
    for batch in batches(rows, pools, vocabulary, recipe, 0):
        stopped.step(batch, done / 24)
        done += batch.drawn
    stopped.save(tmp_path / "half.state", 1)
    halves = fit(rows, foundation, recipe, tmp_path / "half.state", lambda _: None)
    assert whole.keys() == halves.keys()
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


def test_a_round_draws_by_the_shares_of_the_recipe(data: Path, own: Path):
    recipe = small(2, 400)
    rows, _ = gather(data, own, recipe.fillings)
    pools = Pools(rows, recipe)
    sources = np.array(rows.sources)
    ours = [np.char.startswith(sources[pools.draw(number)], "contrast_").mean() for number in (0, 1)]
    assert ours[0] == 0
    assert ours[1] == pytest.approx(0.5, abs=0.05)
    assert pools.draw(1).tolist() == Pools(rows, recipe).draw(1).tolist()


def test_no_batch_is_over_the_budget_and_no_row_is_left_out(data: Path, own: Path, foundation: Foundation):
    recipe = small(2, 200, batch_pieces=256)
    rows, _ = gather(data, own, recipe.fillings)
    cut = list(batches(rows, Pools(rows, recipe), foundation.vocabulary(), recipe, 1))
    assert all(batch.ids.numel() <= 256 and batch.ids.shape == batch.mask.shape for batch in cut)
    assert sum(batch.drawn for batch in cut) == len(Pools(rows, recipe).draw(1))


def test_twins_share_a_batch_and_their_labels_and_differ_in_words(data: Path, own: Path, foundation: Foundation):
    recipe = Recipe(phases=(Phase(1, 0.5, twins=1.0, peak=1.0),), round_rows=200, batch_pieces=256, fillings=6)
    rows, _ = gather(data, own, recipe.fillings)
    cut = list(batches(rows, Pools(rows, recipe), foundation.vocabulary(), recipe, 0))
    assert sum(len(batch.twins) for batch in cut) > 50
    for batch in cut:
        for first, second in batch.twins.tolist():
            assert torch.equal(batch.labels[first].nan_to_num(-1), batch.labels[second].nan_to_num(-1))
            assert not torch.equal(batch.ids[first], batch.ids[second])


def test_twins_that_score_alike_cost_nothing():
    logits = torch.tensor([[1.0, -2.0], [1.0, -2.0], [4.0, 0.0]])
    assert twin_loss(logits, torch.tensor([[0, 1]])) == 0
    assert twin_loss(logits, torch.zeros(0, 2, dtype=torch.long)) == 0
    assert twin_loss(logits, torch.tensor([[1, 2]])) > twin_loss(logits / 2, torch.tensor([[1, 2]])) > 0


def test_the_learning_rate_rises_again_for_each_peak():
    recipe = Recipe(phases=(Phase(2, 1.0, peak=1.0), Phase(8, 0.5), Phase(10, 0.5, peak=0.5)), warm_up=0.1)
    paces = [recipe.pace(rounds) for rounds in (0, 1, 2, 9.99, 10, 11, 19.99, 20)]
    assert paces == pytest.approx([0, 1, 8 / 9, 0, 0, 0.5, 0, 0], abs=0.01)


@pytest.mark.parametrize(
    ("language", "text", "kept"),
    [("en", "A Muslim baker and his muslim friend", "baker and his"), ("de", "Ein schwuler Bäcker", "Bäcker")],
)
def test_groups_are_exchanged_alike_everywhere_in_a_text(language: str, text: str, kept: str):
    found = {exchanged(text, language, random.Random(n)) for n in range(40)}
    assert len(found) > 10
    assert all(kept in one for one in found)
    assert exchanged(text, "fr", random.Random(1)) == text


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


def test_a_source_that_was_left_out_is_judged_by_texts_unlike_those_that_were_learnt():
    base = [sentence(i, bad=False) for i in range(300)]
    both = examples(base + [f"{text} a" for text in base])
    both = Examples(both.texts, ["kept"] * 300 + ["gone"] * 300, both.groups, both.labels)
    parts = split(both)
    held = held_apart(both, parts, "gone").tolist()
    learnt = {i for i in parts.train.tolist() if both.sources[i] == "kept"}
    assert len(held) > 15
    assert sum(i - 300 in learnt for i in held) <= len(held) // 20
    assert all(both.sources[i] == "gone" for i in held)


@pytest.mark.parametrize("prefix", ["pair/", "contrast/en/"])
def test_rows_of_one_group_stay_together(prefix: str):
    rng = random.Random(2)
    texts = ["".join(rng.choice("abcdefgh ") for _ in range(60)) for _ in range(200)]
    parts = split(examples(texts, [f"{prefix}{i // 2}" for i in range(200)]))
    train_part = set(parts.train.tolist())
    assert 100 < len(train_part) < 200
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


def test_no_topical_message_is_in_two_parts():
    drawn = {
        part: {case.text for case in from_topics(3, times=60, part=part)} for part in ("train", "calibration", "test")
    }
    assert all(len(texts) > 20 for texts in drawn.values())
    assert all(drawn[a].isdisjoint(drawn[b]) for a, b in combinations(drawn, 2))


def test_a_case_of_hatecheck_that_was_learnt_is_left_out(tmp_path: Path):
    names = ("test_case", "label_gold", "functionality", "target_ident")
    cases = [("I hate poets!", "hateful", "a", "poets"), ("I like poets.", "non-hateful", "b", "poets")]
    write_csv(tmp_path / "hatecheck/test_suite_cases.csv", [dict(zip(names, case, strict=True)) for case in cases])
    found = hatecheck(tmp_path, 10, {gist("i hate POETS")})
    assert found is not None
    assert found[0].texts == ["I like poets."]


def test_an_unfinished_directory_is_not_seen(tmp_path: Path):
    def fails(out: Path):
        with unfinished(out) as folder:
            (folder / "half").write_text("")
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fails(tmp_path / "model")
        assert not (tmp_path / "model").exists()


def test_an_unknown_label_takes_no_part_in_the_loss():
    logits = torch.tensor([[1.0, -3.0], [0.5, 2.0]], requires_grad=True)
    loss = masked_loss(logits, torch.tensor([[1.0, math.nan], [0.0, math.nan]]))
    loss.backward()
    assert torch.isfinite(loss)
    assert (logits.grad[:, 1] == 0).all()
    assert (logits.grad[:, 0] != 0).all()
