"""The files that a command is given, opened one after another."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rules_store.files.reading import RulesFile
from schemas.errors import InvalidInput

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Sources:
    """Files that are there, by the names that were typed."""

    names: tuple[str, ...]
    size: int | None  #: bytes of all files; None where standard input is among them

    @classmethod
    def found(cls, names: Sequence[str]) -> "Sources":
        """Return the files of these names, or raise `InvalidInput` for all that cannot be read."""
        faults = [fault for name in names if name != STDIN and (fault := _why_unreadable(name))]
        if faults:
            raise InvalidInput(faults)
        size = None if STDIN in names else sum(Path(name).stat().st_size for name in names)
        return cls(tuple(names), size)

    def read(self, step: Callable[[int], None]) -> Iterator[RulesFile]:
        """Return each file open for reading; `step` hears how many bytes were read."""
        for name in self.names:
            if name == STDIN:
                yield RulesFile("<stdin>", Watched(sys.stdin.buffer, step))
                continue
            with Path(name).open("rb") as file:
                yield RulesFile(name, Watched(file, step))


@dataclass(frozen=True, slots=True)
class Watched:
    """A file that says how much of it was read."""

    file: BinaryIO
    step: Callable[[int], None]

    def read(self, size: int) -> bytes:
        """Return up to so many bytes."""
        content = self.file.read(size)
        self.step(len(content))
        return content


def _why_unreadable(name: str) -> str | None:
    try:
        with Path(name).open("rb"):
            return None
    except OSError as error:
        return f"{name}:1: file: cannot be read: {error.strerror}"
