"""The LLM guard as a detector: a probability that a message breaks each of several policies, in one forward.

    views of the neutral text → prompt with shared policy prefixes → margin of the verdicts → Platt → the highest

A score is read from the logits of the verdicts' tokens; nothing is generated and nothing parsed, so there is no answer
that could be forged. The factory loads on the CPU; `warm` takes the device and computes the policies' prefixes.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from detectors.calibration import Platt
from detectors.devices import DeviceOptions, check_device, chosen_device, chosen_precision, most_tokens
from detectors.interface import Answer
from detectors.items import Items
from detectors.llm.directory import GuardDirectory, open_guard, platt, version_with
from detectors.llm.model import load_causal, load_tokenizer
from detectors.llm.packed import ATTENTION, Prefix, only_labels, prefix, to_precision, verdict_logits
from detectors.llm.prompt import Neutraliser, Pieces, rendered
from detectors.llm.shown import WINDOW, to_ask, views
from detectors.loading.adapters import merge_adapter
from detectors.loading.model_directory import SHIPPED
from detectors.options import checked
from detectors.runtime.budget import Budget
from detectors.text.language import LanguageGate, primary
from schemas.categories import Category
from schemas.errors import UserMistake
from schemas.statuses import Reason, Status

DEFAULT_MODEL: Final = SHIPPED / "guard-smollm2"
_MS_A_POLICY: Final = 60.0  # of one core, for a short message
_TYPICAL: Final = 64  # tokens of a message, in the warm-up


class Options(DeviceOptions):
    """What configuration may say of this detector."""

    model: Path = DEFAULT_MODEL  # a guard's model directory
    policies: dict[Category, str] = Field(default={})  # none: the directory's own
    token_budget: int = Field(default=1024, ge=128)  # tokens in one forward, all policies together


class GuardDetector:
    """See `detectors.interface.Detector`. Not thread-safe."""

    modalities: Final = ("text",)

    def __init__(self, directory: GuardDirectory, options: Options) -> None:
        policies = dict(options.policies or directory.guard.policies)
        if not policies:
            raise UserMistake(f"policies: none given, and {directory.folder} has none of its own")
        self.version = version_with(directory, {str(name): text for name, text in policies.items()})
        self.categories: tuple[str, ...] = tuple(map(str, policies))
        self.languages: frozenset[str] | None = frozenset(map(primary, directory.card.languages)) or None
        self.cost_ms = _MS_A_POLICY * len(policies)
        self._directory, self._options = directory, options
        self._budget = Budget(options.token_budget)
        self._gate = LanguageGate(self.languages) if self.languages else None
        folder = directory.base()
        tokenizer = load_tokenizer(folder)
        prompt = rendered(tokenizer, directory.guard.messages, directory.guard.cue)
        self._neutral, self._pieces = Neutraliser.of(tokenizer, prompt), Pieces(tokenizer.backend_tokenizer, prompt)
        verdicts = directory.guard.verdicts
        self._breaks = len(verdicts.breaks)  # the first columns of the head
        labels = [self._pieces.label(word) for word in (*verdicts.breaks, *verdicts.keeps)]
        self._precision = chosen_precision(options.precision, "cpu")
        self._model = _loaded(directory, folder, labels, self._precision)
        self._platts = self._fitted()
        self._questions = [self._pieces.prefix(text) for text in policies.values()]
        self._prefixes: list[Prefix] = []
        self._room: int = self._model.config.get_text_config().max_position_embeddings
        if max(map(len, self._questions)) + WINDOW > self._room:
            raise UserMistake(f"policies: policy and message may have {self._room} tokens, a policy is too long")

    def warm(self) -> None:
        """Take the device, compute the policies' prefixes and run a first forward, in the process that scores."""
        device = chosen_device(self._options.device)
        self._precision = chosen_precision(self._options.precision, device)
        self._platts = self._fitted()
        to_precision(self._model, self._precision)
        self._model.to(device)
        self._prefixes = [prefix(self._model, ids) for ids in self._questions]
        self._budget.warm_up(self._forward_of, most_tokens(device, self._options.token_budget))

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        """Probabilities (n, policies); `at(i)` before each micro-batch.

        Abstained: nothing to read, too much to read whole, a language it was not evaluated in. `error`: what has no
        room in the model.
        """
        outcomes, rows, shown = to_ask(items, self._gate, self._neutral)
        margins = self._highest([one.parts for one in shown], lambda i: at(rows[i]), self._prefixes)
        probability = np.full((len(items), len(self.categories)), np.nan, np.float32)
        for c, fitted in enumerate(self._platts):
            probability[rows, c] = fitted.probability(margins[:, c])
        for row in np.array(rows, int)[np.isnan(margins).any(axis=1)].tolist():
            probability[row], outcomes[row] = np.nan, (Status.error, Reason.raised)
        status, reason = np.array(outcomes, np.uint8).reshape(-1, 2).T
        return Answer(probability, status, reason)

    def margins(
        self, texts: Sequence[str], at: Callable[[int], None], only: Sequence[int] | None = None
    ) -> NDArray[np.float32]:
        """Before calibration: the log-odds of `breaks`, the highest of what is shown of a text, (n, policies).

        `only` these policies, by their places. -inf where a text has nothing to read, NaN where it has no room.
        """
        prefixes = [self._prefixes[place] for place in only] if only is not None else self._prefixes
        return self._highest([views(text, self._neutral).parts for text in texts], at, prefixes)

    def _highest(
        self, shown: Sequence[Sequence[str]], at: Callable[[int], None], prefixes: Sequence[Prefix]
    ) -> NDArray[np.float32]:
        if shown:
            at(0)  # tokenising is work on the rows too
        every = [(row, part) for row, parts in enumerate(shown) for part in parts]
        ids = self._pieces.contents([part for _, part in every])
        highest = np.full((len(shown), len(prefixes)), -np.inf, np.float32)
        room = self._room - max(each.tokens for each in prefixes)
        cut = [(row, part) for (row, _), part in zip(every, ids, strict=True) if len(part) <= room]

        def forward(run: slice) -> NDArray[np.float32]:
            at(cut[run.start][0])
            return self._forward(prefixes, [part for _, part in cut[run]])

        for run, found in self._budget.runs([len(part) * len(prefixes) for _, part in cut], forward):
            np.maximum.at(highest, [row for row, _ in cut[run]], found)
        highest[[row for (row, _), part in zip(every, ids, strict=True) if len(part) > room]] = np.nan
        return highest

    def _forward(self, prefixes: Sequence[Prefix], messages: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        logits = verdict_logits(self._model, prefixes, messages).cpu()
        found = logits[..., : self._breaks].logsumexp(-1) - logits[..., self._breaks :].logsumexp(-1)
        return np.asarray(found.T.numpy(), np.float32)

    def _forward_of(self, tokens: int) -> None:
        """A forward of so many tokens, for the warm-up."""
        many = max(1, tokens // (_TYPICAL * len(self._prefixes)))
        self._forward(self._prefixes, [[1] * _TYPICAL] * many)

    def _fitted(self) -> list[Platt]:
        return [platt(self._directory, self._precision, name) for name in self.categories]


def build(options: Mapping[str, Any]) -> GuardDetector:
    """The detector as configured, loaded on the CPU. UserMistake if an option or the model directory is wrong."""
    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    chosen = checked(Options, options)
    check_device(chosen.device)
    return GuardDetector(open_guard(chosen.model), chosen)


def _loaded(directory: GuardDirectory, folder: Path, labels: Sequence[int], precision: torch.dtype) -> Any:
    """The model with its adapter merged in float32, then cut down to the verdicts and taken to its precision."""
    model = load_causal(folder, ATTENTION)
    if adapter := directory.guard.adapter:
        merge_adapter(model, directory.adapter(), adapter.alpha / adapter.rank)
    only_labels(model, labels, precision)
    return model
