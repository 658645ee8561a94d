"""The shipped text detector: what a score may and may not depend on."""

import os
import random
import socket
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from detectors.items import Items
from detectors.loading.model_directory import open_directory
from detectors.text.detector import DEFAULT_MODEL, TextDetector, build
from detectors.text.foundation import Foundation
from detectors.text.packed import ATTENTION, pack, text_vectors
from detectors.text.tokenisation import CHUNK, MOST_CHUNKS, Vocabulary
from schemas.errors import UserMistake
from schemas.statuses import Reason, Status

TEXTS = [
    "Thanks for the lovely recipe, my kids ate all of it!",
    "you are a stupid worthless bitch, nobody likes you",
    "what the fuck is this shit weather",
    "those people are subhuman vermin and should all be thrown out of our country",
    "ok",
    "The committee will meet on Tuesday to discuss the new timetable. " * 12,
    "\N{PILE OF POO} \N{FLEXED BICEPS}\N{EMOJI MODIFIER FITZPATRICK TYPE-5} ça va? Ω",
]


def quiet(_: int) -> None:
    """Nobody waits for hints."""


def probabilities(detector: TextDetector, texts: list[str]) -> NDArray[np.float32]:
    return detector.score(Items.of(texts), quiet).probability


@pytest.fixture(scope="module")
def detector():
    loaded = build({"precision": "float32", "device": "cpu"})
    loaded.warm()
    return loaded


@pytest.fixture(scope="module")
def foundation():
    base = open_directory(DEFAULT_MODEL).config.base
    return Foundation(base.base(), base.kind)


@pytest.fixture(scope="module")
def vocabulary(foundation: Foundation):
    return foundation.vocabulary()


def test_a_score_is_the_same_whatever_its_neighbours_and_the_budget(detector: TextDetector):
    alone = np.concatenate([probabilities(detector, [text]) for text in TEXTS])
    rng = random.Random(1)
    for budget in (256, 1024):
        other = build({"precision": "float32", "device": "cpu", "token_budget": budget})
        order = [i for i in range(len(TEXTS)) for _ in range(3)]
        rng.shuffle(order)
        together = other.score(Items.of([TEXTS[i] for i in order]), quiet)
        assert np.abs(together.probability - alone[order]).max() < 1e-5
        assert (together.status == Status.scored).all()


def test_more_texts_than_are_tokenised_at_once_each_keep_their_own_score(detector: TextDetector):
    few = ["fine", "you are scum", "ok"]
    hints: list[int] = []
    many = detector.score(Items.of(few * 400), hints.append).probability
    assert np.abs(many - np.tile(probabilities(detector, few), (400, 1))).max() < 1e-5
    assert hints == sorted(hints)


def test_packed_attention_equals_padded_attention(foundation: Foundation, vocabulary: Vocabulary):
    rows = [vocabulary.chunks(ids)[0] for ids in vocabulary.pieces(TEXTS)]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    with torch.inference_mode():
        hidden = foundation.encoder("sdpa")(input_ids=ids, attention_mask=mask).last_hidden_state
        padded = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        packed = text_vectors(foundation.encoder(ATTENTION), pack(rows))
    assert (packed - padded).abs().max() < 1e-5


def test_a_mask_is_refused_rather_than_ignored(foundation: Foundation):
    encoder = foundation.encoder(ATTENTION)
    with pytest.raises(ValueError, match="no attention mask"):
        encoder(
            input_ids=torch.tensor([[5, 6]]), attention_mask=torch.ones(1, 1, 2, 2), bounds=[0, 2], device_bounds=None
        )


def test_bfloat16_moves_a_probability_by_little(detector: TextDetector):
    half = build({"precision": "bfloat16", "device": "cpu"})
    half.warm()
    assert np.abs(probabilities(half, TEXTS) - probabilities(detector, TEXTS)).max() < 0.05


def test_abuse_scores_above_the_harmless_in_its_category(detector: TextDetector):
    scores = probabilities(detector, TEXTS)
    hate, harassment, profanity = (detector.categories.index(name) for name in ("hate", "harassment", "profanity"))
    for harmless in (0, 4, 5):
        assert scores[3, hate] > scores[harmless, hate] + 0.3
        assert scores[1, harassment] > scores[harmless, harassment] + 0.3
        assert scores[2, profanity] > scores[harmless, profanity] + 0.3


def test_special_tokens_in_a_text_are_text(vocabulary: Vocabulary):
    [ids] = vocabulary.pieces(["a [SEP] b [CLS] [PAD] [MASK] <s> </s> <pad> <mask> \0<s> \0</s>"])
    special = {vocabulary.tokenizer.token_to_id(name) for name in ("[PAD]", "[MASK]", "\0<pad>", "\0<mask>")}
    assert not {vocabulary.first, vocabulary.last, *special} & set(ids)


