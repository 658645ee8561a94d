"""What a value says, by the kind of its signal: a number, a flag, words. The same for tables and for events."""

import html
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.age.spec import Kind, Signal
from detectors.age.table import Column

_YES: Final = frozenset({"true", "yes", "y", "t", "1", "on"})
_NO: Final = frozenset({"false", "no", "n", "f", "0", "off"})
_ASIDE: Final = re.compile(r"\([^)]*\)")


def numbers(column: Column) -> NDArray[np.float64]:
    """(n,) NaN where missing, or where the value is no number (see `unreadable`)."""
    return column.spread(np.array([number(value) for value in column.values], np.float64), np.nan)


def flags(column: Column) -> NDArray[np.float64]:
    """(n,) 1 yes, 0 no, NaN neither."""
    return column.spread(np.array([flag(value) for value in column.values], np.float64), np.nan)


def number(value: Any) -> float:
    """A finite number, or NaN."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")
    return found if abs(found) < 1e300 else float("nan")


def flag(value: Any) -> float:
    """1 yes, 0 no, NaN neither."""
    said = str(value).strip().lower().removesuffix(".0")
    return 1.0 if said in _YES else 0.0 if said in _NO else float("nan")


def word(value: Any, signal: Signal) -> str:
    """A category as it is compared: entities turned, lower case, whole numbers without a fraction."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    said = html.unescape(str(value)) if signal.html else str(value)
    return " ".join(said.lower().split())


def words(value: Any, signal: Signal) -> tuple[str, ...]:
    """The tags of a cell, each once: "English (fluently), C++" has english and c++. A list has its own."""
    if isinstance(value, tuple):
        parts = [word(each, signal) for each in value]
    else:
        parts = re.split("|".join(map(re.escape, signal.separators)), _ASIDE.sub(" ", word(value, signal)))
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def folded(kind: Kind, value: Any) -> Any:
    """What several values of one account come to, where `value` is a list: see `FOLDS`. Any other is as it was."""
    if not isinstance(value, list):
        return value
    if kind in {"number", "count"}:
        return FOLDS[kind]([found for found in map(number, value) if not math.isnan(found)])
    return FOLDS[kind](value)


def _last(values: Sequence[Any]) -> Any:
    return values[-1] if values else None


FOLDS: Final[Mapping[Kind, Callable[[Sequence[Any]], Any]]] = {
    "text": lambda values: "\n".join(map(str, values)) or None,
    "tags": lambda values: [each for value in values for each in (value if isinstance(value, tuple) else (value,))],
    "number": lambda values: float(np.mean(values)) if values else None,
    "count": lambda values: float(np.sum(values)) if values else None,
    "category": _last,
    "flag": _last,
}


def unreadable(column: Column, signal: Signal) -> NDArray[np.bool_]:
    """(values,) those that are not of the signal's kind: "abc" as a number, "maybe" as a flag."""
    if signal.kind in {"number", "count"}:
        return np.array([np.isnan(number(value)) for value in column.values], bool)
    if signal.kind == "flag":
        return np.array([np.isnan(flag(value)) for value in column.values], bool)
    return np.zeros(len(column.values), bool)
