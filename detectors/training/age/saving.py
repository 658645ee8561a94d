"""Writing the model directory."""

import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from detectors.age.estimator import Estimator
from detectors.age.model import TEXT_PARTS, AgeCard, AgeConfig, AgeModel, NetworkConfig
from detectors.loading.base_models import sha256
from detectors.loading.model_directory import CARD, CONFIG, WEIGHTS, write_json


def save(model: AgeModel, card: AgeCard, out: Path) -> None:
    """Write the directory `out`, whole or not at all; `card.files` is filled in here."""
    unfinished = out.with_name(out.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    save_file(tensors_of(model.estimator), unfinished / WEIGHTS)
    (unfinished / WEIGHTS).chmod(0o644)  # it is written for its owner only
    write_json(config_of(model), unfinished / CONFIG)
    files = {name: sha256(unfinished / name) for name in (CONFIG, WEIGHTS)}
    write_json(card.model_copy(update={"files": files}), unfinished / CARD)
    unfinished.rename(out)


def config_of(model: AgeModel) -> AgeConfig:
    """config.json."""
    estimator = model.estimator
    network = estimator.network
    return AgeConfig(
        spec=estimator.spec,
        statistics=dict(estimator.features.statistics),
        network=NetworkConfig(
            head=network.head, members=network.members, hidden=network.width, borders=network.borders
        ),
        reach=model.reach,
        gates=model.gates,
        limits=model.limits,
    )


def tensors_of(estimator: Estimator) -> dict[str, Tensor]:
    """model.safetensors."""
    found = {f"network.{name}": one.detach().cpu().contiguous() for name, one in estimator.network.state_dict().items()}
    for name, texts in estimator.features.texts.items():
        found |= {f"text.{name}.{part}": torch.from_numpy(getattr(texts, part)) for part in TEXT_PARTS}
    found["familiar.centre"] = torch.from_numpy(estimator.familiar.centre)
    found["familiar.directions"] = torch.from_numpy(estimator.familiar.directions)
    return {name: one.contiguous() for name, one in found.items()}
