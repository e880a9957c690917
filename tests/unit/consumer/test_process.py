"""A process that is stuck in the Kafka client can still be ended: by itself, or by who runs it."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from consumer.process import Watchdog

Start = Callable[[float], "subprocess.Popen[str]"]


@pytest.fixture
def stuck() -> Iterator[Start]:
    """Start a process that gets stuck, watched with a limit in seconds."""
    started: list[subprocess.Popen[str]] = []

    def start(limit: float) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.real.stuck_worker", str(limit)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "stuck\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_step_that_takes_too_long_ends_the_process_even_inside_the_client(stuck: Start) -> None:
    process = stuck(1.0)

    assert process.wait(20) == 70
    assert process.stdout is not None
    assert "step_too_long" in process.stdout.read()


def test_a_second_signal_ends_the_process_even_inside_the_client(stuck: Start) -> None:
    process = stuck(600.0)

    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.0)  # the first asks, and the work does not hear it
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 0
    assert time.monotonic() - began < 5


def test_a_watchdog_sleeps_until_the_first_step() -> None:
    now = [0.0]
    watchdog = Watchdog(60.0, lambda: now[0])
    now[0] = 1_000.0

    assert watchdog.overdue() is None


def test_a_watchdog_measures_each_step_by_itself() -> None:
    now = [0.0]
    watchdog = Watchdog(60.0, lambda: now[0])
    watchdog.tick()
    now[0] = 50.0
    watchdog.tick()
    now[0] = 110.0
    in_time = watchdog.overdue()
    now[0] = 110.5

    assert (in_time, watchdog.overdue()) == (None, 60.5)
