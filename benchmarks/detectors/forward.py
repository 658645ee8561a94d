"""The packed forward against what is usually done: padded batches in arrival order, and one text at a time.

The same weights, the same precision, one thread, in turns in one process. A text's probabilities must be equal.
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.detectors.texts import mixed
from detectors.items import Items
from detectors.text.detector import TextDetector, build

BATCH = 32


def run(count: int, repeats: int) -> None:
    """Print texts a second for each way, and ratios."""
    torch.set_num_threads(1)
    detector, plain = build({}), build({})
    detector.warm()
    plain._encoder.set_attn_implementation("sdpa")  # noqa: SLF001 - the same weights, transformers' own attention
    texts = mixed(count)
    items = Items.of(texts)
    ways: dict[str, Callable[[], object]] = {
        "packed": lambda: detector.logits(texts, lambda _: None),
        f"padded, {BATCH} in arrival order": lambda: padded(plain, texts, BATCH),
        "one at a time": lambda: padded(plain, texts[: count // 4], 1),
    }
    same(detector, plain, texts[:64])
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            began = time.process_time()
            way()
            done = count // 4 if name == "one at a time" else count
            rates[name].append(done / (time.process_time() - began))
    medians = {name: float(np.median(found)) for name, found in rates.items()}
    began = time.process_time()
    detector.score(items, lambda _: None)
    print(f"{count:,} texts of mixed lengths, {detector.version}, one thread, texts a CPU second")
    for name, rate in medians.items():
        print(f"  {name:<32} {rate:>8,.1f}   packed / this {medians['packed'] / rate:>6.2f}")
    print(f"  whole detector (normal form, language, calibration) {count / (time.process_time() - began):>8,.1f}")


@torch.inference_mode()
def padded(detector: TextDetector, texts: list[str], size: int) -> np.ndarray:
    """The highest logit of a text's chunks, by padded batches."""
    encoder, head, vocabulary = detector._encoder, detector._head, detector._vocabulary  # noqa: SLF001
    cut = [(row, chunk) for row, ids in enumerate(vocabulary.pieces(texts)) for chunk in vocabulary.chunks(ids)]
    highest = np.full((len(texts), len(detector.categories)), -np.inf, np.float32)
    for at in range(0, len(cut), size):
        part = cut[at : at + size]
        longest = max(len(chunk) for _, chunk in part)
        ids = torch.tensor([chunk + [0] * (longest - len(chunk)) for _, chunk in part])
        mask = torch.tensor([[1] * len(chunk) + [0] * (longest - len(chunk)) for _, chunk in part])
        hidden = encoder(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        vectors = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        np.maximum.at(highest, [row for row, _ in part], head(vectors).numpy())
    return highest


def same(detector: TextDetector, plain: TextDetector, texts: list[str]) -> None:
    """Both ways give the same, as far as the precision goes."""
    apart = np.abs(detector.logits(texts, lambda _: None) - padded(plain, texts, BATCH)).max()
    assert apart < 0.35, apart
