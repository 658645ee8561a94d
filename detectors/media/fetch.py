"""An attachment's bytes: from the event itself, or from a store that configuration allows, within size and time.

    data:…                    decoded
    https://…  http://…       fsspec's HTTP file system over a guarded session; every redirect checked anew
    file:///…                 regular files below an allowed folder, links resolved first
    s3://…  gs://…  abfs://…  whatever fsspec has a driver for

The bytes are hashed as they come; where the producer named a SHA-256, another file is refused.
"""

import hashlib
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urljoin

import aiohttp
import fsspec
from fsspec.implementations.http import HTTPFileSystem

from detectors.media.allowed import checked
from detectors.media.data_uri import data_of
from detectors.media.errors import MediaError
from detectors.media.guarded_http import session
from detectors.media.limits import Limits
from schemas.attachments import Attachment

_PIECE: Final = 1 << 16
_KEPT_BYTES: Final = 64 << 20  # several detectors look at one attachment: it is fetched once
_KEPT_SECONDS: Final = 60.0
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, eq=False)
class Medium:
    """A file that was fetched."""

    data: bytes
    sha256: bytes  # 32 bytes


class Fetcher:
    """Fetches, and remembers shortly. Not for use from several threads."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._kept: OrderedDict[str, tuple[float, Medium]] = OrderedDict()
        self._kept_bytes = 0
        self._http: HTTPFileSystem | None = None

    def fetch(self, attachment: Attachment) -> Medium:
        """The attachment's bytes.

        Raises:
            MediaError: not allowed, not there, too large, too slow, or not the file that the producer hashed.
        """
        medium = self._remembered(attachment.uri) or self._remember(attachment.uri, self._read(attachment.uri))
        if attachment.sha256 not in {None, medium.sha256}:
            raise MediaError("not the file whose SHA-256 the event names")
        return medium

    def _read(self, uri: str) -> Medium:
        if uri[:5].lower() == "data:":
            data = data_of(uri, self.limits.max_bytes)
            return Medium(data, hashlib.sha256(data).digest())
        parts = checked(uri, self.limits.allow)
        if parts.scheme in {"http", "https"}:
            return self._gathered(self._over_http(uri))
        if parts.scheme == "file":
            return self._gathered(_from_disk(parts, self.limits.allow))
        return self._gathered(self._from_store(uri, parts.scheme))

    def _gathered(self, pieces: Iterable[bytes]) -> Medium:
        """All pieces as one, counted as they come."""
        data, digest, ends = bytearray(), hashlib.sha256(), time.monotonic() + self.limits.timeout_seconds
        for piece in pieces:
            data += piece
            digest.update(piece)
            if len(data) > self.limits.max_bytes:
                raise MediaError(f"more than {self.limits.max_bytes} bytes")
            if time.monotonic() > ends:
                raise self._slow()
        return Medium(bytes(data), digest.digest())

    def _slow(self) -> MediaError:
        return MediaError(f"not here within {self.limits.timeout_seconds:g} seconds")

    def _over_http(self, uri: str) -> Iterator[bytes]:
        try:
            for _ in range(self.limits.max_redirects + 1):
                # no length is asked for beforehand (`size`): a server may say what it likes
                with closing(self._http_files().open(uri, block_size=0, size=1, allow_redirects=False)) as file:
                    response: aiohttp.ClientResponse = file.r
                    if response.status not in _REDIRECTS:
                        yield from _body(file, response)
                        return
                    uri = urljoin(uri, response.headers.get("Location", ""))
                checked(uri, self.limits.allow)
        except (TimeoutError, aiohttp.ServerTimeoutError):
            raise self._slow() from None
        except (OSError, aiohttp.ClientError, ValueError) as error:
            raise MediaError(f"it can't be fetched: {type(error).__name__}") from None
        raise MediaError(f"more than {self.limits.max_redirects} redirects")

    def _http_files(self) -> HTTPFileSystem:
        if self._http is None:
            client = partial(session, self.limits.private_networks, self.limits.timeout_seconds)
            self._http = HTTPFileSystem(get_client=client, skip_instance_cache=True)
        return self._http

    def _from_store(self, uri: str, scheme: str) -> Iterator[bytes]:
        """Drivers have no deadline in common, so one reads on a thread of its own, and may be left behind there."""
        pieces = SimpleQueue[bytes | Exception | None]()
        given_up = threading.Event()
        options = self.limits.storage.get(scheme, {})
        threading.Thread(target=_pump, args=(uri, options, pieces, given_up), name="media", daemon=True).start()
        ends = time.monotonic() + self.limits.timeout_seconds
        try:
            while (piece := pieces.get(timeout=max(0.0, ends - time.monotonic()))) is not None:
                if isinstance(piece, Exception):
                    raise MediaError(f"it can't be fetched: {type(piece).__name__}") from None
                yield piece
        except Empty:
            raise self._slow() from None
        finally:
            given_up.set()

    def _remembered(self, uri: str) -> Medium | None:
        while self._kept and time.monotonic() - next(iter(self._kept.values()))[0] > _KEPT_SECONDS:
            self._forget_oldest()
        found = self._kept.get(uri)
        return found[1] if found else None

    def _remember(self, uri: str, medium: Medium) -> Medium:
        self._kept[uri] = time.monotonic(), medium
        self._kept_bytes += len(medium.data)
        while self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._forget_oldest()
        return medium

    def _forget_oldest(self) -> None:
        _, (_, medium) = self._kept.popitem(last=False)
        self._kept_bytes -= len(medium.data)


def _body(file: Any, response: aiohttp.ClientResponse) -> Iterator[bytes]:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise MediaError("a compressed answer, which was not asked for")
    while piece := file.read(_PIECE):
        yield piece


def _from_disk(parts: SplitResult, allow: Iterable[str]) -> Iterator[bytes]:
    folders = [Path(unquote(each.removeprefix("file://"))).resolve() for each in allow if each.startswith("file:")]
    try:
        path = Path(unquote(parts.path)).resolve(strict=True)
        if not any(path.is_relative_to(folder) for folder in folders):
            raise MediaError("a file whose link leads out of the allowed folder")
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise MediaError("not a regular file")
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    except OSError as error:
        raise MediaError(f"it can't be read: {error.strerror}") from None


def _pump(
    uri: str, options: dict[str, str], pieces: "SimpleQueue[bytes | Exception | None]", given_up: threading.Event
) -> None:
    try:
        with fsspec.open(uri, "rb", **options) as file:
            while (piece := file.read(_PIECE)) and not given_up.is_set():
                pieces.put(piece)
        pieces.put(None)
    except Exception as error:  # noqa: BLE001 - a driver raises what its library does; the reader tells
        pieces.put(error)
