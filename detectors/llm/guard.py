"""The LLM guard as a detector: a probability that a message breaks each of several policies, in one forward.

    views of the neutral text → prompt with shared policy prefixes → margin of the verdicts → Platt → the highest

A score is read from the logits of the verdicts' tokens; nothing is generated and nothing parsed, so there is no answer
that could be forged. The factory loads on the CPU; `warm` takes the device and computes the policies' prefixes.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from detectors.budget import within_budget
from detectors.interface import Answer
from detectors.items import Items
from detectors.llm.directory import GuardDirectory, open_guard, platt, version_with
from detectors.llm.model import load_causal, load_tokenizer, merge_adapter
from detectors.llm.packed import ATTENTION, Prefix, only_labels, prefix, verdict_logits
from detectors.llm.prompt import WINDOW, Neutraliser, Pieces, rendered, views
from detectors.model_directory import SHIPPED
from detectors.options import checked
from schemas.categories import Category
from schemas.errors import UserMistake
from schemas.statuses import Status

DEFAULT_MODEL: Final = SHIPPED / "guard-smollm2"
_MS_A_POLICY: Final = 60.0  # of one core, for a short message


class Options(BaseModel):
    """What configuration may say of this detector."""

    model_config = ConfigDict(extra="forbid")

    model: Path = DEFAULT_MODEL  # a guard's model directory
    policies: dict[Category, str] = {}  # none: the directory's own
    token_budget: int = Field(default=1024, ge=128)  # tokens in one forward, all policies together
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where the processor multiplies it
    device: str = "auto"  # auto: the first CUDA device if there is one


class GuardDetector:
    """See `detectors.interface.Detector`. Not thread-safe."""

    modalities: Final = ("text",)

    def __init__(self, directory: GuardDirectory, options: Options) -> None:
        policies = dict(options.policies or directory.guard.policies)
        if not policies:
            raise UserMistake(f"policies: none given, and {directory.folder} has none of its own")
        self.version = version_with(directory, {str(name): text for name, text in policies.items()})
        self.categories: tuple[str, ...] = tuple(map(str, policies))
        self.languages: frozenset[str] | None = frozenset(directory.card.languages) or None
        self.cost_ms = _MS_A_POLICY * len(policies)
        self._options = options
        self._precision = _precision(options.precision)
        self._platts = [platt(directory, self._precision, name) for name in self.categories]
        folder = directory.base()
        tokenizer = load_tokenizer(folder)
        self._neutral = Neutraliser(map(str, tokenizer.added_tokens_decoder.values()))
        self._pieces = Pieces(
            tokenizer.backend_tokenizer, rendered(tokenizer, directory.guard.turns(), directory.guard.cue)
        )
        verdicts = directory.guard.verdicts
        self._breaks = len(verdicts.breaks)  # the first columns of the head
        labels = [self._pieces.label(word) for word in (*verdicts.breaks, *verdicts.keeps)]
        self._model = _loaded(directory, folder, labels, self._precision)
        self._questions = [self._pieces.prefix(text) for text in policies.values()]
        self._prefixes: list[Prefix] = []
        self._check_room()

    def warm(self) -> None:
        """Take the device, compute the policies' prefixes and run a first forward, in the process that scores."""
        device = self._options.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model.to(device)
        self._prefixes = [prefix(self._model, ids) for ids in self._questions]
        self.score(Items.of(["a first text"]), lambda _: None)

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        """Probabilities (n, policies); `at(i)` before each micro-batch. Text without anything to read: abstained."""
        margins = self.margins(items.texts, at)
        probability = np.stack([platt.probability(margins[:, c]) for c, platt in enumerate(self._platts)], axis=1)
        status = np.full(len(items), Status.scored, np.uint8)
        status[np.isneginf(margins).all(axis=1)] = Status.abstained
        probability[status == Status.abstained] = np.nan
        return Answer(probability.astype(np.float32), status, np.zeros(len(items), np.uint8))

    def margins(
        self, texts: Sequence[str], at: Callable[[int], None], only: Sequence[int] | None = None
    ) -> NDArray[np.float32]:
        """Before calibration: the log-odds of `breaks`, the highest of what is shown of a text, (n, policies).

        `only` these policies, by their places. -inf where a text has nothing to read.
        """
        prefixes = [self._prefixes[place] for place in only] if only is not None else self._prefixes
        if texts:
            at(0)  # tokenising is work on the rows too
        cut = [(row, view) for row, text in enumerate(texts) for view in views(text, self._neutral)]
        ids = self._pieces.contents([view for _, view in cut])
        highest = np.full((len(texts), len(prefixes)), -np.inf, np.float32)
        for run in within_budget([len(one) for one in ids], self._options.token_budget // len(prefixes)):
            rows = [row for row, _ in cut[run]]
            at(rows[0])
            logits = verdict_logits(self._model, prefixes, ids[run]).cpu()
            found = logits[..., : self._breaks].logsumexp(-1) - logits[..., self._breaks :].logsumexp(-1)
            np.maximum.at(highest, rows, found.T.numpy())
        return highest

    def _check_room(self) -> None:
        room = self._model.config.get_text_config().max_position_embeddings
        longest = max(map(len, self._questions)) + WINDOW
        if longest > room:
            raise UserMistake(
                f"policies: policy and message may have {room} tokens, a policy is too long"
            )


def build(options: Mapping[str, Any]) -> GuardDetector:
    """The detector as configured, loaded on the CPU. UserMistake if an option or the model directory is wrong."""
    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    chosen = checked(Options, options)
    return GuardDetector(open_guard(chosen.model), chosen)


def _loaded(directory: GuardDirectory, folder: Path, labels: Sequence[int], precision: torch.dtype) -> Any:
    """The model with its adapter merged in float32, then cut down to the verdicts and taken to its precision."""
    model = load_causal(folder, ATTENTION)
    if adapter := directory.guard.adapter:
        merge_adapter(model, directory.adapter(), adapter.alpha / adapter.rank)
    only_labels(model, labels, precision)
    return model


def _precision(wanted: str) -> torch.dtype:
    if wanted == "auto":
        can = torch.cpu.get_capabilities()
        wanted = "bfloat16" if can.get("avx512_bf16") or can.get("amx_bf16") else "float32"
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32
