"""What set-up installs: versions and hashes, no hosts, and nothing that pyproject.toml has moved on from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def locked(path: Path) -> dict[str, list[str]]:
    """Name → versions; a universal lock may name one per platform."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_package_has_a_version_and_hashes_and_no_host_is_named(lock: Path):
    lines = [line for line in lock.read_text().splitlines() if not line.lstrip().startswith("#")]
    assert not [
        line for line in lines if "://" in line or (line.lstrip().startswith("--") and "--hash=sha256:" not in line)
    ]
    entries = "\n".join(lines).replace("\\\n", "").splitlines()
    assert not [entry for entry in entries if entry and ("==" not in entry or "--hash=sha256:" not in entry)]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("runtime.txt", PROJECT["project"]["dependencies"]),
        ("lock.txt", PROJECT["project"]["dependencies"]),
        ("lock.txt", PROJECT["project"]["optional-dependencies"]["train"]),
        ("lock.txt", PROJECT["dependency-groups"]["dev"]),
        ("lock.txt", PROJECT["build-system"]["requires"]),
    ],
)
def test_the_lock_holds_what_pyproject_asks_for(name: str, wanted: list[str]):
    versions = locked(ROOT / "requirements" / name)
    stale = [
        line
        for line in wanted
        for requirement in [Requirement(line)]
        if not all(v in requirement.specifier for v in versions.get(canonicalize_name(requirement.name), ["none"]))
    ]
    assert not stale, f"make lock: {stale}"
