"""/livez, /readyz, /startupz, /statusz and /metrics, for Kubernetes and Prometheus.

Alive means that the process' own loops go on; no broker, database or mail server is asked, or one
outage would restart every pod (operations.md, section 1.3). Each request has a thread of its own
and a few seconds, so a slow client holds up nobody. Answers are made without waiting.
"""

import json
import logging
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from consumer.metrics import CONTENT_TYPE
from schemas.errors import InvalidSettings

logger = logging.getLogger(__name__)

REQUEST_DEADLINE = 5.0  # seconds a client may take to say something, or to listen


@dataclass(slots=True)
class Heartbeat:
    """A loop's sign of life. It is stuck after `limit` seconds without a `tick`."""

    name: str
    limit: float  # seconds; at least three of the loop's longest steps
    clock: Callable[[], float] = time.monotonic
    _last: float = field(init=False)

    def __post_init__(self) -> None:
        self._last = self.clock()

    def tick(self) -> None:
        """Say that the loop goes on; cheap enough for every round."""
        self._last = self.clock()

    def stuck_for(self) -> float | None:
        """Return the seconds since the last tick if those are too many."""
        silent = self.clock() - self._last
        return silent if silent > self.limit else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path answers."""

    status: HTTPStatus
    body: bytes
    content_type: str = "application/json"


@dataclass(slots=True, kw_only=True)
class Probes:
    """Answers for one process. `ready` holds conditions by name; once all held it stays ready."""

    heartbeats: Sequence[Heartbeat]
    ready: Mapping[str, Callable[[], bool]]
    status: Callable[[], Mapping[str, object]]  # for people; no secrets, no addresses
    exposition: Callable[[], bytes]
    _was_ready: bool = field(default=False, init=False)

    def answer(self, path: str) -> Answer:
        """Return what a GET of the path gets; a query is ignored."""
        answers = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/startupz": self._readyz,
            "/statusz": self._statusz,
            "/metrics": self._metrics,
        }
        answer = answers.get(path.partition("?")[0])
        if answer is None:
            return _json(HTTPStatus.NOT_FOUND, {"paths": sorted(answers)})
        return answer()

    def _livez(self) -> Answer:
        stuck = self._stuck()
        status = HTTPStatus.SERVICE_UNAVAILABLE if stuck else HTTPStatus.OK
        return _json(status, {"alive": not stuck, "stuck": stuck})

    def _stuck(self) -> dict[str, float]:
        silent = {beat.name: beat.stuck_for() for beat in self.heartbeats}
        return {name: round(seconds, 1) for name, seconds in silent.items() if seconds is not None}

    def _readyz(self) -> Answer:
        missing = self._missing()
        status = HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK
        return _json(status, {"ready": not missing, "missing": missing})

    def _missing(self) -> list[str]:
        if self._was_ready:
            return []
        missing = [name for name, holds in self.ready.items() if not holds()]
        self._was_ready = not missing
        return missing

    def _statusz(self) -> Answer:
        said = {"ready": not self._missing(), "stuck": self._stuck(), **self.status()}
        return _json(HTTPStatus.OK, said)

    def _metrics(self) -> Answer:
        return Answer(HTTPStatus.OK, self.exposition(), CONTENT_TYPE)


def _json(status: HTTPStatus, said: Mapping[str, object]) -> Answer:
    body = json.dumps(said, default=str, ensure_ascii=False, indent=2) + "\n"
    return Answer(status, body.encode())


class ProbeServer:
    """Serves `Probes` on all interfaces, between `with` and its end."""

    def __init__(self, probes: Probes, port: int, *, host: str = "0.0.0.0") -> None:  # noqa: S104
        """Take the port, 0 for any that is free; raise `InvalidSettings` if it cannot be had."""
        # On all interfaces, since Kubernetes and Prometheus ask from outside the pod.
        try:
            self._server = _Server((host, port), _handler_of(probes))
        except OSError as error:
            raise InvalidSettings(
                [f"PUSH_HTTP_PORT: port {port} cannot be had: {error.strerror}"]
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._serve, name="probes", daemon=True)

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.1)

    def __enter__(self) -> Self:
        self._thread.start()
        logger.info("probes_listening", extra={"port": self.port})
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a slow client must not hold up the end
    allow_reuse_port = False

    def server_bind(self) -> None:
        """Bind without asking the name service for our name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "push-services", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Log what a request ran into; clients that leave early are nothing to tell."""
        error = sys.exception()
        if not isinstance(error, OSError):
            logger.error("probe_failed", exc_info=error)


def _handler_of(probes: Probes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers one request; its class is made here because the library makes its objects."""

        timeout = REQUEST_DEADLINE
        server_version, sys_version = "push-services", ""

        def do_GET(self) -> None:
            """Answer with a body."""
            self.wfile.write(self._begin().body)

        def do_HEAD(self) -> None:
            """Answer without one."""
            self._begin()

        def _begin(self) -> Answer:
            answer = probes.answer(self.path)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            return answer

        def log_message(self, *_: object) -> None:
            """Say nothing: a probe every few seconds is no news."""

    return Handler
