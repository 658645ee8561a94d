"""`safestream models`: which models there are, whether they are whole, and how to get one."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from safestream.progress import Progress
from schemas.errors import UserMistake

if TYPE_CHECKING:
    from detectors.loading.model_inventory import Entry

_MB: Final = 1_000_000
app = typer.Typer(add_completion=False, no_args_is_help=True)

Models = Annotated[
    list[str] | None,
    typer.Argument(help="Directories, or names of models; none: all that are shipped or fetched."),
]


@app.command("list")
def list_(models: Models = None) -> None:
    """What each model is for, how large it is, under which licence, and whether its base weights are installed."""
    for folder in _chosen(models):
        from detectors.loading.model_inventory import entry  # noqa: PLC0415 - pydantic models take a while

        try:
            found = entry(folder)
        except UserMistake as mistake:
            print(f"{folder.name}  can't be used: {mistake}\n")
        else:
            _show(found)


@app.command()
def verify(models: Models = None) -> None:
    """Check every file against its digest, kind and content, the card's schema, and the base weights' digests.

    Each fault is a line, with its file and its place there. Exit code 1 if there is one.
    """
    from detectors.loading.model_inventory import all_faults, entry  # noqa: PLC0415

    wrong = False
    for folder in _chosen(models):
        found = all_faults(folder)
        wrong = wrong or bool(found)
        for fault in found:
            print(fault)
        if not found:
            print(f"{folder}: fine, version {entry(folder).version}")
    if wrong:
        raise typer.Exit(1)


@app.command()
def fetch(
    source: Annotated[str, typer.Argument(help="A folder, s3://…, gs://…, https://…, or hf://owner/name@revision.")],
    to: Annotated[Path | None, typer.Option(help="Folder to make; else one in the user's cache.")] = None,
) -> None:
    """Bring a model here, verified before it is seen. One without a card gets a draft of it to fill in."""
    from detectors.loading.fetching_models import fetch as bring  # noqa: PLC0415
    from detectors.loading.model_inventory import entry  # noqa: PLC0415
    from schemas.model_versions import is_draft  # noqa: PLC0415

    with _progress() as report:
        fetched = bring(source, to, report)
    for name, why in fetched.left_out.items():
        print(f"left out {name}: {why}")
    version = entry(fetched.folder).version
    print(f"{fetched.folder}: {'there already' if fetched.already else 'fetched'} and whole, version {version}")
    if is_draft(version):
        print(f"not evaluated: fill in {fetched.folder / 'card.json'} before any threshold is bound to it")


def _chosen(models: list[str] | None) -> list[Path]:
    from detectors.loading.model_inventory import find, known  # noqa: PLC0415

    return [find(name) for name in models] if models else known()


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Takes bytes so far and altogether: a bar on a terminal, a line now and then in a log."""
    if not sys.stderr.isatty():
        with Progress("fetching, MB") as lines:
            yield lambda done, total: lines.show(done // _MB, total // _MB)
        return
    columns = TextColumn("fetching"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def _show(found: "Entry") -> None:
    print(f"{found.name}  {found.version}")
    for label, value in (
        ("detector", found.detector or "not said"),
        ("categories", ", ".join(found.categories) or "not said"),
        ("languages", ", ".join(found.languages) or "not said"),
        ("size", f"{found.size / _MB:.1f} MB"),
        ("licence", found.licence),
        ("base weights", _base(found)),
        ("folder", found.folder),
    ):
        print(f"  {label:<13} {value}")
    print()


def _base(found: "Entry") -> str:
    from detectors.loading.base_models import locate  # noqa: PLC0415

    if not found.bases:
        return "none needed: all weights are here"
    said = []
    for base in found.bases:
        try:
            locate(base)
        except UserMistake as mistake:
            said.append(str(mistake))
        else:
            said.append(f"{base.name}, installed")
    return "; ".join(said)
