"""A one-node Apache Kafka in a container, by testcontainers (a development dependency)."""

import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from schemas.errors import UserMistake
from stream.local_broker.guard import Guard
from stream.local_broker.jars import Say
from stream.local_broker.ports import free_port
from stream.local_broker.readiness import wait_until_ready
from stream.local_broker.settings import IMAGE, READY_SECONDS, SINGLE_NODE, as_environment

_REMOVE = "import docker, sys; docker.from_env().containers.get(sys.argv[1]).remove(force=True, v=True)"


def docker_client() -> Any | None:
    """A client of the Docker daemon that answers here; None without one, or without the Python package."""
    try:
        import docker  # noqa: PLC0415  a development dependency
        from docker.errors import DockerException  # noqa: PLC0415
    except ImportError:
        return None
    if _no_socket():
        return None
    try:
        client = docker.from_env(timeout=20)
        client.ping()
    except DockerException:
        return None
    return client


def _no_socket() -> bool:
    """Whether the daemon's Unix socket isn't there: the package leaks the one that it then fails to connect."""
    kind, _, path = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("://")
    return kind == "unix" and not Path(path).exists()


def has_image(client: Any) -> bool:
    """Whether the daemon has the broker's image."""
    return bool(client.images.list(name=IMAGE))


def get_image(client: Any, say: Say) -> bool:
    """Whether the daemon has the broker's image, pulled first if need be."""
    from docker.errors import DockerException  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415  what docker lets through

    if has_image(client):
        return True
    say(f"pulling {IMAGE} (about 400 MB)")
    repository, tag = IMAGE.split(":")
    try:
        for percent in pull_percents(client.api.pull(repository, tag=tag, stream=True, decode=True)):
            say(f"pulling {IMAGE}: {percent} %")
    except (DockerException, RequestException) as error:
        say(f"no {IMAGE} to be had: {str(error).splitlines()[0]}")
    return has_image(client)


def pull_percents(events: Iterable[dict[str, Any]]) -> Iterator[int]:
    """How much of the layers known so far is downloaded, each time by 10 points more than last said.

    `events` are what Docker's engine streams while it pulls: `{"status", "id": layer, "progressDetail": {"current",
    "total"}}`, bytes; the sum of totals grows while layers are discovered.
    """
    layers: dict[str, tuple[int, int]] = {}
    said = 0
    for event in events:
        detail = event.get("progressDetail") or {}
        if event.get("status") != "Downloading" or "total" not in detail:
            continue
        layers[event["id"]] = (detail["current"], detail["total"])
        percent = 100 * sum(current for current, _ in layers.values()) // sum(total for _, total in layers.values())
        if percent >= said + 10:
            said = percent
            yield percent


class ContainerBroker:
    """A broker in a container of our own: started, killed and started again on the same port and data.

    The image must be there (`get_image`). However this process ends, a guard removes the container.
    """

    kind = f"{IMAGE} in a container"
    can_kill = True

    def __init__(self, properties: dict[str, str] | None = None, say: Say = lambda _line: None) -> None:
        self._say = say
        self._extra = properties or {}
        self.port = free_port()
        self._container: Any | None = None
        self._guard: Guard | None = None

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, or start again after `kill`, and wait until a client lists the broker; nothing to do while it runs.

        Raises:
            UserMistake: the broker gave up; with the last line of its log.
        """
        if self._container is not None and self._is_running():
            return
        self._say(f"starting {self.kind}, port {self.port}")
        if self._container is None:
            self._create()
        else:
            self._container.get_wrapped_container().start()
        if not wait_until_ready(self.bootstrap, READY_SECONDS, self._is_running):
            reason = self._last_line()
            self.stop()
            raise UserMistake(f"{self.kind} did not start: {reason}")

    def _create(self) -> None:
        # Our guard does what the reaper does, and needs no second image and no mount of Docker's socket.
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415  a development dependency

        container = DockerContainer(IMAGE, ports=[9092]).with_envs(**as_environment(self._properties()))
        ports: dict[str, Any] = container.ports  # with_bind_ports takes no address
        ports["9092"] = ("127.0.0.1", self.port)
        self._container = container.start()
        command = [sys.executable, "-c", _REMOVE, container.get_container_id()]
        self._guard = Guard(shlex.join(command))

    def _properties(self) -> dict[str, str]:
        own = {
            "controller.quorum.voters": "1@localhost:9093",
            "listeners": "CLIENTS://:9092,BROKER://:19092,CONTROLLER://:9093",
            # to itself the broker speaks within the container, where the published port does not exist
            "advertised.listeners": f"CLIENTS://{self.bootstrap},BROKER://localhost:19092",
            "listener.security.protocol.map": "CLIENTS:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "BROKER",
        }
        return SINGLE_NODE | own | self._extra

    def _is_running(self) -> bool:
        assert self._container is not None
        container = self._container.get_wrapped_container()
        container.reload()
        return bool(container.status == "running")

    def _last_line(self) -> str:
        assert self._container is not None
        log: bytes = self._container.get_wrapped_container().logs(tail=1)
        lines = log.decode(errors="replace").splitlines()
        return (lines or ["it said nothing"])[-1]

    def kill(self) -> None:
        """Kill -9, as a power cut would; data stay."""
        assert self._container is not None
        self._container.get_wrapped_container().kill()

    def restart(self) -> None:
        """Stop in order and start again on the same port and data."""
        assert self._container is not None
        self._container.get_wrapped_container().stop(timeout=30)
        self.start()

    def stop(self) -> None:
        """Remove the container and its volumes."""
        if self._container is not None:
            self._container.stop()
            self._container = None
        if self._guard:
            self._guard.release()
            self._guard = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
