"""Images from strangers' bytes: an image or one error, in bounded time and memory, whatever the bytes are."""

import random
import struct
import subprocess
import sys
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detectors.media.errors import MediaError
from detectors.media.images import MOST_FRAMES, frames
from detectors.media.limits import Limits
from tests.drawn import animated, chunk, gif, png, saved, tiff, webp, words

LIMITS = Limits()
KINDS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
PICTURE = words("as it was")


def progressive(passes: int) -> bytes:
    """A progressive JPEG of 40 million pixels, its last pass repeated."""
    file = saved(Image.new("RGB", (6300, 6300)), "JPEG", progressive=True)
    last = file.rindex(b"\xff\xda")
    return file[:last] + file[last:-2] * passes + file[-2:]


HOSTILE = {
    "png of 2.5 billion pixels": lambda: png(50_000, 50_000, bytes(1_000)),
    "png without its pixels": lambda: png(6_000, 6_000, bytes(1_000)),
    "png whose colour profile unpacks to 50 MB": lambda: png(
        10, 10, bytes(310), chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(50_000_000)))
    ),
    "png with 100 texts of 900 kB": lambda: png(
        10, 10, bytes(310), chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(900_000))) * 100
    ),
    "gif of 100,000 frames": lambda: gif(1, 1, 100_000),
    "gif of 100,000 large frames": lambda: gif(6_000, 6_000, 100_000),
    "gif whose second frame is larger than it": lambda: gif(10, 10, 3, (60_000, 60_000)),
    "gif of 4 billion pixels": lambda: gif(65_535, 65_535, 2),
    "webp of 268 million pixels": lambda: webp(16_384, 16_384),
    "jpeg of 500 passes": lambda: progressive(500),
    "tiff of 3.6 billion pixels": lambda: tiff(1, 60_000, 60_000),
    "tiff of 100,000 pages": lambda: tiff(100_000),
    "bmp of 10^18 pixels": lambda: (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", *(9, 0, 0, 54, 40, 2**30, 2**30, 1, 24), *[0] * 6)
    ),
    "png of a single row": lambda: saved(Image.new("1", (40_000_000, 1))),
    "nothing": lambda: b"",
    "text": lambda: b"hello " * 1000,
    "svg": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    "zip": lambda: b"PK\x03\x04" + bytes(1000),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read(kind: str):
    [(number, image)] = frames(saved(PICTURE, kind), LIMITS)
    assert (number, image.mode, image.size) == (0, "RGB", PICTURE.size)
    difference = np.abs(np.asarray(image, np.int16) - np.asarray(PICTURE, np.int16))
    assert difference.mean() < 8  # some kinds lose a little


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_quickly(name: str):
    data = HOSTILE[name]()
    began = time.process_time()
    with pytest.raises(MediaError):
        frames(data, LIMITS)
    assert time.process_time() - began < 4


