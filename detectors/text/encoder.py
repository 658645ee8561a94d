"""A BERT encoder from a folder. Nothing here touches the network."""

from pathlib import Path

from safetensors.torch import load_file
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
