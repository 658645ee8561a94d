"""Which files a model directory may hold: data that is read, nothing that is run.

Refused by name and, whatever the name, by content: pickles (reading one can run code, and so `*.bin`, `*.pt`, `*.ckpt`
and joblib's files are out), code itself, and configurations that point to code of the model's own (`auto_map`).
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open

NAME: Final = r"^[A-Za-z0-9_][\w.+-]{0,199}$"  # of a file: never a path
_PICKLE: Final = "a pickle, and reading a pickle can run code; only safetensors are loaded"
_CODE: Final = "code, and a model directory holds none: none is run"
_OTHER: Final = "not a kind of file that a model directory holds"
_REFUSED: Final = {
    **dict.fromkeys((".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill"), _PICKLE),
    **dict.fromkeys((".py", ".pyc", ".pyx", ".so", ".dll", ".dylib", ".sh", ".ipynb"), _CODE),
}
_REFUSED_NAMES: Final = {"adapter_config.json": "an adapter of peft's, which transformers would merge unasked"}
LARGEST_TEXT: Final = 256 << 20  # bytes: of everything but weights, which is read whole
_PICKLE_PROTOCOLS: Final = frozenset({b"\2", b"\3", b"\4", b"\5"})  # 0 and 1 begin with no mark, but are no JSON either
_ZIP: Final = b"PK\x03\x04"
_LEGAL: Final = ("LICENSE", "LICENCE", "NOTICE", "USE_POLICY", "COPYING")  # files without a suffix


def fault(path: Path) -> str | None:
    """What is wrong with a file whatever its digest: by its name, its first bytes, its content; None if nothing is."""
    if path.is_dir():
        return "a folder, and a model directory has none"
    if not path.is_file():
        return "no ordinary file, or a link to nothing"
    return refused(path.name) or disguised(path) or unreadable(path)


def refused(name: str) -> str | None:
    """Why a file of this name can't be in a model directory; None if it may."""
    if not re.fullmatch(NAME, name):
        return "a name that no file of a model directory has"
    suffix = Path(name).suffix.lower()
    if why := _REFUSED.get(suffix) or _REFUSED_NAMES.get(name.lower()):
        return why
    return None if suffix in _READERS or name.upper().startswith(_LEGAL) else _OTHER


def disguised(path: Path) -> str | None:
    """Why the file's first bytes can't be in a model directory; None if they may."""
    with path.open("rb") as file:
        first = file.read(9)
    if first[:1] == b"\x80" and first[1:2] in _PICKLE_PROTOCOLS and not _begins_safetensors(first):
        return _PICKLE
    if first.startswith(_ZIP):
        return f"a zip archive, as torch.save writes one: {_PICKLE}"
    return None


def unreadable(path: Path) -> str | None:
    """Why the file is not what its name says, or points to code; None if all is well. The file is read whole.

    Of safetensors the header is read: names, types, shapes, and that they fill the file exactly.
    """
    if not is_weights(path.name) and path.stat().st_size > LARGEST_TEXT:
        return f"larger than {LARGEST_TEXT >> 20} MiB, and only weights are"
    try:
        return _READERS.get(path.suffix.lower(), _text)(path)
    except (ValueError, SafetensorError, RecursionError) as error:
        return f"not readable: {' '.join(str(error).split())[:200]}"


def is_weights(name: str) -> bool:
    """Whether a file of this name holds weights."""
    return name.lower().endswith(".safetensors")


def files_of(folder: Path) -> Iterator[Path]:
    """What the folder holds, by name, but hidden files, which nothing here reads."""
    yield from sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _begins_safetensors(first: bytes) -> bool:
    """Its header's length may begin with the same two bytes: five zeros in it and the header's brace tell."""
    return first[3:] == b"\0\0\0\0\0{"


def _safetensors(path: Path) -> None:
    with safe_open(path, framework="numpy"):
        return


def _json(path: Path) -> str | None:
    return _points_to_code(json.loads(path.read_bytes()))


def _text(path: Path) -> None:
    path.read_text(encoding="utf-8")


def _pieces(path: Path) -> None:
    """sentencepiece: a protocol buffer, whose first field is a list; tiktoken: text."""
    with path.open("rb") as file:
        first = file.read(1)
    if first != b"\x0a":
        _text(path)


def _points_to_code(value: Any) -> str | None:
    """A vocabulary may have these words, with numbers behind them; a configuration has a table, or `true`."""
    if isinstance(value, list):
        return next((why for each in value if (why := _points_to_code(each))), None)
    if not isinstance(value, dict):
        return None
    for key in ("auto_map", "custom_pipelines"):
        if isinstance(value.get(key), dict | list | str):
            return f"{key} points to code of the model's own, which is not run"
    if value.get("trust_remote_code") is True:
        return "trust_remote_code asks for code of the model's own, which is not run"
    return next((why for each in value.values() if (why := _points_to_code(each))), None)


_READERS: Final[dict[str, Callable[[Path], str | None]]] = {
    ".safetensors": _safetensors,
    ".json": _json,
    ".txt": _text,  # vocabularies, merges
    ".jinja": _text,  # chat templates: transformers renders them in a sandbox
    ".md": _text,
    ".model": _pieces,  # of a tokenizer
}
