"""Places that models are fetched from, as fsspec sees them: names, sizes, bytes, and errors told in one line.

/a/folder  file://…       this machine
s3://…  gs://…  abfs://…  buckets: fsspec's drivers, with credentials where these look for them
https://…                 a web server: it lists nothing, so the model needs a card that names its files
hf://owner/name@revision  a model hub, through huggingface_hub (HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE are its own)
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import fsspec

from detectors.loading.model_cache import HUB
from schemas.errors import UserMistake

_PIECE: Final = 1 << 20  # bytes
_DRIVERS: Final = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs", "hf": "huggingface_hub"}
_WEB: Final = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class File:
    """One file there."""

    size: int  # bytes; 0 where the place doesn't say
    sha256: str = ""  # in hexadecimal, where the place says: a hub does of large files


@dataclass(frozen=True, slots=True)
class Source:
    """A folder somewhere, whose files can be read."""

    address: str  # of a hub with the commit in place of a branch: what is there never changes
    lists: bool  # whether it can be asked what there is
    _files: Any  # fsspec's file system
    _root: str
    _reading: Mapping[str, Any] = field(default_factory=dict)  # options of `open`

    def listing(self) -> dict[str, File]:
        """The files of the folder, without those of folders in it."""
        with _told(self.address):
            found = self._files.ls(self._root, detail=True)
        return {each["name"].rpartition("/")[2]: _file(each) for each in found if each["type"] == "file"}

    def read(self, name: str, most: int) -> bytes | None:
        """A small file, whole; None if there is none of that name, UserMistake if it has more than `most` bytes."""
        try:
            self.about(name)
        except _MissingError:
            return None
        return b"".join(self.pieces(name, most))

    def about(self, name: str) -> File:
        """One file's details."""
        with _told(f"{self.address}/{name}"):
            return _file(self._files.info(self._path(name)))

    def pieces(self, name: str, most: int) -> Iterator[bytes]:
        """The file, in order. UserMistake as soon as it has more than `most` bytes, whatever the place says."""
        with _told(f"{self.address}/{name}"), self._files.open(self._path(name), "rb", **self._reading) as file:
            while piece := file.read(_PIECE):
                if (most := most - len(piece)) < 0:
                    raise UserMistake(f"{self.address}/{name}: more bytes than announced or allowed")
                yield piece

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


class _MissingError(UserMistake):
    """No file of that name."""


def open_source(address: str) -> Source:
    """The place that an address means. UserMistake if it can't be understood or reached, or its driver is missing."""
    scheme = address.partition("://")[0] if "://" in address else "file"
    options: dict[str, Any] = {}
    try:
        if scheme == "hf":
            options = {"endpoint": os.environ.get("HF_ENDPOINT")}  # as it is now, not as when the library was imported
            address = f"{HUB}{_pinned(address.removeprefix(HUB).strip('/'), **options)}"
        with _told(address):
            files, root = fsspec.url_to_fs(address, **options)
    except ImportError:
        raise UserMistake(f"{address}: a driver is missing: pip install {_DRIVERS.get(scheme, 'it')}") from None
    streamed = {"block_size": 0} if scheme == "hf" else {}
    return Source(address.rstrip("/"), scheme not in _WEB, files, root, streamed)


def _pinned(repository: str, endpoint: str | None) -> str:
    """owner/name@commit for owner/name or owner/name@revision: a branch may move while its files are read."""
    from huggingface_hub import HfApi  # noqa: PLC0415 - half a second, and perhaps not installed

    hub = HfApi(endpoint=endpoint)
    name, _, revision = repository.partition("@")
    with _told(f"{HUB}{repository} at {hub.endpoint}"):
        return f"{name}@{hub.model_info(name, revision=revision or None).sha}"


def _file(details: Mapping[str, Any]) -> File:
    return File(int(details.get("size") or 0), str(getattr(details.get("lfs"), "sha256", None) or ""))


@contextmanager
def _told(address: str) -> Iterator[None]:
    """Whatever a driver raises, as one line: each has its own classes, and a user needs its words."""
    try:
        yield
    except (UserMistake, ImportError):
        raise
    except FileNotFoundError as error:
        cause = error.__cause__  # the web's driver says "not found" of whatever goes wrong
        if type(cause).__module__.startswith("aiohttp") and getattr(cause, "status", 0) != HTTPStatus.NOT_FOUND:
            raise UserMistake(f"{address}: can't be fetched{_cause(error)}") from None
        raise _MissingError(f"{address}: not there{_cause(error)}") from None
    except Exception as error:  # noqa: BLE001
        raise UserMistake(f"{address}: can't be fetched: {_words(error)}") from None


def _cause(error: Exception) -> str:
    return f": {_words(error.__cause__)}" if isinstance(error.__cause__, Exception) else ""


def _words(error: BaseException) -> str:
    said = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
