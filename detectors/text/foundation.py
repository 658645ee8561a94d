"""The trained-by-others part of a text model: an encoder and its vocabulary, whatever file they come in.

    transformers   a folder with config.json, model.safetensors and tokenizer.json: BERT with word pieces
    e5s1           one file of 4-bit weights (`detectors.text.e5s1`), read straight: nothing is written, 5 s to load

Both give an ordinary BertModel without pooler, in float32 on the CPU. Nothing here touches the network.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel

from detectors.loading.base_models import Base, locate, verified_bytes
from detectors.text.e5s1 import E5S1, read
from detectors.text.encoder import load_encoder
from detectors.text.tokenisation import CLS, SEP, Vocabulary, load_tokenizer
from schemas.errors import UserMistake

Kind = Literal["transformers", "e5s1"]
_READ: Final[dict[Kind, tuple[str, ...]]] = {
    "transformers": ("config.json", "model.safetensors", "tokenizer.json"),
    "e5s1": (),  # the one file, whatever its name
}
_LAYER: Final = {  # name in the file → name in BertModel
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


class Foundation:
    """A base model whose files have been found and verified. Loading either part is left to the caller, at once."""

    def __init__(self, base: Base, kind: Kind) -> None:
        if missing := [name for name in _READ[kind] if name not in base.files]:
            raise UserMistake(f"base weights {base.name}: no digest of {missing[0]} is given")
        self._folder = locate(base)
        self._packed = _packed(self._folder, base.files) if kind == "e5s1" else None

    def encoder(self, attention: str) -> BertModel:
        """In float32 on the CPU, evaluating; `attention` is transformers' name for one."""
        if self._packed is None:
            return load_encoder(self._folder, attention)
        return _e5_encoder(self._packed, attention)

    def vocabulary(self) -> Vocabulary:
        """How a text becomes ids."""
        if self._packed is None:
            return Vocabulary(load_tokenizer(self._folder), CLS, SEP, {})
        return _e5_vocabulary(self._packed)


def _packed(folder: Path, files: Mapping[str, str]) -> E5S1:
    name, digest = next(iter(files.items()))
    return read(verified_bytes(folder / name, digest), name)


def _e5_vocabulary(packed: E5S1) -> Vocabulary:
    """XLM-R's unigram vocabulary. Its table is applied by `Vocabulary`; a special token has a name nobody can type.

    The pieces <s>, </s>, <pad>, <unk> and <mask> are in the vocabulary with the best of scores, so that a text could
    spell them. Here their names begin with NUL, which no normal form has.
    """
    special = {"<s>", "</s>", "<pad>", "<unk>", "<mask>"}
    names = [f"\0{piece}" if piece in special else piece for piece in packed.pieces]
    pieces = list(zip(names, packed.scores.tolist(), strict=True))
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=packed.unknown, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always", split=True)
    return Vocabulary(tokenizer, packed.first, packed.last, packed.table)


def _e5_encoder(packed: E5S1, attention: str) -> BertModel:
    sizes = packed.sizes
    config = BertConfig(
        vocab_size=len(packed.pieces),
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.inner,
        max_position_embeddings=sizes.positions,
        type_vocab_size=sizes.types,
        layer_norm_eps=sizes.epsilon,
    )
    config._attn_implementation = attention  # noqa: SLF001 - the constructor's own way: from_pretrained sets it too
    with torch.device("meta"):  # no random numbers for weights that are replaced at once
        encoder = BertModel(config, add_pooling_layer=False)
    encoder.load_state_dict(_e5_tensors(packed), strict=False, assign=True)
    encoder.embeddings.register_buffer("position_ids", torch.arange(sizes.positions)[None], persistent=False)
    types = torch.zeros(1, sizes.positions, dtype=torch.long)
    encoder.embeddings.register_buffer("token_type_ids", types, persistent=False)
    encoder.train(mode=False)
    return encoder


def _e5_tensors(packed: E5S1) -> dict[str, torch.Tensor]:
    h, inner = packed.sizes.hidden, packed.sizes.inner
    found = {
        "embeddings.word_embeddings.weight": packed.tensor("emb.word", packed.sizes.rows, h)[: len(packed.pieces)],
        "embeddings.position_embeddings.weight": packed.tensor("emb.pos", packed.sizes.positions, h),
        "embeddings.token_type_embeddings.weight": packed.tensor("emb.type", packed.sizes.types, h),
        "embeddings.LayerNorm.weight": packed.tensor("emb.ln.w", h),
        "embeddings.LayerNorm.bias": packed.tensor("emb.ln.b", h),
    }
    for i in range(packed.sizes.layers):
        for short, name in _LAYER.items():
            rows = inner if short == "fi" else h
            shape = (rows,) if short.endswith("ln") else (rows, inner if short == "fo" else h)
            found[f"encoder.layer.{i}.{name}.weight"] = packed.tensor(f"l{i}.{short}.w", *shape)
            found[f"encoder.layer.{i}.{name}.bias"] = packed.tensor(f"l{i}.{short}.b", rows)
    return {name: torch.from_numpy(tensor.copy()) for name, tensor in found.items()}
