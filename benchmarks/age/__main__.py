"""Mitigations on OkCupid's profiles, as a table and a plot of what they bring against what they cost.

python -m benchmarks.age --table profiles.csv.gz [--columns sex orientation] [--plot age-mitigations.svg]
"""

import argparse
from pathlib import Path

from benchmarks.age.mitigations import tried
from benchmarks.age.plot import plot
from detectors.age.reading import read
from detectors.age.spec import read_spec
from detectors.training.age.fit import Recipe
from detectors.training.age.rows import checked

SPEC = Path(__file__).parents[2] / "detectors" / "training" / "age" / "specs" / "okcupid.yaml"


def main() -> None:
    """Train, print, plot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--spec", type=Path, default=SPEC)
    parser.add_argument("--columns", nargs="+", default=["sex", "orientation"], help="of groups: one model for each")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    spec = read_spec(options.spec)
    rows = checked(read([options.table], spec), spec)
    found = {column: tried(rows, spec, column, Recipe(seed=options.seed), print) for column in options.columns}
    for column, ways in found.items():
        print(f"\n{column}: at 5 % stopped of all who have reached the gate; gaps between groups in percentage points")
        for name, gates in ways.items():
            for age, one in gates.items():
                stopped, passing = one["gap"]["stopped"], one["everyone"]["passing"]
                low, high = (100 * end for end in stopped["interval"])
                print(
                    f"  {age}  {name:<20} stopped, gap {100 * stopped['value']:4.1f} ({low:.1f} to {high:.1f})   "
                    f"passing, gap {100 * one['gap']['passing']['value']:4.1f}   passing {100 * passing['value']:.1f} %"
                )
    if options.plot:
        options.plot.write_text(plot(found), encoding="utf-8")


if __name__ == "__main__":
    main()
