"""`safestream models`: which model directories there are, and whether they are whole."""

from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import UserMistake

app = typer.Typer(add_completion=False, no_args_is_help=True)

Folders = Annotated[list[Path] | None, typer.Argument(help="Model directories; none: those that come with safestream.")]


@app.command("list")
def list_(folders: Folders = None) -> None:
    """Name, version, categories and size of each."""
    from detectors.model_directory import open_directory, shipped  # noqa: PLC0415 - pydantic models take a while

    for folder in folders or shipped():
        model = open_directory(folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
        categories = ", ".join(model.config.categories)
        print(f"{model.card.name}  {model.version}  {categories}  {size / 1e6:.1f} MB  {folder}")


@app.command()
def verify(folders: Folders = None) -> None:
    """Check every digest, the base weights' too, and that the weights can be loaded. Exit code 1 if one is wrong."""
    from detectors.model_directory import shipped  # noqa: PLC0415
    from detectors.text import build  # noqa: PLC0415 - torch takes seconds

    wrong = 0
    for folder in folders or shipped():
        try:
            detector = build({"model": folder, "device": "cpu"})
        except UserMistake as mistake:
            wrong += 1
            print(f"{folder}: wrong: {mistake}")
        else:
            print(f"{folder}: fine, version {detector.version}")
    if wrong:
        raise typer.Exit(1)
