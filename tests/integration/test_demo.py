"""`safestream demo`, with fewer events: it ends well, refuses a pipeline that is somebody's, and can be interrupted."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from schemas import topics
from schemas.errors import PoisonReason
from stream.local_broker import Broker
from stream.topics import create, plans
from tests.integration.pipeline import no_topics_of_ours

pytestmark = pytest.mark.integration
DEMO = (sys.executable, "-m", "safestream", "demo", "--events", "300")


@pytest.fixture
def environment(broker: Broker, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The session's broker without our topics, and a folder for temporary files."""
    with no_topics_of_ours(broker):
        yield os.environ | {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap, "TMPDIR": str(tmp_path)}


def test_every_event_has_its_outcome(environment: dict[str, str], tmp_path: Path) -> None:
    """Exit code 0; the counts add up, every reason for a dead letter is there, census and chain hold."""
    done = subprocess.run(DEMO, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 300 events have one outcome: 289 decisions, 11 dead letters." in done.stdout
    assert all(f"{reason} 1" in done.stdout for reason in set(PoisonReason) - {PoisonReason.WRONG_PARTITION})
    assert "grown    allow (16 reached) → allow (16 reached)" in done.stdout
    assert "young    allow (16 reached) → age_restrict (16 below)" in done.stdout
    assert "quiet    age_restrict (16 unknown) → allow (16 reached)" in done.stdout
    assert "every record that is due has its leaf" in done.stdout
    assert "The audit verifies." in done.stdout
    assert done.stderr == ""
    assert list(tmp_path.glob("safestream-*")) == []


def test_somebodys_topics_are_left_alone(environment: dict[str, str], broker: Broker, tmp_path: Path) -> None:
    """On a cluster with a pipeline of its own: one line, exit code 2."""
    with no_topics_of_ours(broker) as cluster:
        create(cluster, plans(list(topics.CONTENT), 3, 1, 1))
        done = subprocess.run(DEMO, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "has topics of Safestream already" in done.stderr
    assert list(tmp_path.glob("safestream-*")) == []


@pytest.mark.parametrize("moment", ["waiting for detectors", "the worker is ready"])
def test_an_interrupt_ends_everything(environment: dict[str, str], tmp_path: Path, moment: str) -> None:
    """Ctrl-C while the detectors load, or while events flow: exit code 130, no traceback, nothing left."""
    process = subprocess.Popen(
        DEMO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if moment in line or "✓ worker" in line:
            break
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130, "".join(seen) + rest
    assert "Traceback" not in rest
    assert children
    psutil.wait_procs(children, timeout=5)
    assert [child.pid for child in children if child.is_running()] == []
    assert list(tmp_path.glob("safestream-*")) == []
