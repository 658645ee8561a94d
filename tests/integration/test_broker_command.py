"""`safestream broker`: start, status and stop may each be said twice, and survive one another's absence."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.local_broker.jars import fetch_jars
from stream.local_broker.ports import free_port
from stream.local_broker.readiness import answers

pytestmark = pytest.mark.integration
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("status")`: one `safestream broker` command, whose state is the test's own while the jars are shared."""
    jars = fetch_jars(print)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "safestream").mkdir()
    (tmp_path / "safestream" / jars.name).symlink_to(jars)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "safestream", "broker", *arguments]
        # no pipes: the broker left running would hold them open
        with (tmp_path / "out").open("w+") as out:
            done = subprocess.run(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, timeout=120, check=False)
            out.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, out.read())

    return run


def test_each_command_may_be_said_twice(run: Run):
    port = free_port()
    bootstrap = f"127.0.0.1:{port}"
    assert run("status").returncode == 1
    try:
        started = run("start", "--port", str(port))
        assert started.returncode == 0, started.stdout
        assert answers(bootstrap)  # it outlives the command that started it
        again = run("start", "--port", str(port))
        assert (again.returncode, bootstrap in again.stdout) == (0, True)
        other = run("start", "--port", str(free_port()))
        assert (other.returncode, other.stdout.count("\n")) == (2, 1)
        assert run("status").returncode == 0
    finally:
        stopped = run("stop", "--delete-data")
    assert stopped.returncode == 0
    assert not answers(bootstrap, 1)
    assert run("stop").returncode == 0
    assert run("status").returncode == 1
