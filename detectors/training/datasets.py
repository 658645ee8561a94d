"""The public data sets that the text detector is trained on, read into one shape.

Each is looked for in `DIR/<name>/`, as its publisher ships it (plain or gzipped):

    davidson    github.com/t-davidson/hate-speech-and-offensive-language     MIT                 labeled_data.csv
    hatemoji    github.com/HannahKirk/Hatemoji (HatemojiBuild)               CC-BY-4.0           build_{train,…}.csv
    safenlp     github.com/microsoft/SafeNLP (ToxiGen, implicit hate)        MIT, ToxiGen terms  {toxiGen,…}.json
    vicomtech   github.com/Vicomtech/hate-speech-dataset                     CC-BY-SA-3.0-ES     sentences.csv
    olid        scholar.harvard.edu/malmasi/olid                             none stated         olid-training-v1.0.tsv
    tweeteval   github.com/cardiffnlp/tweeteval (the task `hate`)            none stated         hate/{train,val}_….txt
    germeval2018, korean_hate, sms_spam                                      CC-BY(-SA)-4.0

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

from detectors.training.labels import UNKNOWN, harassment, mentions_sex, mentions_violence, profanity
from detectors.training.rows import Row
from schemas.errors import UserMistake

_HANDLE: Final = re.compile(r"@\w+")
_LINK: Final = re.compile(r"https?://\S+")
_ADVERTISES: Final = re.compile(r"http|www\.|\b(?:free|win|won|cash|prize|click|offer|sale|buy|\$\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set comes from and how its files become rows."""

    name: str
    origin: str
    licence: str
    files: tuple[str, ...]
    rows: Callable[[str], Iterator[Row]]


def load(folder: Path) -> tuple[list[Row], dict[str, str]]:
    """Every row of every source, and each file's SHA-256 by "source/file". UserMistake if a file is missing."""
    rows: list[Row] = []
    digests: dict[str, str] = {}
    for source in SOURCES:
        for name in source.files:
            content = _content(folder, name, source)
            digests[f"{source.name}/{name}"] = hashlib.sha256(content).hexdigest()
            rows += source.rows(content.decode("utf-8"))
    return rows, digests


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


def _content(folder: Path, name: str, source: Source) -> bytes:
    """One file; or of two, "texts+labels", both with a NUL between."""
    return b"\0".join(_one(folder / source.name / part, source) for part in name.split("+"))


def _one(path: Path, source: Source) -> bytes:
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


def _row(text: str, source: str, group: str, hate: float, harassing: float, swearing: float) -> Row:
    """With what can be said of the other four: nobody was asked, but a text without a word of them has none of them."""
    english = source not in {"germeval2018", "korean_hate"}
    threat = 0.0 if english and not mentions_violence(text) else UNKNOWN
    sexual = 0.0 if english and not mentions_sex(text) else UNKNOWN
    advertising = UNKNOWN if _ADVERTISES.search(text) else 0.0
    return Row(text, source, group, (hate, harassing, swearing, threat, sexual, advertising, advertising))


def _davidson(content: str) -> Iterator[Row]:
    for record in _records(content):
        text, judged = cleaned(record["tweet"]), int(record["class"])  # 0 hate, 1 offensive, 2 neither
        offensive = judged != 2
        aimed, swears = harassment(text, offensive=offensive), profanity(text, offensive=offensive)
        yield _row(text, "davidson", "", float(judged == 0), aimed, swears)


def _hatemoji(content: str) -> Iterator[Row]:
    for record in _records(content):
        text, hate = cleaned(record["text"]), record["label_gold"] == "1"
        pair = min(record["entry_id"], record["matched_id"])  # a text and its contrast stay together
        aimed = harassment(text, offensive=True if hate else None)
        yield _row(text, "hatemoji", f"hatemoji/{pair}", float(hate), aimed, profanity(text, offensive=None))


def _safenlp(content: str) -> Iterator[Row]:
    records: list[dict[str, Any]] = json.loads(content)
    name = "implicit_hate" if records[0]["target_groups"] == ["all_groups"] else "toxigen"
    for record in records:
        text, toxicity = cleaned(record["text"]), float(record["toxicity_score"])
        unsure = name == "toxigen" and 2.5 < toxicity < 3.5  # raters disagreed: neither hateful nor harmless
        hate = UNKNOWN if unsure else float(record["label"] == "hate")
        aimed = UNKNOWN if hate else harassment(text, offensive=None)
        yield _row(text, name, "", hate, aimed, profanity(text, offensive=None))


