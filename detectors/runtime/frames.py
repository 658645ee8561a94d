"""What travels between the worker and a scoring process: flat arrays behind a fixed header, little-endian.

offset  bytes  field
0      4  length of the body
4      1  kind
5      1  detector, by its place in the configuration
6      2  zeros
8      4  rows
12      8  task, a number that the answer repeats
20         body

score    int32 (rows,) characters of each text, uint32 bytes of the rest, the rest, all texts end to end in UTF-8.
The rest is empty, or JSON: {"languages": [distinct], "of": [place in languages, a row each], "attachments":
{row: [[role, uri, SHA-256 in hexadecimal or null], ...]}, "signals": [{field: value}, a row each] or []}
scored   float64 seconds in `score`, uint32 the longest stretch of rows between two hints, 4 zeros,
float32 (rows, categories), or of a detector without categories (rows, schemas.ages.WIDTH), uint8 (rows,) statuses,
uint8 (rows,) reasons, then nothing or JSON: {row: [evidence, ...]}
raised   int32 the last hint (-1: none), uint8 a `Reason`, then UTF-8: the exception's type and the line that
raised it, never its message, which may quote content
"""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.interface import Answer
from detectors.items import Attachment, Items
from schemas.ages import WIDTH
from schemas.evidence import BadEvidence, Evidence
from schemas.statuses import Reason, Status

_HEADER: Final = struct.Struct("<IBBxxIQ")
_TIMING: Final = struct.Struct("<dI4x")
_FAULT: Final = struct.Struct("<iB")
_COUNT: Final = struct.Struct("<I")
_LAST_STATUS: Final = max(Status)
_LAST_REASON: Final = max(Reason)
HEADER_BYTES: Final = _HEADER.size


class Kind(IntEnum):
    """What a frame says."""

    score = 1
    scored = 2
    raised = 3


class BadAnswer(ValueError):
    """The detector's answer is none: a fault of the detector, like an exception."""


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


def encode_items(detector: int, task: int, items: Items) -> bytes:
    """A `score` frame. One join and one encoding for all texts: a fifth of the price of encoding each."""
    texts = items.texts
    lengths = np.fromiter(map(len, texts), np.int32, len(texts))
    joined = "".join(texts).encode("utf-8", "surrogatepass")  # a lone surrogate is for the detector to deal with
    rest = _encode_rest(items) if any(items.languages) or any(items.attachments) or items.signals else b""
    return pack(Kind.score, detector, len(texts), task, lengths.tobytes(), _COUNT.pack(len(rest)), rest, joined)


def _encode_rest(items: Items) -> bytes:
    places = {language: place for place, language in enumerate(dict.fromkeys(items.languages))}
    attached = {
        row: [(each.role, each.uri, each.sha256.hex() if each.sha256 else None) for each in found]
        for row, found in enumerate(items.attachments)
        if found
    }
    of = [places[language] for language in items.languages]
    said = {"languages": list(places), "of": of, "attachments": attached, "signals": items.signals}
    return json.dumps(said, default=dict).encode()


def decode_items(frame: Frame) -> Items:
    """The items of a `score` frame."""
    ends = np.cumsum(np.frombuffer(frame.body, np.int32, frame.rows)).tolist()
    (size,) = _COUNT.unpack_from(frame.body, 4 * frame.rows)
    texts_at = 4 * frame.rows + _COUNT.size + size
    joined = frame.body[texts_at:].decode("utf-8", "surrogatepass")
    texts = [joined[start:end] for start, end in pairwise([0, *ends])]
    return _with_rest(texts, frame.body[texts_at - size : texts_at]) if size else Items.of(texts)


def _with_rest(texts: list[str], rest: bytes) -> Items:
    said = json.loads(rest)
    attachments: list[Sequence[Attachment]] = [()] * len(texts)
    for row, found in said["attachments"].items():
        attachments[int(row)] = [Attachment(role, uri, sha and bytes.fromhex(sha)) for role, uri, sha in found]
    return Items(texts, [said["languages"][place] for place in said["of"]], attachments, said["signals"])


def encode_answer(request: Frame, categories: int, answer: Answer, seconds: float, step: int) -> bytes:
    """A `scored` frame that answers `request`.

    Raises:
        BadAnswer: its arrays have not one row for each event, and one column for each category; numbers of age from a
            detector with categories, or none from one without; a status or reason that is none, or `skipped`;
            evidence for a row that is none, or not made of `Evidence`.
    """
    numbers, status, reason = _checked(answer, request.rows, categories)
    evidence = _encode_evidence(answer.evidence, request.rows) if answer.evidence else b""
    arrays = (_TIMING.pack(seconds, step), numbers.tobytes(), status.tobytes(), reason.tobytes())
    return pack(Kind.scored, request.detector, request.rows, request.task, *arrays, evidence)


