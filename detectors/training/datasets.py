"""The public data sets that the text detector is trained on, read into one shape.

Each is looked for in `DIR/<name>/`, as its publisher ships it (plain or gzipped):

    davidson    github.com/t-davidson/hate-speech-and-offensive-language     MIT                 labeled_data.csv
    hatemoji    github.com/HannahKirk/Hatemoji (HatemojiBuild)               CC-BY-4.0           build_{train,…}.csv
    safenlp     github.com/microsoft/SafeNLP (ToxiGen, implicit hate)        MIT, ToxiGen terms  {toxiGen,…}.json
    vicomtech   github.com/Vicomtech/hate-speech-dataset                     CC-BY-SA-3.0-ES     sentences.csv

A category that a source says nothing about is NaN: it takes no part in that category's loss or evaluation.
"""

import csv
import gzip
import hashlib
import html
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.training.labels import UNKNOWN, harassment, profanity
from schemas.categories import Category
from schemas.errors import UserMistake

CATEGORIES: Final = (Category.HATE, Category.HARASSMENT, Category.PROFANITY)
_HANDLE: Final = re.compile(r"@\w+")
_LINK: Final = re.compile(r"https?://\S+")


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text. `labels` follow CATEGORIES: 1, 0 or NaN. Rows of one `group` must share a split."""

    text: str
    source: str
    group: str
    labels: tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """`n` labelled texts as columns."""

    texts: list[str]
    sources: list[str]
    groups: list[str]
    labels: NDArray[np.float32]  # (n, len(CATEGORIES)), NaN where the source does not say

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.intp]) -> "Examples":
        """The rows at these positions, in this order."""
        return Examples(
            [self.texts[i] for i in rows],
            [self.sources[i] for i in rows],
            [self.groups[i] for i in rows],
            self.labels[rows],
        )


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set comes from and how its files become rows."""

    name: str
    origin: str
    licence: str
    files: tuple[str, ...]
    rows: Callable[[str], Iterator[Row]]


def load(folder: Path) -> tuple[Examples, dict[str, str]]:
    """Every row of every source, and each file's SHA-256 by "source/file". UserMistake if a file is missing."""
    rows: list[Row] = []
    digests: dict[str, str] = {}
    for source in SOURCES:
        for name in source.files:
            content = _content(folder / source.name / name, source)
            digests[f"{source.name}/{name}"] = hashlib.sha256(content).hexdigest()
            rows += source.rows(content.decode("utf-8"))
    labels = np.array([row.labels for row in rows], np.float32)
    return Examples([r.text for r in rows], [r.source for r in rows], [r.group for r in rows], labels), digests


def cleaned(text: str) -> str:
    """HTML entities undone; people's handles and links taken out, so that no name gets into the weights."""
    text = html.unescape(html.unescape(text)).replace("_x000D_", " ")
    return " ".join(_LINK.sub("http", _HANDLE.sub("@user", text)).split())


def table(path: Path, delimiter: str = ",") -> list[dict[str, str]] | None:
    """A file of comma- or tab-separated values (plain or gzipped), a dict a row; None if it is not there."""
    content = _read(path)
    if content is None:
        return None
    text = io.StringIO(content.decode("utf-8"), newline="")
    if delimiter == "\t":
        return list(csv.DictReader(text, delimiter=delimiter, quoting=csv.QUOTE_NONE))
    return list(csv.DictReader(text, delimiter=delimiter))


def _content(path: Path, source: Source) -> bytes:
    content = _read(path)
    if content is None:
        raise UserMistake(f"{path} is missing: get {source.name} from {source.origin}, or name its folder with --data")
    return content


def _read(path: Path) -> bytes | None:
    zipped = path.with_name(path.name + ".gz")
    if path.is_file():
        return path.read_bytes()
    return gzip.decompress(zipped.read_bytes()) if zipped.is_file() else None


def _records(content: str) -> Iterator[dict[str, str]]:
    return iter(csv.DictReader(io.StringIO(content, newline="")))


def _davidson(content: str) -> Iterator[Row]:
    for record in _records(content):
        text, judged = cleaned(record["tweet"]), int(record["class"])  # 0 hate, 1 offensive, 2 neither
        offensive = judged != 2
        labels = (
            float(judged == 0),
            harassment(text, offensive=offensive),
            profanity(text, offensive=offensive),
        )
        yield Row(text, "davidson", "", labels)


def _hatemoji(content: str) -> Iterator[Row]:
    for record in _records(content):
        text, hate = cleaned(record["text"]), record["label_gold"] == "1"
        pair = min(record["entry_id"], record["matched_id"])  # a text and its contrast stay together
        offensive = True if hate else None
        labels = (float(hate), harassment(text, offensive=offensive), profanity(text, offensive=None))
        yield Row(text, "hatemoji", f"hatemoji/{pair}", labels)


def _safenlp(content: str) -> Iterator[Row]:
    records: list[dict[str, Any]] = json.loads(content)
    name = "implicit_hate" if records[0]["target_groups"] == ["all_groups"] else "toxigen"
    for record in records:
        text, toxicity = cleaned(record["text"]), float(record["toxicity_score"])
        unsure = name == "toxigen" and 2.5 < toxicity < 3.5  # raters disagreed: neither hateful nor harmless
        hate = UNKNOWN if unsure else float(record["label"] == "hate")
        yield Row(
            text,
            name,
            "",
            (hate, UNKNOWN if hate else harassment(text, offensive=None), profanity(text, offensive=None)),
        )


def _vicomtech(content: str) -> Iterator[Row]:
    for record in _records(content):
        if record["label"] not in {"hate", "noHate"}:  # "relation" needs its neighbours, "idk/skip" is not English
            continue
        text, hate = cleaned(record["text"]), record["label"] == "hate"
        post = record["file_id"].partition("_")[0]
        labels = (float(hate), harassment(text, offensive=hate or None), profanity(text, offensive=None))
        yield Row(text, "vicomtech", f"vicomtech/{post}", labels)


SOURCES: Final = (
    Source(
        "davidson",
        "https://github.com/t-davidson/hate-speech-and-offensive-language",
        "MIT",
        ("labeled_data.csv",),
        _davidson,
    ),
    Source(
        "hatemoji",
        "https://github.com/HannahKirk/Hatemoji",
        "CC-BY-4.0",
        ("build_train.csv", "build_validation.csv", "build_test.csv"),
        _hatemoji,
    ),
    Source(
        "safenlp",
        "https://github.com/microsoft/SafeNLP",
        "MIT; ToxiGen: CDLA-Permissive-2.0",
        ("toxiGen.json", "implicitHate.json"),
        _safenlp,
    ),
    Source(
        "vicomtech",
        "https://github.com/Vicomtech/hate-speech-dataset",
        "CC-BY-SA-3.0-ES",
        ("sentences.csv",),
        _vicomtech,
    ),
)
