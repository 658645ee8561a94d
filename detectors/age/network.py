"""The network: an ensemble of small perceptrons in one, and a head that makes a distribution over years 0 to 120.

The members share nothing but the data and are computed together; what is published is the mean of their distributions.
Lakshminarayanan, Pritzel, Blundell 2017, arXiv:1612.01474. Heads:

    distribution   a logit for each year, softmax (label distribution learning: Gao et al. 2017, arXiv:1611.01731)
    corn           P(age > k given age ≥ k) for each year (Shi, Cao, Raschka 2021, arXiv:2111.08851)
    mixture        logistic components, cut into years (Bishop 1994; Salimans et al. 2017, arXiv:1701.05517)
    classifier     a logit for each bucket of ages, softmax: what the others are measured against. Within a bucket it
                   knows no more than how the training ages lie there: its mean is made of the buckets' means, and a
                   gate inside a bucket is answered with the share of the bucket's people who have reached it
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import torch
from torch import Tensor, nn

from detectors.age.spec import OLDEST, YEARS

Head = Literal["distribution", "corn", "mixture", "classifier"]
HEADS: Final[tuple[Head, ...]] = ("distribution", "corn", "mixture", "classifier")
COMPONENTS: Final = 6
_NOBODY: Final = 1e-12  # probability of a year that the training part lacks, so that it has a logarithm
_OUTPUTS: Final[Mapping[Head, int]] = {"distribution": YEARS, "corn": OLDEST, "mixture": 3 * COMPONENTS}


class Layer(nn.Module):
    """A linear layer for each member: (members, n, wide) to (members, n, out)."""

    def __init__(self, members: int, wide: int, out: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(max(wide, 1))
        self.weight = nn.Parameter(torch.empty(members, wide, out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """(members, n, out)."""
        return torch.baddbmm(self.bias, x, self.weight)


class AgeNetwork(nn.Module):
    """Features (n, F) to distributions of each member (members, n, 121)."""

    within: Tensor  # (buckets, 121) of the classifier: how ages lie in each bucket

    def __init__(
        self, width: int, head: Head, members: int, hidden: int, dropout: float = 0.0, borders: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.borders = tuple(borders)
        self.members, self.width = members, hidden
        self.head: Head = head
        self.hidden = nn.Sequential(
            Layer(members, width, hidden), nn.ReLU(), nn.Dropout(dropout),
            Layer(members, hidden, hidden), nn.ReLU(), nn.Dropout(dropout),
        )  # fmt: skip
        self.out = Layer(members, hidden, _OUTPUTS.get(head, len(self.borders) + 1))
        if head == "classifier":
            self.register_buffer("within", torch.zeros(len(self.borders) + 1, YEARS))

    def start_at(self, shares: Tensor) -> None:
        """Let it begin with the distribution of all ages, `shares` (121,)."""
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            if self.head == "classifier":
                self.within.copy_(_within(shares, self.borders))
                shares = torch.stack([each.sum() for each in shares.tensor_split(self.borders)])
            self.out.bias.copy_(_first_bias(self.head, shares))

    def log_pmf(self, x: Tensor) -> Tensor:
        """(members, n, 121), or with `x` (members, n, F) each member's own."""
        members = x if x.dim() == 3 else x.expand(self.members, *x.shape)
        return self._log_pmf(self.out(self.hidden(members)))

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of features (n, F): what the last hidden layers hold (n, members · hidden), and the mean pmf (n, 121)."""
        held = self.hidden(x.expand(self.members, *x.shape))
        pmf = self._log_pmf(self.out(held)).exp().mean(dim=0)
        return held.permute(1, 0, 2).flatten(1), pmf

    def _log_pmf(self, outputs: Tensor) -> Tensor:
        if self.head == "classifier":
            return torch.log(torch.softmax(outputs, dim=-1) @ self.within + _NOBODY)
        return log_pmf(self.head, outputs)


def log_pmf(head: Head, outputs: Tensor) -> Tensor:
    """A head's outputs (…, outputs) as log probabilities of the years (…, 121)."""
    if head == "distribution":
        return torch.log_softmax(outputs, dim=-1)
    if head == "corn":
        return _corn(outputs)
    return _mixture(outputs)


def _corn(outputs: Tensor) -> Tensor:
    """Log P(age = k) = Σ_{j<k} log P(> j | ≥ j) + log P(not > k | ≥ k)."""
    go_on = nn.functional.logsigmoid(outputs).cumsum(dim=-1)
    reached = nn.functional.pad(go_on, (1, 0))
    stop = nn.functional.pad(nn.functional.logsigmoid(-outputs), (0, 1))  # nobody is over 120
    return reached + stop


def _mixture(outputs: Tensor) -> Tensor:
    """Logistic components in units of ten years, their mass between the years' borders; the ends take the rest."""
    weight, centre, spread = outputs.reshape(*outputs.shape[:-1], 3, COMPONENTS).unbind(dim=-2)
    scale = nn.functional.softplus(spread) + 0.02
    borders = torch.arange(1, YEARS, device=outputs.device) / 10
    z = (borders - centre[..., None]) / scale[..., None]  # (…, components, 120)
    below = torch.sigmoid(z)
    ends = nn.functional.pad(below, (1, 0)), nn.functional.pad(below, (0, 1), value=1.0)
    mass = torch.softmax(weight, dim=-1)[..., None] * (ends[1] - ends[0])
    return torch.log(mass.sum(dim=-2) + 1e-9) - math.log1p(YEARS * 1e-9)


def _within(shares: Tensor, borders: Sequence[int]) -> Tensor:
    """(buckets, 121) the shares of all ages (121,), of each bucket by itself."""
    bucket = torch.bucketize(torch.arange(YEARS), torch.tensor(borders, dtype=torch.long), right=True)
    found = torch.where(bucket == torch.arange(len(borders) + 1)[:, None], shares, 0.0)
    return found / found.sum(dim=1, keepdim=True)


def _first_bias(head: Head, shares: Tensor) -> Tensor:
    """The bias of a head that answers `shares` to anything."""
    shares = (shares + 1e-5) / (shares + 1e-5).sum()
    if head in {"distribution", "classifier"}:
        return shares.log()
    if head == "corn":
        above = shares.flip(0).cumsum(0).flip(0)
        return torch.logit((above[1:] / above[:-1]).clamp(1e-4, 1 - 1e-4))
    years = torch.arange(YEARS, dtype=shares.dtype)
    quantiles = (torch.arange(COMPONENTS) + 0.5) / COMPONENTS
    centres = years[torch.searchsorted(shares.cumsum(0), quantiles).clamp(max=OLDEST)] / 10
    return torch.cat([torch.zeros(COMPONENTS), centres, torch.full((COMPONENTS,), -0.7)])
