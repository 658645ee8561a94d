"""BERT over texts laid end to end in one row, without padding: as fast as sorting by length, in arrival order.

    texts     [CLS] a b [SEP]  [CLS] c [SEP]  …      one row of T pieces, T ≤ the token budget
    bounds    0                4              7      text i is pieces bounds[i] : bounds[i + 1]

Every layer but attention looks at one piece at a time, so only attention has to know the bounds: on the CPU it runs
once for each text over that text's own pieces, on CUDA in one kernel for all (variable-length flash attention, half
precision only; its lines here have never been run: no GPU was at hand). A text's vector is therefore the same whatever
its neighbours are (rounding apart).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, BertModel

ATTENTION: Final = "packed"  # the name under which transformers finds `_attend`
# oneDNN keeps compiled kernels for each number of pieces, 2 MB together, and hardly any number comes again soon: by its
# own limit of 1024 kernels a process grows by 620 MB, to save 5 % of a forward where one does.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")


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


def text_vectors(encoder: BertModel, batch: Pack) -> Tensor:
    """Mean of each text's last hidden states, float32 (n, width). The encoder must have been loaded with ATTENTION."""
    device = encoder.device
    ids, positions, bounds = (_to(device, each) for each in (batch.ids, batch.positions, torch.tensor(batch.bounds)))
    hidden = encoder(
        input_ids=ids[None], position_ids=positions[None], bounds=batch.bounds, device_bounds=bounds.int()
    ).last_hidden_state[0]
    lengths = bounds.diff()
    of = torch.repeat_interleave(lengths, output_size=batch.bounds[-1])
    sums = torch.zeros(len(lengths), hidden.shape[1], device=device).index_add_(0, of, hidden.float())
    return sums / lengths[:, None]


def _to(device: torch.device, tensor: Tensor) -> Tensor:
    """A copy on the device that is not waited for: from pinned memory it runs beside the forward before it."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _attend(
    module: nn.Module,  # noqa: ARG001 - transformers' signature
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    bounds: Sequence[int],
    device_bounds: Tensor,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """query, key, value (1, heads, T, dim) to (1, T, heads, dim), each text within its own bounds."""
    if attention_mask is not None:
        raise ValueError("a packed row has no padding, so it takes no attention mask")
    if query.is_cuda and query.dtype in {torch.bfloat16, torch.float16}:
        return _attend_on_cuda(query, key, value, bounds, device_bounds, scaling), None
    out = query.new_empty(query.shape[0], query.shape[2], query.shape[1], query.shape[3])
    for start, stop in pairwise(bounds):
        own = slice(start, stop)
        seen = nn.functional.scaled_dot_product_attention(
            query[:, :, own], key[:, :, own], value[:, :, own], scale=scaling
        )
        out[:, own] = seen.transpose(1, 2)
    return out, None


def _attend_on_cuda(
    query: Tensor, key: Tensor, value: Tensor, bounds: Sequence[int], device_bounds: Tensor, scaling: float | None
) -> Tensor:
    """As `_attend`, in one kernel. `num_splits=1`: else the order of a text's sums depends on the longest neighbour."""
    rows = (query[0].transpose(0, 1), key[0].transpose(0, 1), value[0].transpose(0, 1))  # (T, heads, dim)
    cu, longest = device_bounds, max(stop - start for start, stop in pairwise(bounds))
    attended = varlen_attn(*rows, cu, cu, longest, longest, scale=scaling, num_splits=1)
    assert isinstance(attended, Tensor), "a pair only if the sums are asked for as well"
    return attended[None]


AttentionInterface.register(ATTENTION, _attend)
