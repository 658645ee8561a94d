"""Harmless events, like what is scored: a device that is well answers each of them."""

import base64
import io
import struct
import wave
import zlib
from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np

from detectors.items import Attachment, Items
from schemas.roles import Role

_TEXTS: Final = (
    "Good morning!",
    "Does anyone know whether the library is open on Saturdays?",
    "We walked along the river, had tea, and were home before it rained.",
    "ok",
)
_SIGNALS: Final = {"display_name": "Kim", "account_age_days": 400, "followers": 20, "declared_age": 30}
_SIDE: Final = 64  # pixels
_SECONDS: Final = 0.5
_RATE: Final = 16_000


def canary(modalities: Collection[str]) -> Items:
    """What a detector that reads these roles is tried with; empty where it reads none that we can make."""
    texts = [*_TEXTS, "", "", ""]
    picture, sound = (Attachment(Role.IMAGE, _png()),), (Attachment(Role.AUDIO, _wav()),)
    attachments = [*[()] * len(_TEXTS), picture, sound, ()]
    signals: list[Mapping[str, Any]] = [*[{}] * (len(texts) - 1), _SIGNALS]
    every = Items(texts, [""] * len(texts), attachments, signals).seen_by(modalities)
    return every.take(np.flatnonzero(every.readable(modalities)))


def _png() -> str:
    """A soft gradient, as `data:` (W3C, Portable Network Graphics: three chunks, 8-bit RGB, no interlace)."""
    rows = b"".join(b"\0" + bytes(v for x in range(_SIDE) for v in (90 + x, 120 + y, 200 - x)) for y in range(_SIDE))
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return _data("image/png", b"\x89PNG\r\n\x1a\n" + body)


def _wav() -> str:
    """A quiet tone, 16-bit mono."""
    tone = np.sin(np.arange(int(_RATE * _SECONDS)) * (2 * np.pi * 440 / _RATE)) * 2000
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(_RATE)
        writer.writeframes(tone.astype("<i2").tobytes())
    return _data("audio/wav", file.getvalue())


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
