"""A simulated population, small and simple: signals that depend on age, mostly missing, and ages declared with lies."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detectors.age.spec import Spec
from detectors.training.age.fit import Recipe

SPEC = Spec.model_validate(
    {
        "target": "age",
        "signals": {
            "followers": "count",
            "evenings": "number",
            "school": "flag",
            "topic": "category",
            "interests": "tags",
            "bio": "text",
        },
        "declared": "declared_age",
        "groups": ["sex"],
    }
)
QUICK = Recipe(members=2, hidden=16, least_steps=120)  # enough to learn something in a second


def people(rows: int, seed: int = 1, missing: float = 0.3) -> dict[str, list[Any]]:
    """Columns of a table, ages from 9 to 70."""
    rng = np.random.default_rng(seed)
    ages = np.clip(rng.gamma(4.0, 6.0, rows) + 9, 9, 70).astype(int)
    young = ages < 18
    columns: dict[str, list[Any]] = {
        "followers": rng.poisson(20 + 3 * ages).tolist(),
        "evenings": np.round(0.5 + ages / 100 + rng.normal(0, 0.1, rows), 3).tolist(),
        "school": np.where(young ^ (rng.random(rows) < 0.1), "yes", "no").tolist(),
        "topic": _topics(rng, ages),
        "interests": [", ".join(rng.choice(["games", "cooking"], 1 + rng.integers(2))) for _ in range(rows)],
        "bio": [_bio(rng, age) for age in ages.tolist()],
    }
    for cells in columns.values():
        for row in np.flatnonzero(rng.random(rows) < missing).tolist():
            cells[row] = None
    lie = young & (rng.random(rows) < 0.33)
    return columns | {
        "age": ages.tolist(),
        "declared_age": np.where(lie, rng.integers(18, 22, rows), ages).tolist(),
        "sex": rng.choice(["f", "m"], rows).tolist(),
    }


def write_csv(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    """None as an empty cell."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(["" if cell is None else cell for cell in row] for row in zip(*columns.values(), strict=True))
    return path


def _topics(rng: np.random.Generator, ages: Any) -> list[str]:
    drawn = np.digitize(ages + rng.normal(0, 6, len(ages)), [16, 25, 40])
    return np.array(["anime", "exams", "jobs", "garden"])[drawn].tolist()


def _bio(rng: np.random.Generator, age: int) -> str:
    own = "homework teacher lol mum" if age < 18 else "office wine mortgage kids"
    return " ".join(rng.choice([*own.split(), "music", "love", "the", "and"], 12))
