"""A real Schema Registry: Apicurio, in a container or on the local JVM, with its Confluent API."""

import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.real import found
from tests.real.containers import Container
from tests.real.maven import COPY, kept
from tests.real.parts import ServerPart, first_to_start, start_or_leave_out
from tests.real.processes import Process
from tests.real.waiting import LOOPBACK, free_port, wait_until

VERSION = "3.0.9"
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
API = "/apis/ccompat/v7"
PATIENCE = 180.0  # seconds until it answers; a few, but for a machine that is very busy


@dataclass(frozen=True, slots=True)
class Registry(ServerPart):
    """A running registry. It keeps schemas in memory: a restart forgets them, a pause does not."""

    url: str

    def start(self) -> None:
        """Start it (again, and empty) and wait until it answers."""
        self.server.start()
        wait_until(self._answers, "the Schema Registry answers", PATIENCE)

    def _answers(self) -> bool:
        if not self.server.is_running:
            raise TimeoutError("the registry has ended")
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False


def start_registry() -> Registry:
    """Start one, in a container or on the local JVM; raise `LeftOut` if neither can be had."""
    return first_to_start([_in_a_container, _on_the_jvm])


def _in_a_container() -> Registry:
    container = Container(f"apicurio/apicurio-registry:{VERSION}", 8080, {})
    registry = Registry(f"http://{container.host}:{container.port}{API}", server=container)
    start_or_leave_out(container, registry.start)
    return registry


def program() -> Path:
    """Return the folder of the unpacked program; raise `LeftOut` if it cannot be had."""
    archive = f"apicurio-registry-app-{VERSION}-all.tar.gz"
    return kept(f"registry/{VERSION}", [COPY, f"-Dartifact={ARTIFACT}"], unpack=archive)


def _on_the_jvm() -> Registry:
    unpacked, port = program(), free_port()
    process = _jvm_registry(unpacked, port)
    registry = Registry(f"http://{LOOPBACK}:{port}{API}", server=process)
    start_or_leave_out(process, registry.start)
    return registry


def _jvm_registry(unpacked: Path, port: int) -> Process:
    """Return a registry, not yet started, that owns the temporary folder it runs in."""
    place = Path(tempfile.mkdtemp(prefix="push-registry-"))
    (place / "run").mkdir()
    (runner,) = unpacked.glob("*-runner.jar")
    return Process(
        command=[
            found.java() or "java",
            "-Xmx512m",
            "-XX:ActiveProcessorCount=2",
            f"-Dquarkus.http.host={LOOPBACK}",
            f"-Dquarkus.http.port={port}",
            *("-jar", runner),
        ],
        folder=place / "run",
        belongings=place,
    )
