"""Models, opened, each with its answers about those rows of the tables that it can be judged by.

A model is judged by people it has not learnt from, and by verified ages where the spec says which are. Its card says by
fingerprints whether the table holds any that it has: if so, only those that training held apart are asked about; in a
small table, where nobody was held apart, each person is asked about by a model that is made in the same way from the
others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from detectors.age.model import AgeCard, AgeModel, open_model
from detectors.age.reading import read
from detectors.loading.model_directory import CARD, read_json
from detectors.training.age import parts
from detectors.training.age.estimating import Say
from detectors.training.age.fit import Recipe
from detectors.training.age.rows import Rows, checked
from evaluation.age.answers import Answers, of_folds, of_model
from schemas.errors import UserMistake

Way = Literal["unseen", "held apart", "folds"]


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A model and what it says of `places` (m,), row numbers of the checked table, rising."""

    name: str
    card: AgeCard
    model: AgeModel
    rows: Rows
    way: Way
    places: NDArray[np.intp]
    answers: Answers

    def about(self, places: NDArray[np.intp]) -> Answers:
        """Its answers about some of its places."""
        return self.answers.take(np.searchsorted(self.places, places))


def contender(folder: Path, tables: Sequence[Path], say: Say) -> Contender:
    """The model of a directory, asked about the tables. UserMistake if there is nobody whom it can be judged by."""
    model = open_model(folder)
    card = read_json(AgeCard, folder / CARD)
    spec = model.estimator.spec
    rows = checked(read(tables, spec), spec)
    training = _training(card, folder)
    recipe = Recipe(**training["recipe"])
    digests = parts.digests_of(rows.table, spec, recipe.seed)
    way = _way(digests, training)
    share = training["apart"] if way == "held apart" else 1.0
    places = np.flatnonzero(parts.held_apart(digests, share, rows.verified))
    if not len(places):
        raise UserMistake(f"{folder} has learnt from every row of the table: give rows that it has not learnt from")
    say(f"{folder.name}: {len(places)} of {len(rows)} rows, {_SAID[way]}")
    if way == "folds":
        order = np.argsort(digests, kind="stable")  # as in training
        answers = of_folds(model, rows.take(order), recipe, say).take(np.argsort(order))
    else:
        answers = of_model(model, rows.take(places))
    return Contender(folder.name, card, model, rows, way, places, answers)


_SAID = {
    "unseen": "none of which it was trained on",
    "held apart": "which its training held apart",
    "folds": "each judged by a model made in the same way from the others: it was trained on all of them",
}


def _way(digests: parts.Digests, training: dict[str, Any]) -> Way:
    if not parts.recognised(digests, training["fingerprints"]):
        return "unseen"
    return "held apart" if training["apart"] else "folds"


def _training(card: AgeCard, folder: Path) -> dict[str, Any]:
    if missing := {"recipe", "apart", "fingerprints"} - card.training.keys():
        raise UserMistake(
            f"{folder}: its card does not say which rows it was trained on ({', '.join(sorted(missing))} missing), so "
            "it can't be judged fairly: train it again with `safestream train age`"
        )
    return card.training
