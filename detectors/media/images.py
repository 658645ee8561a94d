"""Images from strangers' bytes: a few formats, no more pixels than allowed, and of an animation a few frames.

The size stands in a file's header, so it is checked before any pixel is decoded: a bomb (a small file that unpacks to
billions of pixels) costs nothing. What a file says of its number of frames isn't believed: they are walked through,
each checked anew, and the walk ends after so many frames and so many pixels.
"""

import io
import warnings
from typing import Final

import numpy as np
from PIL import Image, ImageFile, ImageOps

from detectors.media.errors import MediaError
from detectors.media.limits import Limits

FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "MPO")
MOST_FRAMES: Final = 512  # walked through: each frame of an animation is drawn over the one before
MOST_WALKED: Final = 4  # times `max_pixels`, of all frames together
_MOST_SCANS: Final = 30  # of a JPEG: a progressive one has about ten, and each is a pass over the whole image
_SCAN: Final = b"\xff\xda"
_GROUNDS: Final = ("white", "black", "gray")  # in the order in which they are preferred
_LEVELS: Final = ((192, 256), (0, 64), (64, 192))  # of luminance that are hard to see on each
_BORDERS: Final = 2_000_000  # pixels looked at to choose a ground

ImageFile.LOAD_TRUNCATED_IMAGES = False


def frames(data: bytes, limits: Limits) -> list[tuple[int, Image.Image]]:
    """The image's frames to look at, RGB and upright, each with its number from 0; one for a still image.

    Of more than `max_frames` the first is taken, one near the end, and others between them.

    Raises:
        MediaError: no image of a known format, truncated, damaged, over the limit of pixels, or too long an animation.
    """
    if data.startswith(b"\xff\xd8") and data.count(_SCAN) > _MOST_SCANS:
        raise MediaError("a JPEG of more passes than it needs")
    try:
        # Pillow's remarks on odd metadata are for the log of whoever wrote them
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return _sampled(image, limits)
    except (MediaError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise MediaError("more pixels than allowed") from None
    except Exception as error:  # noqa: BLE001 - a decoder raises what its author thought of: struct.error, KeyError, …
        raise MediaError(f"no image that can be read: {type(error).__name__}") from None


def _sampled(image: Image.Image, limits: Limits) -> list[tuple[int, Image.Image]]:
    """Frames spread over all of it, in one walk: when twice as many as wanted are kept, every second goes."""
    kept: list[tuple[int, Image.Image]] = []
    number, step, walked = 0, 1, 0
    while True:
        walked += _pixels(image, limits)
        if number >= MOST_FRAMES or walked > MOST_WALKED * limits.max_pixels:
            raise MediaError("a longer animation than allowed")
        if number % step == 0:
            kept.append((number, _upright(image)))
        if len(kept) >= 2 * limits.max_frames:
            kept, step = kept[::2], 2 * step
        number += 1
        try:
            image.seek(number)
        except EOFError:  # that was the last, whatever the header says
            break
    wanted = min(len(kept), limits.max_frames)
    return [kept[place * (len(kept) - 1) // max(wanted - 1, 1)] for place in range(wanted)]


def _pixels(image: Image.Image, limits: Limits) -> int:
    """How many the current frame has, which are not decoded yet."""
    width, height = image.size
    if width * height > limits.max_pixels:
        raise MediaError("more pixels than allowed")
    if width < 1 or height < 1:
        raise MediaError("an image without pixels")
    if max(width, height) > limits.max_aspect * min(width, height):
        raise MediaError("longer for its width than allowed")
    return width * height


def _upright(image: Image.Image) -> Image.Image:
    """As a person sees it: turned as its metadata says, in eight bits, transparency on a ground it stands out from."""
    image.load()
    image = _eight_bits(_turned(image))
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, _ground(image))
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")


def _ground(image: Image.Image) -> str:
    """What least of the borders with transparency is lost on: pages are white or dark, and so is what is put on them.

    Borders alone are asked, along rows, each by how much more opaque it is: letters are all border, a photograph that
    would outvote them hardly.
    """
    every = -(-image.width * image.height // _BORDERS)
    pixels = np.asarray(image)[::every]
    drop = np.diff(pixels[:, :, 3].astype(np.int16), axis=1)
    luminance = (pixels[:, :, :3] @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.int16)  # ITU-R BT.601
    level = np.where(drop > 0, luminance[:, 1:], luminance[:, :-1])
    borders = np.bincount(level.ravel(), np.abs(drop).ravel(), 256)
    return min(zip(_GROUNDS, _LEVELS, strict=True), key=lambda each: borders[slice(*each[1])].sum())[0]


def _turned(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image) or image
    except Exception:  # noqa: BLE001 - metadata that can't be read turn nothing; the pixels are there
        return image


def _eight_bits(image: Image.Image) -> Image.Image:
    """Deeper grey levels made into 256: Pillow would cut them off, and all would be white. No number is black."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in {"I", "F"}:
        levels = np.asarray(image, np.float64)
        finite = levels[np.isfinite(levels)]
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
        levels = np.nan_to_num(levels, nan=low, posinf=high, neginf=low)
        return Image.fromarray(((levels - low) / max(high - low, 1e-9) * 255).astype(np.uint8))
    return image
