"""A guard's clean-up runs exactly when its owner dies without releasing it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream.local_broker.guard import Guard

OWNER = """
import os, sys, time
from stream.local_broker.guard import Guard
guard = Guard("touch " + sys.argv[1])
if sys.argv[2] == "forks" and os.fork() == 0:
    time.sleep(30)
    os._exit(0)
print(flush=True)
time.sleep(60)
"""


def appears(path: Path) -> bool:
    deadline = time.monotonic() + 10
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return path.exists()


@pytest.mark.parametrize("how", ["alone", "forks"])
def test_it_cleans_up_after_kill_9_even_if_a_forked_child_lives_on(tmp_path: Path, how: str):
    trace = tmp_path / "cleaned up"
    command = [sys.executable, "-c", OWNER, f"'{trace}'", how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        owner.kill()
        owner.wait()
        try:
            assert appears(trace)
        finally:
            if how == "forks":
                os.killpg(owner.pid, signal.SIGKILL)


def test_a_released_guard_does_nothing(tmp_path: Path):
    trace = tmp_path / "cleaned up"
    guard = Guard(f"touch '{trace}'")
    guard.release()
    guard.release()
    assert not trace.exists()
