"""Waiting for something outside to become true, and free ports of loopback."""

import socket
import time
from collections.abc import Callable

LOOPBACK = "127.0.0.1"


def wait_until(holds: Callable[[], object], what: str, within: float = 30.0) -> None:
    """Ask until the answer is true; raise `TimeoutError`, saying for what, after seconds."""
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {within:g} s: {what}")
        time.sleep(0.05)


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def listens(port: int, host: str = LOOPBACK) -> bool:
    """Say whether somebody takes connections on this port."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
