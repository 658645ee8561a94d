"""The figures in the guard's card: calibration in each precision that runs, and what it is worth."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from detectors.calibration import Platt, expected_calibration_error, fit
from detectors.devices import cpu_multiplies_bfloat16
from detectors.llm.directory import ANY
from detectors.llm.guard import build
from detectors.loading.model_directory import Calibration
from detectors.training import llm_evaluation as measures
from detectors.training.llm_cases import Case, policies
from detectors.training.llm_evaluation import Asked, Floats
from schemas.categories import Category

Say = Callable[[str], None]
Precision = Literal["float32", "bfloat16"]
CATEGORIES: Final = (
    Category.HATE,
    Category.HARASSMENT,
    Category.THREAT,
    Category.SEXUAL,
    Category.PROFANITY,
    Category.SPAM,
    Category.SCAM,
    Category.SELF_HARM,
)
MOST: Final = {Category.HATE: 300}  # messages of each kind; of every other category OTHERS
OTHERS: Final = 60
HATECHECK: Final = 1500
WRAPPED: Final = 50
LONGEST_WRAPPER: Final = 1500  # characters
THRESHOLD: Final = 0.5  # which side of it a case of HateCheck is on
STOPPED: Final = 0.8  # from which on a score stops a message in the figures on wrappers
EVERYDAY: Final = ("sms_spam", "topics")  # sources of harmless messages as anybody writes them
_BLOCK: Final = 64
_SHORT: Final = 200  # characters of a message that is wrapped


class Asking:
    """The guard with some policies, one at a time; on one thread of the CPU."""

    def __init__(self, folder: Path, wordings: Mapping[Category, str], precision: str, say: Say) -> None:
        chosen = {str(name): text for name, text in wordings.items()}
        self._detector = build({"model": folder, "policies": chosen, "precision": precision, "device": "cpu"})
        self._detector.warm()
        self._say, self._names = say, list(wordings)

    def margins(self, category: Category, texts: Sequence[str]) -> Floats:
        """(n,), before calibration."""
        found: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), _BLOCK):
            self._say(f"{category}  {start}/{len(texts)} messages")
            block = texts[start : start + _BLOCK]
            found.append(self._detector.margins(block, lambda _: None, [self._names.index(category)])[:, 0])
        return np.maximum(np.concatenate(found).astype(np.float64), -30.0)  # -inf where there is nothing to read


def precisions() -> list[Precision]:
    """What this processor runs: bfloat16 only where it multiplies it."""
    return ["bfloat16", "float32"] if cpu_multiplies_bfloat16() else ["float32"]


def wordings() -> dict[Category, str]:
    """The default text of each category that is evaluated."""
    return {category: policies()[category].texts[0] for category in CATEGORIES}


def calibrated(folder: Path, cases: Sequence[Case], say: Say) -> dict[Precision, dict[str, Calibration]]:
    """Platt scaling of each category, and of all together for a policy that has none of its own."""
    asked = {category: sample(cases, category, seed=3) for category in CATEGORIES}
    found: dict[Precision, dict[str, Calibration]] = {}
    for precision in precisions():
        asking = Asking(folder, wordings(), precision, say)
        margins = {category: asking.margins(category, each.texts) for category, each in asked.items()}
        truth = {category: each.breaks for category, each in asked.items()}
        found[precision] = {str(c): _platt(margins[c], truth[c]) for c in CATEGORIES}
        every = [np.concatenate(list(columns.values())) for columns in (margins, truth)]
        found[precision][ANY] = _platt(*every)
    return found


def evaluated(folder: Path, cases: Sequence[Case], seen: AbstractSet[str], data: Path, say: Say) -> dict[str, Any]:
    """Everything below, in the precision that this processor runs; `seen`: gists of what was trained on."""
    precision = precisions()[0]
    asking = Asking(folder, wordings(), precision, say)
    asked = {category: sample(cases, category, seed=4) for category in CATEGORIES}
    margins = {category: asking.margins(category, each.texts) for category, each in asked.items()}
    known = fitted(folder, precision)
    found: dict[str, Any] = {"precision": precision, "test": _test(asked, margins, known)}
    found["held_out_wording"] = _other_wording(folder, precision, asked, say)
    found["swapped_policy"] = _swapped(asking, asked, say)
    hate = known[Category.HATE]
    if cases_of_hatecheck := measures.hatecheck(data, HATECHECK, seen):
        hatecheck, kinds, targets = cases_of_hatecheck
        scored = asking.margins(Category.HATE, hatecheck.texts)
        found["hatecheck"] = measures.auc(scored, hatecheck.breaks) | {
            "judged_rightly_by_functionality": _rightly(hate, scored, hatecheck, kinds),
            "roc_auc_by_target": measures.by_source(scored, Asked(hatecheck.texts, hatecheck.breaks, targets)),
        }
        first, version = text_scores([*asked[Category.HATE].texts, *hatecheck.texts], say)
        mine = asked[Category.HATE], margins[Category.HATE]
        found["added_to_text"] = {"text_version": version} | added_figures(first, hate, *mine, hatecheck, scored)
    if teen := measures.teen_safety(data):
        found["teen_safety"] = _teen(folder, precision, teen, say)
    found |= wrapped_figures(asking, hate, asked[Category.HATE], everyday(cases), data)
    return found


def sample(cases: Sequence[Case], category: Category, seed: int) -> Asked:
    """Messages of both kinds that are known to break or keep the category's policy."""
    return measures.sample(cases, str(category), MOST.get(category, OTHERS), seed)


