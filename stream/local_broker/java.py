"""The Java and the Maven of this machine."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import UserMistake
from stream.local_broker.install_hints import how_to_get

OLDEST_JAVA = 17  # Apache Kafka 4 brokers
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')  # "17.0.15", and "1.8.0_392" for 8


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that answered: the path of its `java` and its major version."""

    path: str
    version: int


def find_java() -> Java | None:
    """The Java of JAVA_HOME, else of the PATH; None if neither runs (macOS has a `java` that only asks for one)."""
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home, "bin", "java"))] if home else []
    candidates += [path for path in [shutil.which("java")] if path]
    return next((java for java in map(_ask, candidates) if java), None)


def _ask(path: str) -> Java | None:
    try:
        answer = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return None
    match = _VERSION.search(answer.stderr + answer.stdout)
    return Java(path, int(match[1])) if match else None


def require_java() -> Java:
    """A Java new enough for the broker; `UserMistake` with the command that brings one otherwise."""
    java = find_java()
    if java is None:
        raise UserMistake(f"no Java here, and a local Kafka needs {OLDEST_JAVA} or newer: {how_to_get('java')}")
    if java.version < OLDEST_JAVA:
        raise UserMistake(
            f"{java.path} is Java {java.version}, and a local Kafka needs {OLDEST_JAVA} or newer: "
            f"{how_to_get('java')} (or set JAVA_HOME to the newer one)"
        )
    return java


def require_maven() -> str:
    """The path of `mvn`; `UserMistake` with the command that brings it otherwise."""
    maven = shutil.which("mvn")
    if maven is None:
        raise UserMistake(f"no Maven here, which fetches Apache Kafka once: {how_to_get('maven')}")
    return maven