def _vicomtech(content: str) -> Iterator[Row]:
    for record in _records(content):
        if record["label"] not in {"hate", "noHate"}:  # "relation" needs its neighbours, "idk/skip" is not English
            continue
        text, hate = cleaned(record["text"]), record["label"] == "hate"
        post = record["file_id"].partition("_")[0]
        aimed = harassment(text, offensive=hate or None)
        yield _row(text, "vicomtech", f"vicomtech/{post}", float(hate), aimed, profanity(text, offensive=None))


def _olid(content: str) -> Iterator[Row]:
    """Whom an offence is aimed at: nobody, one person (harassment), a group (it may be hate), others."""
    for record in csv.DictReader(io.StringIO(content), delimiter="\t", quoting=csv.QUOTE_NONE):
        text, offensive = (
            cleaned(record["tweet"]).replace("@USER", "@user").replace("URL", "http"),
            record["subtask_a"] == "OFF",
        )
        aimed = {"IND": 1.0, "NULL": 0.0}.get(record["subtask_c"], UNKNOWN)
        hate = 0.0 if not offensive or record["subtask_b"] == "UNT" else UNKNOWN
        yield _row(text, "olid", "", hate, aimed, profanity(text, offensive=offensive))


def _hateval(content: str) -> Iterator[Row]:
    texts, _, labels = content.partition("\0")
    for line, label in zip(texts.splitlines(), labels.split(), strict=True):
        text, hate = cleaned(line), label == "1"
        aimed = harassment(text, offensive=hate or None)
        yield _row(text, "hateval", "", float(hate), aimed, profanity(text, offensive=hate or None))


def _germeval(content: str) -> Iterator[Row]:
    """OTHER, PROFANITY (swears at nobody), INSULT (of a person), ABUSE (for what people are)."""
    meaning = {
        "OTHER": (0.0, 0.0, UNKNOWN),
        "PROFANITY": (0.0, 0.0, 1.0),
        "INSULT": (UNKNOWN, 1.0, UNKNOWN),
        "ABUSE": (1.0, UNKNOWN, UNKNOWN),
    }
    for line in content.splitlines():
        text, _, fine = line.split("\t")
        yield _row(cleaned(text.replace("|LBR|", " ")), "germeval2018", "", *meaning[fine.strip()])


def _korean(content: str) -> Iterator[Row]:
    """Comments under news of celebrities: hostile to somebody (hate) or rude (offensive), perhaps for what they are."""
    for record in csv.DictReader(io.StringIO(content), delimiter="\t", quoting=csv.QUOTE_NONE):
        judged, biased = record["hate"], record["bias"] != "none"
        hate = 1.0 if judged == "hate" and biased else 0.0 if judged == "none" and not biased else UNKNOWN
        aimed = {"hate": UNKNOWN if biased else 1.0, "none": 0.0}.get(judged, UNKNOWN)
        swears = 0.0 if judged == "none" else UNKNOWN
        yield _row(cleaned(record["comments"]), "korean_hate", "", hate, aimed, swears)


def _sms(content: str) -> Iterator[Row]:
    """Advertising by text message, much of it a swindle: which part of it is, nobody said."""
    for line in content.splitlines():
        label, _, message = line.partition("\t")
        spam, text = label == "spam", cleaned(message)
        swears, sexual = profanity(text, offensive=None), UNKNOWN if mentions_sex(text) else 0.0
        yield Row(text, "sms_spam", "", (0.0, 0.0, swears, 0.0, sexual, float(spam), UNKNOWN if spam else 0.0))


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
    Source(
        "olid",
        "https://scholar.harvard.edu/malmasi/olid",
        "none stated; made for research",
        ("olid-training-v1.0.tsv",),
        _olid,
    ),
    Source(
        "tweeteval",
        "https://github.com/cardiffnlp/tweeteval (hate: SemEval-2019 task 5)",
        "none stated; made for research",
        ("hate/train_text.txt+hate/train_labels.txt", "hate/val_text.txt+hate/val_labels.txt"),
        _hateval,
    ),
    Source("germeval2018", "https://github.com/uds-lsv/GermEval-2018-Data", "CC-BY-4.0", ("training.txt",), _germeval),
    Source("korean_hate", "https://github.com/kocohub/korean-hate-speech", "CC-BY-SA-4.0", ("train.tsv",), _korean),
    Source("sms_spam", "https://archive.ics.uci.edu/dataset/228", "CC-BY-4.0", ("sms.tsv",), _sms),
)
