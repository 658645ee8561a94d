"""A broker of our own, our topics on it, and workers as the system sees them: started, killed, stopped, woken."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import psutil
import yaml

from stream.local_broker import Broker, own_broker
from tests.fault.history import History, Source
from tests.fault.proxy import Proxy
from tests.fault.reading import positions, read_history
from tests.fault.workload import CONTENT, MAX_EVENT_BYTES, write_schema_folder

Protocol = Literal["classic", "consumer"]

GROUP: Final = "fault"
PARTITIONS: Final = 3
INPUTS: Final = (*CONTENT, "moderation.controls", "moderation.reviews", "moderation.account-actions")
SESSION_SECONDS: Final = 6.0
STOP_SECONDS: Final = 10.0  # within which SIGTERM must end a worker
SAFESTREAM: Final = [sys.executable, "-m", "safestream"]


class Worker:
    """One `safestream worker`, with its log and the processes under it."""

    def __init__(self, config: Path, slot: str, log: Path, *arguments: str) -> None:
        self.slot, self.log = slot, log
        self.killed = False  # a test meant it to die
        with log.open("ab") as out:
            self._log_start = out.tell()
            # a session of its own: its detectors' processes can be found and stopped with it
            self.process = subprocess.Popen(
                [*SAFESTREAM, "worker", "--config", str(config), "--slot", slot, *arguments],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        return self.process.poll()

    @property
    def serving(self) -> bool:
        """Whether it has ever had partitions: until then it is starting."""
        with self.log.open("rb") as said:
            said.seek(self._log_start)
            return b"partitions assigned" in said.read()

    def kill(self) -> None:
        """Kill -9, the worker alone; what ran under it must find out by itself, and soon."""
        below = self.below()
        self.process.kill()
        self.process.wait()
        _, left = psutil.wait_procs(below, timeout=10)
        assert not left, f"worker {self.slot} was killed and its {[each.cmdline() for each in left]} live on"

    def below(self) -> list[psutil.Process]:
        """The processes under it."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def stop(self) -> None:
        """SIGSTOP to it and all under it, as when a machine is suspended."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT."""
        os.killpg(self.process.pid, signal.SIGCONT)

    def terminate(self) -> tuple[int, float]:
        """SIGTERM; the exit code and how many seconds it took."""
        began = time.monotonic()
        self.process.terminate()
        try:
            code = self.process.wait(6 * STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            code = -9
        return code, time.monotonic() - began

    def end(self) -> None:
        """Whatever it takes; for the end of a test."""
        for each in [*self.below(), self.process]:
            each.kill()
        self.process.wait()

    def tail(self, lines: int = 12) -> str:
        """The end of its log, without librdkafka's complaints about connections."""
        said = self.log.read_text(errors="replace").splitlines()
        return "\n".join([line for line in said if '"FAIL [' not in line][-lines:])


class Cluster:
    """The pipeline of one run: broker, topics, proxy, configuration, workers."""

    def __init__(self, folder: Path, broker: Broker, proxy: Proxy, protocol: Protocol, detectors: Any) -> None:
        self.folder, self.broker, self.proxy, self.protocol = folder, broker, proxy, protocol
        write_schema_folder(folder / "schemas")
        self.config = self._write_config("workers.yaml", proxy.bootstrap, detectors)
        self.direct_config = self._write_config("direct.yaml", broker.bootstrap, detectors)
        self.command("topics", "create")

    def _write_config(self, name: str, bootstrap: str, detectors: Any) -> Path:
        classic = {"session.timeout.ms": int(SESSION_SECONDS * 1000)} if self.protocol == "classic" else {}
        settings = {
            "kafka": {"bootstrap_servers": bootstrap, "properties": classic},
            "schema_registry": {"folder": str(self.folder / "schemas")},
            "topics": {"partitions": PARTITIONS, "content": list(CONTENT)},
            "worker": {"group": GROUP, "group_protocol": self.protocol, "max_event_bytes": MAX_EVENT_BYTES},
            "detectors": detectors,
            "log": {"format": "json"},
        }
        path = self.folder / name
        path.write_text(yaml.safe_dump(settings))
        return path

    def command(self, *arguments: str) -> None:
        """Run one of our commands against the broker itself; an AssertionError where its exit code is not 0."""
        failure = self.attempt(*arguments)
        assert failure is None, failure

    def attempt(self, *arguments: str) -> str | None:
        """Run one of our commands against the broker itself; what it said where its exit code is not 0."""
        command = [*SAFESTREAM, *arguments, "--config", str(self.direct_config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        said = f"safestream {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return said if done.returncode else None

    def worker(self, slot: str = "0") -> Worker:
        """Start a worker behind the proxy."""
        return Worker(self.config, slot, self.folder / f"worker-{slot}.log")

    def progress(self) -> tuple[int, int]:
        """How many offsets of the inputs are committed, and how many there are."""
        found = positions(self.broker.bootstrap, GROUP, INPUTS).values()
        return sum(each.committed or 0 for each in found), sum(each.end for each in found)

    def drained(self) -> bool:
        """Whether everything that was produced is committed."""
        committed, there = self.progress()
        return committed == there

    def history(self, acknowledged: Mapping[Source, int]) -> History:
        """What an outsider reads now."""
        return read_history(self.broker.bootstrap, GROUP, INPUTS, acknowledged)


@contextmanager
def cluster(folder: Path, protocol: Protocol, detectors: Any, say: Callable[[str], None]) -> Iterator[Cluster]:
    """A fresh broker with our topics and a proxy before it; all gone at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    with own_broker(say) as broker, Proxy(int(broker.bootstrap.rpartition(":")[2])) as proxy:
        yield Cluster(folder, broker, proxy, protocol, detectors)


def wait_until(what: str, true: Callable[[], bool], seconds: float, every: float = 0.5) -> None:
    """Wait for something; an AssertionError says what did not come true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(every)
