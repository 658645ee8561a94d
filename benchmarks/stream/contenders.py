"""Who is measured: our worker and its rivals, each as a process that reads one topic and writes two."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from schemas.topics import AUDIT, COMMENTS, DECISIONS

ROOT = Path(__file__).parents[2]
RIVALS = Path(__file__).parent / "rivals"
OURS = sys.executable
THEIRS = str(ROOT / ".venv-bench" / "bin" / "python")
PARTITIONS = 4
HEALTH_PORT = 29_464


@dataclass(frozen=True)
class Contender:
    """A name, its output topics, and the command that runs it."""

    name: str
    decisions: str
    audit: str
    command: list[str]
    limit: int | None = None  # events after which a slow one may stop


def rivals(bootstrap: str, repeat: int, batch: int, slow: int) -> list[Contender]:
    """The three of them, writing to topics of this repeat."""
    known = {"raw loop": (OURS, "raw_loop.py", None), "quixstreams": (THEIRS, "quix_app.py", None)}
    known["faust"] = (THEIRS, "faust_app.py", slow)
    made = []
    for name, (python, script, limit) in known.items():
        stem = f"bench-{script.partition('_')[0]}-{repeat}"
        arguments = [bootstrap, COMMENTS, f"{stem}.decisions", f"{stem}.audit", str(batch)]
        made.append(Contender(name, *arguments[2:4], [python, str(RIVALS / script), *arguments], limit))
    return made


def ours(bootstrap: str, folder: Path, batch: int, slot: str = "0", **changes: Any) -> Contender:
    """Our worker, with detectors that answer zeros, and the audit chain on."""
    settings = {
        "kafka": {"bootstrap_servers": bootstrap},
        "topics": {"partitions": PARTITIONS, "content": [COMMENTS]},
        "worker": {"batch_size": batch, "health_port": HEALTH_PORT if slot == "0" else None},
        "detectors": {"null": {}},
        "log": {"format": "json", "level": "warning"},
    }
    for section, values in changes.items():
        settings[section] = values if section == "detectors" else settings.get(section, {}) | values
    config = Path(tempfile.mkstemp(suffix=".yaml", dir=folder)[1])
    config.write_text(yaml.safe_dump(settings))
    command = [OURS, "-m", "safestream", "worker", "--config", str(config), "--slot", slot]
    return Contender("safestream", DECISIONS, AUDIT, command)


@contextlib.contextmanager
def running(contender: Contender, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The contender, started; ended with all its processes."""
    with (folder / f"{contender.name.replace(' ', '-')}.log").open("ab") as log:
        process = subprocess.Popen(
            contender.command,
            stdout=log,
            stderr=log,
            cwd=ROOT if contender.name == "safestream" else RIVALS,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
