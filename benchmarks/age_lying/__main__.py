"""Gate errors on simulated accounts, with and without the declared age, as tables in Markdown, and a plot.

    python -m benchmarks.age_lying [--rows 60000] [--plot docs/explanation/age-lying.svg]

Three models are trained on the population as assumed, and asked about populations of another seed, as assumed and
changed. Needs the extra: pip install 'safestream[train]'. About two minutes on one core.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.age_lying import plot
from benchmarks.age_lying.contenders import (
    DECLARED,
    IGNORED,
    LEAST,
    STATED,
    WITH,
    WITHOUT,
    Answers,
    Rule,
    at_least,
    rules,
)
from detectors.age.spec import PUBLISHED
from detectors.training.age.fit import Recipe
from detectors.training.age.population.assumptions import read_assumptions
from detectors.training.age.population.signals import Columns, population

SCENARIOS: Final = Path(__file__).with_name("scenarios.yaml")
LIES: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)  # of those below 18, the share who declare 18 or more
GATE: Final = 16  # of the plot, and of the tables that show one gate
Shares = tuple[float, float]  # of those at or above a gate who are stopped, of those below it who pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=60_000, help="accounts to train on, and two thirds to ask about")
    parser.add_argument("--plot", type=Path, help="SVG to write")
    options = parser.parse_args()
    asked = options.rows * 2 // 3
    found = rules(population(options.rows, read_assumptions(), 1), Recipe(members=2), say)
    for lines in (by_scenario(found, asked), by_least(found, asked), by_labels(found, asked), by_account(found, asked)):
        print("\n".join(lines), end="\n\n", flush=True)
    if options.plot:
        plot.write(options.plot, LIES, by_lies(found, asked))


def errors(answers: Answers, true: NDArray[np.int64], gate: int) -> Shares:
    """Over all accounts, those abstained from stopped; NaN where there is nobody on a side."""
    stopped, above = answers.stopped[:, PUBLISHED.index(gate)], true >= gate
    return share(stopped[above]), share(~stopped[~above])


def share(rows: NDArray[np.bool_]) -> float:
    return float(rows.mean()) if len(rows) else float("nan")


def by_scenario(found: Mapping[str, Rule], rows: int) -> Iterator[str]:
    """All gates, for each scenario the three rules."""
    yield "| | rule | stopped ≥ 13, ≥ 16, ≥ 18 | pass < 13, < 16, < 18 | abstained, of < 16 |"
    yield "|---|---|---|---|---|"
    for name, changes in scenarios().items():
        say(f"scenario: {name}")
        columns = asked(rows, changes)
        true = ages(columns)
        for rule in (DECLARED, WITHOUT, WITH):
            answers = found[rule](columns)
            both = [errors(answers, true, gate) for gate in PUBLISHED]
            silent = f"{share(answers.abstained):.3f}, {share(answers.abstained[true < GATE]):.3f}"
            yield f"| {name} | {rule} | {row(one for one, _ in both)} | {row(one for _, one in both)} | {silent} |"


def by_least(found: Mapping[str, Rule], rows: int) -> Iterator[str]:
    """The model with the declared age, asking for more or fewer signals, at one gate."""
    yield f"| | {' | '.join(f'at least {least}: stopped ≥ {GATE}, pass < {GATE}, abstained' for least in LEAST)} |"
    yield "|---" * (1 + len(LEAST)) + "|"
    for name, changes in scenarios().items():
        columns, cells = asked(rows, changes), []
        for least in LEAST:
            answers = found[at_least(least)](columns)
            cells.append(row(iter((*errors(answers, ages(columns), GATE), share(answers.abstained)))))
        yield f"| {name} | {' | '.join(cells)} |"


def by_labels(found: Mapping[str, Rule], rows: int) -> Iterator[str]:
    """Models that were told of the noise in the ages they learnt from, and those that were not."""
    columns = asked(rows, {})
    true = ages(columns)
    yield "| trained and calibrated with | stopped ≥ 13, ≥ 16, ≥ 18 | pass < 13, < 16, < 18 |"
    yield "|---|---|---|"
    for rule, told in ((WITH, "noise stated, 30 % verified"), (STATED, STATED), (IGNORED, IGNORED)):
        both = [errors(found[rule](columns), true, gate) for gate in PUBLISHED]
        yield f"| {told} | {row(one for one, _ in both)} | {row(one for _, one in both)} |"


def by_account(found: Mapping[str, Rule], rows: int) -> Iterator[str]:
    """The model with the declared age, by kind of account, at one gate."""
    columns = asked(rows, {})
    true, kinds, answers = ages(columns), np.array(columns["account"]), found[WITH](columns)
    yield f"| account | share | stopped ≥ {GATE} | pass < {GATE} | abstained |"
    yield "|---|---|---|---|---|"
    for kind in ("usual", "new", "family"):
        here = kinds == kind
        silent = answers.abstained[here]
        stopped, passing = errors(Answers(answers.stopped[here], silent), true[here], GATE)
        yield f"| {kind} | {share(here):.3f} | {told(stopped)} | {told(passing)} | {share(silent):.3f} |"


def by_lies(found: Mapping[str, Rule], rows: int) -> Mapping[str, Sequence[Shares]]:
    """At one gate, by the share of those below 18 who declare to be adults."""
    lines: dict[str, list[Shares]] = {rule: [] for rule in (DECLARED, WITHOUT, WITH)}
    for lying in LIES:
        say(f"lies: {lying:.0%}")
        columns = asked(rows, {"lies": [{"first": 0, "last": 17, "as": {18: lying}}]})
        for rule, line in lines.items():
            line.append(errors(found[rule](columns), ages(columns), GATE))
    return lines


def scenarios() -> Mapping[str, Any]:
    return dict(yaml.safe_load(SCENARIOS.read_text(encoding="utf-8")))


def asked(rows: int, changes: Mapping[str, Any]) -> Columns:
    return population(rows, read_assumptions(changes=changes), 2)


def ages(columns: Columns) -> NDArray[np.int64]:
    return np.array(columns["true_age"], np.int64)


def row(shares: Iterator[float]) -> str:
    return ", ".join(map(told, shares))


def told(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
