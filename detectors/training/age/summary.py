"""A card's figures as lines for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from detectors.training.age.figures import FLOOR, LARGE


def lines(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """The test part, its gates and groups; then the contenders, if there was a comparison."""
    test = evaluation["test"]
    yield f"test      {test['rows']} rows answered, {test['abstained']:.1%} abstained"
    yield from _one("model", test)
    wide = "  ".join(f"{name.replace('_', ' ')} {years:.1f}" for name, years in evaluation["width"].items())
    yield f"width of intervals, years: {wide}"
    for age, gate in test["gates"].items():
        yield _gate(age, gate)
    for name, one in test["by_group"].items():
        if one["rows"] >= LARGE or one.get("p_value", 1.0) < 0.05:
            mark = "  LOW" if one["rows"] < LARGE or one["coverage"] < FLOOR else ""
            yield f"{name:<28}{one['rows']:>6} rows  coverage {one['coverage']:.3f}  MAE {one['mae']:.2f}{mark}"
    for name, one in evaluation.get("comparison", {}).items():
        yield from _one(name, one)


def _one(name: str, found: Mapping[str, Any]) -> Iterator[str]:
    auc = "  ".join(
        f"AUC {age}+ {gate['roc_auc']['value']:.3f}" for age, gate in found["gates"].items() if "roc_auc" in gate
    )
    yield (
        f"{name:<18} CRPS {found['crps']['value']:.3f}  MAE {found['mae']['value']:.3f}  "
        f"coverage {found['coverage']:.3f}  width {found['width']:.1f}  {auc}"
    )


def _gate(age: str, gate: Mapping[str, Any]) -> str:
    if "roc_auc" not in gate:
        return f"gate {age}: {gate['above']} at or above, {gate['below']} below: {gate['note']}"
    said = f"gate {age}: AUC {gate['roc_auc']['value']:.3f}  ECE {gate['ece']:.3f}"
    if "threshold" not in gate:
        return f"{said}  no threshold keeps the promise: too few people"
    stopped, passing = gate["stopped"], gate["passing"]
    return (
        f"{said}  below {gate['threshold']:.3f} stopped: of those above {stopped['value']:.3f} "
        f"{stopped['interval']}, of those below {passing['value']:.3f} {passing['interval']} pass"
    )
