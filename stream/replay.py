"""What a replayed dead letter carries: where the original lay, how often it failed, and proof that we wrote so.

Headers are anybody's to write, and Kafka doesn't tell a consumer who produced a record. So the attempt count is
honoured only with a signature: HMAC-SHA256 under `dead_letters.signing_key` over the coordinates, the attempt and the
value.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import TypeAlias, cast

from confluent_kafka import Message

from schemas import headers

Headers: TypeAlias = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Replay:
    """The original of a replayed record: "topic-id/partition/offset", and how often it was decoded in vain."""

    origin: str
    attempt: int


# The client may return with an exception set. A call from C looks; one that the interpreter has specialised does not.
_headers = methodcaller("headers")

NO_REPLAY: tuple[Replay | None, bool] = (None, False)


def headers_in(message: Message) -> Headers:
    """A record's headers; consumed ones are always a list of names and bytes.

    None at all where a name isn't UTF-8: the client can't read those, and asked again it hands out null pointers.
    """
    try:
        return cast(Headers, _headers(message) or ())
    except (SystemError, UnicodeDecodeError):
        message.set_headers([])
        return ()


def signature(key: bytes, origin: str, attempt: int, value: bytes | None) -> str:
    """Proof that a replay is ours, in hexadecimal."""
    absent = b"\x01" if value is None else b"\x00"
    signed = f"{origin} {attempt} ".encode() + absent + (value or b"")
    return hmac.new(key, signed, hashlib.sha256).hexdigest()


def replay_of(found: Headers, value: bytes | None, key: bytes | None) -> tuple[Replay | None, bool]:
    """The replay that these headers prove; and, where they prove none, whether they claim one."""
    ours = {name: data for name, data in found if name.startswith(headers.PREFIX)}
    if headers.REPLAY_SIGNATURE not in ours:
        return None, headers.ATTEMPT in ours
    try:
        text = {name: (data or b"").decode() for name, data in ours.items()}
        origin, attempt = text[headers.ORIGIN], int(text[headers.ATTEMPT])
    except (KeyError, ValueError):
        return None, True
    claimed = text[headers.REPLAY_SIGNATURE].encode()  # bytes: strings that aren't ASCII can't be compared
    if key is None or not hmac.compare_digest(claimed, signature(key, origin, attempt, value).encode()):
        return None, True
    return Replay(origin, attempt), False
