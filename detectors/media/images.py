"""Images from strangers' bytes: a few formats, no more pixels than allowed, and of an animation a few frames.

The size stands in a file's header, so it is checked before any pixel is decoded: a bomb (a small file that unpacks to
billions of pixels) costs nothing.
"""

import io
import warnings
from collections.abc import Iterator
from typing import Final

from PIL import Image, ImageFile, ImageOps

from detectors.media.errors import MediaError
from detectors.media.limits import Limits

FORMATS: Final = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "MPO")
_MOST_SEEKS: Final = 256  # frames walked through in search of an animation's end: each costs a decoding

ImageFile.LOAD_TRUNCATED_IMAGES = False


def frames(data: bytes, limits: Limits) -> list[tuple[int, Image.Image]]:
    """The image's frames to look at, RGB and upright, each with its number from 0; one for a still image.

    Of more than `max_frames` the first is taken and others evenly spread over the first 256.

    Raises:
        MediaError: no image of a known format, truncated, damaged, or over the limit of pixels.
    """
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata are for the log of whoever wrote them
            return list(_sampled(image, limits))
    except MediaError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError, OverflowError) as error:
        raise MediaError(f"no image that can be read: {type(error).__name__}") from None
    except Image.DecompressionBombError:
        raise MediaError("more pixels than allowed") from None


def _sampled(image: Image.Image, limits: Limits) -> Iterator[tuple[int, Image.Image]]:
    _check(image, limits)
    count = 1
    if getattr(image, "is_animated", False):
        count = min(getattr(image, "n_frames", 1), _MOST_SEEKS)
    wanted = min(count, limits.max_frames)
    for number in sorted({place * count // wanted for place in range(wanted)}):
        try:
            image.seek(number)
        except EOFError:  # it has fewer than it says
            return
        _check(image, limits)
        yield number, _upright(image)


def _check(image: Image.Image, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.max_pixels:
        raise MediaError("more pixels than allowed")
    if width < 1 or height < 1:
        raise MediaError("an image without pixels")


def _upright(image: Image.Image) -> Image.Image:
    """As a person sees it: turned as its metadata says, transparency on white."""
    image = ImageOps.exif_transpose(image) or image
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
