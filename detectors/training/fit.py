"""One LoRA adapter and one linear head on a BERT encoder, trained for several categories at once.

A row's loss is the binary cross-entropy of the categories that its source labels; the others take no part. An epoch
draws a quota from each source, so that twenty thousand swearing tweets don't drown five thousand adversarial contrasts.
LoRA: Hu et al. 2021, arXiv:2106.09685.
"""

import random
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from detectors.encoder import load_encoder
from detectors.tokenisation import CLS, SEP, load_tokenizer, pieces
from detectors.training.datasets import Examples
from detectors.training.labels import STRONG
from detectors.training.obfuscation import obfuscated

QUOTAS: Final = {  # rows an epoch: source → (labelled hate, all others)
    "davidson": (2_300, 9_000),
    "hatemoji": (5_000, 5_000),
    "toxigen": (3_000, 3_200),
    "implicit_hate": (4_500, 4_500),
    "vicomtech": (1_350, 2_700),
}
_EVERY_SECONDS: Final = 5.0
TARGETS: Final = ("query", "key", "value", "dense")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that, with the data and the seed, determines the weights."""

    epochs: int = 2
    batch: int = 32  # rows
    most_pieces: int = 64  # of a training text, special tokens included
    learning_rate: float = 8e-4
    warm_up: float = 0.05  # share of the steps
    weight_decay: float = 0.01
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05  # before the adapter
    obfuscate: float = 0.15  # share of the rows with a strong word that are respelled
    seed: int = 3
    quotas: Mapping[str, tuple[int, int]] = field(default_factory=lambda: QUOTAS)

    def describe(self) -> dict[str, Any]:
        """For the model's card."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Step:
    """Progress so far."""

    step: int
    steps: int
    loss: float  # mean of the last steps
    rows_per_second: float
    seconds_left: float


def fit(examples: Examples, base: Path, recipe: Recipe, report: Callable[[Step], None]) -> dict[str, Tensor]:
    """Train on one thread in bfloat16 autocast; the adapter's tensors in float16, the head's in float32."""
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    rng = random.Random(recipe.seed)  # noqa: S311 - reproducible, not secret
    lora = LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=recipe.dropout, target_modules=list(TARGETS))
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # peft uses an old name
        encoder = get_peft_model(load_encoder(base, "sdpa"), lora)
    head = nn.Linear(encoder.config.hidden_size, examples.labels.shape[1])
    weights = [w for w in [*encoder.parameters(), *head.parameters()] if w.requires_grad]
    optimiser = torch.optim.AdamW(weights, recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
    steps = recipe.epochs * -(-sum(map(sum, recipe.quotas.values())) // recipe.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _slope(step, steps, recipe.warm_up))
    encoder.train()
    meter = _Meter(steps, report)
    for ids, mask, labels in _batches(examples, base, recipe, rng):
        with torch.autocast("cpu", torch.bfloat16):
            hidden = encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        loss = masked_loss(head(mean_pooled(hidden, mask)), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
        meter.add(float(loss.detach()), len(labels))
    return _tensors(encoder, head)


def masked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the known labels: `logits` and `labels` are (rows, categories), NaN where unknown."""
    known = ~labels.isnan()
    return nn.functional.binary_cross_entropy_with_logits(logits[known], labels[known])


def mean_pooled(hidden: Tensor, mask: Tensor) -> Tensor:
    """(rows, pieces, width) and (rows, pieces) to (rows, width): the mean over what is not padding."""
    return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def _slope(step: int, steps: int, warm_up: float) -> float:
    rising = max(1, int(steps * warm_up))
    return (step + 1) / rising if step < rising else max(0.0, (steps - step) / (steps - rising))


def _batches(
    examples: Examples, base: Path, recipe: Recipe, rng: random.Random
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Padded batches of near-equal length, in random order: (ids, mask, labels)."""
    tokenizer = load_tokenizer(base)
    pools = _pools(examples, recipe.quotas)
    for _ in range(recipe.epochs):
        drawn = [i for pool, quota in pools for i in _draw(pool, quota, rng)]
        rng.shuffle(drawn)
        texts = [_augmented(examples.texts[i], recipe.obfuscate, rng) for i in drawn]
        rows = [[CLS, *ids[: recipe.most_pieces - 2], SEP] for ids in pieces(tokenizer, texts)]
        by_length = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        batches = [by_length[i : i + recipe.batch] for i in range(0, len(rows), recipe.batch)]
        rng.shuffle(batches)
        for batch in batches:
            yield *_padded([rows[i] for i in batch]), torch.from_numpy(examples.labels[[drawn[i] for i in batch]])


def _pools(examples: Examples, quotas: Mapping[str, tuple[int, int]]) -> list[tuple[list[int], int]]:
    """Positions of each source's hateful and other rows, with their quotas."""
    sources, hateful = np.array(examples.sources), examples.labels[:, 0] == 1
    pools: list[tuple[list[int], int]] = []
    for source, (hate, other) in quotas.items():
        pools.append((np.flatnonzero((sources == source) & hateful).tolist(), hate))
        pools.append((np.flatnonzero((sources == source) & ~hateful).tolist(), other))
    return pools


def _draw(pool: list[int], quota: int, rng: random.Random) -> list[int]:
    """`quota` positions, none a second time before all have been drawn."""
    whole, rest = divmod(quota, len(pool))
    return pool * whole + rng.sample(pool, rest)


def _augmented(text: str, share: float, rng: random.Random) -> str:
    return obfuscated(text, rng) if STRONG.search(text.lower()) and rng.random() < share else text


def _padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])


def _tensors(encoder: Any, head: nn.Linear) -> dict[str, Tensor]:
    """Named as peft saves them, less its prefix; peft's own function would ask a model hub about the base."""
    adapter = {
        name.removeprefix("base_model.model.").replace(".default.", "."): weight.detach().half()
        for name, weight in encoder.named_parameters()
        if weight.requires_grad
    }
    return adapter | {f"head.{k}": v.detach().clone() for k, v in head.state_dict().items()}


class _Meter:
    """Reports every few seconds, and at the end."""

    def __init__(self, steps: int, report: Callable[[Step], None]) -> None:
        self._steps, self._report = steps, report
        self._began, self._due = time.monotonic(), 0.0
        self._rows = self._step = 0
        self._losses: list[float] = []

    def add(self, loss: float, rows: int) -> None:
        self._step += 1
        self._rows += rows
        self._losses.append(loss)
        seconds = time.monotonic() - self._began
        if seconds < self._due and self._step != self._steps:
            return
        self._due = seconds + _EVERY_SECONDS
        left = seconds / self._step * (self._steps - self._step)
        self._report(Step(self._step, self._steps, sum(self._losses) / len(self._losses), self._rows / seconds, left))
        self._losses.clear()
