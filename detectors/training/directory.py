"""How a trained model is written: under another name until it is whole."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from schemas.errors import UserMistake


def require_free(out: Path) -> None:
    """UserMistake if something is at `out` already: nothing is overwritten."""
    if out.exists():
        raise UserMistake(f"{out} is there already: remove it, or name another folder with --out")


@contextmanager
def unfinished(out: Path) -> Iterator[Path]:
    """An empty folder beside `out`, which becomes `out` when the block has ended without an error."""
    folder = out.with_name(out.name + ".unfinished")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    folder.rename(out)


def save(tensors: Mapping[str, Tensor], path: Path) -> None:
    """As safetensors that everybody may read: they are written for their owner only."""
    save_file(dict(tensors), path)
    path.chmod(0o644)


def minutes_left(seconds: float) -> str:
    """For a line on how far training is."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} left"
