"""Fitting the network: by likelihood of the ages as the table has them, through what is known of their noise.

The network's distribution p is over true ages. The table's age has the distribution q = p · T, T (true, observed) the
stated noise, and the loss is -log q (forward correction: Patrini et al. 2017, arXiv:1609.03683). Where the table says
whose age is verified, those have a T without noise. In each step whole
signals are emptied at random, so that the network has learnt to answer whatever is missing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors.age.declared import lie
from detectors.age.features import Features, Matrix
from detectors.age.network import AgeNetwork, Head
from detectors.age.spec import OLDEST, PUBLISHED, YEARS, Noise

_LEAST: Final = 1e-7  # probability of any age, as the loss sees it


Weighing = Callable[[Tensor, Tensor], Tensor]  # losses and row numbers, (members, n) each, to one loss


def evenly(losses: Tensor, rows: Tensor) -> Tensor:
    """Every row counts alike."""
    del rows
    return losses.mean()


@dataclass(frozen=True, slots=True)
class Recipe:
    """What, with the table and the spec, determines the weights."""

    head: Head = "distribution"
    members: int = 4
    hidden: int = 64
    epochs: int = 8
    least_steps: int = 150
    most_steps: int = 3_000
    batch: int = 512
    learning_rate: float = 4e-3
    weight_decay: float = 0.02
    dropout: float = 0.1
    empty: float = 0.15  # chance of a signal to be emptied, in rows where any is
    smooth: float = 0.7  # years: how far the likelihood of a year is shared with its neighbours
    seed: int = 3

    def with_head(self, head: Head) -> "Recipe":
        """The same but for the head."""
        return replace(self, head=head)


@dataclass(frozen=True, slots=True)
class Progress:
    """After a step."""

    step: int
    of: int
    loss: float


def fit(
    matrix: Matrix,
    ages: NDArray[np.int64],
    doubtful: NDArray[np.bool_],
    features: Features,
    noise: Noise,
    recipe: Recipe,
    say: Callable[[Progress], None],
    buckets: Sequence[int] = (),
    weighing: Weighing = evenly,
) -> AgeNetwork:
    """The trained network. `matrix` (n, F), `ages` (n,), `doubtful` (n,) the ages with noise.

    `buckets`: of a classifier, the first age of each but the first. `weighing`: what the losses of rows come to.
    """
    torch.manual_seed(recipe.seed)
    draw = torch.Generator().manual_seed(recipe.seed)
    x, y, doubt = torch.from_numpy(matrix), torch.from_numpy(ages), torch.from_numpy(doubtful).long()
    network = AgeNetwork(x.shape[1], recipe.head, recipe.members, recipe.hidden, recipe.dropout, buckets)
    smooth = 0.0 if recipe.head == "classifier" else recipe.smooth  # a classifier's borders are sharp
    told = torch.from_numpy(np.stack([transition(one, ages, smooth).T for one in (Noise(), noise)])).float()
    network.start_at(torch.bincount(y, minlength=YEARS).float() / len(y))
    steps = int(np.clip(recipe.epochs * len(y) // recipe.batch, recipe.least_steps, recipe.most_steps))
    optimiser = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step / steps))
    empty = _Emptying(features, recipe.empty, draw)
    network.train()
    for step in range(1, steps + 1):
        rows = torch.randint(len(y), (recipe.members, min(recipe.batch, len(y))), generator=draw)
        loss = weighing(losses_of(network.log_pmf(empty(x[rows])), told[doubt[rows], y[rows]]), rows)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0 * recipe.members**0.5)
        optimiser.step()
        schedule.step()
        if step % 100 == 0 or step == steps:
            say(Progress(step, steps, float(loss.detach())))
    return network.eval()


def losses_of(log_pmf: Tensor, told: Tensor) -> Tensor:
    """(…) -log of the probability of what the table says of each row, `told` (…, 121) how likely each age says it."""
    return -torch.log((log_pmf.exp() * told).sum(dim=-1) + _LEAST)


def transition(noise: Noise, ages: NDArray[np.int64], smooth: float) -> NDArray[np.float64]:
    """(121 true, 121 observed) what the table says of someone of each age: rows add up to 1.

    Small errors are normal with the stated spread; a wrong age is any age of the table; a lie is as
    `detectors.age.declared.lie` has it. `smooth` years are added to the spread, which keeps a year that the table
    happens to lack from being thought impossible.
    """
    years = np.arange(YEARS)
    spread = math.hypot(noise.spread, smooth)
    near = np.exp(-0.5 * ((years[None] - years[:, None]) / max(spread, 1e-3)) ** 2)
    near /= near.sum(axis=1, keepdims=True)
    for age in range(max(PUBLISHED)):
        near[age] = (1 - noise.lies) * near[age] + noise.lies * lie(age)
    shares = np.bincount(ages, minlength=OLDEST + 1) / len(ages)
    return np.asarray((1 - noise.wrong) * near + noise.wrong * shares, np.float64)


class _Emptying:
    """Empties signals at random: in half the rows none, in the others each with a chance drawn for the row."""

    def __init__(self, features: Features, chance: float, draw: torch.Generator) -> None:
        self._owners = torch.from_numpy(features.owners)
        self._indicators = torch.from_numpy(features.indicators)
        self._chance, self._draw = chance, draw

    def __call__(self, x: Tensor) -> Tensor:
        """(members, n, F) as it was but for the emptied signals."""
        some = torch.rand(*x.shape[:-1], 1, generator=self._draw) < 0.5
        chance = torch.rand(*x.shape[:-1], 1, generator=self._draw) * 2 * self._chance
        drop = (torch.rand(*x.shape[:-1], len(self._indicators), generator=self._draw) < chance) & some
        found = x.masked_fill(drop[..., self._owners], 0.0)
        found[..., self._indicators] = torch.where(drop, 1.0, x[..., self._indicators])
        return found


def _rate(done: float) -> float:
    """A short rise, then a cosine to nothing."""
    rise = 0.05
    return done / rise if done < rise else 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise)))
