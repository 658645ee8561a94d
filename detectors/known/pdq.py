"""PDQ, a perceptual hash of images: 256 bits that differ little where two images look alike.

After Facebook's "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (2019): luma, a box filter
twice in each direction, 64 x 64 samples, their 16 x 16 lowest cosine coefficients but the constant one, and for each a
bit whether it is above the median. Golden hashes of the reference implementation are in the tests. Written here because
its Python package has no wheels and would ask every user for a C++ compiler.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BITS: Final = 256
BYTES: Final = BITS // 8

_SIDE: Final = 64
_KEPT: Final = 16
_LARGEST: Final = 512  # pixels: a larger image is made smaller first, as the reference implementation does
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_ANGLES: Final = np.pi / (2 * _SIDE) * np.outer(np.arange(1, _KEPT + 1), 2 * np.arange(_SIDE) + 1)
_COSINES: Final = (np.sqrt(2 / _SIDE) * np.cos(_ANGLES)).astype(np.float32)


def pdq(image: Image.Image) -> tuple[NDArray[np.uint8], int]:
    """The hash of an RGB image, uint8 (32,), and its quality, 0 to 100: below 50 it says little (a flat image)."""
    if max(image.size) > _LARGEST:
        image = image.resize((min(image.width, _LARGEST), min(image.height, _LARGEST)), Image.Resampling.BOX)
    samples = _samples(np.asarray(image, np.float32) @ _LUMA)
    coefficients = (_COSINES @ samples @ _COSINES.T).ravel()
    bits = coefficients > np.partition(coefficients, BITS // 2 - 1)[BITS // 2 - 1]
    return np.packbits(bits[::-1]), _quality(samples)


def _samples(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """(height, width) to (64, 64)."""
    for _ in range(2):
        luma = _boxed(_boxed(luma, 1), 0)
    rows, columns = (((np.arange(_SIDE) + 0.5) * size / _SIDE).astype(np.intp) for size in luma.shape)
    samples: NDArray[np.float32] = luma[np.ix_(rows, columns)]
    return samples


def _boxed(luma: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """The mean over a window along an axis; at the edges over what there is of it."""
    size = luma.shape[axis]
    window = (size + 2 * _SIDE - 1) // (2 * _SIDE)
    before, after = window - (window + 2) // 2, (window + 2) // 2 - 1  # one more ahead, where they can't be equal
    sums = np.zeros((size + 1, luma.shape[1 - axis]), np.float64)
    np.cumsum(luma if axis == 0 else luma.T, axis=0, out=sums[1:])
    low = np.maximum(np.arange(size) - before, 0)
    high = np.minimum(np.arange(size) + after + 1, size)
    means: NDArray[np.float32] = ((sums[high] - sums[low]) / (high - low)[:, None]).astype(np.float32)
    return means if axis == 0 else means.T


def _quality(samples: NDArray[np.float32]) -> int:
    """How much there is to tell the image by: the sum of its gradients, coarsely."""
    steps = [np.diff(samples, axis=axis) * 100 / 255 for axis in (0, 1)]
    total = sum(int(np.abs(np.trunc(step)).sum()) for step in steps)
    return min(100, total // 90)
