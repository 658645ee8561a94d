"""A one-node Apache Kafka on the local Java."""

import shlex
import shutil
import signal
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Self

from schemas.errors import UserMistake
from stream.local_broker.guard import Guard
from stream.local_broker.jars import Say, fetch_jars
from stream.local_broker.java import require_java
from stream.local_broker.ports import free_port, is_free
from stream.local_broker.readiness import wait_until_ready
from stream.local_broker.settings import READY_SECONDS, SINGLE_NODE, as_file

_JVM = ["-Xms256m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"]
_LOG4J = """Configuration:
  Appenders:
    Console: {name: OUT, PatternLayout: {pattern: "[%d] %p %m (%c)%n"}}
  Loggers:
    Root: {level: INFO, AppenderRef: [{ref: OUT}]}
    Logger:
      - {name: org.apache.kafka.coordinator.group, level: WARN}
"""


class LocalBroker:
    """A broker of our own: started, killed and started again on the same port and data.

    As a context manager it is running inside the block and gone after it. However this process ends, a guard ends
    the broker with it and removes a temporary folder; `detach` gives that up.

    Args:
        folder: where data, settings and `broker.log` live; a temporary one, removed by `stop`, if None.
        port: the port on 127.0.0.1; a free one if None.
        properties: broker properties on top of `settings.SINGLE_NODE`.
        say: gets lines of progress.
    """

    kind = "Apache Kafka on the local Java"
    can_kill = True

    def __init__(
        self,
        folder: Path | None = None,
        port: int | None = None,
        properties: dict[str, str] | None = None,
        say: Say = lambda _line: None,
    ) -> None:
        self._temporary = folder is None
        self._folder = folder
        self.port = port or free_port()
        self._controller_port = free_port()
        self._extra = properties or {}
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    @property
    def folder(self) -> Path:
        """Where data, settings and log live; a temporary one is made when first asked for."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="safestream-broker-"))
        return self._folder

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """The broker's own log."""
        return self.folder / "broker.log"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start and wait until a client lists the broker; nothing to do while it runs.

        Raises:
            UserMistake: port taken, no Java or Maven, no network at the first time, or the broker gave up.
        """
        if self.pid is not None:
            return
        java, jars = require_java().path, fetch_jars(self._say)
        if not is_free(self.port):
            raise UserMistake(
                f"port {self.port} on 127.0.0.1 is taken: choose another (safestream broker start --port)"
            )
        self._say(f"starting {self.kind}, port {self.port}")
        try:
            self._launch([java, "-cp", f"{jars}/*", f"-Dlog4j2.configurationFile={self.folder / 'log4j2.yaml'}"])
        except UserMistake:
            self.kill()  # and leave the log that the message names
            raise
        except BaseException:  # Ctrl-C while it starts
            self.stop()
            raise

    def _launch(self, java: list[str]) -> None:
        self._write_settings()
        self._guard = Guard(self._clean_up())
        settings = str(self.folder / "server.properties")
        with self.log.open("ab") as log:
            if not (self.folder / "data" / "meta.properties").exists():
                self._format(java, settings, log.fileno())
            self._process = subprocess.Popen(
                [*java, *_JVM, "kafka.Kafka", settings],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us: workers still drain to the broker
            )
        self._pid_file.write_text(str(self._process.pid))
        if not wait_until_ready(self.bootstrap, READY_SECONDS, alive=lambda: self.pid is not None):
            raise self._failure()

    def _write_settings(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.yaml").write_text(_LOG4J)
        own = {
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": f"CLIENTS://{self.bootstrap},CONTROLLER://127.0.0.1:{self._controller_port}",
            "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENTS",
            "log.dirs": str(self.folder / "data"),
        }
        (self.folder / "server.properties").write_text(as_file(SINGLE_NODE | own | self._extra))

    def _format(self, command: list[str], settings: str, log: int) -> None:
        # a cluster id of its own, without which no broker starts; one that begins with "-" reads as an option
        cluster_id = "S" + urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        tool = [*command, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", settings]
        if subprocess.run(tool, stdout=log, stderr=log, check=False).returncode != 0:
            raise self._failure()

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pid"

    def _clean_up(self) -> str:
        kill = f"kill -9 $(cat {shlex.quote(str(self._pid_file))})"
        return f"{kill}; sleep 1; rm -rf {shlex.quote(str(self.folder))}" if self._temporary else kill

    def _failure(self) -> UserMistake:
        lines = self.log.read_text(errors="replace").splitlines()
        reasons = [line for line in lines if "Exception" in line or " ERROR " in line]
        reason = (reasons or lines or ["it said nothing"])[-1].strip()
        return UserMistake(f"the local Kafka did not start: {reason} (all of it: {self.log})")

    def kill(self) -> None:
        """Kill -9, as a power cut would; data stay. Nothing to do when it is not running."""
        self._end(signal.SIGKILL, 30)

    def stop(self) -> None:
        """Stop for good: a temporary folder goes with the broker, for another the broker closes its log in order."""
        self._end(signal.SIGKILL if self._temporary else signal.SIGTERM, 30)
        if self._temporary and self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def restart(self) -> None:
        """Stop in order and start again on the same port and data."""
        self._end(signal.SIGTERM, 30)
        self.start()

    def _end(self, by: signal.Signals, seconds: float) -> None:
        if self._process is not None:
            self._process.send_signal(by)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
            self._pid_file.unlink(missing_ok=True)
        if self._guard:
            self._guard.release()
            self._guard = None

    def detach(self) -> int:
        """Let the broker live on when this process ends; its process id. For `safestream broker start`."""
        assert self._process is not None
        assert not self._temporary
        if self._guard:
            self._guard.release()
            self._guard = None
        self._process.returncode = 0  # ours no longer: no warning about a child still running
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
