"""How tests find, start and end their real parts, and how they say what they left out."""

import os
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real import found
from tests.real.found import CHECKOUT, LeftOut
from tests.real.kafka import server_properties
from tests.real.left_out import in_ci
from tests.real.parts import first_to_start
from tests.real.processes import Process
from tests.real.push_services import clean_environment
from tests.real.smtp_sink import SmtpSink
from tests.real.waiting import wait_until

SKIPPING = """
import pytest

@pytest.mark.kafka
@pytest.mark.parametrize("number", [1, 2])
def test_of_kafka(number):
    pytest.skip("no Docker engine answers; no Java")

def test_of_something_else():
    pytest.skip("no Chromium")
"""
PASSING = "def test_nothing(): pass"


def run_of(folder: Path, tests: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run these tests with the plugin, in a process of their own."""
    (folder / "test_some.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = kafka")
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.real.left_out", str(folder)],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(CHECKOUT)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_was_left_out_is_said_in_capitals_with_its_reason(tmp_path: Path) -> None:
    run = run_of(tmp_path, SKIPPING)

    assert "LEFT OUT: APACHE KAFKA, 2 TESTS: no Docker engine answers; no Java" in run.stdout
    assert "LEFT OUT: OTHER, 1 TEST: no Chromium" in run.stdout
    assert run.returncode == 0


def test_in_ci_it_is_a_failure(tmp_path: Path) -> None:
    assert run_of(tmp_path, SKIPPING, CI="true").returncode == 1


def test_in_ci_all_is_well_when_nothing_was_left_out(tmp_path: Path) -> None:
    run = run_of(tmp_path, PASSING, CI="true")

    assert (run.returncode, "LEFT OUT" in run.stdout) == (0, False)


def test_in_ci_no_test_at_all_is_a_failure(tmp_path: Path) -> None:
    assert run_of(tmp_path, "", CI="true").returncode != 0


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("1", True), ("", False), ("false", False)]
)
def test_ci_is_where_the_variable_says_so(value: str, expected: bool) -> None:
    assert in_ci({"CI": value}) is expected


def left_out(reason: str) -> "FakePart":
    raise LeftOut(reason)


class FakePart:
    def heal(self) -> None: ...

    def end(self) -> None: ...


def test_the_first_way_that_works_is_taken() -> None:
    part = FakePart()

    assert first_to_start([lambda: left_out("no engine"), lambda: part]) is part


def test_where_no_way_works_every_reason_is_given() -> None:
    with pytest.raises(LeftOut, match="no engine; no Java"):
        first_to_start([lambda: left_out("no engine"), lambda: left_out("no Java")])


def test_a_docker_client_without_an_engine_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'nobody-listens.sock'}")

    assert found.docker_engine() is None


def test_a_local_broker_listens_on_loopback_only(tmp_path: Path) -> None:
    properties = server_properties(tmp_path, 1, 2)

    assert properties["listeners"] == "BROKER://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    assert properties["advertised.listeners"] == "BROKER://127.0.0.1:1"


def test_the_testers_own_settings_reach_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSH_MAIL_FROM", "tester@example.org")

    assert "PUSH_MAIL_FROM" not in clean_environment()


def shell(folder: Path, script: str) -> Process:
    (folder / "run").mkdir()
    return Process(command=["sh", "-c", script], folder=folder / "run", stop_within=0.5)


@pytest.fixture
def obstinate(tmp_path: Path) -> Iterator[Process]:
    """A process that does not listen to SIGTERM, and has a child."""
    process = shell(tmp_path, "trap '' TERM; sleep 60 & echo ready; while :; do sleep 0.1; done")
    process.start()
    process.wait_for_output("ready")
    yield process
    process.end()


def members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_says_what_it_wrote_and_how_it_ended(tmp_path: Path) -> None:
    process = shell(tmp_path, "echo out; echo err >&2; exit 3")
    process.start()

    assert process.wait() == 3
    assert (process.output(), process.errors()) == ("out\n", "err\n")


def test_one_that_does_not_listen_is_killed_with_its_children(obstinate: Process) -> None:
    obstinate.end()

    wait_until(lambda: not members(obstinate.pid), "nothing is left", within=5)
    assert obstinate.wait() == -signal.SIGKILL


def test_stopping_one_that_does_not_listen_is_a_failure(obstinate: Process) -> None:
    with pytest.raises(TimeoutError, match="did not end"):
        obstinate.stop()


def test_a_paused_process_can_be_stopped(tmp_path: Path) -> None:
    process = shell(tmp_path, "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done")
    process.start()
    process.wait_for_output("ready")
    process.pause()

    assert process.stop() == 7


def test_waiting_for_words_that_never_come_ends_with_the_process(tmp_path: Path) -> None:
    process = shell(tmp_path, "echo something else")
    process.start()

    with pytest.raises(AssertionError, match="ended without saying 'ready': something else"):
        process.wait_for_output("ready")


def test_a_process_that_has_ended_can_be_started_again(tmp_path: Path) -> None:
    process = shell(tmp_path, "echo once")
    process.start()
    process.wait()

    process.start()

    assert (process.wait(), process.output()) == (0, "once\nonce\n")


def test_what_belongs_to_a_process_goes_with_it(tmp_path: Path) -> None:
    process = shell(tmp_path, "exit 0")
    process.belongings = tmp_path / "run"
    process.start()

    process.end()

    assert not (tmp_path / "run").exists()


def test_the_sink_takes_a_mail_with_its_envelope(smtp_sink: SmtpSink) -> None:
    with smtplib.SMTP(smtp_sink.host, smtp_sink.port) as client:
        client.sendmail("from@push.example", ["to@acme.example"], "Subject: Grüße\n\nText".encode())

    (mail,) = smtp_sink.wait_for(1)
    assert (mail.sender, mail.recipients) == ("from@push.example", ("to@acme.example",))
    assert mail.message.get_content() == "Text\r\n"
