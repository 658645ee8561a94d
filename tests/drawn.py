"""Images that tests draw: words, and files as strangers send them."""

import base64
import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from schemas.attachments import Attachment


def words(text: str, size: tuple[int, int] = (480, 200), ground: str = "navy", ink: str = "white") -> Image.Image:
    """A picture with lines of text on it."""
    image = Image.new("RGB", size, ground)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(30)
    for number, line in enumerate(text.split("\n")):
        draw.text((20, 20 + 45 * number), line, fill=ink, font=font)
    return image


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The file of an image."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def animated(images: Sequence[Image.Image], kind: str = "GIF") -> bytes:
    """An animation of these frames."""
    return saved(images[0], kind, save_all=True, append_images=images[1:], duration=100)


def attached(data: bytes) -> Attachment:
    """A file in the event itself."""
    return Attachment("image", "data:application/octet-stream;base64," + base64.b64encode(data).decode())


def png(width: int, height: int, pixels: bytes, more: bytes = b"") -> bytes:
    """A PNG that says what it is told to say; 8-bit RGB."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), more, chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")]
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def gif(width: int, height: int, frames: int, frame: tuple[int, int] = (1, 1)) -> bytes:
    """A GIF that says what it is told to say, each frame of one pixel's data."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    each = b"," + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\x00"
    return head + each * frames + b";"


def webp(width: int, height: int) -> bytes:
    """An animated WebP whose canvas is as large as it says, with two small frames."""
    inside = saved(Image.new("RGB", (16, 16)), "WEBP")[12:]
    frame = bytes(6) + _three(15) + _three(15) + b"\x01\0\0\0" + inside
    body = _riff(b"VP8X", bytes([2, 0, 0, 0]) + _three(width - 1) + _three(height - 1)) + _riff(b"ANIM", bytes(6))
    body += _riff(b"ANMF", frame) * 2
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def tiff(pages: int, width: int = 4, height: int = 4, *, circle: bool = False) -> bytes:
    """A TIFF of so many grey pages; with `circle` the last leads to the first."""
    tags = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 16))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    size, out = 2 + len(entries) + 4, [b"II*\0" + struct.pack("<I", 8)]
    for page in range(pages):
        then = 8 + size * (page + 1) if page < pages - 1 else (8 if circle else 0)
        out.append(struct.pack("<H", len(tags)) + entries + struct.pack("<I", then))
    return b"".join(out)


def _three(value: int) -> bytes:
    return struct.pack("<I", value)[:3]


def _riff(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data
