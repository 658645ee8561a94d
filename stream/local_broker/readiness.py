"""Ready means that a client lists the broker in its metadata, not that a port is open."""

import socket
import time
from collections.abc import Callable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient


def answers(bootstrap: str, seconds: float = 5.0) -> bool:
    """Whether a Kafka client gets metadata with at least one broker from `bootstrap` (host:port,…) in `seconds`."""
    silent: dict[str, str | int | float | bool] = {
        "bootstrap.servers": bootstrap,
        "log_level": 0,
        "socket.connection.setup.timeout.ms": 2000,
    }
    try:
        admin = AdminClient(silent, logger=None)
        return bool(admin.list_topics(timeout=seconds).brokers)
    except KafkaException:
        return False


def wait_until_ready(bootstrap: str, seconds: float, alive: Callable[[], bool]) -> bool:
    """Wait until `bootstrap` answers; False when `alive` says that the broker is gone, or `seconds` are over."""
    host, port = bootstrap.split(":")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and alive():
        # a client opened too early backs off; the port is the cheaper first question
        if _accepts(host, int(port)) and answers(bootstrap):
            return True
        time.sleep(0.1)
    return False


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False
