"""An attachment's bytes: from the event itself, or from a store that configuration allows, within size and time.

    data:…                    decoded
    https://…  http://…       fsspec's HTTP file system over a guarded session; every redirect checked anew
    file:///…                 regular files below an allowed folder, links resolved first
    s3://…  gs://…  abfs://…  whatever fsspec has a driver for

The bytes are hashed as they come; where the producer named a SHA-256, another file is refused.
"""

import hashlib
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
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
from detectors.media.remembered import Medium, Remembered
from detectors.media.waiting import within
from schemas.attachments import Attachment

_PIECE: Final = 1 << 16
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class Fetcher:
    """Fetches, and remembers shortly. Not for use from several threads."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._remembered = Remembered()
        self._http: HTTPFileSystem | None = None

    def fetch(self, attachment: Attachment, alive: Callable[[], None]) -> Medium:
        """The attachment's bytes; `alive` is called again and again while they are waited for.

        Raises:
            MediaError: not allowed, not there, too large, too slow, or not the file that the producer hashed.
        """
        medium = self._read(attachment.uri, alive)
        if attachment.sha256 not in {None, medium.sha256}:
            raise MediaError("not the file whose SHA-256 the event names")
        return medium

    def _read(self, uri: str, alive: Callable[[], None]) -> Medium:
        if uri[:5].lower() == "data:":
            data = data_of(uri, self.limits.max_bytes)
            return Medium(data, hashlib.sha256(data).digest())
        if (known := self._remembered.get(uri)) is not None:
            return known
        pieces = self._pieces(uri, checked(uri, self.limits.allow))
        seconds = self.limits.timeout_seconds
        medium = within(seconds, partial(self._gathered, pieces, time.monotonic() + seconds), alive)
        self._remembered.add(uri, medium)
        return medium

    def _pieces(self, uri: str, parts: SplitResult) -> Iterator[bytes]:
        """What is read; nothing is opened yet."""
        if parts.scheme in {"http", "https"}:
            return self._over_http(uri, self._http_files())
        if parts.scheme == "file":
            return _from_disk(parts, self.limits.allow)
        return _from_store(uri, parts.scheme, self.limits.storage.get(parts.scheme, {}))

    def _gathered(self, pieces: Iterable[bytes], ends: float) -> Medium:
        """All pieces as one, counted as they come. It ends by itself when nobody waits for it any more."""
        data, digest = bytearray(), hashlib.sha256()
        for piece in pieces:
            data += piece
            digest.update(piece)
            if len(data) > self.limits.max_bytes:
                raise MediaError(f"more than {self.limits.max_bytes} bytes")
            if time.monotonic() > ends:
                raise TimeoutError
        return Medium(bytes(data), digest.digest())

    def _over_http(self, uri: str, files: HTTPFileSystem) -> Iterator[bytes]:
        for _ in range(self.limits.max_redirects + 1):
            # no length is asked for beforehand (`size`): a server may say what it likes
            with closing(files.open(uri, block_size=0, size=1, allow_redirects=False)) as file:
                response: aiohttp.ClientResponse = file.r
                if response.status not in _REDIRECTS:
                    yield from _body(file, response)
                    return
                uri = urljoin(uri, response.headers.get("Location", ""))
            checked(uri, self.limits.allow)
            yield b""  # a moment to look at the clock
        raise MediaError(f"more than {self.limits.max_redirects} redirects")

    def _http_files(self) -> HTTPFileSystem:
        if self._http is None:
            client = partial(session, self.limits.private_networks, self.limits.timeout_seconds)
            self._http = HTTPFileSystem(get_client=client, skip_instance_cache=True)
        return self._http


def _body(file: Any, response: aiohttp.ClientResponse) -> Iterator[bytes]:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise MediaError("a compressed answer, which was not asked for")
    while piece := file.read(_PIECE):
        yield piece


def _from_disk(parts: SplitResult, allow: Iterable[str]) -> Iterator[bytes]:
    folders = [Path(unquote(each.removeprefix("file://"))).resolve() for each in allow if each.startswith("file:")]
    path = Path(unquote(parts.path)).resolve(strict=True)
    if not any(path.is_relative_to(folder) for folder in folders):
        raise MediaError("a file whose link leads out of the allowed folder")
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
        raise MediaError("not a regular file")
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _from_store(uri: str, scheme: str, options: dict[str, str]) -> Iterator[bytes]:
    """By the driver itself: `fsspec.open` would read `::` as one address within another."""
    driver: Any = fsspec.get_filesystem_class(scheme)
    store = driver(**driver._get_kwargs_from_urls(uri) | options)  # noqa: SLF001 - as fsspec.open does
    with store.open(uri, "rb") as file:
        while piece := file.read(_PIECE):
            yield piece
