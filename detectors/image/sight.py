"""One event's images, fetched, decoded and looked at; the text in them not judged yet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.image.joint import Joint
from detectors.image.picture import Picture
from detectors.image.reading import Line, Reader
from detectors.media.errors import MediaError
from detectors.media.images import frames
from detectors.media.shared import fetcher
from schemas.attachments import Attachment
from schemas.roles import Role

READ_EVERY: Final = 2  # of the frames that are looked at, every so many is read as well, the last among them


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What was seen in one frame of one image."""

    attachment: int  # place among the event's attachments
    number: int | None  # of an animated image
    shown: float  # by open_nsfw
    joint: NDArray[np.float64]  # by the joint model: (its categories,); () without one
    lines: tuple[Line, ...]


class Eyes:
    """The models that look. `warm` before `look`."""

    def __init__(self, picture: Picture, reader: Reader, joint: Joint | None, most_images: int) -> None:
        self._picture, self._reader, self._joint, self._most = picture, reader, joint, most_images

    def warm(self) -> None:
        """Load what can't be forked."""
        self._picture.warm()
        self._reader.warm()
        if self._joint is not None:
            self._joint.warm()

    def look(self, attachments: Sequence[Attachment], alive: Callable[[], None]) -> list[Frame]:
        """The frames of every image among the attachments; `alive` is called on the way.

        Raises:
            MediaError: one can't be fetched or decoded, or there are too many. The same address twice counts once.
        """
        images = {each: place for place, each in reversed(list(enumerate(attachments))) if each.role == Role.IMAGE}
        if len(images) > self._most:
            raise MediaError(f"more than {self._most} images")
        seen = list[Frame]()
        for image, place in sorted(images.items(), key=lambda each: each[1]):
            alive()
            seen += self._look_at(place, image, alive)
        return seen

    def _look_at(self, place: int, image: Attachment, alive: Callable[[], None]) -> list[Frame]:
        shots = frames(fetcher().fetch(image, alive).data, fetcher().limits)
        seen = list[Frame]()
        for order, (number, shot) in enumerate(shots):
            alive()
            reads = order == 0 or (len(shots) - 1 - order) % READ_EVERY == 0
            lines = self._reader.lines(shot, alive) if reads else []
            joint = self._joint.probability(shot) if self._joint is not None else np.zeros(0)
            shown = self._picture.probability(shot)
            seen.append(Frame(place, number if len(shots) > 1 else None, shown, joint, tuple(lines)))
        return seen
