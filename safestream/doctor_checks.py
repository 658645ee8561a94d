"""What Safestream needs of a machine: each check looks at one thing and knows the command that brings it."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from detectors.loading.base_models import Base, locate
from detectors.loading.model_directory import SHIPPED
from detectors.loading.model_inventory import entry
from schemas.errors import UserMistake
from stream.local_broker.background import DEFAULT_PORT, find
from stream.local_broker.container import docker_client, has_image
from stream.local_broker.install_hints import how_to_get
from stream.local_broker.jars import cache_folder, jars_cached, jars_folder
from stream.local_broker.java import OLDEST_JAVA, find_java
from stream.local_broker.ports import is_free
from stream.local_broker.readiness import answers
from stream.local_broker.settings import IMAGE

OLDEST_PYTHON = (3, 11)
DISK_GB = 2.0  # Kafka's jars, a demo's topics, logs
MEMORY_GB = 3.0  # broker 0.6, detector process 1, worker and demo 0.4, and room for the page cache
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table: `found` says what is there, `remedy` the command, or the sentence, that mends it."""

    name: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = True  # for the demo


def run_checks() -> list[Check]:
    """Every check, in the order in which one would mend things."""
    return [_python(), _uv(), *_kafka(), *_weights(), _disk(), _memory(), _accelerator(), _port()]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("Python", sys.version_info >= OLDEST_PYTHON, version, how_to_get("python"))


def _uv() -> Check:
    path = shutil.which("uv") or (".uv/bin/uv" if Path(".uv/bin/uv").exists() else None)
    return Check("uv", path is not None, path or "none", "make setup fetches it", needed=False)


def _kafka() -> list[Check]:
    """A cluster, a container or the local Java: one is enough, so each is needed only while no other will do."""
    cluster, docker, (java, maven, jars) = _cluster(), _docker(), _local_java()
    by_java = java.ok and (jars.ok or maven.ok)
    enough = docker.ok or by_java if cluster is None else cluster.ok
    alone = not enough and cluster is None
    rows = [cluster] if cluster else []
    rows += [
        Check(java.name, java.ok, java.found, java.remedy, needed=alone),
        Check(maven.name, maven.ok, maven.found, maven.remedy, needed=alone and not jars.ok),
        Check(jars.name, jars.ok, jars.found, jars.remedy, needed=False),
        Check(docker.name, docker.ok, docker.found, docker.remedy, needed=False),
    ]
    return rows


def _cluster() -> Check | None:
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if not bootstrap:
        return None
    ok = answers(bootstrap)
    remedy = "start it, or unset KAFKA_BOOTSTRAP_SERVERS to use a broker of our own"
    return Check("Kafka cluster", ok, bootstrap if ok else f"nothing answers at {bootstrap}", remedy)


def _local_java() -> tuple[Check, Check, Check]:
    java, maven = find_java(), shutil.which("mvn")
    new_enough = java is not None and java.version >= OLDEST_JAVA
    found = f"{java.version} ({java.path})" if java else "none"
    return (
        Check(f"Java {OLDEST_JAVA}+", new_enough, found, how_to_get("java")),
        Check("Maven", maven is not None, maven or "none", how_to_get("maven")),
        Check(
            "Kafka's jars",
            jars_cached(),
            str(jars_folder()) if jars_cached() else "not fetched yet",
            "fetched at the first run; or now: safestream broker start",
        ),
    )


def _docker() -> Check:
    client = docker_client()
    if client is None:
        installed = shutil.which("docker") is not None
        remedy = "sudo systemctl start docker" if installed and sys.platform == "linux" else how_to_get("docker")
        return Check("Docker", False, "installed, but no daemon answers" if installed else "none", remedy)
    try:
        image = has_image(client)
    finally:
        client.close()
    later = "" if image else ", which the first run pulls (or now: docker pull)"
    return Check("Docker", True, f"a daemon {'with' if image else 'without'} {IMAGE}{later}")


def _weights() -> list[Check]:
    """The models that come with Safestream, and the base weights that each names."""
    folders = [path for path in sorted(SHIPPED.glob("*")) if path.is_dir()]
    if not folders:
        return [Check("models", False, f"none in {SHIPPED}", "safestream train text")]
    return [check for folder in folders for check in _model(folder)]


def _model(folder: Path) -> list[Check]:
    name = f"model {folder.name}"
    try:
        model = entry(folder)
    except UserMistake as mistake:
        return [Check(name, False, str(mistake), f"git checkout -- {folder}")]
    return [Check(name, True, f"version {model.version}"), *map(_base_weights, model.bases)]


def _base_weights(base: Base) -> Check:
    try:
        locate(base)
    except UserMistake as mistake:
        return Check("base weights", False, str(mistake), "make setup")
    return Check("base weights", True, base.name)


def _disk() -> Check:
    folders = {cache_folder().anchor or "/", tempfile.gettempdir()}
    free = min(shutil.disk_usage(folder).free for folder in folders) / _GB
    return Check(
        "disk", free >= DISK_GB, f"{free:.1f} GB free", f"free {DISK_GB:.0f} GB, or set TMPDIR to a larger disk"
    )


def _memory() -> Check:
    free = psutil.virtual_memory().available / _GB
    return Check(
        "memory", free >= MEMORY_GB, f"{free:.1f} GB available", f"close something: {MEMORY_GB:.0f} GB are needed"
    )


def _accelerator() -> Check:
    remedy = "none is needed; with an NVIDIA card install its driver: https://www.nvidia.com/drivers"
    if sys.platform == "darwin":
        return Check("GPU", False, "the CPU is used", "none is needed", needed=False)
    try:
        command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return Check("GPU", False, "none", remedy, needed=False)
    names = "; ".join(answer.stdout.splitlines())
    return Check(
        "GPU", answer.returncode == 0 and bool(names), names or "the driver does not answer", remedy, needed=False
    )


def _port() -> Check:
    if running := find():
        return Check(f"port {DEFAULT_PORT}", True, f"a broker of ours runs at {running.bootstrap}", needed=False)
    free = is_free(DEFAULT_PORT)
    remedy = "only `safestream broker start` uses it: choose another with --port"
    return Check(f"port {DEFAULT_PORT}", free, "free" if free else "taken", remedy, needed=False)
