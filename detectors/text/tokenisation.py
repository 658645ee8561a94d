"""Text to word pieces, for BERT: nothing in a text is taken for a special token, and a long text is cut in chunks."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from detectors.text.normalisation import normal_form

CHUNK: Final = 256  # word pieces a forward sees of a text at once, both special tokens included
OVERLAP: Final = 64  # pieces that two neighbouring chunks share, so that nothing is cut in half unseen
MOST_CHUNKS: Final = 32  # of one text, about 30,000 characters; of a longer one these are spread over it, for training

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


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """How a base model's texts become ids."""

    tokenizer: Tokenizer
    first: int  # the id every text begins with
    last: int  # the one it ends with
    table: Mapping[int, str]  # code point → what the vocabulary was made with in its place; {} if it needs none

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text in normal form, without special tokens."""
        plain = [normal_form(text) for text in texts]
        if self.table:
            plain = [" ".join(text.translate(self.table).split()) for text in plain]
        return [one.ids for one in self.tokenizer.encode_batch_fast(plain, add_special_tokens=False)]

    def chunks(self, ids: list[int]) -> list[list[int]]:
        """`first … last`, at most CHUNK long and MOST_CHUNKS many; always at least one."""
        room, starts = CHUNK - 2, list(_starts(ids))
        if len(starts) > MOST_CHUNKS:
            end = len(starts) - 1
            starts = [starts[round(i * end / (MOST_CHUNKS - 1))] for i in range(MOST_CHUNKS)]
        return [[self.first, *ids[start : start + room], self.last] for start in starts]


def fits(ids: Sequence[int]) -> bool:
    """Whether the chunks of a text hold all of it."""
    return len(_starts(ids)) <= MOST_CHUNKS


def _starts(ids: Sequence[int]) -> range:
    return range(0, max(1, len(ids) - OVERLAP), CHUNK - 2 - OVERLAP)