def test_the_heaviest_files_stay_within_a_gigabyte():
    """In a process of its own, whose peak says what they took."""
    program = (
        "import resource\n"
        "from tests.unit.test_images import HOSTILE, LIMITS, MediaError, frames, progressive, webp\n"
        "heavy = [HOSTILE['gif of 100,000 large frames'](), webp(6_000, 6_000), progressive(15)]\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for data in heavy:\n"
        "    try:\n"
        "        frames(data, LIMITS)\n"
        "    except MediaError:\n"
        "        pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1 << 20  # kB


@pytest.mark.parametrize("kind", [*KINDS, "animation"])
@pytest.mark.parametrize("tenths", range(10))
def test_a_truncated_file_is_an_image_or_an_error(kind: str, tenths: int):
    whole = animated([words(text) for text in ("one", "two", "three")]) if kind == "animation" else saved(PICTURE, kind)
    cut = whole[: len(whole) * tenths // 10]
    try:
        found = frames(cut, LIMITS)
    except MediaError:
        return
    assert kind in {"GIF", "animation", "TIFF", "BMP", "JPEG"}  # a whole frame may stand before the cut
    assert found[0][1].size == PICTURE.size


def test_random_and_damaged_bytes_are_an_image_or_an_error():
    rng = random.Random(6)
    small = PICTURE.resize((60, 25))
    files = [saved(small, kind) for kind in KINDS] + [animated([small, small.rotate(180)])]
    for trial in range(400):
        damaged = bytearray(files[trial % len(files)] if trial % 8 else rng.randbytes(300))
        for _ in range(rng.choice([1, 4, 16])):
            damaged[rng.randrange(min(len(damaged), rng.choice([40, 200, 10_000])))] = rng.randrange(256)
        began = time.process_time()
        with suppress(MediaError):
            assert all(image.mode == "RGB" for _, image in frames(bytes(damaged), LIMITS))
        assert time.process_time() - began < 2


def test_an_image_with_something_behind_it_is_the_image():
    """A polyglot: what others run or unpack, we look at."""
    [(_, image)] = frames(saved(PICTURE) + b"<script>alert(1)</script>" + b"PK\x03\x04", LIMITS)
    assert np.array_equal(np.asarray(image), np.asarray(PICTURE))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_frames_from_all_of_it_are_taken(kind: str):
    count = 50
    shades = [Image.new("RGB", (30, 20), (5 * number, 0, 255 - 5 * number)) for number in range(count)]
    found = frames(animated(shades, kind), LIMITS)
    numbers = [number for number, _ in found]
    assert len(found) == LIMITS.max_frames
    assert numbers[0] == 0
    assert numbers == sorted(set(numbers))
    assert max(np.diff([*numbers, count])) <= 2 * count / LIMITS.max_frames
    for number, image in found:
        assert abs(image.getpixel((9, 9))[0] - 5 * number) < 12


def test_the_last_frames_are_not_out_of_sight():
    quiet = Image.new("RGB", (30, 20), "white")
    late = [quiet] * (MOST_FRAMES - 200) + [Image.new("RGB", (30, 20), (0, n, 0)) for n in range(150)]
    assert frames(animated(late), LIMITS)[-1][1].getpixel((1, 1))[0] < 200


def test_pages_that_lead_in_a_circle_end():
    assert len(frames(tiff(3, circle=True), LIMITS)) == 3


def test_an_image_is_turned_as_a_person_sees_it():
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    [(_, image)] = frames(saved(PICTURE, "JPEG", exif=exif), LIMITS)
    assert image.size == PICTURE.size[::-1]


def test_metadata_that_cannot_be_read_turn_nothing():
    file = saved(PICTURE, "JPEG", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff" + bytes(20))
    assert frames(file, LIMITS)[0][1].size == PICTURE.size


def test_transparency_is_white_and_deep_levels_are_not_cut_off():
    [(_, clear)] = frames(saved(Image.new("RGBA", (9, 9), (0, 0, 0, 0))), LIMITS)
    assert clear.getpixel((4, 4)) == (255, 255, 255)
    ramp = np.linspace(0, 65_535, 256).astype(np.uint16)[None].repeat(9, axis=0)
    [(_, deep)] = frames(saved(Image.fromarray(ramp)), LIMITS)
    assert 100 < deep.getpixel((128, 4))[0] < 156


@pytest.mark.parametrize("inks", [["white"], ["black"], ["black", "white"]])
def test_what_is_written_on_nothing_stands_out(inks: list[str]):
    """Whatever colour has the most of the picture: a large pale photograph is beside the words."""
    image = Image.new("RGBA", (480, 200))
    image.paste("ivory", (200, 80, 460, 190))
    ink = Image.new("L", image.size)
    for row, colour in enumerate(inks):
        letters = words("you idiot" if row == 0 else "\nyou two", ground="black").convert("L")
        image.paste(colour, mask=letters)
        ink.paste(letters, mask=letters)
    [(_, seen)] = frames(saved(image), LIMITS)
    levels = np.asarray(seen.convert("L"), np.int16)
    assert (np.abs(levels - levels[0, 0])[np.asarray(ink) == 255] > 100).all()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_one_pixel_that_is_no_number_hides_nothing(odd: float):
    levels = np.asarray(PICTURE.convert("L"), np.float32) / 255
    levels[0, 0] = odd
    [(_, image)] = frames(saved(Image.fromarray(levels), "TIFF"), LIMITS)
    difference = np.abs(np.asarray(image.convert("L"), np.float32)[1:] - _stretched(PICTURE)[1:])
    assert difference.max() <= 1
    assert frames(saved(Image.fromarray(np.full((9, 9), odd, np.float32)), "TIFF"), LIMITS)


def _stretched(picture: Image.Image) -> np.ndarray[Any, Any]:
    """Its grey levels from black to white."""
    levels = np.asarray(picture.convert("L"), np.float32)
    return (levels - levels.min()) / (levels.max() - levels.min()) * 255
