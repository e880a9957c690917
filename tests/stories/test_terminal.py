"""On a terminal commands are for people; piped, they are for programs."""

import os
import pty
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real.push_services import clean_environment, installed_command
from tests.stories.command import Push

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

# A file large enough for a bar, that takes no time to read.
LARGE = "version: 1\ntenants: []\n" + ("# nothing more to say\n" * 60_000)


def test_a_list_is_a_table_with_headings(push_sqlite: Push, file: Path) -> None:
    push_sqlite("rules", "apply", str(file))

    with a_terminal() as (terminal, written):
        run("rules", "list", stdout=terminal)

    heading, *rest = [line.split() for line in "".join(written).splitlines() if line.strip()]
    assert heading == ["Tenant", "Rule", "State", "Event", "Description"]
    assert ["m-1", "r-rejected", "enabled", "payment-file-rejected"] in [x[:4] for x in rest]


def test_a_long_command_shows_how_far_it_is(push_sqlite: Push, tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_text(LARGE)

    with a_terminal() as (terminal, written):
        done = run("rules", "import", str(tmp_path / "large.yaml"), stderr=terminal)

    assert "Reading rules" in "".join(written)
    assert done.stdout == b"0 created, 0 changed, 0 deleted\n"


def test_piped_it_shows_nothing_of_it(push_sqlite: Push, tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_text(LARGE)

    done = push_sqlite("rules", "import", str(tmp_path / "large.yaml"))

    assert (done.stdout, done.stderr) == ("0 created, 0 changed, 0 deleted\n", "")


def run(
    *words: str, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    database = {"PUSH_DATABASE_URL": os.environ["PUSH_DATABASE_URL"]}
    screen = {"COLUMNS": "120", "TERM": "xterm"}
    return subprocess.run(
        [*installed_command(), *words],
        stdout=stdout,
        stderr=stderr,
        env=clean_environment() | database | screen,
        check=True,
        timeout=60,
    )


@contextmanager
def a_terminal() -> Iterator[tuple[int, list[str]]]:
    """Give a terminal to write to; after the block the list has what was written, without colours.

    It is read all the while, or its buffer would fill up and hold the writer.
    """
    ours, theirs = pty.openpty()
    written: list[str] = []
    reading = threading.Thread(target=_read_all, args=(ours, written))
    reading.start()
    try:
        yield theirs, written
    finally:
        os.close(theirs)
        reading.join()
        os.close(ours)


def _read_all(terminal: int, written: list[str]) -> None:
    while chunk := _read(terminal):
        written.append(_COLOUR.sub("", chunk.decode(errors="replace")))


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so that nobody writes any more
        return b""
