"""Weighing people by group: what each way promises."""

import numpy as np
import torch

from benchmarks.age.mitigations import group_dro, reweighted


def test_reweighted_groups_are_of_every_age_alike() -> None:
    rng = np.random.default_rng(1)
    group = rng.integers(0, 2, 4_000)
    band = (rng.random(4_000) < np.where(group == 1, 0.8, 0.3)).astype(np.int64)
    rows = torch.arange(4_000)
    weigh = reweighted(np.column_stack([group, band]))

    def weight(members: np.ndarray) -> float:  # type: ignore[type-arg]
        return float(weigh(torch.from_numpy(members.astype(np.float32)), rows))

    shares = [weight((group == one) & (band == 1)) / weight(group == one) for one in (0, 1)]
    assert abs(shares[0] - shares[1]) < 1e-4
    assert abs(weight(np.ones(4_000)) - 1) < 1e-4


def test_group_dro_turns_to_the_group_that_does_badly() -> None:
    kinds = np.column_stack([np.repeat([0, 1], 50), np.zeros(100, np.int64)])
    losses = torch.from_numpy(np.where(kinds[:, 0] == 1, 4.0, 1.0)).float()
    weigh = group_dro(kinds)
    found = [float(weigh(losses, torch.arange(100))) for _ in range(60)]
    assert found == sorted(found)
    assert found[0] < 2.7 < 3.9 < found[-1]
