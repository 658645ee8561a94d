"""A memory limit that the kernel itself enforces, for tests that want its out-of-memory killer."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

# Where a group is made, the file of its limit, and the file that counts kills.
VERSIONS = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.oom_control"),  # v1
    (Path("/sys/fs/cgroup"), "memory.max", "memory.events"),  # v2, with the controller delegated to us
)


@dataclass(frozen=True)
class MemoryCgroup:
    folder: Path
    kills_file: str

    def enter(self) -> None:
        """Move the calling process, and those it will start, into the group."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def take(self, pid: int) -> None:
        """Move another process, and those it will start, into the group."""
        (self.folder / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def kills(self) -> int:
        """How many processes the kernel has killed in it."""
        lines = (self.folder / self.kills_file).read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


@contextmanager
def memory_cgroup(limit: int) -> Iterator[MemoryCgroup]:
    """A group limited to `limit` bytes; skips the test where no group can be made."""
    group = _make(limit)
    try:
        yield group
    finally:
        for _ in range(50):  # a process that was just killed is counted for a moment
            try:
                group.folder.rmdir()
            except OSError:
                time.sleep(0.1)
            else:
                break


def _make(limit: int) -> MemoryCgroup:
    for parent, limit_file, kills_file in VERSIONS:
        folder = parent / f"safestream-test-{uuid.uuid4().hex[:8]}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / limit_file).write_text(str(limit), encoding="ascii")
        except OSError:
            folder.rmdir()
            continue
        return MemoryCgroup(folder, kills_file)
    pytest.skip("no memory cgroup can be made here (needs root, or a delegated one): no out-of-memory killer to call")
