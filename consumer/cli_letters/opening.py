"""The dead-letter topic of the settings, opened for one command."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumer.commands import fatal_errors, settings_or_exit
from schemas.errors import Fatal, Temporary

if TYPE_CHECKING:
    from consumer.letters.redriving import Redriving
    from consumer.letters.tenants import Peeking


@dataclass(frozen=True)
class Opened:
    """What the commands work with."""

    redriving: "Redriving"
    peeking: "Peeking"
    groups: tuple[str, ...]  # whose letters they are: the worker's and the delivery daemon's
    topic: str


def opened() -> Opened:
    """Read the settings and open the topic, or end the command with what is wrong."""
    settings = settings_or_exit(("kafka_bootstrap_servers",))
    from consumer import wiring

    redriving, peeking = wiring.letters(settings)
    groups = tuple({group: None for group, _ in redriving.home})
    return Opened(redriving, peeking, groups, settings.topic_dead_letter)


@contextmanager
def told_errors() -> Iterator[None]:
    """Tell each error as a line on stderr with its exit code; these commands wait for nothing."""
    with fatal_errors():
        try:
            yield
        except Temporary as error:
            raise Fatal(str(error)) from error
