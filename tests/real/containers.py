"""Real parts in containers, where a Docker engine answers; the door to testcontainers."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from tests.real import found
from tests.real.found import LeftOut
from tests.real.waiting import free_port


class Container:
    """A container with one port, the same one after every start; handled like a `Process`."""

    def __init__(
        self,
        image: str,
        port: int,
        environment: Mapping[str, str],
        *,
        command: Sequence[str] = (),
        published: int | None = None,
    ) -> None:
        self.host = found.docker_engine()
        if self.host is None:
            raise LeftOut("no Docker engine answers")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the library's own making, at import
            from testcontainers.core.container import DockerContainer
        self.port = published or free_port()
        self._container = DockerContainer(image, env=dict(environment))
        self._container.with_bind_ports(port, self.port)
        if command:
            self._container.with_command(list(command))
        self._begun = False

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._begun and self._status() in {"running", "paused"}

    @property
    def is_paused(self) -> bool:
        """Whether it stands still."""
        return self._begun and self._status() == "paused"

    def start(self) -> None:
        """Pull and start it, or start it again with what it kept."""
        if self._begun:
            self._wrapped().start()
            return
        try:
            self._container.start()
        except Exception as error:  # an engine can refuse in any way
            self._container.stop()
            raise LeftOut(f"the Docker engine said {type(error).__name__}") from error
        self._begun = True

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._wrapped().stop(timeout=20)

    def kill(self) -> None:
        """End it without asking."""
        self._wrapped().kill()

    def pause(self) -> None:
        """Let it stand still."""
        self._wrapped().pause()

    def resume(self) -> None:
        """Let it go on."""
        self._wrapped().unpause()

    def end(self) -> None:
        """Remove it with all it kept, and the library's own helper."""
        from testcontainers.core.container import Reaper

        self._container.stop()
        Reaper.delete_instance()

    def run(self, line: str) -> str:
        """Run a line of its shell inside and return what it printed."""
        return str(self._wrapped().exec_run(["sh", "-c", line]).output, errors="replace")

    def tail(self) -> str:
        """Return its last words."""
        return str(self._wrapped().logs(tail=30), errors="replace") if self._begun else ""

    def _wrapped(self) -> Any:
        return self._container.get_wrapped_container()

    def _status(self) -> str:
        self._wrapped().reload()
        return str(self._wrapped().status)
