"""What is written in an image, line by line, and where: PP-OCRv6 (small), run by RapidOCR.

It reads Latin letters, Chinese and Japanese. The work on one image is bounded: it is made smaller first, and of many
lines the largest are read, so that a flood of specks hides nothing that a person would see first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detectors.image.card import ImageCard, verified_bytes
from detectors.image.picture import session

Pixels: TypeAlias = NDArray[np.uint8]  # (height, width, 3), blue before red
Quad: TypeAlias = NDArray[np.float32]  # (4, 2): corners of a line, clockwise from its top left, x and y

MOST_LINES: Final = 40  # of one image; each takes some 40 ms
_MOST_PIXELS: Final = 640_000  # letters of 10 pixels in a photograph of 640 x 480 were read without a fault
_MOST_SIDE: Final = 2_560
_LONGEST: Final = 40  # times its height: a longer line is squeezed, or its reading would take memory without end
_LINE_HEIGHT: Final = 48  # what the model reads at
_LEAST_CONFIDENCE: Final = 0.5
_SETTINGS: Final = {
    "Global.log_level": "critical",
    "Global.use_preprocess_img": False,
    "Det.limit_type": "max",  # the default enlarges: 30 x 2000 pixels would become 736 x 49,000
    "Det.limit_side_len": _MOST_SIDE,
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text in an image."""

    text: str
    box: tuple[int, int, int, int]  # x, y, width, height in pixels of the image


class Reader:
    """Finds lines and reads them. `warm` before `lines`."""

    def __init__(self, card: ImageCard) -> None:
        """UserMistake if a file of the package is missing or another."""
        import rapidocr.main  # noqa: F401, PLC0415 - an extra; loaded here, so that processes are forked with it

        self._models = dict(zip(("Det", "Rec", "Cls"), verified_bytes(card.reading).values(), strict=True))
        self._engine: Any = None

    def warm(self) -> None:
        """Load the models: onnxruntime and OpenCV start threads, so this waits for the process that scores.

        RapidOCR would read them from their files, long after these were checked; it takes sessions instead.
        """
        import cv2  # noqa: PLC0415
        from omegaconf import flag_override  # noqa: PLC0415
        from rapidocr import RapidOCR  # noqa: PLC0415

        cv2.setNumThreads(1)
        self._engine = RapidOCR(params=_SETTINGS)
        with flag_override(self._engine.cfg, ["allow_objects", "struct"], [True, False]):
            for part, model in self._models.items():
                self._engine.cfg[part].session = session(model, arena=False)

    def lines(self, image: Image.Image, alive: Callable[[], None]) -> list[Line]:
        """The lines of an RGB image, from top to bottom; `alive` is called before each is read."""
        scale = min(1.0, (_MOST_PIXELS / (image.width * image.height)) ** 0.5, _MOST_SIDE / max(image.size))
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        pixels = np.ascontiguousarray(np.asarray(image.resize(size) if scale < 1 else image)[:, :, ::-1])
        read = list[Line]()
        for quad in self._found(pixels):
            alive()
            if text := self._read(_cut(pixels, quad)):
                read.append(Line(text, _box(quad, image.width / size[0], image.height / size[1])))
        return read

    def _found(self, pixels: Pixels) -> list[Quad]:
        """Where the largest lines are, in reading order."""
        found = self._engine(pixels, use_det=True, use_cls=False, use_rec=False).boxes
        quads = [] if found is None else [np.asarray(quad, np.float32) for quad in found]
        largest = sorted(range(len(quads)), key=lambda i: -_area(quads[i]))[:MOST_LINES]
        return [quads[i] for i in sorted(largest)]

    def _read(self, line: Pixels) -> str:
        read = self._engine(line, use_det=False, use_cls=True, use_rec=True)
        if not read.txts or read.scores[0] < _LEAST_CONFIDENCE:
            return ""
        return str(read.txts[0]).strip()


def _cut(pixels: Pixels, quad: Quad) -> Pixels:
    """The line alone, level, and not too long."""
    import cv2  # noqa: PLC0415
    from rapidocr.utils.process_img import get_rotate_crop_image  # noqa: PLC0415

    line = get_rotate_crop_image(pixels, quad)
    height, width = line.shape[:2]
    if width > _LONGEST * height:
        line = cv2.resize(line, (_LONGEST * _LINE_HEIGHT, _LINE_HEIGHT))
    return np.asarray(line, np.uint8)


def _area(quad: Quad) -> float:
    x, y = quad.T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def _box(quad: Quad, across: float, down: float) -> tuple[int, int, int, int]:
    """The upright rectangle around a line, in pixels of the image it was made smaller from."""
    (left, top), (right, bottom) = quad.min(axis=0), quad.max(axis=0)
    x, y = round(float(left) * across), round(float(top) * down)
    return x, y, round(float(right) * across) - x, round(float(bottom) * down) - y
