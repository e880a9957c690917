"""A real Prometheus on a free loopback port, scraping what a test tells it to."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import yaml

from tests.real import found
from tests.real.found import LeftOut
from tests.real.processes import Process
from tests.real.waiting import LOOPBACK, free_port, wait_until


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server, asked through its HTTP API."""

    url: str

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return (labels, value) of all series that an expression gives now."""
        answer = json.loads(self._get(f"/api/v1/query?{urlencode({'query': expression})}"))
        return [(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]

    def is_ready(self) -> bool:
        """Say whether the server answers questions."""
        try:
            return b"Ready" in self._get("/-/ready")
        except OSError:
            return False

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as response:
            return bytes(response.read())


def find_prometheus() -> Path:
    """Return the server's binary, with promtool beside it; raise `LeftOut` if there is none."""
    binary = found.prometheus()
    if binary is None:
        raise LeftOut("no Prometheus here (make system-packages)")
    return binary


@contextmanager
def scraping(
    binary: Path, folder: Path, configuration: Mapping[str, object]
) -> Iterator[Prometheus]:
    """Run a server with this configuration, its data in this folder, until the block ends."""
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(dict(configuration)), encoding="utf-8")
    port = free_port()
    (folder / "run").mkdir()
    process = Process(
        command=[
            *(binary, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"),
            f"--web.listen-address={LOOPBACK}:{port}",
        ],
        folder=folder / "run",
    )
    server = Prometheus(f"http://{LOOPBACK}:{port}")
    try:
        process.start()
        wait_until(server.is_ready, "Prometheus is ready")
        yield server
    finally:
        process.end()
