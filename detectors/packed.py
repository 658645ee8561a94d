"""BERT over texts laid end to end in one row, without padding: as fast as sorting by length, in arrival order.

    texts     [CLS] a b [SEP]  [CLS] c [SEP]  …      one row of T pieces, T ≤ the token budget
    bounds    0                4              7      text i is pieces bounds[i] : bounds[i + 1]

Every layer but attention looks at one piece at a time, so only attention has to know the bounds: it runs once for each
text over that text's own pieces. A text's vector is therefore the same whatever its neighbours are (rounding apart).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, BertModel

ATTENTION: Final = "packed"  # the name under which transformers finds `_attend`


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """`n` texts in one row."""

    ids: Tensor  # int64 (T,)
    positions: Tensor  # int64 (T,), from 0 in each text
    bounds: list[int]  # n + 1, ascending, from 0 to T


def pack(texts: Sequence[Sequence[int]]) -> Pack:
    """Lay word pieces end to end. Each text brings its own `[CLS]` and `[SEP]`."""
    bounds = [0]
    for text in texts:
        bounds.append(bounds[-1] + len(text))
    ids = torch.tensor([piece for text in texts for piece in text])
    positions = torch.tensor([i for text in texts for i in range(len(text))])
    return Pack(ids, positions, bounds)


def within_budget(lengths: Sequence[int], budget: int) -> Iterator[slice]:
    """Runs of neighbours that together stay within `budget` pieces; one that is over it alone is a run of its own."""
    first = total = 0
    for i, length in enumerate(lengths):
        if i > first and total + length > budget:
            yield slice(first, i)
            first, total = i, 0
        total += length
    if first < len(lengths):
        yield slice(first, len(lengths))


def text_vectors(encoder: BertModel, batch: Pack) -> Tensor:
    """Mean of each text's last hidden states, float32 (n, width). The encoder must have been loaded with ATTENTION."""
    device = encoder.device
    hidden = encoder(
        input_ids=batch.ids[None].to(device), position_ids=batch.positions[None].to(device), bounds=batch.bounds
    ).last_hidden_state[0]
    lengths = torch.tensor(batch.bounds).diff().to(device)
    of = torch.repeat_interleave(lengths)
    sums = torch.zeros(len(lengths), hidden.shape[1], device=device).index_add_(0, of, hidden.float())
    return sums / lengths[:, None]


def _attend(
    module: nn.Module,  # noqa: ARG001 - transformers' signature
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    bounds: Sequence[int],
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """query, key, value (1, heads, T, dim) to (1, T, heads, dim), each text within its own bounds."""
    if attention_mask is not None:
        raise ValueError("a packed row has no padding, so it takes no attention mask")
    out = query.new_empty(query.shape[0], query.shape[2], query.shape[1], query.shape[3])
    for start, stop in pairwise(bounds):
        own = slice(start, stop)
        seen = nn.functional.scaled_dot_product_attention(
            query[:, :, own], key[:, :, own], value[:, :, own], scale=scaling
        )
        out[:, own] = seen.transpose(1, 2)
    return out, None


AttentionInterface.register(ATTENTION, _attend)
