"""A real schema registry for tests: Apicurio Registry with its Confluent-compatible interface, on the local Java.

Fetched once by Maven, about 140 MB, and kept in the user's cache beside the broker. It holds everything in memory.
"""

import hashlib
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from schemas.errors import UserMistake
from stream.local_broker.guard import Guard
from stream.local_broker.jars import cache_folder
from stream.local_broker.java import require_java, require_maven
from stream.local_broker.ports import free_port

VERSION = "2.6.13.Final"  # the newest that Maven resolves and Java 17 runs
SHA256 = "3cda1b34aa020fb4ac4dd6a66018d757e81e437f97e20a1f92d366b70091c6ba"
START_SECONDS = 90
_ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


class RegistryServer:
    """The registry: as a context manager it answers inside the block and is gone after it.

    `stop` and `start` again come back on the same port, empty.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/apis/ccompat/v7"
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: Guard | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        folder = fetch()
        options = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": self.port,
        }
        jar = next(folder.glob("*-runner.jar"))
        command = [require_java().path, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += [*(f"-D{name}={value}" for name, value in options.items()), "-jar", str(jar)]
        self._process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._guard = Guard(f"kill -9 {self._process.pid}")
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, "the registry ended"
            assert time.monotonic() < deadline, "the registry does not answer"
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._guard is not None:
            self._guard.release()
            self._guard = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def fetch() -> Path:
    """The unpacked registry, fetched first if need be.

    Raises:
        UserMistake: no Java or no Maven here.
    """
    target = cache_folder() / f"apicurio-registry-{VERSION}"
    if target.is_dir():
        return target
    require_java()
    work = cache_folder() / f"apicurio-registry-{VERSION}.fetching"
    shutil.rmtree(work, ignore_errors=True)
    command = [require_maven(), "-q", "-B", _COPY, f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={work}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserMistake(f"Maven could not fetch the registry: {done.stdout[-300:]}")
    archive = next(work.glob("*.tar.gz"))
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256, "not the archive we know"
    (work / "unpacked").mkdir()
    # not tarfile: its `filter` is newer than Debian's Python 3.11.2, and later Pythons want it
    subprocess.run(["tar", "-xzf", archive, "-C", work / "unpacked"], check=True)
    (work / "unpacked").rename(target)
    shutil.rmtree(work)
    return target
