"""A BERT encoder from a folder, with or without a low-rank adapter merged into it. Nothing here touches the network."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import BertConfig, BertModel


def load_encoder(folder: Path, attention: str) -> BertModel:
    """The encoder in float32 on the CPU, evaluating, without pooler; `attention` is transformers' name for one."""
    config = BertConfig.from_json_file(folder / "config.json")
    config._attn_implementation = attention  # noqa: SLF001 - the constructor's own way: from_pretrained sets it too
    encoder = BertModel(config, add_pooling_layer=False)
    weights = load_file(folder / "model.safetensors")
    wanted = encoder.state_dict().keys()
    encoder.load_state_dict({name: weights[name] for name in wanted if name in weights}, strict=True)
    encoder.train(mode=False)
    return encoder


@torch.no_grad()
def merge_adapter(encoder: BertModel, tensors: Mapping[str, Tensor], scale: float) -> None:
    """Add `scale · B A` to each adapted weight, in float32: W (out, in), A (rank, in), B (out, rank).

    Names are peft's: `<module>.lora_A.weight` and `<module>.lora_B.weight`. KeyError or RuntimeError if they don't fit.
    """
    modules = dict(encoder.named_modules())
    for name, down in tensors.items():
        if module := name.removesuffix(".lora_A.weight") if name.endswith(".lora_A.weight") else "":
            up = tensors[f"{module}.lora_B.weight"]
            modules[module].weight.add_(up.float() @ down.float(), alpha=scale)
