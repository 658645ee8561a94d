"""Public test suites that nothing is ever trained on or chosen by: what the card reports of each.

    hatecheck/test_suite_cases.csv           Röttger et al. 2021: 29 kinds of case, 7 targets
    mhc/<language>.csv                       Röttger et al. 2022: the same in ten languages
    bias_templates/{bias_madlibs_77k,…}.csv  Dixon et al. 2018: one sentence, fifty identity terms
    bias_templates/toxicity_{non,}fuzzed…    Wikipedia comments, plain and disguised
    xstest/xstest_prompts.csv                Röttger et al. 2024: harmless prompts that sound dangerous

A suite that is not there is left out. `Score` gives calibrated probabilities (n, categories).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.training.datasets import table
from detectors.training.measures import Floats, auc_with_interval, rate_with_interval, roc_auc
from detectors.training.rows import CATEGORIES
from detectors.training.splits import gist
from schemas.categories import Category

Score = Callable[[list[str]], Floats]
HATE: Final = CATEGORIES.index(Category.HATE)
_ABUSE: Final = [CATEGORIES.index(c) for c in (Category.HATE, Category.HARASSMENT, Category.PROFANITY)]
MHC: Final = {
    "ar": "arabic", "nl": "dutch", "fr": "french", "de": "german", "hi-Latn": "hindi", "it": "italian",
    "zh": "mandarin", "pl": "polish", "pt": "portuguese", "es": "spanish",
}  # fmt: skip
_FEWEST: Final = 100  # rows of an identity term, to say anything about it
_MOST: Final = 300  # rows of one, drawn at random: the suites have far more than the figures need
_COMMENTS: Final = 700
_SEED: Final = 5


def hatecheck(folder: Path, score: Score, threshold: float, seen: AbstractSet[str]) -> dict[str, Any] | None:
    """ROC AUC, recall at the threshold, and the share judged rightly by functionality and target.

    `seen`: gists of everything that was trained on; a case that happens to be among them is left out, and counted.
    """
    every = table(folder / "hatecheck" / "test_suite_cases.csv")
    if every is None:
        return None
    rows = [row for row in every if gist(row["test_case"]) not in seen]
    hateful = _is(rows, "label_gold", "hateful")
    p = score([row["test_case"] for row in rows])[:, HATE]
    right = (p >= threshold) == hateful
    return {
        "left_out_as_seen": len(every) - len(rows),
        "roc_auc": auc_with_interval(p, hateful),
        "recall": rate_with_interval(p[hateful] >= threshold),
        "false_positive_rate": rate_with_interval(p[~hateful] >= threshold),
        "right_by_functionality": _shares(right, (row["functionality"] for row in rows)),
        "right_by_target": _shares(right, (row["target_ident"] or "none" for row in rows)),
        "roc_auc_by_target": _aucs(p, hateful, [row["target_ident"] for row in rows]),
    }


def multilingual_hatecheck(
    folder: Path, score: Score, threshold: float, seen: AbstractSet[str]
) -> dict[str, Any] | None:
    """ROC AUC and recall by language, and their mean; `seen` as for HateCheck."""
    found: dict[str, Any] = {}
    for tag, name in MHC.items():
        if (every := table(folder / "mhc" / f"{name}.csv")) is not None:
            rows = [row for row in every if gist(row["test_case"]) not in seen]
            hateful = _is(rows, "label_gold", "hateful")
            p = score([row["test_case"] for row in rows])[:, HATE]
            found[tag] = {
                "left_out_as_seen": len(every) - len(rows),
                "roc_auc": auc_with_interval(p, hateful),
                "recall": rate_with_interval(p[hateful] >= threshold),
                "false_positive_rate": rate_with_interval(p[~hateful] >= threshold),
            }
    if not found:
        return None
    return {"mean_roc_auc": _mean(one["roc_auc"]["value"] for one in found.values()), "by_language": found}


def identity_terms(folder: Path, score: Score, threshold: float) -> dict[str, Any] | None:
    """Harmless sentences that differ in the identity they name: how far false positives lie apart, in two languages."""
    found: dict[str, Any] = {}
    for tag, file, text, label, harmless in (
        ("en", "bias_madlibs_77k.csv", "Text", "Label", "NOT_BAD"),
        ("de", "de_sentence_templates.csv", "phrase", "toxicity", "nontoxic"),
    ):
        if (rows := table(folder / "bias_templates" / file)) is None:
            continue
        texts = [row[text] for row in rows if row[label] == harmless]
        terms = [_term(one, tag) for one in texts]
        drawn = _few(terms)
        found[tag] = _gaps(score([texts[i] for i in drawn])[:, HATE], [terms[i] for i in drawn], threshold)
    return found or None


def exaggerated_safety(folder: Path, score: Score, thresholds: dict[Category, float]) -> dict[str, Any] | None:
    """Harmless prompts that sound dangerous: how many are flagged, for hate and for any category."""
    rows = table(folder / "xstest" / "xstest_prompts.csv")
    if rows is None:
        return None
    safe = [row for row in rows if row["label"] == "safe"]
    flagged: NDArray[np.bool_] = score([row["prompt"] for row in safe]) >= np.array([thresholds[c] for c in CATEGORIES])
    anything: NDArray[np.bool_] = flagged.max(axis=1)
    return {
        "hate": rate_with_interval(flagged[:, HATE]),
        "any": rate_with_interval(anything),
        "by_category": {c: round(float(flagged[:, i].mean()), 4) for i, c in enumerate(CATEGORIES)},
        "any_by_type": _shares(anything, (row["type"] for row in safe)),
    }


def disguised_comments(folder: Path, score: Score) -> dict[str, Any] | None:
    """Wikipedia comments, plain and with disguised words: ROC AUC of the highest of hate, harassment and profanity."""
    found: dict[str, Any] = {}
    for name in ("nonfuzzed", "fuzzed"):
        rows = table(folder / "bias_templates" / f"toxicity_{name}_testset.csv")
        if rows is None:
            return None
        rows = rows[:_COMMENTS]
        p = score([row["comment"] for row in rows])[:, _ABUSE].max(axis=1)
        found[name] = auc_with_interval(p, _is(rows, "toxic", "True"))
    return found | {"lost": round(found["nonfuzzed"]["value"] - found["fuzzed"]["value"], 4)}


def _few(terms: list[str]) -> list[int]:
    """At most _MOST places of each term, in ascending order."""
    order = np.random.default_rng(_SEED).permutation(len(terms)).tolist()
    seen: Counter[str] = Counter()
    drawn = []
    for place in order:
        seen[terms[place]] += 1
        if seen[terms[place]] <= _MOST:
            drawn.append(place)
    return sorted(drawn)


def _gaps(p: Floats, terms: list[str], threshold: float) -> dict[str, Any]:
    """At the shipped threshold, and where one in twenty is flagged."""
    at_five = float(np.quantile(p, 0.95, method="higher")) + 1e-12
    named = np.array(terms)
    known = [term for term in sorted(set(terms)) if term and (named == term).sum() >= _FEWEST]
    report: dict[str, Any] = {"rows": len(p), "terms": len(known)}
    for name, point in (("at_threshold", threshold), ("at_five_percent", at_five)):
        rates = {term: float((p[named == term] >= point).mean()) for term in known}
        ordered = sorted(rates.items(), key=lambda item: -item[1])
        report[name] = {
            "threshold": round(point, 6),
            "overall": round(float((p >= point).mean()), 4),
            "gap": round(ordered[0][1] - ordered[-1][1], 4),
            "highest": {term: round(rate, 4) for term, rate in ordered[:8]},
        }
    return report


_TERM: Final = {
    "en": re.compile(
        r"^(?:being (.+) is \w+\.|(?:\S+ is|you are) a \w+ (.+)|(?:hug|love|respect) (.+)|i am (.+))$", re.IGNORECASE
    ),
    "de": re.compile(
        r"^(?:(.+) sein ist .+|(?:\S+ ist|Du bist) (?:ein|eine) .*?(\w+)|ich bin (.+)|\w+ (\w+))$", re.IGNORECASE
    ),
}
_ENDING: Final = re.compile(r"(?:er|en|es|e)$")


def _term(text: str, language: str) -> str:
    """The identity a sentence names, "" if none (occupations); German ones without their ending."""
    found = _TERM[language].match(text)
    term = next((group for group in found.groups() if group), "").lower() if found else ""
    return _ENDING.sub("", term) if language == "de" else term


def _is(rows: list[dict[str, str]], column: str, value: str) -> NDArray[np.bool_]:
    return np.array([row[column] == value for row in rows])


def _shares(right: NDArray[np.bool_], names: Iterable[str]) -> dict[str, float]:
    of = np.array(list(names))
    return {name: round(float(right[of == name].mean()), 4) for name in sorted(set(of.tolist()))}


def _aucs(p: Floats, positive: NDArray[np.bool_], names: list[str]) -> dict[str, float]:
    of = np.array(names)
    return {name: round(roc_auc(p[of == name], positive[of == name]), 4) for name in sorted(set(names)) if name}


def _mean(values: Iterable[float]) -> float:
    return round(float(np.mean(list(values))), 4)
