"""A Schema Registry of two endpoints on loopback, for what a real one does not do on demand.

It answers what a test lays down: outages, refusals, garbage. Whether our requests are right is for
the tests against a real registry to say.
"""

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; `missing` bytes of it are announced and never come."""

    code: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An HTTP request as it came in."""

    method: str
    path: str
    user: str | None
    content_type: str | None
    body: Any


@dataclass(slots=True)
class RegistryDouble:
    """Answers by path; any other path is not found."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)  #: no answer while not set

    def says(self, path: str, said: object, code: int = 200) -> None:
        """Lay down a JSON answer."""
        self.answers[path] = Answer(code=code, body=json.dumps(said).encode())

    def with_user(self, user_info: str) -> str:
        """Return the URL with user and password in it."""
        return self.url.replace("://", f"://{user_info}@")

    def paths(self) -> list[str]:
        return [question.path for question in self.questions]


NOT_FOUND = Answer(code=404, body=b'{"error_code": 40403, "message": "Schema not found"}')


@contextmanager
def registry_double() -> Iterator[RegistryDouble]:
    """Start a registry on a free port of loopback, and end it with all its threads."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.respond(None)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self.respond(json.loads(self.rfile.read(length)))

        def respond(self, body: Any) -> None:
            double.questions.append(
                Question(
                    method=self.command,
                    path=self.path,
                    user=user_of(self.headers.get("Authorization")),
                    content_type=self.headers.get("Content-Type"),
                    body=body,
                )
            )
            double.silent.wait(10)
            answer = double.answers.get(self.path, NOT_FOUND)
            self.send_response(answer.code)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) + answer.missing))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its base's name
            """Stay quiet: tests print what they need."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double = RegistryDouble(f"http://127.0.0.1:{server.server_port}")
    double.silent.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield double
    finally:
        double.silent.set()
        server.shutdown()
        server.server_close()
        thread.join()


def user_of(authorization: str | None) -> str | None:
    """Read "user:password" out of basic authentication (RFC 7617)."""
    if authorization is None:
        return None
    scheme, _, encoded = authorization.partition(" ")
    return base64.b64decode(encoded).decode() if scheme == "Basic" else authorization
