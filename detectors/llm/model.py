"""A causal language model from a directory of safetensors.

Any architecture that transformers has a class for: Llama, Qwen, Gemma and the guards built on them. What could run code
is refused by name: pickled weights, and configurations that point to code of their own.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from detectors.loading.model_files import fault, files_of
from schemas.errors import UserMistake


def check_folder(folder: Path) -> None:
    """UserMistake, with the file's name, unless the folder holds safetensors and configuration, and no code."""
    if not (folder / "config.json").is_file():
        raise UserMistake(f"{folder} is not a model directory: config.json is missing")
    for path in files_of(folder):
        if why := fault(path):
            raise UserMistake(f"{path}: {why}")
    if not any(folder.glob("*.safetensors")):
        raise UserMistake(f"{folder}: no *.safetensors here, and nothing else is loaded")


def load_causal(folder: Path, attention: str, dtype: torch.dtype = torch.float32) -> Any:
    """The model on the CPU, evaluating; `attention` is transformers' name for one. UserMistake as `check_folder`."""
    check_folder(folder)
    try:
        disable_progress_bar()  # type: ignore[no-untyped-call]  # it would leave a thread behind
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            attn_implementation=attention,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError) as error:
        raise UserMistake(f"{folder}: no causal language model: {' '.join(str(error).split())[:200]}") from None
    model.train(mode=False)
    return model


def load_tokenizer(folder: Path) -> Any:
    """The directory's tokenizer, with its chat template."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserMistake(f"{folder}: no tokenizer: {' '.join(str(error).split())[:200]}") from None
    if not tokenizer.chat_template:
        raise UserMistake(f"{folder}: the tokenizer has no chat template, so there is no way to put the question")
    return tokenizer
