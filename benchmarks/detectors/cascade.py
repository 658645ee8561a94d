"""What asking the LLM guard only where the text detector is unsure costs and finds, against either of them alone.

Public English messages labelled for hate, half of them hateful, as evenly from the sources as can be, out of the part
that neither shipped model was trained on. The band comes from the text model's card and is applied by the pack's own
code; a score is the larger of the two, as a rule of a pack reads it. All are compared at the false-positive rate that
the text detector's threshold has on these messages.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.interface import Answer, Detector
from detectors.items import Items
from detectors.llm.directory import open_guard
from detectors.llm.guard import DEFAULT_MODEL as GUARD
from detectors.llm.guard import build as build_guard
from detectors.loading.model_directory import Card, CardBasics, open_directory
from detectors.text.detector import DEFAULT_MODEL as TEXT
from detectors.text.detector import build as build_text
from detectors.training.datasets import load
from detectors.training.llm_cases import Case
from detectors.training.llm_evaluation import Asked, sample
from detectors.training.measures import Floats, roc_auc, with_interval
from detectors.training.rows import CATEGORIES, Examples
from detectors.training.splits import split
from enforcement.cascade import Cascade
from enforcement.conditions import facts
from enforcement.pack_model import Asking, Band
from safestream.train import data_folder
from schemas.categories import Category
from schemas.columns import Events, Score, Scores
from schemas.errors import UserMistake

HATE = Category.HATE
NOT_ENGLISH = {"germeval2018", "korean_hate"}
Ways = dict[str, tuple[Floats, float, float]]  # scores, CPU seconds, share that the guard is asked about


def run(data: Path | None, count: int) -> None:
    """Print cost, recall, precision and ROC AUC of each way; or one line if that can't be done here."""
    torch.set_num_threads(1)
    directory, guard = open_directory(TEXT), open_guard(GUARD)
    try:
        band = unsure(directory.card)
        messages = held_apart(data or data_folder(), (directory.card, guard.card), count // 2)
    except UserMistake as mistake:
        print(f"  left out: {mistake}")
        return
    ways = measured(messages.texts, band, guard.guard.policies[HATE])
    report(messages, ways, band, directory.card.thresholds[HATE].threshold)


def unsure(card: Card) -> Band:
    """Where the text model's card says that it leaves hate open."""
    found = card.evaluation.get("unsure", {}).get(HATE)
    if found is None:
        raise UserMistake(f"the card of {card.name} has no band for {HATE}")
    return Band(detector="text", category=HATE, low=found["low"], high=found["high"])


def held_apart(folder: Path, cards: tuple[CardBasics, ...], most: int) -> Asked:
    """About `most` messages of each kind from the test part. UserMistake unless the data are those of the cards."""
    rows, digests = load(folder)
    for card in cards:
        same_data(card.training, digests, folder)
    examples = Examples.of(rows)
    labels = examples.labels[:, CATEGORIES.index(HATE)]
    cases = [
        Case(examples.texts[i], examples.sources[i], {HATE: bool(labels[i])})
        for i in split(examples).test
        if not np.isnan(labels[i]) and examples.sources[i] not in NOT_ENGLISH
    ]
    kinds = {breaks: {case.source for case in cases if case.known[HATE] == breaks} for breaks in (True, False)}
    both = kinds[True] & kinds[False]  # elsewhere the source would give the label away
    return sample([case for case in cases if case.source in both], HATE, most, seed=6)


def same_data(training: Mapping[str, Any], digests: Mapping[str, str], folder: Path) -> None:
    """Other files fall into other parts, and then a test row may have been trained on."""
    for source in training["data"]:
        for name, digest in source["files"].items():
            if digests.get(f"{source['name']}/{name}", digest) != digest:
                raise UserMistake(f"{source['name']}/{name} in {folder} is not the file that was trained on")


def measured(texts: list[str], band: Band, policy: str) -> Ways:
    """Each way's scores and cost."""
    text = build_text({"device": "cpu"})
    guard = build_guard({"device": "cpu", "policies": {HATE: policy}})
    text.warm()
    guard.warm()
    items = Items.of(texts)
    first, cheap = scored(text, items)
    asked = np.flatnonzero(within(band, text, first, items))
    every, dear = scored(guard, items)
    some, part = scored(guard, items.take(asked))
    alone = np.nan_to_num(column(text, first))
    both = alone.copy()
    both[asked] = np.maximum(both[asked], np.nan_to_num(column(guard, some)))  # "the largest score of all"
    return {
        "text detector alone": (alone, cheap, 0.0),
        "LLM guard on all": (np.nan_to_num(column(guard, every)), dear, 1.0),
        "cascade": (both, cheap + part, len(asked) / len(texts)),
    }


def scored(detector: Detector, items: Items) -> tuple[Answer, float]:
    """The answer and the processor's seconds that it took."""
    began = time.process_time()
    return detector.score(items, lambda _: None), time.process_time() - began


def column(detector: Detector, answer: Answer) -> Floats:
    """The scores for hate, NaN where there is none."""
    return answer.probability[:, detector.categories.index(HATE)].astype(np.float64)


def within(band: Band, detector: Detector, answer: Answer, items: Items) -> NDArray[np.bool_]:
    """Whom a pack with this band asks the guard about."""
    columns = tuple(Score(band.detector, category) for category in detector.categories)
    scores = Scores(
        columns,
        (band.detector,),
        (detector.version,),
        answer.probability,
        answer.status[:, None],
        answer.reason[:, None],
    )
    events = Events.unplaced(items.texts, items.languages, items.attachments)
    return Cascade([Asking(unsure=(band,))], columns, scores.detectors).asked(facts(events), scores)[:, 0]


def report(messages: Asked, ways: Ways, band: Band, threshold: float) -> None:
    """Figures of each way, and the cascade against the other two."""
    hateful, n = messages.breaks == 1, len(messages.texts)
    alone = ways["text detector alone"][0]
    rate = float((alone[~hateful] >= threshold).mean())
    sources = ", ".join(sorted(set(messages.sources)))
    print(f"{n} messages held apart, {int(hateful.sum())} hateful, of {sources}; one thread")
    print(f"the guard is asked from {band.low:g} to {band.high:g}; recall and precision where {rate:.1%} of the others")
    print(f"are flagged, as the text detector does at its own threshold, {threshold:g}")
    print(f"  {'':<20} CPU s / 1,000   asked  recall  precision  ROC AUC")
    for name, (score, seconds, asked) in ways.items():
        flagged = flags(score, hateful, rate)
        precision = hateful[flagged].mean() if flagged.any() else float("nan")
        print(
            f"  {name:<20} {seconds / n * 1000:>13.2f} {asked:>7.1%} {flagged[hateful].mean():>7.3f}"
            f" {precision:>10.3f} {roc_auc(score, hateful):>8.3f}"
        )
    cost = {name: seconds for name, (_, seconds, _) in ways.items()}
    for name, (other, _, _) in ways.items():
        if name != "cascade":
            compared(ways["cascade"][0], other, hateful, rate, name)
    print(
        f"  cost: LLM guard on all / cascade {cost['LLM guard on all'] / cost['cascade']:.2f},"
        f" cascade / text detector alone {cost['cascade'] / cost['text detector alone']:.2f}"
    )


def compared(cascade: Floats, other: Floats, hateful: NDArray[np.bool_], rate: float, name: str) -> None:
    """Differences with 95 % intervals over resampled messages."""

    def area(rows: NDArray[np.intp]) -> float:
        return roc_auc(cascade[rows], hateful[rows]) - roc_auc(other[rows], hateful[rows])

    def recall(rows: NDArray[np.intp]) -> float:
        ours, theirs = (flags(score[rows], hateful[rows], rate)[hateful[rows]].mean() for score in (cascade, other))
        return float(ours - theirs)

    gain, more = with_interval(area, len(hateful)), with_interval(recall, len(hateful))
    print(f"  cascade - {name}: ROC AUC {gain['value']:+.3f} {gain['interval']}, ", end="")
    print(f"recall {more['value']:+.3f} {more['interval']}", flush=True)


def flags(score: Floats, hateful: NDArray[np.bool_], rate: float) -> NDArray[np.bool_]:
    """What is over the lowest threshold that flags at most this share of the harmless."""
    harmless = np.sort(score[~hateful])[::-1]
    allowed = min(len(harmless) - 1, round(rate * len(harmless)))
    return np.asarray(score > harmless[allowed])
