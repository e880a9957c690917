"""What all real parts have in common: they run somewhere, by the first way that works."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tests.real.found import LeftOut


class Runs(Protocol):
    """Something that runs: a `Process` or a `Container`."""

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""

    @property
    def is_paused(self) -> bool:
        """Whether it stands still."""

    def start(self) -> None:
        """Start it, or start it again with what it kept."""

    def stop(self) -> object:
        """Ask it to end, and wait."""

    def kill(self) -> None:
        """End it without asking."""

    def pause(self) -> None:
        """Let it stand still."""

    def resume(self) -> None:
        """Let it go on."""

    def end(self) -> None:
        """Leave nothing of it."""

    def tail(self) -> str:
        """Return its last words."""


class Part(Protocol):
    """A real part that tests use."""

    def heal(self) -> None:
        """Bring it back if a test has left it stopped or paused."""

    def end(self) -> None:
        """Leave nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPart(ABC):
    """A part that is a server, to which faults can be done."""

    server: Runs

    @abstractmethod
    def start(self) -> None:
        """Start it, with what it kept, and wait until it answers."""

    def stop(self) -> None:
        """Shut it down in order; connections are cut."""
        self.server.stop()

    def kill(self) -> None:
        """End it without asking."""
        self.server.kill()

    def pause(self) -> None:
        """Let it stand still: connections are taken or stay open and nothing is answered."""
        self.server.pause()

    def resume(self) -> None:
        """Let it go on."""
        self.server.resume()

    def heal(self) -> None:
        """Bring it back if a test has left it stopped or paused."""
        if self.server.is_paused:
            self.resume()
        if not self.server.is_running:
            self.start()

    def end(self) -> None:
        """Leave nothing of it."""
        self.server.end()


P = TypeVar("P", bound=Part)


def first_to_start(ways: Sequence[Callable[[], P]]) -> P:
    """Return the part as the first way gives it that works; raise `LeftOut` with all reasons."""
    reasons: list[str] = []
    for way in ways:
        try:
            return way()
        except LeftOut as reason:
            reasons.append(str(reason))
    raise LeftOut("; ".join(reasons))


def start_or_leave_out(runs: Runs, start: Callable[[], None]) -> None:
    """Start it; where it does not come up, leave nothing of it and raise `LeftOut`."""
    try:
        start()
    except (TimeoutError, OSError) as error:
        last = runs.tail().strip().splitlines()[-1:]
        runs.end()
        raise LeftOut(f"did not come up: {error}: {' '.join(last)}") from error
    except BaseException:  # interrupted while it came up
        runs.end()
        raise
