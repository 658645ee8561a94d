"""The demo's worker and ledger: each in a process of its own, as an operator would run it."""

import json
import os
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from safestream.sample_malformed import write_careless_schema
from schemas.decode import DEFAULT_MAX_BYTES
from schemas.errors import Fatal, UserMistake
from stream.local_broker.guard import Guard
from stream.local_broker.ports import free_port

LOG: Final = "worker.log"
SECOND_LOG: Final = "second-look.log"
LEDGER_LOG: Final = "ledger.log"
MAX_EVENT_BYTES: Final = DEFAULT_MAX_BYTES
_DRAIN_SECONDS: Final = 12.0  # the worker's own limit is 8
_SAFESTREAM: Final = (sys.executable, "-m", "safestream")


def write_config(
    folder: Path, bootstrap_servers: str, partitions: int, detectors: Mapping[str, Any], pack: Path | None
) -> Path:
    """The configuration of the demo's workers, in `folder`."""
    careless = folder / "schemas"
    write_careless_schema(careless)
    settings = {
        "kafka": {"bootstrap_servers": bootstrap_servers},
        "topics": {"partitions": partitions},
        "schema_registry": {"folder": str(careless)},
        "worker": {"max_event_bytes": MAX_EVENT_BYTES, "state_folder": str(folder / "states")},
        "ledger": {"folder": str(folder / "ledger")},
        "detectors": dict(detectors),
        "policy": {"pack": str(pack) if pack else None},
        "log": {"format": "json"},
    }
    path = folder / "safestream.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


class DemoWorker:
    """One worker, or ledger, from its start to its end; `config` is for other commands on the same pipeline too."""

    def __init__(self, folder: Path, config: Path, log: str = LOG, *arguments: str, command: str = "worker") -> None:
        """Nothing runs yet."""
        self._folder = folder
        self.config, self.log = config, folder / log
        self._command, self._arguments = command, arguments
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None
        self.ready = False

    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C is for the demo, which then ends it in order."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*_SAFESTREAM, self._command, "--config", str(self.config), *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=own_environment() | {f"SAFESTREAM_{self._command.upper()}__HEALTH_PORT": str(self._port)},
                start_new_session=True,
            )
        self._guard = Guard(f"kill -9 {self._process.pid}; rm -rf {shlex.quote(str(self._folder))}")

    def waiting_for(self) -> str | None:
        """What it still waits for, in its own words; None once it decides.

        Raises:
            UserMistake, Fatal: it has ended.
        """
        self.check()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=1):
                self.ready = True
                return None
        except urllib.error.HTTPError as answer:
            return answer.read().decode().strip()
        except OSError:
            return "starting"

    def check(self) -> None:
        """See that it runs.

        Raises:
            UserMistake, Fatal: it has ended, and why.
        """
        code = self._process.poll() if self._process else None
        if code is None:
            return
        why = f"{self._last_words()} (all it said: {self.log})"
        raise UserMistake(why) if code == 2 else Fatal(f"the {self._command} ended with exit code {code}: {why}")

    def _last_words(self) -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        said = [line for line in lines if not _is_log_line(line)]
        return (said or lines or ["it said nothing"])[-1].removeprefix("safestream: ")

    def stop(self) -> int:
        """Let it commit what is under way and leave; its exit code. One that isn't ready yet has nothing to commit."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM if self.ready else signal.SIGKILL)
        try:
            code = self._process.wait(_DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if self._guard:
            self._guard.release()
        self._process = self._guard = None
        return code

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Another command of ours on the same pipeline, run to its end."""
        return subprocess.run(
            [*_SAFESTREAM, *arguments, "--config", str(self.config)],
            capture_output=True,
            text=True,
            check=False,
            env=own_environment(),
            start_new_session=True,
        )


def own_environment() -> dict[str, str]:
    """The environment without settings of Safestream: the demo's are in its file."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith("SAFESTREAM_") and name != "KAFKA_BOOTSTRAP_SERVERS"
    }


def _is_log_line(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
