"""What travels between the worker and a scoring process: flat arrays behind a fixed header, little-endian.

offset  bytes  field
0      4  length of the body
4      1  kind
5      1  detector, by its place in the configuration
6      2  zeros
8      4  rows
12      8  task, a number that the answer repeats
20         body

score    int32 (rows,) characters of each text, then all texts end to end in UTF-8
scored   float64 seconds in `score`, uint32 the longest stretch of rows between two hints, 4 zeros,
float32 (rows, categories), uint8 (rows,) statuses
raised   int32 the last hint (-1: none), uint8 a `Reason`, then UTF-8: the exception's type and the line that
raised it, never its message, which may quote content
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.statuses import Reason

_HEADER: Final = struct.Struct("<IBBxxIQ")
_TIMING: Final = struct.Struct("<dI4x")
_FAULT: Final = struct.Struct("<iB")
HEADER_BYTES: Final = _HEADER.size


class Kind(IntEnum):
    """What a frame says."""

    score = 1
    scored = 2
    raised = 3


class BadAnswer(ValueError):
    """The detector's arrays have the wrong shape: a fault of the detector, like an exception."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One message."""

    kind: Kind
    detector: int
    rows: int
    task: int
    body: bytes


def pack(kind: Kind, detector: int, rows: int, task: int, *body: bytes) -> bytes:
    """One message as bytes."""
    return b"".join((_HEADER.pack(sum(map(len, body)), kind, detector, rows, task), *body))


def body_length(header: bytes) -> int:
    """How many bytes follow the header."""
    length: int = _HEADER.unpack(header)[0]
    return length


def unpack(header: bytes, body: bytes) -> Frame:
    """The message behind `header`."""
    _, kind, detector, rows, task = _HEADER.unpack(header)
    return Frame(Kind(kind), detector, rows, task, body)


class Splitter:
    """Finds the frames in a stream of bytes that arrives in pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """The frames that `piece` completes."""
        self._buffer += piece
        while len(self._buffer) >= HEADER_BYTES:
            header = bytes(self._buffer[:HEADER_BYTES])
            end = HEADER_BYTES + body_length(header)
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEADER_BYTES:end])
            del self._buffer[:end]
            yield unpack(header, body)


def encode_texts(detector: int, task: int, texts: Sequence[str]) -> bytes:
    """A `score` frame. One join and one encoding for all texts: a fifth of the price of encoding each."""
    lengths = np.fromiter(map(len, texts), np.int32, len(texts))
    joined = "".join(texts).encode("utf-8", "surrogatepass")  # a lone surrogate is for the detector to deal with
    return pack(Kind.score, detector, len(texts), task, lengths.tobytes(), joined)


def decode_texts(frame: Frame) -> list[str]:
    """The texts of a `score` frame."""
    ends = np.cumsum(np.frombuffer(frame.body, np.int32, frame.rows)).tolist()
    joined = frame.body[4 * frame.rows :].decode("utf-8", "surrogatepass")
    return [joined[start:end] for start, end in pairwise([0, *ends])]


def encode_scores(
    request: Frame,
    categories: int,
    probability: NDArray[np.float32],
    status: NDArray[np.uint8],
    seconds: float,
    step: int,
) -> bytes:
    """A `scored` frame that answers `request`.

    Raises:
        BadAnswer: the arrays have not one row for each text, and one column for each category.
    """
    probability, status = np.asarray(probability, np.float32), np.asarray(status, np.uint8)
    if probability.shape != (request.rows, categories) or status.shape != (request.rows,):
        raise BadAnswer(
            f"shapes {probability.shape} and {status.shape} for {request.rows} texts, {categories} categories"
        )
    timing = _TIMING.pack(seconds, step)
    return pack(
        Kind.scored, request.detector, request.rows, request.task, timing, probability.tobytes(), status.tobytes()
    )


def decode_scores(frame: Frame, categories: int) -> tuple[NDArray[np.float32], NDArray[np.uint8], float, int]:
    """Probabilities (rows, categories), statuses (rows,), seconds and the longest step of a `scored` frame."""
    seconds, step = _TIMING.unpack_from(frame.body)
    cells = frame.rows * categories
    probability = np.frombuffer(frame.body, np.float32, cells, _TIMING.size).reshape(frame.rows, categories)
    status = np.frombuffer(frame.body, np.uint8, frame.rows, _TIMING.size + 4 * cells)
    return probability, status, seconds, step


def encode_raised(request: Frame, reason: Reason, hint: int, where: str) -> bytes:
    """A `raised` frame that answers `request`; `hint` is -1 where the detector gave none."""
    return pack(Kind.raised, request.detector, request.rows, request.task, _FAULT.pack(hint, reason), where.encode())


def decode_raised(frame: Frame) -> tuple[Reason, int | None, str]:
    """Reason, hint and place of a `raised` frame."""
    hint, reason = _FAULT.unpack_from(frame.body)
    return Reason(reason), (None if hint < 0 else hint), frame.body[_FAULT.size :].decode("utf-8", "replace")
