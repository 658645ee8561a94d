"""Low-rank adapters, merged into the weights they belong to: afterwards they cost nothing. LoRA: arXiv:2106.09685."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from schemas.errors import UserMistake


@torch.no_grad()
def merge_adapter(model: nn.Module, tensors: Mapping[str, Tensor], scale: float) -> None:
    """Add `scale · B A` to each adapted weight, in the weight's own precision, which should be float32.

    Names are peft's: `<module>.lora_A.weight` (rank, in) and `<module>.lora_B.weight` (out, rank); other tensors are
    left alone.

    Raises:
        UserMistake: the model has no such module.
    """
    modules = dict(model.named_modules())
    for name, down in tensors.items():
        if name.endswith(".lora_A.weight"):
            module = name.removesuffix(".lora_A.weight")
            if module not in modules:
                raise UserMistake(f"the adapter is for another model: there is no {module} in this one")
            weight = modules[module].weight
            assert isinstance(weight, Tensor)
            weight.add_(tensors[f"{module}.lora_B.weight"].float() @ down.float(), alpha=scale)
