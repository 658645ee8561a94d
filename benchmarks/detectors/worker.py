"""End to end: our worker with the text detector, against a user's first loop, and against the detector alone.

Each gets the same comments on the same broker and one thread for the model. `naive_app.py` runs the same encoder as an
ordinary classifier of `transformers`. The detector alone scores the same texts in a loop, without Kafka.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from confluent_kafka.admin import AdminClient, NewTopic
from transformers import BertForSequenceClassification

from benchmarks.detectors.texts import mixed
from benchmarks.stream.__main__ import fresh_topics, say
from benchmarks.stream.contenders import PARTITIONS, ROOT, Contender, ours, running
from benchmarks.stream.load import produce
from benchmarks.stream.watching import Watch
from detectors.text.detector import TextDetector, build
from schemas.topics import COMMENTS
from stream.local_broker import own_broker

AIM_NAIVE, AIM_ALONE = 5.0, 0.9
_ALONE = """
import sys, time
from benchmarks.detectors.texts import mixed
from detectors.items import Items
from detectors.text.detector import build
detector = build({}); detector.warm()
items = Items.of(mixed(int(sys.argv[1]), 1))
began = time.perf_counter()
for at in range(0, len(items), 1000):
    detector.score(items.take(list(range(at, min(at + 1000, len(items))))), lambda _: None)
print(len(items) / (time.perf_counter() - began))
"""


def run(count: int, repeats: int) -> None:
    """Print events a second of each, and ratios of medians."""
    texts = mixed(count, 1)
    few = max(200, count // 6)  # the plain loop is slow
    rates: dict[str, list[float]] = {"alone": [], "worker": [], "naive": []}
    with own_broker(say) as broker, tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        model = ordinary_classifier(folder / "model")
        for repeat in range(repeats):
            rates["alone"].append(alone(count))
            rates["worker"].append(worker(broker.bootstrap, folder, texts, repeat))
            rates["naive"].append(naive(broker.bootstrap, folder, model, texts[:few], repeat))
            say("  " + ", ".join(f"{name} {found[-1]:,.1f}" for name, found in rates.items()) + " events/s")
    medians = {name: float(np.median(found)) for name, found in rates.items()}
    say(f"{count:,} comments of mixed lengths, medians of {repeats}")
    say(f"  worker {medians['worker']:,.1f} events/s")
    say(f"  worker / naive loop {medians['worker'] / medians['naive']:.2f}, aim {AIM_NAIVE}")
    say(f"  worker / detector alone {medians['worker'] / medians['alone']:.2f}, aim {AIM_ALONE}")


def alone(count: int) -> float:
    """The detector in a process of its own, one thread, no Kafka."""
    line = [sys.executable, "-c", _ALONE, str(count)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=ROOT)
    return float(done.stdout.splitlines()[-1])


def worker(bootstrap: str, folder: Path, texts: list[str], repeat: int) -> float:
    """Our worker: everything waits in the topic when it starts."""
    fresh_topics(bootstrap)
    produce(bootstrap, len(texts), repeat, texts=texts)
    settings: dict[str, Any] = {"detectors": {"text": {}}, "detector_process": {"reuse_entries": 0}}
    contender = ours(bootstrap, folder, 1000, **settings)
    with Watch(bootstrap, contender.decisions, PARTITIONS) as watch, running(contender, folder):
        watch.wait(len(texts), 600)
        return watch.rate(len(texts))


def naive(bootstrap: str, folder: Path, model: Path, texts: list[str], repeat: int) -> float:
    """The plain loop."""
    target = f"naive-{repeat}-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(target, 4, 1)]).values():
        future.result(30)
    fresh_topics(bootstrap)  # takes seconds, in which the new topic finds its leader
    produce(bootstrap, len(texts), repeat, texts=texts)
    script = str(Path(__file__).with_name("naive_app.py"))
    contender = Contender("naive", target, target, [sys.executable, script, bootstrap, COMMENTS, target, str(model)])
    with Watch(bootstrap, target, PARTITIONS) as watch, running(contender, folder):
        watch.wait(len(texts), 600)
        return watch.rate(len(texts))


def ordinary_classifier(folder: Path) -> Path:
    """The text detector's encoder as a classifier that `transformers.pipeline` takes, with its tokenizer."""
    detector: TextDetector = build({"precision": "float32"})
    encoder = detector._encoder  # noqa: SLF001 - the same weights
    config = encoder.config
    config.num_labels = len(detector.categories)
    model = BertForSequenceClassification(config)
    model.bert.load_state_dict(encoder.state_dict(), strict=False)
    torch.nn.init.normal_(model.classifier.weight, std=0.02)
    model.save_pretrained(folder)
    detector._vocabulary.tokenizer.save(str(folder / "tokenizer.json"))  # noqa: SLF001
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, "pad_token": "[PAD]"}',
        encoding="utf-8",
    )
    return folder
