"""A LoRA adapter on a causal language model that answers whether a message breaks a policy.

A step takes two policies. Each one's prefix runs without gradient, its messages lie end to end behind it in one row,
and the loss is the binary cross-entropy of the margin between the two verdicts' logits at the last token of each
message: what `detectors.llm.packed` computes when it scores. The lower layers stay as they are, which saves their
backward pass. LoRA: Hu et al. 2021, arXiv:2106.09685.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import DynamicCache

from detectors.llm.model import load_causal
from detectors.llm.prompt import Pieces
from detectors.training.llm_packs import Batch, Mix

_TARGETS: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that, with the data and the seed, determines the weights."""

    steps: int = 600
    policies: int = 2  # in a step
    tokens: int = 480  # of messages behind each
    learning_rate: float = 9e-4
    warm_up: float = 0.25  # share of the steps
    weight_decay: float = 0.01
    rank: int = 8
    alpha: int = 16
    first_layer: int = 10  # the layers below are not adapted
    seed: int = 5
    mix: Mix = field(default_factory=Mix)

    def describe(self) -> dict[str, Any]:
        """For the model's card."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Progress:
    """So far."""

    step: int
    steps: int
    loss: float  # mean of the last steps
    rows_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The tokens that the margin is between."""

    breaks: int
    keeps: int


def fit(
    base: Path,
    pieces: Pieces,
    verdicts: Verdicts,
    batches: Iterator[Batch],
    recipe: Recipe,
    checkpoint: Path,
    report: Callable[[Progress], None],
) -> dict[str, Tensor]:
    """Train on one thread with a bfloat16 base; the adapter's tensors in float16.

    `checkpoint` is written every few minutes; if it is there, training goes on from it, through the same batches.
    """
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    model = _adapted(base, recipe)
    weights = [w for w in model.parameters() if w.requires_grad]
    optimiser = torch.optim.AdamW(weights, recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
    done = _resumed(checkpoint, model, optimiser)
    steps = _steps(batches, recipe.policies)
    for _ in islice(steps, done):  # drawn again, so that the rest is the same
        pass
    meter = _Meter(done, recipe.steps, report)
    for step, chosen in enumerate(islice(steps, recipe.steps - done), done + 1):
        rows = sum(len(batch.texts) for batch in chosen)
        total = 0.0
        for batch in chosen:
            loss = _losses(model, pieces, verdicts, batch).sum() / rows
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.param_groups[0]["lr"] = recipe.learning_rate * _slope(step - 1, recipe.steps, recipe.warm_up)
        optimiser.step()
        optimiser.zero_grad()
        meter.add(step, total, rows)
        if step % 50 == 0 or step == recipe.steps:
            _save(checkpoint, step, model, optimiser)
    return {name: weight.detach().half() for name, weight in _adapter(model)}


def _adapted(base: Path, recipe: Recipe) -> Any:
    plain = load_causal(base, "sdpa", torch.bfloat16)
    layers = list(range(recipe.first_layer, plain.config.num_hidden_layers))
    lora = LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=list(_TARGETS), layers_to_transform=layers)
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # peft uses an old name
        model = get_peft_model(plain, lora)
    model.train()
    return model


def _losses(model: Any, pieces: Pieces, verdicts: Verdicts, batch: Batch) -> Tensor:
    """One a message, (n,)."""
    inner, head = model.base_model.model.model, model.base_model.model.lm_head.weight
    prefix = torch.tensor([pieces.prefix(batch.policy)])
    cache = DynamicCache(config=inner.config)
    with torch.no_grad():
        inner(input_ids=prefix, past_key_values=cache, use_cache=True)
    texts = pieces.contents(batch.texts)
    ids, positions, mask, last = _packed(texts, prefix.shape[1])
    hidden = inner(
        input_ids=ids, position_ids=positions, attention_mask=mask, past_key_values=cache, use_cache=True
    ).last_hidden_state[0]
    logits = (hidden[last] @ head[[verdicts.breaks, verdicts.keeps]].T).float()
    truth = torch.tensor(batch.breaks, dtype=torch.float32)
    return nn.functional.binary_cross_entropy_with_logits(logits[:, 0] - logits[:, 1], truth, reduction="none")


def _packed(texts: Sequence[Sequence[int]], prefix: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ids (1, T), positions (1, T), which may attend to which (1, 1, T, P + T), and each text's last place (n,)."""
    bounds = list(accumulate(map(len, texts)))
    of = torch.repeat_interleave(torch.tensor([len(text) for text in texts]))
    own = (of[:, None] == of[None]) & torch.ones(len(of), len(of), dtype=torch.bool).tril()
    mask = torch.cat([torch.ones(len(of), prefix, dtype=torch.bool), own], 1)
    positions = torch.tensor([prefix + i for text in texts for i in range(len(text))])
    ids = torch.tensor([i for text in texts for i in text])
    return ids[None], positions[None], mask[None, None], torch.tensor(bounds) - 1


def _steps(batches: Iterator[Batch], policies: int) -> Iterator[list[Batch]]:
    while chosen := list(islice(batches, policies)):
        yield chosen


def _slope(step: int, steps: int, warm_up: float) -> float:
    rising = max(1, int(steps * warm_up))
    return (step + 1) / rising if step < rising else max(0.0, (steps - step) / (steps - rising))


def _adapter(model: Any) -> list[tuple[str, Tensor]]:
    """Named as peft saves them, less its prefix."""
    return [
        (name.removeprefix("base_model.model.").replace(".default.", "."), weight)
        for name, weight in model.named_parameters()
        if weight.requires_grad
    ]


def _save(checkpoint: Path, step: int, model: Any, optimiser: Any) -> None:
    unfinished = checkpoint.with_name(checkpoint.name + ".unfinished")
    weights = {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}
    state = {"step": step, "weights": weights, "optimiser": optimiser.state_dict()}
    torch.save(state, unfinished)
    unfinished.replace(checkpoint)


def _resumed(checkpoint: Path, model: Any, optimiser: Any) -> int:
    """How many steps are done already."""
    if not checkpoint.is_file():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(state["weights"], strict=False)
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


class _Meter:
    """Reports every tenth step, and at the end."""

    def __init__(self, done: int, steps: int, report: Callable[[Progress], None]) -> None:
        self._done, self._steps, self._report = done, steps, report
        self._began, self._rows = time.monotonic(), 0
        self._losses: list[float] = []

    def add(self, step: int, loss: float, rows: int) -> None:
        self._rows += rows
        self._losses.append(loss)
        if step % 10 and step != self._steps:
            return
        seconds = time.monotonic() - self._began
        left = seconds / (step - self._done) * (self._steps - step)
        self._report(Progress(step, self._steps, sum(self._losses) / len(self._losses), self._rows / seconds, left))
        self._losses.clear()