def _platt(margins: Floats, breaks: Floats) -> Calibration:
    one = fit(margins, breaks)
    return Calibration(slope=max(one.slope, 1e-3), intercept=one.intercept, rows=len(breaks))


def fitted(folder: Path, precision: Precision) -> dict[str, Platt]:
    """The calibration in the directory's card, by category."""
    from detectors.llm.directory import open_guard  # noqa: PLC0415

    card = open_guard(folder).card.calibration[precision]
    return {name: Platt(one.slope, one.intercept) for name, one in card.items()}


def _test(asked: Mapping[Category, Asked], margins: Mapping[Category, Floats], known: Mapping[str, Platt]) -> Any:
    return {
        str(category): measures.auc(margins[category], each.breaks)
        | {
            "ece": round(expected_calibration_error(known[category].probability(margins[category]), each.breaks), 4),
            "by_source": measures.by_source(margins[category], each),
        }
        for category, each in asked.items()
    }


def _other_wording(folder: Path, precision: str, asked: Mapping[Category, Asked], say: Say) -> Any:
    """ROC AUC with a wording of each policy that was never trained on."""
    asking = Asking(folder, {category: policies()[category].held_out for category in CATEGORIES}, precision, say)
    return {
        str(category): measures.auc(asking.margins(category, each.texts[:200]), each.breaks[:200])
        for category, each in _mixed(asked).items()
    }


def _swapped(asking: Asking, asked: Mapping[Category, Asked], say: Say) -> Any:
    """Messages that break one policy, asked under another that they are known to keep: how often the margin is lower.

    A guard that answers "is it bad?" whatever the policy says would score one half.
    """
    say("the same messages under other policies")
    pairs = (
        (Category.HATE, Category.SCAM),
        (Category.SCAM, Category.HATE),
        (Category.SEXUAL, Category.THREAT),
        (Category.THREAT, Category.SEXUAL),
        (Category.SPAM, Category.HATE),
        (Category.SELF_HARM, Category.SCAM),
    )
    found = {}
    for broken, kept in pairs:
        each = asked[broken]
        texts = [text for text, breaks in zip(each.texts, each.breaks, strict=True) if breaks][:40]
        lower = asking.margins(kept, texts) < asking.margins(broken, texts)
        found[f"{broken} asked as {kept}"] = round(float(lower.mean()), 4)
    return found


def _mixed(asked: Mapping[Category, Asked]) -> dict[Category, Asked]:
    """Both kinds in one random order."""
    found = {}
    for category, each in asked.items():
        order = np.random.default_rng(0).permutation(len(each.texts))
        found[category] = Asked([each.texts[i] for i in order], each.breaks[order], [each.sources[i] for i in order])
    return found


