"""A simulated population as a table.

python -m detectors.training.age.population --rows 100000 --seed 1 --out listeners.csv
"""

import csv
from pathlib import Path
from typing import Annotated

import typer

from detectors.training.age.population.assumptions import STATED, read_assumptions
from detectors.training.age.population.signals import population


def main(
    out: Annotated[Path, typer.Option(help="The CSV file to write.")],
    rows: Annotated[int, typer.Option(min=1, help="Accounts.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 1,
    assumptions: Annotated[Path, typer.Option(help="YAML, of the shape of the one that comes with it.")] = STATED,
) -> None:
    """A listening platform's accounts, simulated."""
    columns = population(rows, read_assumptions(assumptions), seed)
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(["" if cell is None else cell for cell in row] for row in zip(*columns.values(), strict=True))


if __name__ == "__main__":
    typer.run(main)
