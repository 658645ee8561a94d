"""A folder as schema registry: nothing to run, and every version ever released lies beside the draft.

    avro/<topic>.avsc                 the working draft
    released/<topic>/<version>.avsc   every version released, never changed again
    released/ids.json                 {"1000000": "content.comments/1", …}
    released/SHA256SUMS               what `sha256sum -c` reads, so that a changed release is noticed

Ids start at 1,000,000, and those of a user's own folder at 2,000,000: a registry adopted later numbers from 1 and
can't collide with either.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.errors import UserMistake

BUILT_IN: Final = Path(__file__).parent
FIRST_ID: Final = 1_000_000  # ids from here up always resolve from a folder
FIRST_USER_ID: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Release:
    """One released version."""

    id: int
    topic: str
    version: int
    path: Path


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of schemas; it may not exist yet."""

    root: Path

    @property
    def first_id(self) -> int:
        """Where this folder's ids start."""
        return FIRST_ID if self.root.resolve() == BUILT_IN else FIRST_USER_ID

    def drafts(self) -> dict[str, Path]:
        """The working drafts by topic."""
        return {path.stem: path for path in sorted((self.root / "avro").glob("*.avsc"))}

    def releases(self) -> list[Release]:
        """Every release, by id.

        Raises:
            UserMistake: ids.json can't be read, or names a file that is not there.
        """
        ids = self._ids()
        return [self._release(int(number), name) for number, name in sorted(ids.items(), key=lambda item: int(item[0]))]

    def releases_of(self, topic: str) -> list[Release]:
        """The releases of one topic, oldest first."""
        return sorted((each for each in self.releases() if each.topic == topic), key=lambda each: each.version)

    def _release(self, number: int, name: str) -> Release:
        topic, _, version = name.rpartition("/")
        path = self.root / "released" / topic / f"{version}.avsc"
        if not topic or not version.isdigit() or not path.is_file():
            raise UserMistake(f"{self._index}: id {number} is {name!r}, but there is no {path}; restore it")
        return Release(number, topic, int(version), path)

    @property
    def _index(self) -> Path:
        return self.root / "released" / "ids.json"

    @property
    def sums(self) -> Path:
        """The file of digests, as sha256sum writes and checks it."""
        return self.root / "released" / "SHA256SUMS"

    def _ids(self) -> dict[str, str]:
        if not self._index.exists():
            return {}
        ids = read_json(self._index)
        if not isinstance(ids, dict) or not all(key.isdigit() and isinstance(name, str) for key, name in ids.items()):
            raise UserMistake(f'{self._index}: not of the form {{"{FIRST_ID}": "topic/1"}}; restore it')
        return ids

    def digests(self) -> dict[str, str]:
        """SHA-256 by path below `released`, as recorded at release."""
        if not self.sums.exists():
            return {}
        lines = (line.split("  ", 1) for line in self.sums.read_text().splitlines() if line.strip())
        return {line[1]: line[0] for line in lines if len(line) == 2}

    def release(self, topic: str, text: str) -> Release:
        """Write `text` as the next version of `topic`, and note its id and digest."""
        ids = self._ids()
        version = 1 + max((each.version for each in self.releases_of(topic)), default=0)
        number = max([self.first_id - 1, *map(int, ids)]) + 1
        path = self.root / "released" / topic / f"{version}.avsc"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        digests = self.digests() | {f"{topic}/{version}.avsc": hashlib.sha256(text.encode()).hexdigest()}
        self.sums.write_text("".join(f"{digests[name]}  {name}\n" for name in sorted(digests)))
        self._index.write_text(json.dumps(ids | {str(number): f"{topic}/{version}"}, indent=2) + "\n")
        return Release(number, topic, version, path)


def read_json(path: Path) -> Any:
    """The JSON in a file.

    Raises:
        UserMistake: it can't be read, or is no JSON; with line and column.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserMistake(f"{path}: can't be read ({error.strerror}); check the path and its permissions") from None
    except UnicodeDecodeError:
        raise UserMistake(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise UserMistake(f"{path}:{error.lineno}:{error.colno}: not JSON ({error.msg}); put it right there") from None


def read_schema(path: Path) -> Mapping[str, Any]:
    """The raw schema in an .avsc file, which must be a record.

    Raises:
        UserMistake: no JSON, or no record.
    """
    raw = read_json(path)
    if not isinstance(raw, dict) or raw.get("type") != "record":
        raise UserMistake(f'{path}: not an Avro record; a schema of ours begins {{"type": "record", "name": …')
    return raw
