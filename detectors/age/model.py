"""The age model: a model directory, opened, and what it says of many profiles at once.

    config.json         spec, what was learnt of each signal, the network's shape, intervals, gates, limits
    model.safetensors   network, texts' linear models, what was seen in training
    card.json           what it is worth

Its version is the hash of what is in it, as every model's (`detectors.loading.model_directory`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load_file
from torch import Tensor

from detectors.age import distribution
from detectors.age.abstain import Familiar, Limits, Why, why
from detectors.age.conformal import Reach
from detectors.age.distribution import Floats
from detectors.age.estimator import Estimates, Estimator
from detectors.age.features import Features, Statistics, TextStatistics
from detectors.age.gates import Gate, probabilities
from detectors.age.network import AgeNetwork, Head
from detectors.age.spec import Spec
from detectors.age.table import Table
from detectors.age.words import Texts
from detectors.loading.model_directory import CONFIG, WEIGHTS, CardBasics, read_json, verified
from schemas.errors import UserMistake

TEXT_PARTS: Final = ("idf", "weights", "intercept", "centre", "scale")


class NetworkConfig(BaseModel):
    """The network's shape: see `detectors.age.network.AgeNetwork`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    head: Head
    members: int = Field(gt=0)
    hidden: int = Field(gt=0)
    borders: tuple[int, ...] = Field(
        default=(), description="Of a classifier: the first age of each bucket but the first."
    )


class AgeConfig(BaseModel):
    """config.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    detector: Literal["age"] = "age"
    spec: Spec
    statistics: dict[str, Statistics]
    network: NetworkConfig
    reach: Reach
    gates: tuple[Gate, ...] = Field(min_length=1, description="By rising age; 13, 16 and 18 are among them.")
    limits: Limits


class AgeCard(CardBasics):
    """card.json of an age model."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Of n profiles. All but `abstained` is NaN where the model abstained: the stricter audience is then for policy."""

    pmf: Floats  # (n, 121) over completed years
    mean: Floats  # (n,) years
    low: Floats  # (n,) first and last completed year of the interval
    high: Floats  # (n,)
    gates: Floats  # (n, gates) calibrated P(age ≥ gate)
    ages: tuple[int, ...]  # (gates,)
    abstained: NDArray[np.uint8]  # (n,) `detectors.age.abstain.Why`

    def reaching(self, gate: int) -> Floats:
        """(n,) P(age ≥ gate), of a gate that the model has; ValueError otherwise."""
        return np.asarray(self.gates[:, self.ages.index(gate)], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class AgeModel:
    """Estimates, calibrated."""

    estimator: Estimator
    reach: Reach
    gates: tuple[Gate, ...]
    limits: Limits
    version: str = ""

    def predict(self, table: Table) -> Predictions:
        """Of every row of the columns (`detectors.age.table.table_of`, `detectors.age.reading.read`)."""
        return self.calibrated(self.estimator(table))

    def calibrated(self, found: Estimates) -> Predictions:
        """What is published, from estimates."""
        abstained = why(found.present, found.distance, self.limits)
        low, high = distribution.central(found.pmf, self.reach.of(found.matrix))
        said = np.column_stack([distribution.mean(found.pmf), low, high, probabilities(self.gates, found.pmf)])
        silent = (abstained != Why.none)[:, None]
        said, pmf = np.where(silent, np.nan, said), np.where(silent, np.nan, found.pmf)
        ages = tuple(gate.age for gate in self.gates)
        return Predictions(pmf, said[:, 0], said[:, 1], said[:, 2], said[:, 3:], ages, abstained)


def open_model(folder: Path) -> AgeModel:
    """A verified model directory, on the CPU. UserMistake says what is wrong with it."""
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserMistake(f"{folder} is not a model directory: {name} is missing")
    found = verified(folder, AgeCard)
    config = read_json(AgeConfig, folder / CONFIG)
    try:
        estimator = estimator_of(config, load_file(folder / WEIGHTS))
    except (KeyError, RuntimeError) as error:
        raise UserMistake(f"{folder}: {WEIGHTS} does not fit {CONFIG}: {str(error).splitlines()[0]}") from None
    return AgeModel(estimator, config.reach, config.gates, config.limits, found.version)


def estimator_of(config: AgeConfig, tensors: Mapping[str, Tensor]) -> Estimator:
    """As `tensors_of` took it apart. KeyError or RuntimeError if the tensors are others."""
    texts = {
        name: Texts(*(tensors[f"text.{name}.{part}"].float().numpy() for part in TEXT_PARTS))
        for name, one in config.statistics.items()
        if isinstance(one, TextStatistics)
    }
    features = Features({name: config.spec.signals[name] for name in config.statistics}, config.statistics, texts)
    shape = config.network
    network = AgeNetwork(features.width, shape.head, shape.members, shape.hidden, borders=shape.borders)
    own = {name.removeprefix("network."): one for name, one in tensors.items() if name.startswith("network.")}
    network.load_state_dict(own)
    familiar = Familiar(tensors["familiar.centre"].numpy(), tensors["familiar.directions"].numpy())
    return Estimator(config.spec, features, network.eval(), familiar)
