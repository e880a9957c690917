"""Probes: who is alive, who is ready, and that no client can hold them up."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from typing import Any

import pytest

from consumer.metrics import CONTENT_TYPE
from consumer.probes import Heartbeat, Probes, ProbeServer
from schemas.errors import InvalidSettings


class Clock:
    """A clock one can set."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Conditions:
    """What readiness waits for."""

    def __init__(self) -> None:
        self.rules_loaded = self.group_joined = False

    def as_ready(self) -> Mapping[str, Callable[[], bool]]:
        return {
            "rules loaded": lambda: self.rules_loaded,
            "group joined": lambda: self.group_joined,
        }


def probes_with(**changes: Any) -> Probes:
    fields: dict[str, Any] = {
        "heartbeats": [],
        "ready": {},
        "status": dict,
        "exposition": lambda: b"push_up 1\n",
    }
    return Probes(**(fields | changes))


def said(probes: Probes, path: str) -> tuple[int, dict[str, Any]]:
    answer = probes.answer(path)
    return int(answer.status), json.loads(answer.body)


@contextmanager
def asking(server: ProbeServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with closing(connection):
        yield connection


def asked(server: ProbeServer, method: str, path: str) -> tuple[int, str | None, bytes]:
    with asking(server) as connection:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read()


def test_it_is_alive_while_every_loop_goes_on() -> None:
    clock = Clock()
    beat = Heartbeat("loop", 30, clock)

    clock.seconds += 29
    beat.tick()
    clock.seconds += 29

    assert said(probes_with(heartbeats=[beat]), "/livez") == (200, {"alive": True, "stuck": {}})


def test_a_stuck_loop_is_named_with_the_seconds_of_its_silence() -> None:
    clock = Clock()
    beats = [Heartbeat("intake", 30, clock), Heartbeat("sender", 60, clock)]

    clock.seconds += 31

    stuck = {"alive": False, "stuck": {"intake": 31.0}}
    assert said(probes_with(heartbeats=beats), "/livez") == (503, stuck)


def test_a_loop_that_goes_on_again_is_alive_again() -> None:
    clock = Clock()
    beat = Heartbeat("loop", 30, clock)

    clock.seconds += 100
    beat.tick()

    assert said(probes_with(heartbeats=[beat]), "/livez")[0] == 200


@pytest.mark.parametrize("path", ["/readyz", "/startupz"])
def test_it_is_not_ready_before_everything_is_and_says_what_is_missing(path: str) -> None:
    conditions = Conditions()
    conditions.rules_loaded = True

    missing = {"ready": False, "missing": ["group joined"]}
    assert said(probes_with(ready=conditions.as_ready()), path) == (503, missing)


def test_once_ready_it_stays_so() -> None:
    conditions = Conditions()
    probes = probes_with(ready=conditions.as_ready())
    conditions.rules_loaded = conditions.group_joined = True
    assert said(probes, "/readyz")[0] == 200

    conditions.group_joined = False

    assert said(probes, "/readyz") == (200, {"ready": True, "missing": []})


def test_an_outage_outside_is_no_reason_to_restart() -> None:
    conditions = Conditions()

    assert said(probes_with(ready=conditions.as_ready()), "/livez")[0] == 200


def test_the_status_is_for_people() -> None:
    probes = probes_with(status=lambda: {"generation": 41})

    assert said(probes, "/statusz") == (200, {"ready": True, "stuck": {}, "generation": 41})


def test_another_path_is_not_found_and_says_which_there_are() -> None:
    status, body = said(probes_with(), "/health")

    assert status == 404
    assert body == {"paths": ["/livez", "/metrics", "/readyz", "/startupz", "/statusz"]}


def test_a_query_changes_nothing() -> None:
    assert probes_with().answer("/metrics?x=1").status is HTTPStatus.OK


def test_metrics_are_served_as_prometheus_wants_them() -> None:
    with ProbeServer(probes_with(), 0, host="127.0.0.1") as server:
        assert asked(server, "GET", "/metrics") == (200, CONTENT_TYPE, b"push_up 1\n")


def test_head_answers_without_a_body() -> None:
    with ProbeServer(probes_with(), 0, host="127.0.0.1") as server:
        assert asked(server, "HEAD", "/livez") == (200, "application/json", b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_but_reading_is_possible(method: str) -> None:
    with ProbeServer(probes_with(), 0, host="127.0.0.1") as server:
        assert asked(server, method, "/livez")[0] == 501


def test_requests_are_not_told_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with ProbeServer(probes_with(), 0, host="127.0.0.1") as server:
        asked(server, "GET", "/livez")
        asked(server, "GET", "/nothing")

    assert capfd.readouterr() == ("", "")


def test_a_slow_client_does_not_hold_up_others() -> None:
    with (
        ProbeServer(probes_with(), 0, host="127.0.0.1") as server,
        closing(socket.create_connection(("127.0.0.1", server.port))) as slow,
    ):
        slow.sendall(b"GET /livez")

        assert asked(server, "GET", "/livez")[0] == 200


def test_a_slow_client_does_not_hold_up_the_end() -> None:
    server = ProbeServer(probes_with(), 0, host="127.0.0.1").__enter__()
    with closing(socket.create_connection(("127.0.0.1", server.port))) as slow:
        slow.sendall(b"GET /livez")

        ending = threading.Thread(target=server.__exit__)
        ending.start()
        ending.join(3)  # less than a request's deadline

        assert not ending.is_alive()


def test_a_port_that_is_taken_is_a_fault_of_the_settings() -> None:
    with (
        ProbeServer(probes_with(), 0, host="127.0.0.1") as server,
        pytest.raises(InvalidSettings, match=f"PUSH_HTTP_PORT: port {server.port} cannot"),
    ):
        ProbeServer(probes_with(), server.port, host="127.0.0.1")


def test_the_port_is_free_again_afterwards() -> None:
    with ProbeServer(probes_with(), 0, host="127.0.0.1") as server:
        port = server.port

    with ProbeServer(probes_with(), port, host="127.0.0.1") as server:
        assert asked(server, "GET", "/livez")[0] == 200


def test_a_failing_figure_fails_its_scrape_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> bytes:
        raise ZeroDivisionError

    with ProbeServer(probes_with(exposition=broken), 0, host="127.0.0.1") as server:
        with pytest.raises(http.client.RemoteDisconnected):
            asked(server, "GET", "/metrics")
        assert asked(server, "GET", "/livez")[0] == 200

    assert "probe_failed" in caplog.messages