def _rightly(hate: Platt, margins: Floats, asked: Asked, kinds: Sequence[str]) -> dict[str, float]:
    """Share of each HateCheck functionality's cases that is judged rightly at THRESHOLD."""
    right = (hate.probability(margins) >= THRESHOLD) == (asked.breaks == 1)
    places = np.array(kinds)
    return {kind: round(float(right[places == kind].mean()), 3) for kind in sorted(set(kinds))}


def text_scores(texts: Sequence[str], say: Say) -> tuple[Floats, str]:
    """The text detector's scores for hate, and its version."""
    from detectors.items import Items  # noqa: PLC0415
    from detectors.text.detector import build as build_text  # noqa: PLC0415

    say("the text detector's scores")
    detector = build_text({"device": "cpu"})
    detector.warm()
    column = detector.categories.index(Category.HATE)
    scored = detector.score(Items.of(list(texts)), lambda _: None).probability[:, column]
    return scored.astype(np.float64), detector.version


def added_figures(
    first: Floats, hate: Platt, asked: Asked, margins: Floats, other: Asked, other_margins: Floats
) -> Any:
    """AUC added in the text detector's uncertain band, .1 to .9: on held-apart messages and on HateCheck."""
    labels = np.concatenate([asked.breaks, other.breaks])
    second = hate.probability(np.concatenate([margins, other_margins]))
    known = np.arange(len(labels)) < len(asked.breaks)
    half = known & (np.random.default_rng(1).random(len(labels)) < 0.5)
    readable = ~np.isnan(first)
    inner, outer = readable & known, readable & (half | ~known)
    return {
        "test": measures.added(first[inner], second[inner], labels[inner], (0.1, 0.9), half[inner]),
        "hatecheck": measures.added(first[outer], second[outer], labels[outer], (0.1, 0.9), half[outer]),
    }


def _teen(folder: Path, precision: str, teen: Mapping[str, Asked], say: Say) -> Any:
    """ROC AUC under six policies that were never trained on."""
    names = dict(zip(Category, teen, strict=False))
    asking = Asking(folder, {c: measures.TEEN_POLICIES[name] for c, name in names.items()}, precision, say)
    return {name: measures.auc(asking.margins(c, teen[name].texts), teen[name].breaks) for c, name in names.items()}


def everyday(cases: Sequence[Case]) -> list[str]:
    """Short harmless messages, nothing that only just keeps a policy."""
    texts = (c.text for c in cases if c.source in EVERYDAY and c.known.get("hate") is False and not c.known.get("spam"))
    found = list(dict.fromkeys(text for text in texts if len(text) < _SHORT))
    np.random.default_rng(6).shuffle(found)
    return found[:WRAPPED]


def wrapped_figures(asking: Asking, hate: Platt, asked: Asked, harmless: Sequence[str], data: Path) -> dict[str, Any]:
    """Jailbreaks around hateful messages, everyday ones, and such as only just keep the policy."""
    kinds = {
        breaks: [t for t, b in zip(asked.texts, asked.breaks, strict=True) if b == breaks and len(t) < _SHORT]
        for breaks in (1, 0)
    }
    bare = {"bad": kinds[1][: 3 * WRAPPED], "everyday": list(harmless), "borderline": kinds[0][:WRAPPED]}
    scores = {name: hate.probability(asking.margins(Category.HATE, texts)) for name, texts in bare.items()}
    caught = np.flatnonzero(scores["bad"] >= STOPPED)[:WRAPPED]
    bare["bad"], scores["bad"] = [bare["bad"][i] for i in caught], scores["bad"][caught]
    around = {}
    for seed, (name, texts) in enumerate(bare.items()):
        wrapped = measures.wrapped(data, texts, WRAPPED, LONGEST_WRAPPER, seed=seed)
        if wrapped is None:
            return {}
        around[name] = hate.probability(asking.margins(Category.HATE, wrapped))
    found: dict[str, Any] = {"threshold": STOPPED} | measures.wrapper_figures(scores["bad"], around["bad"], STOPPED)
    for name in ("everyday", "borderline"):
        found[name] = {
            "rows": len(bare[name]),
            "stopped_bare": round(float((scores[name] >= STOPPED).mean()), 4),
            "stopped": round(float((around[name] >= STOPPED).mean()), 4),
        }
    return {"wrappers": found}
