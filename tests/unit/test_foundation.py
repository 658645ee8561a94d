"""The multilingual base: read straight from its package's file, an ordinary encoder and vocabulary come out."""

import numpy as np
import pytest
import torch

from detectors.text.e5s1 import read
from detectors.text.foundation import Foundation
from detectors.training.text import BASE
from schemas.errors import UserMistake

PAIRS = [
    ("How is the weather today?", "Wie ist das Wetter heute?"),
    ("The parliament passed the law.", "El parlamento aprobó la ley."),
    ("My dog loves to swim in the lake.", "Mon chien adore nager dans le lac."),
    ("The train to Rome is late again.", "罗马的火车又晚点了。"),
]


@pytest.fixture(scope="module")
def foundation():
    return Foundation(BASE.base(), BASE.kind)


def test_a_sentence_lies_next_to_its_translation(foundation: Foundation):
    """As the model was made to do: any mistake in weights, layers or ids would spoil it."""
    vocabulary, encoder = foundation.vocabulary(), foundation.encoder("sdpa")
    with torch.inference_mode():
        vectors = [
            encoder(input_ids=torch.tensor([chunk])).last_hidden_state[0].mean(0)
            for ids in vocabulary.pieces([f"query: {text}" for pair in PAIRS for text in pair])
            for chunk in vocabulary.chunks(ids)
        ]
    unit = torch.nn.functional.normalize(torch.stack(vectors), dim=1).numpy()
    likeness = unit[0::2] @ unit[1::2].T
    assert (likeness.argmax(axis=1) == np.arange(len(PAIRS))).all()
    assert likeness.diagonal().min() > 0.85


def test_ids_are_those_of_xlm_r(foundation: Foundation):
    vocabulary = foundation.vocabulary()
    assert vocabulary.pieces(["Hello world"]) == [[35378, 8999]]
    assert (vocabulary.first, vocabulary.last) == (0, 2)
    assert vocabulary.tokenizer.get_vocab_size() == 250_002


def test_another_file_is_refused():
    with pytest.raises(UserMistake, match=r"x\.bin is not an E5S1 file"):
        read(b"E5S2" + bytes(1000), "x.bin")