@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "\ud800", "\u202e", "\ufdfa" * 50, "a" * 200_000, "\N{PILE OF POO}" * 5_000]
)
def test_no_text_is_too_odd_to_score(detector: TextDetector, text: str):
    answer = detector.score(Items.of([text]), quiet)
    [status], [reason] = answer.status.tolist(), answer.reason.tolist()
    if len(text) < 5_000:
        assert status == Status.scored
        assert ((answer.probability >= 0) & (answer.probability <= 1)).all()
    else:  # no part of a text that is too long stands for it
        assert (status, reason) == (Status.abstained, Reason.unsure)
        assert np.isnan(answer.probability).all()


def test_no_texts_give_no_scores(detector: TextDetector):
    answer = detector.score(Items.of([]), quiet)
    assert answer.probability.shape == (0, len(detector.categories))
    assert answer.status.shape == (0,)


@pytest.mark.parametrize("before", [0, 400, 1000])
def test_abuse_is_found_wherever_it_stands_in_a_long_text(detector: TextDetector, before: int):
    filler = "The committee will meet on Tuesday to discuss the new timetable . "
    long = filler * (before // 10) + TEXTS[1] + " . " + filler * ((1500 - before) // 10)
    harassment = detector.categories.index("harassment")
    with_it, without = probabilities(detector, [long, filler * 150])[:, harassment]
    assert with_it > without + 0.05


def test_chunks_cover_a_text_with_overlap(vocabulary: Vocabulary):
    chunks, first, last = vocabulary.chunks, vocabulary.first, vocabulary.last
    ids = list(range(1000, 2000))
    cut = chunks(ids)
    assert all(len(chunk) <= CHUNK and chunk[0] == first and chunk[-1] == last for chunk in cut)
    assert sorted({piece for chunk in cut for piece in chunk[1:-1]}) == ids
    assert chunks([]) == [[first, last]]
    assert len(chunks(ids[: CHUNK - 2])) == 1


def test_of_a_very_long_text_evenly_spread_chunks_are_read(vocabulary: Vocabulary):
    cut = vocabulary.chunks(list(range(1000, 200_000)))
    assert len(cut) == MOST_CHUNKS
    assert cut[0][1] == 1000
    assert cut[-1][-2] == 199_999


@pytest.mark.parametrize("words", [1_000, 100_000])
def test_a_text_that_is_not_read_whole_has_no_score(detector: TextDetector, words: int):
    answer = detector.score(Items.of(["fine " * words, "fine"]), quiet)
    read = words == 1_000
    assert answer.status.tolist() == [Status.scored if read else Status.abstained, Status.scored]
    assert answer.reason.tolist() == [Reason.none if read else Reason.unsure, Reason.none]
    assert np.isnan(answer.probability[0]).all() != read


def test_a_text_of_a_hundred_thousand_characters_costs_bounded_work(detector: TextDetector):
    began = time.process_time()
    detector.score(Items.of(["word " * 20_000]), quiet)
    assert time.process_time() - began < 30


def test_a_hint_comes_before_each_micro_batch(detector: TextDetector):
    hints: list[int] = []
    detector.score(Items.of([TEXTS[5]] * 40), hints.append)
    assert hints[0] == 0
    assert hints == sorted(hints)
    assert len(hints) > 3
    assert max(b - a for a, b in zip(hints, [*hints[1:], 40], strict=True)) <= 1024 // 100


def test_it_may_be_loaded_before_a_fork_and_used_after():
    """As the detector process does it: the child scores what the parent loaded, and a second child does too."""
    script = f"""
import os
from detectors.items import Items
from detectors.text.detector import build
detector = build({{}})
for _ in range(2):
    child = os.fork()
    if child == 0:
        detector.warm()
        p = detector.score(Items.of([{TEXTS[1]!r}] * 40), lambda i: None).probability
        os._exit(0 if p.max() > 0.5 else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120, env=dict(os.environ))


def test_a_text_in_a_language_it_was_not_evaluated_in_is_abstained_from(detector: TextDetector):
    thai, english = "วันนี้อากาศดีมากเลยครับ ไปเดินเล่นกัน", "The weather is lovely today, let us go for a walk"
    answer = detector.score(Items([english, thai, "ok", "ok"], ["", "", "", "th"], [()] * 4), quiet)
    assert answer.status.tolist() == [Status.scored, Status.abstained, Status.scored, Status.abstained]
    assert answer.reason.tolist() == [Reason.none, Reason.language, Reason.none, Reason.language]
    assert np.isnan(answer.probability[[1, 3]]).all()
    assert np.isfinite(answer.probability[[0, 2]]).all()


def test_loading_and_scoring_touch_no_network(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise AssertionError("somebody opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    build({"device": "cpu"}).score(Items.of(["hello"]), quiet)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"token_budget": 1}, "token_budget"),
        ({"precision": "int8"}, "precision"),
        ({"modle": "x"}, "modle"),
        ({"device": "gpu"}, "device"),
        ({"device": "cuda:99"}, r"device.*no cuda:99"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], word: str):
    with pytest.raises(UserMistake, match=word):
        build(options)
