"""The first minute, as a newcomer has it."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import pytest

from consumer.demo.running import run_demo

FAST = """
import sys
from consumer.demo.running import run_demo
sys.exit(run_demo(once=False, http_port=0, out=sys.stdout, speed=40))
"""
CALL = "from consumer.cli import main; main()"


class Seen(NamedTuple):
    """What a demo ended with, what it said, and which files are left of it."""

    code: int
    told: str
    left: list[Path]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which temporary folders are made."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


@pytest.fixture
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a demo that goes on until it is stopped."""
    demo = subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", FAST],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield demo
    demo.kill()
    demo.communicate()


def lines_until(demo: subprocess.Popen[str], last: str) -> list[str]:
    assert demo.stdout is not None
    lines: list[str] = []
    for line in demo.stdout:
        lines.append(line.rstrip())
        if last in line:
            return lines
    raise AssertionError(f"the demo ended without {last!r}")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Return what a demo that ends by itself leaves behind."""
    folder, out = tmp_path_factory.mktemp("demo"), StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr("tempfile.tempdir", None)
        code = run_demo(once=True, http_port=0, out=out)
    return Seen(code, out.getvalue(), list(folder.iterdir()))


def test_exactly_the_expected_mails_arrive_and_nothing_is_left_behind(seen: Seen) -> None:
    assert (seen.code, seen.told.splitlines()[-1]) == (0, "13 mails expected, 13 arrived")
    assert seen.left == []


def test_each_decision_is_told_with_its_reason(seen: Seen) -> None:
    told = seen.told
    assert re.search(r"FIN_REJECTED +m-10482 +rule “Nicht ausgeführt” → 2 mails", told)
    assert re.search(r"FIN_ACCEPTED +m-10482 +no rule wants it: .*other status", told)
    assert re.search(r"FIN_REJECTED +m-10482 +no rule wants it: .*other account", told)
    assert re.search(r"FIN_REJECTED \(again\) +m-10482 +published again: 2 mails known", told)
    assert re.search(r"FIN_REJECTED \(cut off\) +m-10482 +dead letter, undecodable", told)
    assert re.search(r"refused@alpenblick\.example +550 5\.1\.1", told)
    assert "1 dead letter, 1 published twice and mailed once" in told
    assert "\x1b" not in told


def test_ctrl_c_ends_it_and_leaves_nothing_behind(
    running: subprocess.Popen[str], folder: Path
) -> None:
    lines = lines_until(running, "Ctrl-C ends the demo")
    url = next(line.split()[1] for line in lines if line.startswith("  Inbox"))
    with urlopen(f"{url}api/mails", timeout=10) as answer:  # the page is there meanwhile
        assert answer.read().count(b'"number"') == 13

    running.send_signal(signal.SIGINT)
    _, complaints = running.communicate(timeout=30)

    assert (running.returncode, complaints) == (0, "")
    assert list(folder.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.rstrip("/").rpartition(":")[2])), timeout=5)


def test_what_to_try_next_are_commands_that_work(
    running: subprocess.Popen[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = lines_until(running, "Ctrl-C ends the demo")
    database, brokers = (line.split()[1] for line in lines if line.startswith("  export "))
    monkeypatch.setenv(*database.split("=", 1))
    monkeypatch.setenv(*brokers.split("=", 1))
    words = ("push-services rules", " config show", " dead-letters list")
    commands = [line for line in lines if any(word in line for word in words)]

    codes = {line: _run(line.partition("#")[0], folder) for line in commands}

    assert len(codes) == 6
    assert set(codes.values()) == {0}


def _run(line: str, folder: Path) -> int:
    """Run a line that the demo printed; its shell redirection by hand."""
    command, _, target = line.partition(">")
    arguments = command.split()[1:]
    done = subprocess.run(
        [sys.executable, "-c", CALL, *arguments], capture_output=True, text=True, cwd=folder
    )
    if target:
        (folder / target.strip()).write_text(done.stdout, "utf-8")
    return done.returncode
