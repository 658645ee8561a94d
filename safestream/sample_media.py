"""Pictures that the demo draws on the spot: harmless ones, words on a background, and one that a bank knows."""

import base64
import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

_RECORDING: Final = Path(__file__).parent / "recordings" / "voice-note.ogg"
_SIZE: Final = (480, 320)
_HARMLESS: Final = ("Happy birthday, Noor!", "New episode on Friday", "Thank you all for 100 plays", "See you in Porto")
_UNKIND: Final = ("you are a worthless idiot", "nobody wants you here, loser", "shut up you stupid moron")


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG, and what is on it, for the view."""

    png: bytes
    shows: str

    @property
    def uri(self) -> str:
        """The picture as it travels in an event."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


def pictures(seed: int = 1) -> list[Picture]:
    """Sixteen pictures: drawings, harmless words, unkind words; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    drawn = [Picture(_png(_drawing(chance)), "[a drawing]") for _ in range(7)]
    words = [Picture(_png(_words(text, chance)), f"[picture: {text}]") for text in (*_HARMLESS, *_UNKIND)]
    return [*drawn, *words]


def voice_notes() -> list[str]:
    """Data URIs of recordings: one, spoken by a speech synthesiser, that insults somebody."""
    return ["data:audio/ogg;base64," + base64.b64encode(_RECORDING.read_bytes()).decode()]


def known_picture(seed: int = 7) -> tuple[Picture, Picture]:
    """A drawing for a bank, and a smaller copy of it as somebody would send it again."""
    drawing = _drawing(random.Random(seed))  # noqa: S311
    again = drawing.resize((360, 240))
    return Picture(_png(drawing), "[the known picture]"), Picture(_png(again), "[a copy of a known picture]")


def _drawing(chance: random.Random) -> Image.Image:
    """Shapes in colours: a landscape, with some goodwill."""
    image = Image.new("RGB", _SIZE, _colour(chance))
    draw = ImageDraw.Draw(image)
    for box in _boxes(chance, 14):
        shape = chance.choice((draw.ellipse, draw.rectangle))
        shape(box, fill=_colour(chance))
    return image


def _words(text: str, chance: random.Random) -> Image.Image:
    image = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, _SIZE[0], 40), fill=_colour(chance))
    draw.text((24, 130), text, fill="black", font=ImageFont.load_default(30))
    return image


def _boxes(chance: random.Random, count: int) -> Iterator[Sequence[int]]:
    for _ in range(count):
        x, y = chance.randrange(_SIZE[0]), chance.randrange(_SIZE[1])
        yield x, y, x + chance.randrange(30, 200), y + chance.randrange(30, 160)


def _colour(chance: random.Random) -> tuple[int, int, int]:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
