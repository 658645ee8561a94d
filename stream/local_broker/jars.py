"""Apache Kafka's jars from Maven Central, fetched once and kept in the user's cache."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import UserMistake
from stream.local_broker.java import require_java, require_maven
from stream.local_broker.settings import KAFKA_VERSION

Say = Callable[[str], None]
"""Called with one line of progress now and then."""

# Fixed versions of everything that runs: Kafka, the logger behind slf4j, and Maven's plugin that fetches them.
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>safestream</groupId><artifactId>local-broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version>
    </dependency>
  </dependencies>
</project>
"""
DIGEST = "03990078375407c90b38fd351759bd639c6167306df53c367f406a0a71b226cf"
"""SHA-256 over the names and SHA-256s of all jars, sorted: what `digest` must give."""
_FETCHED = re.compile(r"Downloaded from .*\((\d+(?:\.\d+)?) (B|kB|MB)")
_MEGABYTES = {"B": 1e-6, "kB": 1e-3, "MB": 1.0}
_ALL_MEGABYTES = 60  # jars, and Maven's own plugin on a machine where it never ran


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/safestream, or ~/.cache/safestream."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "safestream"


def jars_folder() -> Path:
    """Where the jars are, or will be; the folder exists only when it is complete and verified."""
    return cache_folder() / f"kafka-{KAFKA_VERSION}"


def jars_cached() -> bool:
    """Whether a broker can start without fetching anything."""
    return jars_folder().is_dir()


def fetch_jars(say: Say) -> Path:
    """The folder of the jars, fetched first if need be.

    Several processes may call this at once: one fetches, the others wait.

    Raises:
        UserMistake: no Java, no Maven, no network, or jars that are not the ones we know.
    """
    if not jars_cached():
        with only_one(cache_folder() / f"kafka-{KAFKA_VERSION}.lock"):
            if not jars_cached():
                _fetch(say)
    return jars_folder()


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Several processes may come here at once: one is inside the block, the others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(say: Say) -> None:
    require_java()
    maven = require_maven()
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="fetching-") as folder:
        target = Path(folder, "jars")
        Path(folder, "pom.xml").write_text(_POM)
        say(f"Apache Kafka {KAFKA_VERSION}: fetching it from Maven Central, once (about {_ALL_MEGABYTES} MB)")
        _run_maven(
            [maven, "-B", "-C", "-f", folder, _COPY, "-DincludeScope=runtime", f"-DoutputDirectory={target}"], say
        )
        if (found := digest(target)) != DIGEST:
            raise UserMistake(
                f"the jars from Maven are not those of Apache Kafka {KAFKA_VERSION} (digest {found}): "
                "look at the mirror in ~/.m2/settings.xml"
            )
        shutil.copystat(folder, target)
        target.rename(jars_folder())  # at once: a half-filled folder never has this name


def _run_maven(command: list[str], say: Say) -> None:
    errors, megabytes, said = [], 0.0, time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as maven:
        for line in maven.stdout or ():
            if line.startswith("[ERROR]"):
                errors.append(line.removeprefix("[ERROR]").strip())
            if match := _FETCHED.search(line):
                megabytes += float(match[1]) * _MEGABYTES[match[2]]
            if match and time.monotonic() - said >= 2:
                said = time.monotonic()
                say(f"Apache Kafka {KAFKA_VERSION}: {min(99, round(100 * megabytes / _ALL_MEGABYTES))} %")
    if maven.returncode != 0:
        reason = next(iter(errors), "it gave no reason")
        raise UserMistake(f"Maven could not fetch Apache Kafka (is there a network?): {reason}")


def digest(folder: Path) -> str:
    """SHA-256 over "name sha256" lines of all jars in `folder`, sorted by name."""
    lines = (f"{jar.name} {hashlib.sha256(jar.read_bytes()).hexdigest()}\n" for jar in sorted(folder.glob("*.jar")))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
