"""What all real parts have in common: they run somewhere, by the first way that works."""

from collections.abc import Callable, Sequence
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
    """A real part that tests use and that faults are done to."""

    def heal(self) -> None:
        """Bring it back if a test has left it stopped or paused."""

    def end(self) -> None:
        """Leave nothing of it."""


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
