"""One forward for many messages under several policies, each policy's keys and values computed once.

    row      p: a b c │ p: d e │ q: a b c │ q: d e      messages end to end, those of one policy side by side
    runs     p ───────────────   q ───────────────      the stretch of the row that continues a policy's prefix

Every layer but attention looks at one token at a time. In attention a token sees its policy's prefix, whole, and its
own message up to itself: two attentions, joined exactly by their log-sum-exps (as FlashAttention joins its blocks: Dao
et al. 2022, arXiv:2205.14135). Nothing is padded, no mask is built and no prefix is copied. Last, the head gives the
logits of the verdicts' tokens alone.

On the CPU each stretch is one call of torch's flash attention; on CUDA all are one call of its variable-length
attention. The CUDA path has not been run: no such device was at hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, DynamicCache

ATTENTION: Final = "policy_prefix"  # the name under which transformers finds `_attend`


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """A policy's keys and values, for each layer (1, kv heads, P, dim)."""

    tokens: int  # P
    keys: list[Tensor]
    values: list[Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """How a row of T tokens is cut: what `_attend` gets in every layer."""

    bounds: list[int]  # of the messages, ascending from 0 to T
    runs: list[int]  # of the policies, likewise
    prefixes: list[Prefix | None]  # one a run; None: there is nothing before it


class LabelHead(nn.Module):
    """The language model's head, cut down to some tokens. In float32: bfloat16 would round a logit by up to .06."""

    def __init__(self, head: nn.Linear, tokens: Sequence[int]) -> None:
        super().__init__()
        picked = torch.tensor(tokens)
        self.weight = nn.Parameter(head.weight.detach()[picked].float(), requires_grad=False)
        self.bias: Tensor | None = None
        if head.bias is not None:
            self.bias = nn.Parameter(head.bias.detach()[picked].float(), requires_grad=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, width) to float32 (…, tokens)."""
        return nn.functional.linear(hidden.float(), self.weight, self.bias)


def only_labels(model: Any, tokens: Sequence[int], precision: torch.dtype) -> None:
    """Cut the head down to these tokens and take the rest to `precision`, in place."""
    head = LabelHead(model.get_output_embeddings(), tokens)
    model.config.tie_word_embeddings = False
    model.set_output_embeddings(head)
    to_precision(model, precision)


def to_precision(model: Any, precision: torch.dtype) -> None:
    """Take all but the head there, in place."""
    head = model.get_output_embeddings()
    model.set_output_embeddings(nn.Identity())
    model.to(precision)
    model.set_output_embeddings(head)


@torch.inference_mode()
def prefix(model: Any, ids: Sequence[int]) -> Prefix:
    """Keys and values of a policy's tokens: its share of the work, done once."""
    cache = DynamicCache(config=model.config)
    row = torch.tensor([list(ids)], device=model.device)
    alone = Rows([0, len(ids)], [0, len(ids)], [None])
    model(input_ids=row, past_key_values=cache, use_cache=True, logits_to_keep=1, rows=alone)
    layers: list[Any] = cache.layers
    return Prefix(len(ids), [layer.keys for layer in layers], [layer.values for layer in layers])


@torch.inference_mode()
def verdict_logits(model: Any, prefixes: Sequence[Prefix], messages: Sequence[Sequence[int]]) -> Tensor:
    """Logits of the head's tokens after each message under each prefix: float32 (prefixes, messages, tokens).

    Every message's ids end where the verdict stands. All of them run at once: cut them up beforehand.
    """
    lengths = [len(message) for message in messages]
    bounds = [0, *accumulate(lengths * len(prefixes))]
    runs = [n * sum(lengths) for n in range(len(prefixes) + 1)]
    row = torch.tensor([i for message in messages for i in message] * len(prefixes), device=model.device)
    after = [torch.cat([torch.arange(length) for length in lengths]) + each.tokens for each in prefixes]
    logits = model(
        input_ids=row[None],
        position_ids=torch.cat(after)[None].to(model.device),
        use_cache=False,
        logits_to_keep=torch.tensor(bounds[1:], device=model.device) - 1,
        rows=Rows(bounds, runs, list(prefixes)),
    ).logits[0]
    return logits.float().reshape(len(prefixes), len(messages), -1)  # type: ignore[no-any-return]


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    rows: Rows,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Query (1, heads, T, dim), key and value (1, kv heads, T, dim) to (1, T, heads, dim)."""
    if attention_mask is not None:
        raise ValueError("a packed row has no padding, so it takes no attention mask")
    message, policy = max(b - a for a, b in pairwise(rows.bounds)), max(p.tokens if p else 0 for p in rows.prefixes)
    longest = message + policy
    if sliding_window is not None and longest > sliding_window:
        raise ValueError(f"policy and message have {longest} tokens, a layer of this model sees {sliding_window}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    own, own_lse = _own(query, key, value, rows, scale, softcap)
    if rows.prefixes[0] is not None:
        before, before_lse = _before(query, rows, module.layer_idx, scale, softcap)
        own = torch.lerp(own.float(), before.float(), torch.sigmoid(before_lse - own_lse)[..., None]).to(query.dtype)
    return own.transpose(1, 2), None


def _own(q: Tensor, k: Tensor, v: Tensor, rows: Rows, scale: float, softcap: float | None) -> tuple[Tensor, Tensor]:
    """Each message's tokens over the message itself, up to themselves."""
    spans = list(pairwise(rows.bounds))
    if q.is_cuda and softcap is None:
        return _varlen(q, k, v, rows.bounds, rows.bounds, scale, causal=True)
    parts = [_one(q[:, :, a:b], k[:, :, a:b], v[:, :, a:b], scale, softcap, causal=True) for a, b in spans]
    return torch.cat([out for out, _ in parts], 2), torch.cat([lse for _, lse in parts], 2)


def _before(q: Tensor, rows: Rows, layer: int, scale: float, softcap: float | None) -> tuple[Tensor, Tensor]:
    """Each policy's messages over that policy's prefix."""
    known = [p for p in rows.prefixes if p is not None]
    if q.is_cuda and softcap is None:
        keys, values = (torch.cat([getattr(p, name)[layer] for p in known], 2) for name in ("keys", "values"))
        return _varlen(q, keys, values, rows.runs, [0, *accumulate(p.tokens for p in known)], scale, causal=False)
    parts = [
        _one(q[:, :, a:b], p.keys[layer], p.values[layer], scale, softcap, causal=False)
        for (a, b), p in zip(pairwise(rows.runs), known, strict=True)
    ]
    return torch.cat([out for out, _ in parts], 2), torch.cat([lse for _, lse in parts], 2)


def _one(
    q: Tensor, k: Tensor, v: Tensor, scale: float, softcap: float | None, *, causal: bool
) -> tuple[Tensor, Tensor]:
    """One attention and its log-sum-exp: (1, heads, n, dim) and float32 (1, heads, n)."""
    if softcap is None and q.device.type == "cpu":
        attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001 - SDPA without its lse
        out, lse = attend(q, k, v, 0.0, causal, scale=scale)
        return out, lse
    return _written_out(q, k, v, scale, softcap, causal=causal)


def _written_out(
    q: Tensor, k: Tensor, v: Tensor, scale: float, softcap: float | None, *, causal: bool
) -> tuple[Tensor, Tensor]:
    """The same in plain operations, for models that squash their scores (Gemma 2)."""
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1).float(), v.repeat_interleave(groups, 1).float()
    scores = q.float() @ k.transpose(-1, -2) * scale
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return (scores.softmax(-1) @ v).to(q.dtype), scores.logsumexp(-1)


def _varlen(
    q: Tensor, k: Tensor, v: Tensor, bounds_q: list[int], bounds_k: list[int], scale: float, *, causal: bool
) -> tuple[Tensor, Tensor]:
    """All stretches at once on CUDA."""
    from torch.nn.attention.varlen import AuxRequest, varlen_attn  # noqa: PLC0415 - needs CUDA

    cut_q, cut_k = (torch.tensor(b, dtype=torch.int32, device=q.device) for b in (bounds_q, bounds_k))
    out, lse = varlen_attn(
        q[0].transpose(0, 1),
        k[0].transpose(0, 1),
        v[0].transpose(0, 1),
        cut_q,
        cut_k,
        max(b - a for a, b in pairwise(bounds_q)),
        max(b - a for a, b in pairwise(bounds_k)),
        return_aux=AuxRequest(lse=True),
        scale=scale,
        window_size=(-1, 0) if causal else (-1, -1),
        enable_gqa=True,
    )
    return out.transpose(0, 1)[None], lse[None]


AttentionInterface.register(ATTENTION, _attend)
