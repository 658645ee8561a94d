"""Ports on 127.0.0.1 for a broker that must come back on the same one."""

import random
import socket
from pathlib import Path

_LOWEST = 15_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_STARTS = 32_768  # Linux's default; macOS and Windows begin at 49,152


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does: TIME_WAIT is no hindrance
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A free port below the ephemeral range.

    Within that range a client that retries a dead broker's port is in time given this very port as its own and
    connects to itself; the broker could not come back.
    """
    below = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else _EPHEMERAL_STARTS
    lowest = min(_LOWEST, below // 2)
    candidates = random.sample(range(lowest, below), 200)  # random: two test sessions don't race for the first
    return next(port for port in candidates if is_free(port))
