"""How likely a picture is pornographic: Yahoo's open_nsfw, a thin ResNet-50 (2016, BSD-2-Clause), as ONNX.

Prepared exactly as its publishers do, since the network has seen nothing else: 256 x 256 whatever the shape, the middle
224 x 224, once through JPEG, blue before red, the mean colour taken away.
"""

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detectors.calibration import Platt
from detectors.image.card import ImageCard, verified_bytes

_RESIZED: Final = 256
_SIDE: Final = 224
_MEAN: Final = np.array([104, 117, 123], np.float32)  # blue, green, red
_EDGE: Final = (_RESIZED - _SIDE) // 2
_LEAST: Final = 1e-7  # a probability's distance from 0 and 1, so that it has a logit


class Picture:
    """The network. `warm` before `probability`."""

    def __init__(self, card: ImageCard) -> None:
        [self._model] = verified_bytes(card.picture).values()
        self._platt = Platt(card.picture_calibration.slope, card.picture_calibration.intercept)
        self._session: Any = None

    def warm(self) -> None:
        """Load it: onnxruntime starts threads, so this waits for the process that scores."""
        self._session = session(self._model, arena=True)

    def probability(self, image: Image.Image) -> float:
        """Of one RGB image of any size, calibrated as the card says."""
        [[_, shown]] = self._session.run(None, {self._session.get_inputs()[0].name: prepared(image)[None]})[0]
        p = min(max(float(shown), _LEAST), 1 - _LEAST)
        return float(self._platt.probability(np.log(p / (1 - p))))


def prepared(image: Image.Image) -> NDArray[np.float32]:
    """The network's input: float32 (224, 224, 3)."""
    small = image.resize((_RESIZED, _RESIZED), Image.Resampling.BILINEAR)
    middle = small.crop((_EDGE, _EDGE, _EDGE + _SIDE, _EDGE + _SIDE))
    file = io.BytesIO()
    middle.save(file, "JPEG")
    with Image.open(file) as again:
        pixels = np.asarray(again, np.float32)
    return np.ascontiguousarray(pixels[:, :, ::-1] - _MEAN)


def session(model: bytes, *, arena: bool) -> Any:
    """An onnxruntime session on one thread of the processor.

    `arena`: memory is kept for the next input. Quicker where all are of one size; where not, it only grows.
    """
    import onnxruntime  # noqa: PLC0415 - importing it starts a thread, which a factory must not

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, sess_options=options, providers=["CPUExecutionProvider"])
