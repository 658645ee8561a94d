"""One LoRA adapter and one linear head on a BERT encoder, trained for several categories at once.

A row's loss is the binary cross-entropy of the categories that its source labels; the others take no part. A row that
stands beside its twin, the same about another group, also pays for how far the two logits are apart. Training goes in
rounds; after each one its state is saved, and a run that was stopped goes on from there.
LoRA: Hu et al. 2021, arXiv:2106.09685. Twins: counterfactual logit pairing, Garg et al. 2019, arXiv:1809.10610.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from detectors.text.foundation import Foundation
from detectors.training.drawing import Batch, Pools, batches
from detectors.training.recipe import Recipe
from detectors.training.rows import CATEGORIES, Examples

_EVERY_SECONDS: Final = 5.0
TARGETS: Final = ("query", "key", "value", "dense")
HATE_WEIGHT: Final = 2.0  # against one of each other category: it is the hardest, and has the most labels
TWIN_WEIGHT: Final = 0.5  # of a difference of 1 between two twins' logits of a category
_TYPICAL: Final = 160.0  # known labels of a batch: keeps the loss of long and of short batches on one scale


@dataclass(frozen=True, slots=True)
class Progress:
    """So far."""

    rows: int
    of: int
    loss: float  # mean of the last steps
    rows_per_second: float
    seconds_left: float


class Trainer:
    """Encoder with adapter, head, optimiser. On one thread of the CPU, in bfloat16 autocast."""

    def __init__(self, foundation: Foundation, recipe: Recipe) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(recipe.seed)
        self._recipe = recipe
        lora = LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=list(TARGETS))
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # peft uses an old name
            frozen = _without_dropout(foundation.encoder("sdpa")).to(torch.bfloat16)  # the adapter stays in float32
            self._encoder = get_peft_model(frozen, lora)
        self._head = nn.Linear(self._encoder.config.hidden_size, len(CATEGORIES))
        self._weights = [w for w in [*self._encoder.parameters(), *self._head.parameters()] if w.requires_grad]
        self._optimiser = torch.optim.AdamW(
            self._weights, recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self._encoder.train()

    def step(self, batch: Batch, rounds: float) -> float:
        """One batch, after so many rounds; its loss."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._recipe.learning_rate * self._recipe.pace(rounds)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = self._encoder(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state.float()
        logits = self._head(mean_pooled(hidden, batch.mask))
        loss = masked_loss(logits, batch.labels) + twin_loss(logits, batch.twins)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimiser.step()
        return float(loss.detach())

    def save(self, path: Path, rounds: int) -> None:
        """Everything a later run needs, after so many rounds; the file is there whole or not at all."""
        state = {
            "rounds": rounds,
            "weights": [weight.detach() for weight in self._weights],
            "optimiser": self._optimiser.state_dict(),
        }
        torch.save(state, path.with_suffix(".unfinished"))
        path.with_suffix(".unfinished").replace(path)

    def resume(self, path: Path) -> int:
        """Go on from the file, if it is there; how many rounds are done."""
        if not path.is_file():
            return 0
        state = torch.load(path, weights_only=True)
        with torch.no_grad():
            for weight, saved in zip(self._weights, state["weights"], strict=True):
                weight.copy_(saved)
        self._optimiser.load_state_dict(state["optimiser"])
        rounds: int = state["rounds"]
        return rounds

    def tensors(self) -> dict[str, Tensor]:
        """The adapter in float16, the head in float32; named as peft saves them, less its prefix."""
        adapter = {
            name.removeprefix("base_model.model.").replace(".default.", "."): weight.detach().half()
            for name, weight in self._encoder.named_parameters()
            if weight.requires_grad
        }
        return adapter | {f"head.{k}": v.detach().clone() for k, v in self._head.state_dict().items()}


def fit(
    examples: Examples, foundation: Foundation, recipe: Recipe, state: Path, report: Callable[[Progress], None]
) -> dict[str, Tensor]:
    """Train, or finish what `state` holds of an interrupted run; the adapter's and the head's tensors."""
    trainer, vocabulary, pools = Trainer(foundation, recipe), foundation.vocabulary(), Pools(examples, recipe)
    first = trainer.resume(state)
    meter = _Meter(first * recipe.round_rows, recipe.rounds * recipe.round_rows, report)
    for number in range(first, recipe.rounds):
        rows = 0
        for batch in batches(examples, pools, vocabulary, recipe, number):
            meter.add(trainer.step(batch, number + rows / recipe.round_rows), batch.drawn)
            rows += batch.drawn
        trainer.save(state, number + 1)
    return trainer.tensors()


def masked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Over the known labels: `logits` and `labels` are (rows, categories), NaN where unknown. Hate weighs double."""
    known = ~labels.isnan()
    weight = torch.ones_like(logits)
    weight[:, 0] = HATE_WEIGHT
    losses = nn.functional.binary_cross_entropy_with_logits(
        logits[known], labels[known], weight[known], reduction="sum"
    )
    return losses / _TYPICAL


def twin_loss(logits: Tensor, twins: Tensor) -> Tensor:
    """How far the logits of twins are apart: `twins` is (pairs, 2), positions in `logits`."""
    first, second = logits[twins[:, 0]], logits[twins[:, 1]]
    return TWIN_WEIGHT * (first - second).abs().sum() / _TYPICAL


def mean_pooled(hidden: Tensor, mask: Tensor) -> Tensor:
    """(rows, pieces, width) and (rows, pieces) to (rows, width): the mean over what is not padding."""
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def _without_dropout(encoder: Any) -> Any:
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = 0.0
    return encoder


class _Meter:
    """Reports every few seconds, and at the end."""

    def __init__(self, before: int, total: int, report: Callable[[Progress], None]) -> None:
        self._before, self._rows, self._total, self._report = before, 0, total, report
        self._began, self._due = time.monotonic(), 0.0
        self._losses: list[float] = []

    def add(self, loss: float, rows: int) -> None:
        self._rows += rows
        self._losses.append(loss)
        seconds = time.monotonic() - self._began
        done = self._before + self._rows
        if seconds < self._due and done < self._total:
            return
        self._due = seconds + _EVERY_SECONDS
        speed = self._rows / seconds
        left = max(0, self._total - done) / speed
        self._report(Progress(done, self._total, sum(self._losses) / len(self._losses), speed, left))
        self._losses.clear()
