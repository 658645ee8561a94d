"""The one broker that `safestream broker start` leaves running: found again by its state file.

The state file says which process on which port; a process id alone may since belong to another program, so the time
at which the process was created is kept with it.
"""

import json
import shutil
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from schemas.errors import UserMistake
from stream.local_broker.jars import Say, cache_folder, only_one
from stream.local_broker.process import LocalBroker

DEFAULT_PORT = 9092
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    """The broker in the background. `created` is the process's creation time in seconds since 1970."""

    pid: int
    created: float
    port: int

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"


def folder() -> Path:
    """Data, settings and log of the broker in the background."""
    return cache_folder() / "broker"


def _state() -> Path:
    return cache_folder() / "broker.json"


def find() -> Running | None:
    """The broker in the background, if its process is alive."""
    try:
        running = Running(**json.loads(_state().read_text()))
        alive = psutil.Process(running.pid).create_time() == running.created
    except (FileNotFoundError, ValueError, TypeError, psutil.NoSuchProcess):
        return None
    return running if alive else None


def start(port: int, say: Say) -> Running:
    """Start it, or leave it alone if it runs already; data of last time are still there. A second start waits its turn.

    Raises:
        UserMistake: it runs on another port, the port is taken, or Java or Maven is missing.
    """
    with only_one(cache_folder() / "broker.lock"):
        if running := find():
            if running.port != port:
                raise UserMistake(
                    f"a broker of ours runs on port {running.port}: safestream broker stop, then start again"
                )
            return running
        broker = LocalBroker(folder(), port, say=say)
        broker.start()
        pid = broker.detach()
        running = Running(pid, psutil.Process(pid).create_time(), port)
        _state().write_text(json.dumps(asdict(running)))
        return running


def stop(*, delete_data: bool) -> Running | None:
    """Stop it in order, by force after 30 s; what was running, or None."""
    running = find()
    if running:
        process = psutil.Process(running.pid)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_STOP_SECONDS)
    _state().unlink(missing_ok=True)
    if delete_data:
        shutil.rmtree(folder(), ignore_errors=True)
    return running
