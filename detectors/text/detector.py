"""The text detector: an encoder with a trained adapter, several categories in one forward.

    language → normal form → word pieces → chunks → packed forward → head → Platt scaling → the highest of the chunks

A text in a language that the model was not evaluated in is abstained from, and so is one too long to be read whole.

The factory loads on the CPU and computes nothing, so that a process may fork after it; `warm` takes the device, which
no fork survives, and runs a first forward. How many threads a forward takes is for the process to say (torch).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from safetensors.torch import load

from detectors.calibration import Platt
from detectors.devices import DeviceOptions, check_device, chosen_device, chosen_precision, most_tokens
from detectors.interface import Answer
from detectors.items import Items
from detectors.loading.adapters import merge_adapter
from detectors.loading.model_directory import SHIPPED, ModelDirectory, open_directory
from detectors.options import checked
from detectors.runtime.budget import Budget
from detectors.text.foundation import Foundation
from detectors.text.language import LanguageGate, primary
from detectors.text.packed import ATTENTION, pack, text_vectors
from detectors.text.tokenisation import CHUNK, fits
from schemas.statuses import Reason, Status

DEFAULT_MODEL: Final = SHIPPED / "text-multilingual"
_PER_TEXT: Final = 8  # word pieces: a window of texts, tokenised at once, fills a forward some times over


class Options(DeviceOptions):
    """What configuration may say of this detector."""

    model: Path = DEFAULT_MODEL  # a model directory
    token_budget: int = Field(default=1024, ge=256)  # word pieces in one forward


class TextDetector:
    """See `detectors.interface.Detector`. Not thread-safe."""

    modalities: Final = ("text",)
    cost_ms: Final = 8.0

    def __init__(self, directory: ModelDirectory, options: Options) -> None:
        foundation = Foundation(directory.config.base.base(), directory.config.base.kind)
        tensors, adapter = load(directory.weights), directory.config.adapter
        self.version = directory.version
        self.languages: frozenset[str] | None = frozenset(map(primary, directory.card.languages))
        self.categories: tuple[str, ...] = tuple(directory.config.categories)
        fitted = [directory.card.calibration[category] for category in directory.config.categories]
        self._platt = [Platt(one.slope, one.intercept) for one in fitted]
        self._options = options
        self._budget = Budget(options.token_budget)
        self._gate = LanguageGate(self.languages)
        self._vocabulary = foundation.vocabulary()
        self._encoder = foundation.encoder(ATTENTION)
        merge_adapter(self._encoder, tensors, adapter.alpha / adapter.rank)
        self._head = torch.nn.Linear(self._encoder.config.hidden_size, len(self.categories))
        self._head.load_state_dict({name: tensors[f"head.{name}"] for name in ("weight", "bias")})
        torch.nn.ModuleList([self._encoder]).to(chosen_precision(options.precision, "cpu"))  # the head stays in float32

    def warm(self) -> None:
        """Take the device and run a first forward. Call it in the process that scores, once."""
        device = chosen_device(self._options.device)
        torch.nn.ModuleList([self._encoder]).to(chosen_precision(self._options.precision, device))
        torch.nn.ModuleList([self._encoder, self._head]).to(device)
        self._budget.warm_up(self._forward_of, most_tokens(device, self._options.token_budget))

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        """Probabilities (n, categories); `at(i)` before each micro-batch with its first row."""
        declined = self._gate.declined(items.texts, items.languages)
        rows = np.flatnonzero(~declined)
        logits, whole = self._read([items.texts[row] for row in rows.tolist()], lambda i: at(int(rows[i])))
        probability = np.full((len(items), len(self.categories)), np.nan, np.float32)
        for c, platt in enumerate(self._platt):
            probability[rows[whole], c] = platt.probability(logits[whole, c])
        reason = np.where(declined, Reason.language, Reason.none).astype(np.uint8)
        reason[rows[~whole]] = Reason.unsure
        return Answer(probability, np.where(reason, Status.abstained, Status.scored).astype(np.uint8), reason)

    def logits(self, texts: Sequence[str], at: Callable[[int], None]) -> NDArray[np.float32]:
        """Before calibration, (n, categories): the highest over a text's chunks, of a very long one those read."""
        return self._read(texts, at)[0]

    @torch.inference_mode()
    def _read(self, texts: Sequence[str], at: Callable[[int], None]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Logits (n, categories), and whether all of a text was read (n,)."""
        whole = np.ones(len(texts), np.bool_)
        highest = np.full((len(texts), len(self.categories)), -np.inf, np.float32)
        found: list[tuple[list[int], torch.Tensor]] = []
        window = self._budget.tokens // _PER_TEXT
        for first in range(0, len(texts), window):  # a device computes one while the next is tokenised
            at(first)  # tokenising is work on the rows too
            pieces = self._vocabulary.pieces(texts[first : first + window])
            whole[first : first + window] = [fits(ids) for ids in pieces]
            cut = [(row, chunk) for row, ids in enumerate(pieces, first) for chunk in self._vocabulary.chunks(ids)]
            found += self._launched(cut, at)
        for rows, logits in found:  # only here a device is waited for
            np.maximum.at(highest, rows, logits.cpu().numpy())
        return highest, whole

    def _launched(
        self, cut: Sequence[tuple[int, list[int]]], at: Callable[[int], None]
    ) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Rows and logits of micro-batches of (row, chunk)."""

        def forward(run: slice) -> torch.Tensor:
            at(cut[run.start][0])
            return self._forward([chunk for _, chunk in cut[run]])

        for run, logits in self._budget.runs([len(chunk) for _, chunk in cut], forward):
            yield [row for row, _ in cut[run]], logits

    def _forward(self, chunks: Sequence[Sequence[int]]) -> torch.Tensor:
        logits: torch.Tensor = self._head(text_vectors(self._encoder, pack(chunks)))
        return logits

    def _forward_of(self, tokens: int) -> None:
        """A forward of so many word pieces, for the warm-up, to its end."""
        with torch.inference_mode():
            self._forward([[1] * CHUNK] * max(1, tokens // CHUNK)).cpu()


def build(options: Mapping[str, Any]) -> TextDetector:
    """The detector as configured, loaded on the CPU. UserMistake if an option or the model directory is wrong."""
    return loaded(checked(Options, options))


def loaded(options: Options) -> TextDetector:
    """The same, for a detector that has one within it."""
    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    check_device(options.device)
    return TextDetector(open_directory(options.model), options)
