"""On which device and in which precision a model of torch runs."""

from typing import Final, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import UserMistake

MOST_TOKENS: Final = 65_536  # of a warm-up on a device, unless the configured budget is larger


class DeviceOptions(BaseModel):
    """What configuration may say of a model that runs here."""

    model_config = ConfigDict(extra="forbid")

    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where the processor multiplies it
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$")  # auto: CUDA if there is any


def check_device(device: str) -> None:
    """UserMistake if the device is not there. A process may fork after it: the devices are counted through NVML."""
    if device.startswith("cuda"):
        there = torch.cuda.device_count()
        if int(device.partition(":")[2] or 0) >= there:
            raise UserMistake(f"device: there is no {device}, torch finds {there} CUDA devices")


def chosen_device(wanted: str) -> str:
    """The device that `auto` means here. For the process that scores."""
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def chosen_precision(wanted: str, device: str) -> torch.dtype:
    """The precision that `auto` means on a device, or on the CPU as long as it is not known which."""
    if wanted == "auto":
        return torch.bfloat16 if device.startswith("cuda") or cpu_multiplies_bfloat16() else torch.float32
    return torch.bfloat16 if wanted == "bfloat16" else torch.float32


def cpu_multiplies_bfloat16() -> bool:
    """Whether this processor does it itself."""
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))


def most_tokens(device: str, budget: int) -> int:
    """Up to where a warm-up tries: on the CPU more than the budget fits no caches."""
    return max(MOST_TOKENS, budget) if device.startswith("cuda") else budget
