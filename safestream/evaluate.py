"""`safestream evaluate`: what a model does to people, measured on people it has not learnt from."""

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import typer

from safestream.progress import say
from schemas.errors import UserMistake

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Evaluate a model. Needs the extra: pip install 'safestream[train]'."""


@app.command()
def age(
    model: Annotated[Path, typer.Argument(help="The model directory.")],
    table: Annotated[
        list[Path],
        typer.Option(help="CSV or Parquet; give it again for more tables, joined on the spec's account column."),
    ],
    against: Annotated[
        Path | None, typer.Option(help="Another model directory: the one that it is to replace.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write: report.html and report.json.")] = Path("age-report"),
) -> None:
    """An age model at its gates, for whom it is good, and who is treated otherwise than by another model."""
    missing = [name for name in ("pyarrow", "sklearn", "jinja2") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserMistake(f"{', '.join(missing)} missing: pip install 'safestream[train]'")
    from evaluation.age.report import evaluate  # noqa: PLC0415 - torch takes seconds
    from evaluation.age.summary import sentences  # noqa: PLC0415

    found = evaluate(model, against, table, out, say)
    print(file=sys.stderr)
    print(found["cannot_show"])
    print("\n".join(f"- {one}" for one in sentences(found)))
    print(f"written to {out}")
