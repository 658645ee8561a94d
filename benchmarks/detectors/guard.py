"""The LLM guard against `generate` and against a padded batch with a cached prefix: messages a second, as ratios.

Everything runs the same weights on one thread, in the precision that the guard runs here. Where that rounds, a few
messages are asked in float32 as well: there the margins have to be equal. Policies are 256 and 768 tokens long.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch
from safetensors.torch import load_file
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

from detectors.llm.directory import open_guard
from detectors.llm.guard import DEFAULT_MODEL, GuardDetector, build
from detectors.llm.model import load_causal, load_tokenizer
from detectors.llm.prompt import Neutraliser, Pieces, rendered
from detectors.loading.adapters import merge_adapter
from detectors.training.llm_cases import from_topics, policies

BATCH: Final = 16
LENGTHS: Final = (256, 768)  # tokens of the policy's prefix
SECONDS: Final = 15.0  # after which a way is not given another message
EXACTLY: Final = 3  # messages that are asked in float32 as well
EQUAL: Final = 1e-2  # margins in float32, by whatever way


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

    def asked(self, policy: str, texts: list[str]) -> tuple[list[int], list[list[int]]]:
        """Tokens of the policy's prefix, and of what follows it for each message."""
        return self.pieces.prefix(policy), self.pieces.contents([self.neutral(text) for text in texts])

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
        self.shared = Cache(layers=[Shared(layer) for layer in kept.layers])

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


class Shared(DynamicLayer):  # type: ignore[no-untyped-call] # transformers' own decorator
    """A prefix that stores nothing of what follows it."""

    def __init__(self, filled: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lazy_initialization(filled.keys, filled.values)
        self.keys, self.values = filled.keys, filled.values
        self.prefix = filled.keys, filled.values

    def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """The prefix and, after it, what is new."""
        keys, values = (each.expand(len(key_states), -1, -1, -1) for each in self.prefix)
        return torch.cat([keys, key_states], -2), torch.cat([values, value_states], -2)


def run(count: int) -> None:
    """Print messages a second for each way, and ratios, at both policy lengths."""
    torch.set_num_threads(1)
    texts = [case.text for case in from_topics(7, times=1, part="train")][::3][:count]
    for length in LENGTHS:
        policy = long_policy(length)
        compare(texts, policy)
        equal(texts[:EXACTLY], policy)


def compare(texts: list[str], policy: str) -> None:
    """One policy; `generate` is stopped after some time."""
    guard = asking(policy, "auto")
    precision = guard._precision  # noqa: SLF001 - the same for all
    plain = Plain(precision)
    prefix, ids = plain.asked(policy, texts)
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
            rate(way)  # a warm-up
        found, margins = rate(way)
        best = best if best[1] else (found, margins)
        apart = max(abs(a - b) for a, b in zip(margins, best[1], strict=False))
        print(f"  {name:<24}{found:>8.2f} messages a CPU second   guard / this {best[0] / found:>6.1f}", end="")
        print(f"   margins within {apart:.3f}", flush=True)


def equal(texts: list[str], policy: str) -> None:
    """Without rounding, the guard's margins are those of `generate`."""
    plain = Plain(torch.float32)
    theirs = [margin for some in plain.generated(*plain.asked(policy, texts), 1) for margin in some]
    ours = asking(policy, "float32").margins(texts, lambda _: None)[:, 0].tolist()
    apart = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    assert apart < EQUAL, apart
    print(f"  in float32, {len(texts)} messages: margins within {apart:.5f} of those of generate", flush=True)


def asking(policy: str, precision: str) -> GuardDetector:
    """The guard with one policy, ready."""
    guard = build({"policies": {"hate": policy}, "device": "cpu", "precision": precision})
    guard.warm()
    return guard


def rate(way: Callable[[], Iterator[list[float]]]) -> tuple[float, list[float]]:
    """Messages a second of processor time, and their margins."""
    began, used, margins = time.monotonic(), time.process_time(), list[float]()
    for some in way():
        margins += some
        if time.monotonic() - began > SECONDS:
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
