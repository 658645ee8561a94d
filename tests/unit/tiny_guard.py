"""A guard's directory around a tiny random model, made on the spot: another architecture, another tokenizer."""

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen3Config

from detectors.loading.base_models import sha256

POLICIES = {"hate": "No contempt for people because of what they are.", "scam": "Do not deceive people."}
SPECIAL = ["<|end|>", "<|user|>", "<|assistant|>"]
TEMPLATE = (
    "{% for m in messages %}<|user|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
GUARD = {
    "messages": [
        {"role": "system", "content": "Policy:\n{policy}\nIs it broken?"},
        {"role": "user", "content": "Message: {content}"},
    ],
    "verdicts": {"breaks": ["Yes", "yes"], "keeps": ["No"]},
}
_CORPUS = ["Yes yes No no Message: Policy Is it broken? contempt for people what they are deceive the user system"] * 50


def make(folder: Path, **changes: Any) -> Path:
    """The directory, complete; `changes` go into guard.json."""
    folder.mkdir()
    _tokenizer().save_pretrained(folder)
    config = Qwen3Config(
        vocab_size=600,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=4096,
    )
    torch.manual_seed(4)
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    model.save_pretrained(folder)
    (folder / "guard.json").write_text(json.dumps(GUARD | changes))
    describe(folder)
    return folder


def describe(folder: Path) -> None:
    """Write card.json with the digests of what is there."""
    files = {path.name: sha256(path) for path in folder.iterdir() if path.name != "card.json"}
    card = {"name": "tiny", "summary": "random", "licence": "none", "languages": [], "files": files}
    (folder / "card.json").write_text(json.dumps(card))


def _tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level pairs, learnt from a few words."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")
    wrapped.chat_template = TEMPLATE
    return wrapped
