"""The LLM guard against `generate` and against a padded batch with a cached prefix: messages a second, as ratios.

    python -m benchmarks.detectors.guard

Everything runs the same weights on one thread, in the precision that the guard runs here, and has to give the same
margins. The policies are 256 and 768 tokens long.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch
from safetensors.torch import load_file
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

from detectors.llm.directory import open_guard
from detectors.llm.guard import DEFAULT_MODEL, build
from detectors.llm.model import load_causal, load_tokenizer, merge_adapter
from detectors.llm.prompt import Neutraliser, Pieces, rendered
from detectors.training.llm_cases import from_topics, policies

BATCH: Final = 16
LENGTHS: Final = (256, 768)  # tokens of the policy's prefix


class Plain:
    """The same merged model as transformers runs it, with its own attention and whole head."""

    def __init__(self, precision: torch.dtype) -> None:
        directory = open_guard(DEFAULT_MODEL)
        self.model = load_causal(directory.base(), "sdpa")
        if adapter := directory.guard.adapter:
            merge_adapter(self.model, load_file(directory.folder / adapter.file), adapter.alpha / adapter.rank)
        self.model.to(precision)
        tokenizer = load_tokenizer(directory.base())
        self.neutral = Neutraliser(map(str, tokenizer.added_tokens_decoder.values()))
        self.pieces = Pieces(tokenizer.backend_tokenizer, rendered(tokenizer, directory.guard.turns()))
        self.labels = [self.pieces.label(word) for word in ("yes", "no")]

    def margins(self, logits: torch.Tensor) -> list[float]:
        """Of `yes` over `no`."""
        picked = logits.float()[:, self.labels]
        return (picked[:, 0] - picked[:, 1]).tolist()

    @torch.inference_mode()
    def generated(self, prefix: list[int], messages: Sequence[list[int]], tokens: int) -> Iterator[list[float]]:
        """One message at a time, as one writes it first."""
        for message in messages:
            row = torch.tensor([prefix + message])
            out = self.model.generate(
                row,
                attention_mask=torch.ones_like(row),
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
                output_logits=True,
                return_dict_in_generate=True,
            )
            yield self.margins(out.logits[0])

    @torch.inference_mode()
    def fill(self, prefix: list[int]) -> None:
        """Compute the prefix once; it is nobody's time."""
        kept = DynamicCache(config=self.model.config)
        self.model.model(input_ids=torch.tensor([prefix]), past_key_values=kept, use_cache=True)
        self.shared = Cache(layers=[Shared(layer.keys, layer.values) for layer in kept.layers])

    @torch.inference_mode()
    def padded(self, messages: Sequence[list[int]]) -> Iterator[list[float]]:
        """Batches in arrival order, padded on the right, over the cached prefix."""
        for start in range(0, len(messages), BATCH):
            batch = messages[start : start + BATCH]
            longest = max(map(len, batch))
            rows = torch.tensor([message + [0] * (longest - len(message)) for message in batch])
            hidden = self.model.model(input_ids=rows, past_key_values=self.shared, use_cache=True).last_hidden_state
            last = hidden[torch.arange(len(batch)), torch.tensor([len(message) - 1 for message in batch])]
            yield self.margins(self.model.lm_head(last))


class Shared(DynamicLayer):
    """A prefix that stores nothing of what follows it."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """The prefix and, after it, what is new."""
        many = len(key_states)
        keys = torch.cat([self.keys.expand(many, -1, -1, -1), key_states], -2)
        return keys, torch.cat([self.values.expand(many, -1, -1, -1), value_states], -2)


def run(count: int = 32, seconds: float = 20.0) -> None:
    """Print messages a second for each way, and ratios, at both policy lengths."""
    torch.set_num_threads(1)
    texts = [case.text for case in from_topics(7, times=1, held_out=False)][::3][:count]
    for length in LENGTHS:
        compare(texts, long_policy(length), seconds)


def compare(texts: list[str], policy: str, seconds: float) -> None:
    """One policy; `generate` is stopped after so many seconds."""
    guard = build({"policies": {"hate": policy}, "device": "cpu"})
    guard.warm()
    precision = guard._precision  # noqa: SLF001 - the same for all
    plain = Plain(precision)
    prefix, ids = plain.pieces.prefix(policy), plain.pieces.contents([plain.neutral(text) for text in texts])
    print(
        f"{len(prefix)} policy tokens, {len(ids)} messages of {sum(map(len, ids)) / len(ids):.0f} tokens, {precision}"
    )
    ways: dict[str, Callable[[], Iterator[list[float]]]] = {
        "guard": lambda: iter([guard.margins(texts, lambda _: None)[:, 0].tolist()]),
        "padded, cached prefix": lambda: plain.padded(ids),
        "generate, 1 token": lambda: plain.generated(prefix, ids, 1),
        "generate, 10 tokens": lambda: plain.generated(prefix, ids, 10),
    }
    plain.fill(prefix)
    best: tuple[float, list[float]] = (0.0, [])
    for name, way in ways.items():
        if not name.startswith("generate"):
            rate(way, seconds)  # a warm-up
        found, margins = rate(way, seconds)
        best = best if best[1] else (found, margins)
        apart = max(abs(a - b) for a, b in zip(margins, best[1], strict=False))
        print(f"  {name:<24}{found:>8.2f} messages a CPU second   guard / this {best[0] / found:>6.1f}", end="")
        print(f"   margins within {apart:.3f}", flush=True)


def rate(way: Callable[[], Iterator[list[float]]], seconds: float) -> tuple[float, list[float]]:
    """Messages a second of processor time, and their margins."""
    began, used, margins = time.monotonic(), time.process_time(), []
    for some in way():
        margins += some
        if time.monotonic() - began > seconds:
            break
    return len(margins) / (time.process_time() - used), margins


def long_policy(tokens: int) -> str:
    """So many tokens, from the policies that the guard knows."""
    directory = open_guard(DEFAULT_MODEL)
    tokenizer = load_tokenizer(directory.base())
    pieces = Pieces(tokenizer.backend_tokenizer, rendered(tokenizer, directory.guard.turns()))
    words = " ".join(text for policy in policies().values() for text in policy.texts).split()
    while len(pieces.prefix(" ".join(words))) > tokens:
        words.pop()
    return " ".join(words)


if __name__ == "__main__":
    run()
