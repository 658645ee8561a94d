"""A small age model of profile signals by the names of our schema, trained once a session from a drawn table."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from detectors.age.model import AgeCard
from detectors.age.spec import Spec
from detectors.age.table import table_of
from detectors.interface import DetectorSpec
from detectors.training.age.estimating import calibrated, estimator_for
from detectors.training.age.rows import checked
from detectors.training.age.saving import save
from tests.people import QUICK

SPEC = Spec.model_validate(
    {
        "target": "age",
        "signals": {
            "followers": "count",
            "account_age_days": "count",
            "school_hours_share": "number",
            "guardian_linked": "flag",
            "bio": "text",
        },
        "declared": "declared_age",
    }
)


def profiles(rows: int, seed: int = 1, missing: float = 0.3) -> dict[str, list[Any]]:
    """Columns of a table; ages from 9 to 70."""
    rng = np.random.default_rng(seed)
    ages = np.clip(rng.gamma(3.0, 7.0, rows) + 9, 9, 70).astype(int)
    young = ages < 18
    words = (["homework", "teacher", "lol", "mum", "music"], ["office", "wine", "mortgage", "kids", "music"])
    columns: dict[str, list[Any]] = {
        "followers": rng.poisson(20 + 3 * ages).tolist(),
        "account_age_days": rng.poisson(30 * np.maximum(ages - 8, 1)).tolist(),
        "school_hours_share": np.round(np.where(young, 0.05, 0.3) + rng.random(rows) / 8, 3).tolist(),
        "guardian_linked": ((ages < 16) & (rng.random(rows) < 0.5)).tolist(),
        "bio": [" ".join(rng.choice(words[0 if is_young else 1], 8)) for is_young in young.tolist()],
    }
    for cells in columns.values():
        for row in np.flatnonzero(rng.random(rows) < missing).tolist():
            cells[row] = None
    said = np.where(young & (rng.random(rows) < 0.33), 19, ages).tolist()
    return columns | {"age": ages.tolist(), "declared_age": said}


@cache
def model() -> Path:
    """Its directory."""
    folder = Path(tempfile.mkdtemp(prefix="safestream-age-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    rows = checked(table_of(profiles(1_200)), SPEC)
    learnt, apart = rows.take(np.arange(800)), rows.take(np.arange(800, 1_200))
    estimator = estimator_for(learnt, SPEC, QUICK, lambda _: None)
    card = AgeCard(name="tiny", summary="For tests.", licence="", languages=(), evaluation={"none": 0}, files={})
    save(calibrated(estimator, apart, estimator(apart.table)), card, folder / "model")
    return folder / "model"


def detector(name: str = "age") -> DetectorSpec:
    """As configuration has it."""
    return DetectorSpec(name, {"model": str(model())}, "detectors.age.detector:build")