def _checked(
    answer: Answer, rows: int, categories: int
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8]]:
    if not isinstance(answer, Answer):
        raise BadAnswer(f"{type(answer).__name__} in place of an Answer")
    probability, status = _numbers(answer.probability), np.asarray(answer.status)
    reason = np.asarray(answer.reason)
    shapes = probability.shape, status.shape, reason.shape
    if shapes != ((rows, categories), (rows,), (rows,)):
        raise BadAnswer(f"shapes {shapes} for {rows} events, {categories} categories")
    numbers = probability if answer.age is None else _numbers(answer.age)
    if numbers.shape != (rows, categories or WIDTH):
        raise BadAnswer(f"numbers of shape {numbers.shape} for {rows} events, {categories} categories")
    if not _within(status, _LAST_STATUS) or not _within(reason, _LAST_REASON):
        raise BadAnswer("a status or a reason that is none")
    if (status == Status.skipped).any():  # policy takes it for "not asked", and nothing for missing
        raise BadAnswer("a row is skipped that it was asked about")
    return numbers, status.astype(np.uint8, copy=False), reason.astype(np.uint8, copy=False)


def _numbers(said: Any) -> NDArray[np.float32]:
    """As float32; what is no real number is no probability, however it could be converted."""
    if (found := np.asarray(said)).dtype.kind not in "fiu":
        raise BadAnswer(f"{found.dtype} in place of numbers")
    return found.astype(np.float32, copy=False)


def _within(numbers: NDArray[Any], last: int) -> bool:
    """Whether all are whole numbers from 0 to `last`: a fraction would be cut off to another status."""
    if numbers.dtype.kind not in "iu":
        return False
    return not numbers.size or (numbers.max() <= last and (numbers.dtype == np.uint8 or numbers.min() >= 0))


def _encode_evidence(evidence: Mapping[int, Sequence[Evidence]], rows: int) -> bytes:
    found: dict[int, list[dict[str, Any]]] = {}
    for row, said in evidence.items():
        if isinstance(row, bool) or not isinstance(row, int | np.integer) or not 0 <= row < rows:
            raise BadAnswer("evidence for a row that is none")
        for each in said:
            if not isinstance(each, Evidence):
                raise BadAnswer(f"{type(each).__name__} in place of Evidence")
            try:
                each.check()
            except BadEvidence as error:
                raise BadAnswer(str(error)) from None
        found[int(row)] = [each.as_json() for each in said]
    return json.dumps(found).encode()


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """How a task went."""

    seconds: float  # in `score`
    step: int  # the longest stretch of rows between two hints


def decode_answer(frame: Frame, categories: int) -> tuple[Answer, Timing]:
    """What a `scored` frame says."""
    rows, body, width = frame.rows, frame.body, categories or WIDTH
    seconds, step = _TIMING.unpack_from(body)
    numbers = np.frombuffer(body, np.float32, rows * width, _TIMING.size).reshape(rows, width)
    at = _TIMING.size + numbers.nbytes
    status, reason = np.frombuffer(body, np.uint8, 2 * rows, at).reshape(2, rows)
    evidence = _decode_evidence(rest) if (rest := body[at + 2 * rows :]) else {}
    return Answer.of(numbers, categories, status, reason, evidence), Timing(seconds, step)


def _decode_evidence(rest: bytes) -> dict[int, tuple[Evidence, ...]]:
    return {int(row): tuple(map(Evidence.from_json, found)) for row, found in json.loads(rest).items()}


def encode_raised(request: Frame, reason: Reason, hint: int, where: str) -> bytes:
    """A `raised` frame that answers `request`; `hint` is -1 where the detector gave none."""
    return pack(Kind.raised, request.detector, request.rows, request.task, _FAULT.pack(hint, reason), where.encode())


def decode_raised(frame: Frame) -> tuple[Reason, int | None, str]:
    """Reason, hint and place of a `raised` frame."""
    hint, reason = _FAULT.unpack_from(frame.body)
    return Reason(reason), (None if hint < 0 else hint), frame.body[_FAULT.size :].decode("utf-8", "replace")
