"""The inbox's web page and its JSON: loopback only, nothing from outside, nothing is executed.

A mail's html is a document of its own with a policy that allows it nothing but inline styles; the
page shows it in a sandboxed frame. All else of a mail reaches the page as JSON and is put in as
text. Requests for another host name are refused, so that no foreign site can reach in by DNS.
"""

import json
import re
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib import resources
from socketserver import ThreadingTCPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

from consumer.inbox.loopback import LOOPBACK, listen
from consumer.inbox.mailbox import Mailbox, ReceivedMail, Refusal

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self';"
    " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: `sandbox` here, too: the document stays harmless when it is opened without the frame.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self';"
    " sandbox allow-popups allow-popups-to-escape-sandbox"
)
_FILES = {
    "/": ("page.html", "text/html"),
    "/inbox.css": ("page.css", "text/css"),
    "/inbox.js": ("page.js", "text/javascript"),
}
_SCHEME = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)", re.IGNORECASE)
_HOLDS = {True: "(min-width: 0)", False: "(max-width: 0)"}  # media queries: always, never


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets."""

    body: bytes
    content_type: str = "application/json"
    policy: str = _PAGE_POLICY
    status: HTTPStatus = HTTPStatus.OK


_NOT_FOUND = Answer(b"no such page\n", "text/plain", status=HTTPStatus.NOT_FOUND)


def answer(mailbox: Mailbox, target: str) -> Answer:
    """Return the answer to a GET of the page, of its files, or of one of these.

    `/api/mails` (with `?after=N` only later ones), `/api/mails/N`, `/api/refusals`,
    `/mails/N/html` (with `?scheme=light` or `dark`), `/mails/N/source`.
    """
    try:
        url = urlsplit(target)
    except ValueError:
        return _NOT_FOUND
    question = {name: values[-1] for name, values in parse_qs(url.query).items()}
    if url.path in _FILES:
        name, content_type = _FILES[url.path]
        return Answer(_file(name), content_type)
    if url.path == "/api/mails":
        after = _number(question.get("after", ""))
        return _json([summary(mail) for mail in mailbox.mails() if mail.number > after])
    if url.path == "/api/refusals":
        return _json([_refusal(refusal) for refusal in mailbox.refusals()])
    return _of_one_mail(mailbox, url.path, question)


def _of_one_mail(mailbox: Mailbox, path: str, question: Mapping[str, str]) -> Answer:
    match path.split("/"):
        case ["", "api", "mails", number]:
            show = "details"
        case ["", "mails", number, ("html" | "source") as show]:
            pass
        case _:
            return _NOT_FOUND
    mail = mailbox.numbered(_number(number))
    if mail is None:
        return _NOT_FOUND
    if show == "details":
        return _json(details(mail))
    if show == "source":
        return Answer(mail.source, "text/plain", _MAIL_POLICY)
    document = as_document(mail.content.html, question.get("scheme", ""))
    return Answer(document.encode("utf-8", "replace"), "text/html", _MAIL_POLICY)


def _json(value: object) -> Answer:
    return Answer(json.dumps(value).encode())


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def summary(mail: ReceivedMail) -> dict[str, object]:
    """Return what the list shows of a mail."""
    content = mail.content
    return {
        "number": mail.number,
        "received_at": mail.received_at.isoformat(timespec="milliseconds"),
        "sender": mail.sender,
        "recipient": mail.recipient,
        "subject": content.header("Subject"),
        "language": content.header("Content-Language"),
        "event_id": content.header("X-Push-Event-Id"),
        "rule_id": content.header("X-Push-Rule-Id"),
        "bytes": len(mail.source),
    }


def details(mail: ReceivedMail) -> dict[str, object]:
    """Return all of a mail."""
    return {
        **summary(mail),
        "headers": mail.content.headers,
        "text": mail.content.text,
        "html": mail.content.html,
        "source": mail.source.decode("utf-8", "replace"),
    }


def _refusal(refusal: Refusal) -> dict[str, object]:
    return {
        "number": refusal.number,
        "refused_at": refusal.refused_at.isoformat(timespec="milliseconds"),
        "recipient": refusal.recipient,
        "reply": refusal.reply,
    }


def as_document(html: str, scheme: str = "") -> str:
    """Return a mail's html so that its links open in a new tab, as a light or dark client shows it.

    What stands first wins: a parser ignores a second doctype, and a second base target.
    """
    if scheme in ("light", "dark"):
        html = _SCHEME.sub(lambda asked: _HOLDS[asked[1].lower() == scheme], html)
    canvas = scheme if scheme in ("light", "dark") else "light"
    return (
        f'<!doctype html><base target="_blank"><meta name="color-scheme" content="{canvas}">{html}'
    )


@cache
def _file(name: str) -> bytes:
    return (resources.files("consumer.inbox") / name).read_bytes()


class InboxPage:
    """The HTTP server, in threads of its own."""

    def __init__(self, mailbox: Mailbox, port: int) -> None:
        self._connections: set[socket.socket] = set()
        handler = partial(_Handler, mailbox=mailbox, connections=self._connections)
        self._server = _Server((LOOPBACK, 0), handler, bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = listen(port)
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="inbox-page", daemon=True
        )

    @classmethod
    def start(cls, mailbox: Mailbox, port: int) -> Self:
        """Serve a mailbox; port 0 takes a free port, and so does one that is taken."""
        page = cls(mailbox, port)
        page._thread.start()
        return page

    def stop(self) -> None:
        """Close the door and every connection."""
        self._server.shutdown()
        self._thread.join()
        for connection in tuple(self._connections):  # browsers keep some open for later
            _hang_up(connection)
        self._server.server_close()  # waits for the threads of all connections


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # already gone
        return


class _Server(ThreadingTCPServer):
    daemon_threads = False
    block_on_close = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a browser that goes away in the middle is no fault."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET; one request per connection."""

    timeout = 10  # seconds a silent connection may stay
    server_version, sys_version = "push-inbox", ""

    def __init__(
        self,
        request: socket.socket,
        client_address: tuple[str, int],
        server: _Server,
        *,
        mailbox: Mailbox,
        connections: set[socket.socket],
    ) -> None:
        self._mailbox = mailbox
        connections.add(request)
        try:
            super().__init__(request, client_address, server)
        finally:
            connections.discard(request)

    def do_GET(self) -> None:  # the library's name
        """Answer a request that was meant for this machine."""
        asked_for = self.headers.get("Host", "").partition(":")[0]
        if asked_for not in (LOOPBACK, "localhost"):
            status = HTTPStatus.MISDIRECTED_REQUEST
            self._say(Answer(b"ask for 127.0.0.1\n", "text/plain", status=status))
            return
        self._say(answer(self._mailbox, self.path))

    def _say(self, answered: Answer) -> None:
        self.send_response(answered.status)
        self.send_header("Content-Type", f"{answered.content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(answered.body)))
        self.send_header("Content-Security-Policy", answered.policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(answered.body)

    def log_message(self, *_: object) -> None:
        """Keep the terminal for the demo's own lines."""
