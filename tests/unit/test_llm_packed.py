"""The packed forward with shared prefixes gives what one full forward for each message gives."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    LlamaConfig,
    Qwen2Config,
    Qwen3Config,
)

from detectors.llm.packed import ATTENTION, only_labels, prefix, verdict_logits

SIZES = {
    "vocab_size": 300,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
}
ARCHITECTURES = {
    "llama": LlamaConfig(**SIZES),
    "llama-tied": LlamaConfig(**SIZES, tie_word_embeddings=True),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES),
    "gemma2": Gemma2Config(**SIZES, attn_logit_softcapping=5.0, final_logit_softcapping=3.0, query_pre_attn_scalar=8),
    "gemma3": Gemma3TextConfig(**SIZES, sliding_window=400),
}
LABELS = [7, 120, 11]
POLICIES = [list(range(10, 60)), list(range(40, 77))]
MESSAGES = [[5, 6, 7, 8], [200, 201], [90], list(range(100, 140))]


def fresh(config: Any, attention: str) -> Any:
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(deepcopy(config), attn_implementation=attention)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@torch.inference_mode()
def one_by_one(config: Any) -> torch.Tensor:
    """A full forward for each policy and message, with the model's own attention and whole head."""
    model = fresh(config, "eager")
    rows = [[model(input_ids=torch.tensor([p + m])).logits[0, -1, LABELS] for m in MESSAGES] for p in POLICIES]
    return torch.stack([torch.stack(row) for row in rows])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_equal_to_one_full_forward_each(name: str):
    model = fresh(ARCHITECTURES[name], ATTENTION)
    only_labels(model, LABELS, torch.float32)
    found = verdict_logits(model, [prefix(model, p) for p in POLICIES], MESSAGES)
    truth = one_by_one(ARCHITECTURES[name])
    assert truth.std() > 0.1  # the messages differ at all
    torch.testing.assert_close(found, truth, atol=1e-3, rtol=0)


def test_a_message_has_the_same_logits_alone_and_in_company():
    model = fresh(ARCHITECTURES["llama"], ATTENTION)
    only_labels(model, LABELS, torch.float32)
    prefixes = [prefix(model, p) for p in POLICIES]
    together = verdict_logits(model, prefixes, MESSAGES)
    alone = torch.cat([verdict_logits(model, prefixes, [m]) for m in MESSAGES], 1)
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_a_policy_longer_than_a_layer_sees_is_refused_not_cut():
    model = fresh(Gemma3TextConfig(**SIZES, sliding_window=32), ATTENTION)
    only_labels(model, LABELS, torch.float32)
    with pytest.raises(ValueError, match="tokens"):
        prefix(model, POLICIES[0])
