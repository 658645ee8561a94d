"""Text to word pieces, for BERT: nothing in a text is taken for a special token, and a long text is cut in chunks."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from detectors.normalisation import normal_form

CHUNK: Final = 256  # word pieces a forward sees of a text at once, both special tokens included
OVERLAP: Final = 64  # pieces that two neighbouring chunks share, so that nothing is cut in half unseen
MOST_CHUNKS: Final = 32  # of one text, about 30,000 characters; of a longer one these are spread evenly over it

CLS: Final = 101
SEP: Final = 102


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder: no truncation, no padding, "[SEP]" in a text is five pieces like any other."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its thread pool doesn't survive a fork
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def pieces(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Word piece ids of each text in normal form, without special tokens."""
    encoded = tokenizer.encode_batch_fast([normal_form(text) for text in texts], add_special_tokens=False)
    return [one.ids for one in encoded]


def chunks(ids: list[int]) -> list[list[int]]:
    """`[CLS] … [SEP]`, at most CHUNK long and MOST_CHUNKS many; always at least one."""
    room, step = CHUNK - 2, CHUNK - 2 - OVERLAP
    starts = list(range(0, max(1, len(ids) - OVERLAP), step))
    if len(starts) > MOST_CHUNKS:
        last = len(starts) - 1
        starts = [starts[round(i * last / (MOST_CHUNKS - 1))] for i in range(MOST_CHUNKS)]
    return [[CLS, *ids[start : start + room], SEP] for start in starts]
