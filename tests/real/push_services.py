"""`push-services` as a real process: the installed command, with the settings a test gives it."""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.real.found import CHECKOUT
from tests.real.processes import Process
from tests.real.waiting import LOOPBACK, free_port, wait_until


@dataclass(frozen=True, slots=True)
class PushServices:
    """A command of `push-services`, started; its process takes signals and keeps the output."""

    process: Process
    http_port: int

    def get(self, path: str) -> tuple[int, str]:
        """Ask its probes and return the status and the text; raise `OSError` if nobody answers."""
        try:
            with urllib.request.urlopen(self._url(path), timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait_until_ready(self, within: float = 60.0) -> None:
        """Wait until `/readyz` says yes; raise at once if the process has ended."""

        def ready() -> bool:
            if not self.process.is_running:
                raise AssertionError(f"ended before it was ready: {self.process.tail()}")
            try:
                return self.get("/readyz")[0] == 200
            except OSError:
                return False

        wait_until(ready, "the daemon is ready", within)

    def _url(self, path: str) -> str:
        return f"http://{LOOPBACK}:{self.http_port}{path}"


def spawned(*arguments: str, settings: Mapping[str, str], folder: Path) -> PushServices:
    """Start a command with these settings and no others, in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    http_port = int(settings.get("PUSH_HTTP_PORT") or free_port())
    process = Process(
        command=[*installed_command(), *arguments],
        folder=folder,
        environment=clean_environment() | {"PUSH_HTTP_PORT": str(http_port)} | dict(settings),
    )
    process.start()
    return PushServices(process, http_port)


def installed_command() -> list[str]:
    """Return `push-services` as installed beside this Python, or its module where it is not."""
    script = Path(sys.executable).with_name("push-services")
    return [str(script)] if script.exists() else [sys.executable, "-m", "consumer.cli"]


def clean_environment() -> dict[str, str]:
    """Return the environment without any `PUSH_` variable, in which our folders are found."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PUSH_")}
    return kept | {"PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"}
