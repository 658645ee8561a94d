"""A model from wherever it is: a folder, a bucket or any address that fsspec has a driver for, a model hub.

    see what there is → take what the card names (without a card: what is allowed) → verify → rename into place

Nothing is seen under its name before it is whole. A model without a card, as hubs have them, gets a draft of one.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from detectors.loading.model_cache import place_of
from detectors.loading.model_directory import CARD, CardBasics, read_json, write_json
from detectors.loading.model_draft import SOURCE, draft_card
from detectors.loading.model_files import LARGEST_TEXT, is_weights, refused
from detectors.loading.model_inventory import AnyCard, directory_faults
from detectors.loading.model_sources import File, Source, open_source
from schemas.errors import UserMistake

Report = Callable[[int, int], None]  # bytes so far, bytes altogether (0: not known)
_CARD_BYTES: Final = 4 << 20  # a card is read whole


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of it."""

    folder: Path
    left_out: Mapping[str, str] = field(default_factory=dict)  # file → why it was not taken
    already: bool = False  # exactly this was there before


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to take."""

    files: Mapping[str, File]
    left_out: Mapping[str, str]
    card: bytes | None  # as it is there


def fetch(address: str, target: Path | None, report: Report) -> Fetched:
    """Bring the model at `address` to `target`, else to the user's cache.

    Raises:
        UserMistake: it can't be reached, is no model directory, is not what its card says, or holds what is refused;
            or something else is at `target` already.
    """
    source, place = open_source(address), (target or place_of(address)).absolute()
    plan = _plan(source)
    if place.exists():
        if _same(place, plan, source):
            return Fetched(place, plan.left_out, already=True)
        raise UserMistake(f"{place} is there already: remove it, or name another folder with --to")
    place.parent.mkdir(parents=True, exist_ok=True)
    _check_room(place.parent, plan)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}-") as made:
        unfinished = Path(made) / "model"
        unfinished.mkdir()
        _take(source, plan, unfinished, report)
        _complete(unfinished, plan, source, place.name)
        try:
            unfinished.rename(place)
        except OSError:
            raise UserMistake(f"{place} has come into being meanwhile: another fetch, or remove it") from None
    return Fetched(place, plan.left_out)


def _plan(source: Source) -> _Plan:
    """With a card exactly what it names; else everything that a model directory may hold, if there are weights."""
    if (card := source.read(CARD, _CARD_BYTES)) is not None:
        names = _named(source, card)
        for name in names:
            if why := refused(name):
                raise UserMistake(f"{source.address}/{name}: {why}")
        return _Plan({name: source.about(name) for name in names}, {}, card)
    if not source.lists:
        raise UserMistake(f"{source.address}: no {CARD} there, and a web server can't be asked which files there are")
    found = source.listing()
    left_out = {name: why for name in sorted(found) if (why := refused(name))}
    taken = {name: file for name, file in found.items() if name not in left_out}
    if not any(map(is_weights, taken)):
        why = "; ".join(f"{name}: {why}" for name, why in left_out.items() if Path(name).suffix)
        raise UserMistake(f"{source.address}: no *.safetensors there" + (f" ({why})" if why else ""))
    return _Plan(taken, left_out, None)


def _named(source: Source, card: bytes) -> list[str]:
    """The files that a card names: names, never paths."""
    try:
        return sorted(AnyCard.model_validate_json(card).files)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserMistake(f"{source.address}/{CARD}: {where}: {first['msg']}") from None


def _same(place: Path, plan: _Plan, source: Source) -> bool:
    """Whether this model stands there, whole. A draft may have been filled in since: then its source tells."""
    card = place / CARD
    if not card.is_file() or directory_faults(place):
        return False
    if plan.card is not None:
        return card.read_bytes() == plan.card
    return read_json(AnyCard, card).training.get(SOURCE) == source.address


def _check_room(folder: Path, plan: _Plan) -> None:
    needed, free = sum(file.size for file in plan.files.values()), shutil.disk_usage(folder).free
    if needed > free:
        raise UserMistake(f"{folder} has {free / 1e9:.1f} GB free, and the model needs {needed / 1e9:.1f}")


def _take(source: Source, plan: _Plan, folder: Path, report: Report) -> None:
    done, total = 0, sum(file.size for file in plan.files.values())
    for name, file in plan.files.items():
        before, digest = done, hashlib.sha256()
        with (folder / name).open("wb") as written:
            for piece in source.pieces(name, _most(name, file, folder)):
                written.write(piece)
                digest.update(piece)
                report(done := done + len(piece), total)
        if file.size and file.size != done - before:
            raise UserMistake(f"{source.address}/{name}: {done - before} bytes came, {file.size} were announced")
        if file.sha256 and file.sha256 != digest.hexdigest():
            raise UserMistake(f"{source.address}/{name}: what came is not the file whose digest is told there")
    if plan.card is not None:
        (folder / CARD).write_bytes(plan.card)


def _most(name: str, file: File, folder: Path) -> int:
    """Bytes that a file may have: where the place doesn't say its size, half of what the disk has left."""
    most = file.size or shutil.disk_usage(folder).free // 2
    return most if is_weights(name) else min(most, LARGEST_TEXT)


def _complete(folder: Path, plan: _Plan, source: Source, name: str) -> None:
    """Write the draft where there is no card, and verify."""
    if plan.card is None:
        card: CardBasics = draft_card(folder, name, source.address)
        write_json(card, folder / CARD)
    if found := directory_faults(folder):
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise UserMistake(found[0].replace(str(folder), source.address) + more)
