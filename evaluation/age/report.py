"""`safestream evaluate age`: from model directories and tables to a report and its figures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from detectors.training.age.estimating import Say
from evaluation.age.contenders import contender
from evaluation.age.figures import figures
from evaluation.age.page import page
from schemas.errors import UserMistake

PAGE: Final = "report.html"
FIGURES: Final = "report.json"


def evaluate(model: Path, against: Path | None, tables: Sequence[Path], out: Path, say: Say) -> dict[str, Any]:
    """Write the folder `out` and return the figures. UserMistake if it is there, or nothing can be said."""
    if out.exists():
        raise UserMistake(f"{out} is there already: remove it, or name another folder with --out")
    new = contender(model, tables, say)
    old = contender(against, tables, say) if against else None
    found = figures(new, old, tables)
    if not found["gates"]:
        raise UserMistake("no gate can be judged: too few people of the tables are on one side of each")
    out.mkdir(parents=True)
    (out / FIGURES).write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (out / PAGE).write_text(page(found), encoding="utf-8")
    return found
