"""Real processes of tests: output into files, ended by their own id, and gone when the tests are.

A process lives no longer than the thread that started it (`setpriv --pdeathsig`, where the machine
has it): even tests that are killed leave nothing behind. So start processes in the main thread.
"""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.waiting import wait_until


@dataclass(kw_only=True)
class Process:
    """A command that can be started, stopped, killed, paused and started again."""

    command: Sequence[str | Path]
    folder: Path  #: where it runs; beside it, its output is kept
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within: float = 20.0  #: seconds, after which `stop` loses patience
    belongings: Path | None = None  #: a folder that goes when the process does

    def __post_init__(self) -> None:
        self._running: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    def pid(self) -> int:
        """The id of the process started last."""
        return self._started().pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._running is not None and self._running.poll() is None

    @property
    def is_paused(self) -> bool:
        """Whether it stands still."""
        return self._paused and self.is_running

    def start(self) -> None:
        """Start it; output is added to what earlier starts have said."""
        if self.is_running:
            raise RuntimeError("already running")
        with self._file("out").open("ab") as out, self._file("err").open("ab") as err:
            self._running = subprocess.Popen(
                [*dying_with_us(), *map(str, self.command)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,  # Ctrl-C is for the tests, which then end it in order
                user=self.user,
                group=pwd.getpwnam(self.user).pw_gid if self.user else None,
                extra_groups=[] if self.user else None,
            )
        self._paused = False

    def stop(self) -> int:
        """Ask it to end and return its exit code; kill it and raise if it does not listen."""
        self.send(self.stop_signal)
        self.resume()
        try:
            return self.wait(self.stop_within)
        except TimeoutError:
            self.kill()
            raise

    def kill(self) -> None:
        """End it without asking, and whatever it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._started().wait()

    def pause(self) -> None:
        """Let it stand still, as a machine does that has too much to do."""
        self.send(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Let it go on."""
        self.send(signal.SIGCONT)
        self._paused = False

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended gets none."""
        self._started().send_signal(number)

    def wait(self, within: float = 30.0) -> int:
        """Wait for its end and return the exit code; raise `TimeoutError` after seconds."""
        try:
            return self._started().wait(within)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"did not end within {within:g} s: {self.tail()}") from None

    def end(self) -> None:
        """Leave nothing of it, whatever state it is in."""
        if self._running is not None:
            with suppress(TimeoutError):
                self.stop()
            self.kill()
        if self.belongings is not None:
            shutil.rmtree(self.belongings, ignore_errors=True)

    @property
    def output_file(self) -> Path:
        """Where its standard output is kept, of all its starts."""
        return self._file("out")

    def output(self) -> str:
        """Return what it has written to standard output."""
        return self._text("out")

    def errors(self) -> str:
        """Return what it has written to standard error."""
        return self._text("err")

    def wait_for_output(self, text: str, within: float = 30.0) -> None:
        """Wait until it has said so, on either stream; raise if it ends without."""

        def said() -> bool:
            over = not self.is_running
            if text in self.output() or text in self.errors():
                return True
            if over:
                raise AssertionError(f"ended without saying {text!r}: {self.tail()}")
            return False

        wait_until(said, f"the output {text!r}", within)

    def tail(self) -> str:
        """Return its last words."""
        return (self.output() + self.errors())[-2000:]

    def _started(self) -> subprocess.Popen[bytes]:
        if self._running is None:
            raise RuntimeError("not started yet")
        return self._running

    def _file(self, stream: str) -> Path:
        return self.folder.with_name(f"{self.folder.name}.{stream}")

    def _text(self, stream: str) -> str:
        file = self._file(stream)
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


def dying_with_us() -> list[str]:
    """Return what to put before a command so that the kernel ends it when its starter is gone."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
