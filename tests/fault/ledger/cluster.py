"""Ledger processes as the system sees them: started, killed, stopped, woken, and started again when they end."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import Consumer, TopicPartition

from tests.fault.cluster import SAFESTREAM, wait_until
from tests.fault.ledger.oracle import PARTITIONS, last_offsets

READY = b"the states of accounts are ready"
SESSION_SECONDS = 6


class LedgerProcess:
    """One `safestream ledger`, started again whenever it ends."""

    def __init__(self, config: Path, slot: str, log: Path) -> None:
        self.config, self.slot, self.log = config, slot, log
        self.exits: list[int] = []
        self.recoveries: list[float] = []
        self._begin()

    def _begin(self) -> None:
        self._began = time.monotonic()
        with self.log.open("ab") as out:
            self._log_start = out.tell()
            self.process = subprocess.Popen(
                [*SAFESTREAM, "ledger", "--config", str(self.config), "--slot", self.slot],
                stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    @property
    def ready(self) -> bool:
        with self.log.open("rb") as said:
            said.seek(self._log_start)
            return READY in said.read()

    def supervise(self) -> None:
        """Start it again if it has ended."""
        code = self.process.poll()
        if code is not None:
            self.exits.append(code)
            time.sleep(0.5)
            self._begin()

    def wait_ready(self, seconds: float = 90) -> float:
        """Until it goes on with inputs; how long it took since its start."""

        def up() -> bool:
            self.supervise()
            return self.ready

        wait_until(f"ledger {self.slot} is ready", up, seconds, 0.05)
        return time.monotonic() - self._began

    def kill(self) -> None:
        """Kill -9, and start it again at once; how long that took stands in `recoveries`."""
        self.process.kill()
        self.process.wait()
        self._begin()

    def stop(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def terminate(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.end()
            return -9

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def write_config(folder: Path, bootstrap: str, group: str, **others: Any) -> Path:
    """A configuration for the ledger."""
    settings: dict[str, Any] = {
        "kafka": {"bootstrap_servers": bootstrap},
        "topics": {"partitions": PARTITIONS},
        "ledger": {"group": group, "session_seconds": SESSION_SECONDS, "folder": str(folder / "states")},
        "log": {"format": "json"},
    }
    path = folder / "ledger.yaml"
    path.write_text(yaml.safe_dump(settings | others))
    return path


def wait_drained(bootstrap: str, group: str, processes: list[LedgerProcess], seconds: float) -> None:
    """Until every input is acknowledged, whatever ends meanwhile."""
    wanted = last_offsets(bootstrap)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:

        def drained() -> bool:
            for each in processes:
                each.supervise()
            asked = [TopicPartition(topic, partition) for topic, partition in wanted]
            found = {(tp.topic, tp.partition): tp.offset for tp in consumer.committed(asked, timeout=30)}
            return all(found[at] > offset for at, offset in wanted.items())

        wait_until("every input is acknowledged", drained, seconds, 0.3)
    finally:
        consumer.close()
