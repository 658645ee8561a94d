"""`safestream train`: make a shipped model again, or one's own in its place."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from safestream.progress import say
from schemas.errors import UserMistake

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Train a detector. Needs the extra: pip install 'safestream[train]'."""


@app.command()
def text(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with the data sets (docs/reference/model-directory.md says where each comes from)."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The model directory to write.")] = Path("text-multilingual"),
    rounds: Annotated[int, typer.Option(min=3, help="Of 6,000 texts each; the state is saved after each one.")] = 31,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 3,
    leave_out: Annotated[
        str, typer.Option(help="A source to train without and to evaluate on, such as `hateval`.")
    ] = "",
) -> None:
    """The text detector's seven categories: about two hours on one core. Run it again to go on where it stopped."""
    missing = [name for name in ("peft", "sklearn") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserMistake(f"{', '.join(missing)} missing: pip install 'safestream[train]'")
    from detectors.training.recipe import Recipe, in_phases  # noqa: PLC0415 - torch takes seconds
    from detectors.training.text import train  # noqa: PLC0415

    recipe = Recipe(phases=in_phases(rounds), seed=seed, leave_out=leave_out)
    card = train(data or data_folder(), out, recipe, say)
    print(file=sys.stderr)
    for category, figures in card.evaluation["test"].items():
        print(f"{category:<12} ROC AUC {figures['roc_auc']['value']:.3f}  ECE {figures['ece']:.3f}")
    print(f"written to {out}; use it with `detectors: {{text: {{model: {out}}}}}`")


@app.command()
def llm(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with the data sets (docs/reference/model-directory.md says where each comes from)."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The guard's model directory to write.")] = Path("guard-smollm2"),
    steps: Annotated[int, typer.Option(min=10, help="Of about 35 messages under two policies each.")] = 600,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 5,
) -> None:
    """The LLM guard's adapter: about 70 minutes on one core. Run it again to go on where it stopped."""
    missing = [name for name in ("peft", "sklearn") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserMistake(f"{', '.join(missing)} missing: pip install 'safestream[train]'")
    from detectors.training.llm import train  # noqa: PLC0415 - torch takes seconds
    from detectors.training.llm_fit import Recipe  # noqa: PLC0415

    card = train(data or data_folder(), out, Recipe(steps=steps, seed=seed), say)
    print(file=sys.stderr)
    for category, figures in card.evaluation["test"].items():
        print(f"{category:<12} ROC AUC {figures['roc_auc']['value']:.3f}  ECE {figures['ece']:.3f}")
    print(f"written to {out}; use it with `detectors: {{llm: {{model: {out}}}}}`")


@app.command()
def age(
    table: Annotated[
        list[Path],
        typer.Option(help="CSV or Parquet; give it again for more tables, joined on the spec's account column."),
    ],
    spec: Annotated[Path, typer.Option(help="Feature spec in YAML: which column is what.")],
    out: Annotated[Path, typer.Option(help="The model directory to write.")] = Path("age-model"),
    head: Annotated[
        str, typer.Option(help="What the network ends in: distribution, corn, mixture, or a classifier of age buckets.")
    ] = "distribution",
    members: Annotated[int, typer.Option(min=1, help="Networks whose answers are averaged: fewer is smaller.")] = 4,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 3,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also train the other heads and gradient boosting.")
    ] = False,
) -> None:
    """An age model from a table of your own: about a minute for 50,000 rows on one core."""
    missing = [name for name in ("pyarrow", "sklearn") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserMistake(f"{', '.join(missing)} missing: pip install 'safestream[train]'")
    from detectors.age.network import HEADS  # noqa: PLC0415 - torch takes seconds
    from detectors.age.spec import read_spec  # noqa: PLC0415
    from detectors.training.age.fit import Recipe  # noqa: PLC0415
    from detectors.training.age.summary import lines  # noqa: PLC0415
    from detectors.training.age.train import train  # noqa: PLC0415

    chosen = next((each for each in HEADS if each == head), None)
    if chosen is None:
        raise UserMistake(f"--head {head}: it is one of {', '.join(HEADS)}")
    card = train(table, read_spec(spec), out, Recipe(head=chosen, members=members, seed=seed), compare, say)
    print(file=sys.stderr)
    print("\n".join(lines(card.evaluation)))
    print(f"written to {out}")


def data_folder() -> Path:
    """SAFESTREAM_DATA, or the folder `shared/data` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SAFESTREAM_DATA") or beside)
    if not folder.is_dir():
        raise UserMistake("no data sets found: name their folder with --data or SAFESTREAM_DATA")
    return folder
