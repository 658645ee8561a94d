"""The guard with its adapter merged, as an ordinary directory that vLLM or `transformers serve` can serve.

python -m detectors.llm.export OUT
"""

import shutil
import sys
from pathlib import Path

from detectors.llm.directory import GuardDirectory, open_guard
from detectors.llm.guard import DEFAULT_MODEL
from detectors.llm.model import load_causal
from detectors.loading.adapters import merge_adapter
from schemas.errors import UserMistake


def export(directory: GuardDirectory, out: Path) -> None:
    """Write the merged model in float32, and the tokenizer's files as they are. UserMistake if `out` is there."""
    if out.exists():
        raise UserMistake(f"{out} is there already")
    base = directory.base()
    model = load_causal(base, "sdpa")
    if adapter := directory.guard.adapter:
        merge_adapter(model, directory.adapter(), adapter.alpha / adapter.rank)
    model.save_pretrained(out)
    for path in [*base.glob("tokenizer*"), *base.glob("chat_template*")]:
        shutil.copyfile(path, out / path.name)


if __name__ == "__main__":
    export(open_guard(DEFAULT_MODEL), Path(sys.argv[1]))
